"""The one place that asks a head about items."""

from collections.abc import Callable

import torch
from torch import Tensor

from soft_labels.embeddings import Features


@torch.inference_mode()
def predict(head: Callable[[Tensor], Tensor], features: Features, rows: Tensor) -> Tensor:
    """Logits of some items, without dropout.

    Args:
        head: Features ``[B, D]`` in, logits ``[B, C]`` out; on the CPU.
        features: Of all items.
        rows: int64 ``[n]`` positions of the items.

    Returns:
        ``[n, C]``.
    """
    return torch.cat([head(block) for block in features.batches(rows.numpy())])
