from pathlib import Path

import pytest

from soft_labels.annotations.layout import find, locate, places
from soft_labels.errors import DataError

PARTS = ("chaosnli", "chaosNLI_v1.0", "chaosNLI_snli.jsonl")


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_the_root_may_be_any_folder_on_the_way_down(tmp_path: Path, kept: int) -> None:
    file = tmp_path.joinpath(*PARTS[kept:])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert locate(tmp_path, *PARTS) == find(tmp_path, *PARTS) == file


def test_the_longest_way_comes_first(tmp_path: Path) -> None:
    for kept in range(3):
        file = tmp_path.joinpath(*PARTS[kept:])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert find(tmp_path, *PARTS) == tmp_path.joinpath(*PARTS)


def test_what_is_nowhere_is_named_with_every_place_and_how_to_get_it(tmp_path: Path) -> None:
    assert find(tmp_path, *PARTS) is None
    with pytest.raises(DataError) as refused:
        locate(tmp_path, *PARTS)
    assert all(str(place) in str(refused.value) for place in places(tmp_path, *PARTS))
    assert "data fetch chaosnli" in str(refused.value)
