"""Several encoders side by side: their embeddings in one row of features."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.encoders.base import Encoder, EncoderInput
from soft_labels.errors import EncoderError


class SeveralEncoders(Encoder):
    """Encoders whose embeddings stand side by side, in the order given.

    Each keeps its own store, so that one more costs one more. Each is shown the items in its own way: one may read
    pairs of texts as one input, another each text alone, a third the items' uids.

    Args:
        encoders: At least two, no two of them equal.

    Raises:
        EncoderError: There are fewer, or two give the same numbers, or some read texts and others images.
    """

    def __init__(self, encoders: list[Encoder]) -> None:
        if len(encoders) < 2:
            raise EncoderError(f"wanted at least two encoders side by side, got {len(encoders)}; name one by itself")
        super().__init__(batch_size=max(encoder.batch_size for encoder in encoders))
        self.encoders = encoders
        self.model = " + ".join(getattr(encoder, "model", "") or type(encoder).__name__ for encoder in encoders)
        kinds = {encoder.modality for encoder in self.parts} - {"uid"}
        if len(kinds) > 1:
            raise EncoderError("wanted encoders of texts or of images, got both; choose those that read this data set")
        self.modality = kinds.pop() if kinds else "uid"

    @property
    def parts(self) -> Sequence[Encoder]:
        """The encoders."""
        return [part for encoder in self.encoders for part in encoder.parts]

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """Those of all parts, numbered; how each is shown a pair of texts is part of it.

        Raises:
            EncoderError: Two encoders would give the same numbers.
        """
        each = [{**part.fingerprint(), "reads_pairs": part.reads_pairs} for part in self.parts]
        twice = next((one for place, one in enumerate(each) if one in each[:place]), None)
        if twice is not None:
            raise EncoderError(f"wanted encoders that differ, got one twice: {twice}; leave one out")
        return {
            "encoder": "several",
            **{f"{place}.{key}": value for place, one in enumerate(each) for key, value in one.items()},
        }

    def without_row(self, uids: Sequence[str]) -> NDArray[np.bool_]:
        """Which items at least one of the encoders leaves out."""
        return reduce(np.logical_or, [part.without_row(uids) for part in self.parts])

    def length(self, item: EncoderInput) -> int:
        """The greatest of the parts'."""
        return max(part.length(item) for part in self.parts)

    def preprocess(self, items: Sequence[EncoderInput]) -> list[Any]:
        """One batch prepared by each; all are shown the same inputs."""
        return [part.preprocess(items) for part in self.parts]

    def forward(self, batch: list[Any]) -> Tensor:
        """Embeddings side by side, float32 ``[B, D]`` on the CPU, D the sum of the parts' widths."""
        return torch.cat([part.forward(prepared) for part, prepared in zip(self.parts, batch, strict=True)], dim=1)
