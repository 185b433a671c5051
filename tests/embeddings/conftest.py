"""A toy encoder that is exact, quick and keeps account of its work; subprocesses import it from here too."""

import hashlib
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from soft_labels.encoders.base import Encoder, EncoderInput, texts_of


class ToyEncoder(Encoder):
    """A text's vector is drawn from its own hash.

    A text that holds ``bad`` cannot be preprocessed, one that holds ``nan`` gives nan.
    """

    modality = "text"

    def __init__(self, *, width: int = 6, name: str = "toy", batch_size: int = 4, delay: float = 0.0) -> None:
        super().__init__(batch_size)
        self.width = width
        self.name = name
        self.delay = delay
        self.preprocessed: list[list[str]] = []
        self.encoded: list[list[str]] = []
        self.preprocess_threads: set[int] = set()
        self.forward_threads: set[int] = set()

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        return {"encoder": self.name}

    def length(self, item: EncoderInput) -> int:
        return len(texts_of([item])[0])

    def preprocess(self, items: Sequence[EncoderInput]) -> list[str]:
        self.preprocess_threads.add(threading.get_ident())
        texts = texts_of(items)
        if any("bad" in text for text in texts):
            raise ValueError("a bad text")
        self.preprocessed.append(texts)
        return texts

    def forward(self, batch: list[str]) -> Tensor:
        time.sleep(self.delay)
        self.forward_threads.add(threading.get_ident())
        self.encoded.append(batch)
        return torch.from_numpy(np.stack([toy_vector(text, self.width) for text in batch]))


def toy_vector(text: str, width: int = 6) -> np.ndarray:
    """What the toy encoder gives for one text, float32 ``[width]``."""
    if "nan" in text:
        return np.full(width, np.nan, dtype=np.float32)
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).standard_normal(width, dtype=np.float32)


@pytest.fixture
def toy() -> type[ToyEncoder]:
    return ToyEncoder


@pytest.fixture
def texts() -> list[str]:
    """41 distinct texts of many lengths, in mixed order."""
    lengths = np.random.default_rng(0).permutation(41)
    return [f"text {number} " + "x" * int(length) for number, length in enumerate(lengths)]
