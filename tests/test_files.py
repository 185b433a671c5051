from pathlib import Path

import pytest

from soft_labels.files import PARTIAL_PREFIX, write_text, written_whole


def test_a_file_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "result.json"
    with written_whole(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
        assert partial.parent == path.parent
        assert partial.suffix == ".json"
        assert partial.name.startswith(PARTIAL_PREFIX)
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_text(path, "old")

    def stop_half_way() -> None:
        with written_whole(path) as partial:
            partial.write_text("ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        stop_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_anything_is_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "result.txt"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_text_replaces_text_as_utf8(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_text(path, "old and longer")
    write_text(path, "né")
    assert path.read_bytes() == "né".encode()
