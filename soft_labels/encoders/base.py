"""What every frozen encoder offers to the precompute stage."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.annotations.base import Input
from soft_labels.errors import EncoderError

Precision = Literal["fp32", "bf16"]
EncoderInput = Input


class Encoder(ABC):
    """A frozen map from one text, one pair of texts, one image or one item's uid to one vector.

    Constructing an encoder is cheap and imports no model library: a run whose embeddings are all stored
    never loads a model. The model is loaded by the first :meth:`preprocess` or :meth:`forward`.

    Args:
        batch_size: Inputs a forward pass. It never changes which stored embeddings are found.
    """

    modality: Literal["text", "image", "uid"]  # an encoder of uids is shown those, whatever the items are
    reads_pairs: bool = False  # whether two texts are one input; otherwise they are encoded apart or joined before
    device: str = "auto"  # of those that compute here: several processes set it to the device of each

    def __init__(self, batch_size: int) -> None:
        if batch_size < 1:
            raise EncoderError(f"encoder batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size

    @abstractmethod
    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """All that decides the numbers: weights (revision or digest), preprocessing, precision; nothing else.

        Computed without importing the model's library. Paths, batch size, device and worker count never enter.
        """

    @abstractmethod
    def length(self, item: EncoderInput) -> int:
        """What batches are sorted by, so that a batch holds inputs of similar cost; need not be exact."""

    @abstractmethod
    def preprocess(self, items: Sequence[EncoderInput]) -> Any:
        """The CPU's part for one batch (decode, resize, tokenise); may run one batch ahead in a thread."""

    @abstractmethod
    def forward(self, batch: Any) -> Tensor:
        """Embeddings of one preprocessed batch, float32 ``[B, D]`` on the CPU."""

    @property
    def parts(self) -> "Sequence[Encoder]":
        """The encoders whose embeddings stand side by side in a row of features; most are alone."""
        return (self,)

    def without_row(self, uids: Sequence[str]) -> NDArray[np.bool_]:
        """Which items are left out because nothing is known of them, bool ``[N]``; most encoders know any input.

        Raises:
            EncoderError: Items must not be left out, or none would be left.
        """
        return np.zeros(len(uids), dtype=bool)

    @property
    def prepares_ahead(self) -> bool:
        """Whether the next batch is preprocessed while the model works; no help where both want the same cores."""
        return True

    def remark(self) -> str | None:
        """What a person should be told about the inputs preprocessed since the last call, if anything."""
        return None


def pick_device(device: str) -> torch.device:
    """``auto`` is the machine's accelerator where it has one, else the CPU; any other value is torch's own name.

    Raises:
        EncoderError: This machine has no such device.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        return torch.empty(0, device=device).device
    except (AssertionError, RuntimeError) as error:
        raise EncoderError(f"wanted device auto or one that this machine has, got {device!r}: {error}") from error


def texts_of(items: Sequence[EncoderInput]) -> list[str]:
    """The items of one batch as texts.

    Raises:
        EncoderError: An item is an image or a pair of texts.
    """
    texts = [item for item in items if isinstance(item, str)]
    if any(isinstance(item, tuple) for item in items):
        raise EncoderError("wanted texts, got a pair of them; choose an encoder that reads pairs, or join the two")
    if len(texts) < len(items):
        raise EncoderError("wanted texts, got an image; choose an image encoder for this data set")
    return texts
