"""What a person hands over in Python: texts, pairs of texts, images or features."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from soft_labels.annotations.base import Modality
from soft_labels.errors import DataError
from soft_labels.heads.config import Reads


def read_inputs(inputs: Any) -> tuple[Reads, Any]:
    """What inputs are, and the inputs themselves: a list, or features float32 ``[N, D]``.

    Args:
        inputs: ``[N]`` texts, pairs of texts, or images (paths, bytes of files or ``uint8`` ``[H, W, 3]``); or
            features ``[N, D]``.

    Raises:
        DataError: They are nothing that a head reads.
    """
    if isinstance(inputs, str):
        raise DataError("wanted a list of texts, got one text")
    if hasattr(inputs, "shape") and len(inputs.shape) == 2:
        matrix = inputs.detach().cpu().numpy() if isinstance(inputs, torch.Tensor) else inputs
        return "vectors", torch.from_numpy(np.array(matrix, dtype=np.float32))
    rows = [tuple(one) if isinstance(one, list) else one for one in inputs]
    kinds = {_kind(one) for one in rows}
    if len(kinds) != 1 or (kind := kinds.pop()) is None:
        raise DataError(
            "wanted texts, pairs of texts, paths of images or arrays of pixels, all of one kind, or features [N, D] as "
            f"an array; got {', '.join(sorted({type(one).__name__ for one in rows})) or 'nothing'}"
        )
    return kind, rows


def _kind(one: Any) -> Modality | None:
    """What an input is."""
    if isinstance(one, str):
        return "text"
    if isinstance(one, tuple) and len(one) == 2 and all(isinstance(side, str) for side in one):
        return "text_pair"
    return "image" if isinstance(one, Path | bytes) or (isinstance(one, np.ndarray) and one.ndim == 3) else None
