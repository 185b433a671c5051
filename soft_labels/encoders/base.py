"""What every frozen encoder offers to the precompute stage."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, Self

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
    _made_with: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Note what it is made with; a copy is made with nothing and takes the notes of the first."""
        encoder = super().__new__(cls)
        bound = inspect.signature(cls.__init__).bind_partial(encoder, *args, **kwargs)
        bound.apply_defaults()
        encoder._made_with = dict(list(bound.arguments.items())[1:])
        return encoder

    def __init__(self, batch_size: int) -> None:
        if batch_size < 1:
            raise EncoderError(f"encoder batch_size must be at least 1, got {batch_size}")
        self.batch_size = batch_size

    @abstractmethod
    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """All that decides the numbers: weights (revision or digest), preprocessing, precision; nothing else.

        Computed without importing the model's library. Paths, batch size, device and worker count never enter.
        """

    @property
    def of_this_machine(self) -> tuple[str, ...]:
        """Settings that name a file or folder of this machine: another one has it elsewhere."""
        return ()

    def settings(self) -> dict[str, Any]:
        """What makes the same encoder on another machine, but for its device and :attr:`of_this_machine`."""
        left_out = {"device", *self.of_this_machine}
        return {name: value for name, value in self._made_with.items() if name not in left_out}

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


class TokenisingEncoder(Encoder):
    """An encoder that cuts what is longer than its model reads, and says how often it did.

    Args:
        batch_size: See :class:`Encoder`.
    """

    shown = "inputs"  # what a remark calls them

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size)
        self._seen = 0
        self._cut = 0

    @property
    @abstractmethod
    def most_tokens(self) -> int | None:
        """Tokens that the model reads; ``None`` where it knows no limit."""

    @property
    def prepares_ahead(self) -> bool:
        """Only beside an accelerator: tokenising is short, and on the CPU it takes cores from the model."""
        return pick_device(self.device).type != "cpu"

    def remark(self) -> str | None:
        """How many inputs were longer than the model reads, since the last call."""
        seen, cut = self._seen, self._cut
        self._seen = self._cut = 0
        if cut == 0:
            return None
        return (
            f"{cut:,} of {seen:,} {self.shown} are longer than {self.most_tokens} tokens and were cut there; raise "
            "max_length as far as the model allows, or choose a model that reads longer texts"
        )


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
