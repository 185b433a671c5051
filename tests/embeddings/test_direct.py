"""Items encoded without a store: the numbers of the store, and each unreadable item by itself."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from soft_labels.annotations.base import Items
from soft_labels.embeddings import FeatureSource
from soft_labels.embeddings.direct import encode_directly
from soft_labels.encoders import SeveralEncoders
from soft_labels.encoders.base import EncoderInput
from soft_labels.errors import EncoderError
from tests.conftest import ToyTextEncoder

TEXTS = [f"text {number % 30}" for number in range(50)]


class Picky(ToyTextEncoder):
    """Refuses texts that hold ``bad``, and counts what it encodes."""

    def __init__(self, width: int = 6, batch_size: int = 4) -> None:
        super().__init__(width=width, batch_size=batch_size, spoil="nan")
        self.encoded = 0

    def preprocess(self, items: Sequence[EncoderInput]) -> list[str]:
        if any("bad" in str(item) for item in items):
            raise EncoderError("it is bad")
        return super().preprocess(items)

    def forward(self, batch: list[str]) -> torch.Tensor:
        self.encoded += len(batch)
        return super().forward(batch)


@pytest.mark.parametrize("modality", ["text", "text_pair"])
def test_features_are_those_of_the_store(modality: str, tmp_path: Path) -> None:
    inputs = TEXTS if modality == "text" else [(text, f"{text}!") for text in TEXTS]
    items = Items(tuple(map(str, range(50))), inputs, modality)  # type: ignore[arg-type]
    encoder = SeveralEncoders([ToyTextEncoder(width=6), ToyTextEncoder(width=3)])
    source = FeatureSource(encoder, tmp_path)
    rows, refused = source.direct(items)
    assert not refused
    assert not list(tmp_path.iterdir())
    stored, _ = source.features(items, "toy")
    assert torch.equal(rows, stored[torch.arange(50)])


def test_equal_inputs_are_encoded_once() -> None:
    encoder = Picky()
    encode_directly(TEXTS, encoder)
    assert encoder.encoded == 30


def test_an_input_that_cannot_be_encoded_is_named_and_the_others_are_encoded() -> None:
    texts = ["one", "bad", "two", "nan", "bad", "three"]
    rows, refused = encode_directly(texts, Picky())
    assert refused == {1: "it is bad", 4: "it is bad", 3: "the encoder gives it an embedding that is not finite"}
    good, _ = encode_directly(["one", "two", "three"], Picky())
    assert torch.equal(rows[[0, 2, 5]], good)
    assert torch.isnan(rows[[1, 3, 4]]).any(dim=1).all()


def test_an_encoder_that_refuses_all_is_at_fault_itself() -> None:
    with pytest.raises(EncoderError, match="none of 2 inputs can be encoded; of the first: it is bad"):
        encode_directly(["bad", "bad too"], Picky())
