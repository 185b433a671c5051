"""A head's folder appears whole, and one flipped bit anywhere in it is found and named."""

from pathlib import Path

import pytest

import soft_labels
from soft_labels.errors import ConfigError
from soft_labels.heads.folder import read_head
from tests.conftest import Mount
from tests.heads.toy_head import toy_head


def test_the_folder_holds_a_card_settings_and_weights_and_nothing_else(tmp_path: Path) -> None:
    folder = toy_head().save(tmp_path / "head")
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert [file.name for file in tmp_path.iterdir()] == ["head"]
    settings, state = read_head(folder)
    assert settings.class_names == ("calm", "cross", "angry")
    assert set(state) == {"head.hidden.weight", "head.hidden.bias", "head.output.weight", "head.output.bias",
                          "head.feature_mean", "head.feature_scale"}  # fmt: skip


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_flipped_bit_is_refused_by_name(name: str, tmp_path: Path) -> None:
    path = toy_head().save(tmp_path / "head") / name
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        broken = bytearray(whole)
        broken[place] ^= 1
        path.write_bytes(broken)
        with pytest.raises(ConfigError, match=name):
            read_head(path.parent)
    path.write_bytes(whole[:-1])
    with pytest.raises(ConfigError, match=name):
        read_head(path.parent)
    path.unlink()
    with pytest.raises(ConfigError, match=name):
        read_head(path.parent)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "thesis.tex").write_text("mine")
    with pytest.raises(ConfigError, match="exists: wanted a new folder"):
        toy_head().save(tmp_path / "head")
    assert [file.name for file in (tmp_path / "head").iterdir()] == ["thesis.tex"]
    (tmp_path / "empty").mkdir()
    assert soft_labels.load(toy_head().save(tmp_path / "empty")).class_names == ("calm", "cross", "angry")


def test_a_full_disk_leaves_nothing(small_disk: Mount) -> None:
    disk = small_disk("64k")
    with pytest.raises(OSError, match="No space left") as refused:
        toy_head(embedding_dim=40_000).save(disk / "head")
    assert refused.value.filename == str(disk / "head")
    assert list(disk.iterdir()) == []
