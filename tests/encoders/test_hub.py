from pathlib import Path

import pytest

from soft_labels.encoders.hub import ModelPlace
from soft_labels.encoders.packaged import digest
from soft_labels.errors import EncoderError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cache(root: Path, commit: str) -> Path:
    ref = root / "models--organisation--mini" / "refs" / "main"
    ref.parent.mkdir(parents=True)
    ref.write_text(commit + "\n")
    return root


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("1")
    place = ModelPlace(str(tmp_path), None, "sentence-transformers")
    assert (place.folder, place.commit, place.identity) == (tmp_path, None, f"sha256:{digest(tmp_path)}")


def test_a_librarys_own_cache_comes_before_the_hubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache(tmp_path / "hub", COMMIT)))
    monkeypatch.setenv("SOME_HOME", str(cache(tmp_path / "own", "f" * 40)))
    hubs = ModelPlace("organisation/mini", None, "timm")
    own = ModelPlace("organisation/mini", None, "timm", "SOME_HOME")
    assert hubs.identity == f"organisation/mini@{COMMIT}"
    assert own.identity == f"organisation/mini@{'f' * 40}"


def test_a_full_commit_is_taken_at_its_word() -> None:
    assert ModelPlace("organisation/mini", COMMIT, "timm").identity == f"organisation/mini@{COMMIT}"


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="wanted packaged:NAME, an existing folder or ORGANISATION/NAME"):
        _ = ModelPlace("mini", None, "timm").identity
    with pytest.raises(EncoderError, match="revision 'main' is for hub models only"):
        _ = ModelPlace(str(tmp_path), "main", "timm").identity
