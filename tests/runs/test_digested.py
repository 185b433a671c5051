"""JSON files with a digest of their content."""

import json
import math
from pathlib import Path

import pytest

from soft_labels.runs.digested import known, plain, read_digested, with_digest, write_digested

VALUES = {"name": "a", "number": 1 / 3, "rows": ((1.0, math.nan), (2, math.inf)), "none": None}


def test_numbers_are_rounded_and_what_is_not_finite_is_missing() -> None:
    assert plain(VALUES) == {"name": "a", "number": 0.333333, "rows": [[1.0, None], [2, None]], "none": None}


def test_what_is_missing_comes_back_as_nan() -> None:
    back = known(plain(VALUES))
    assert back["rows"][0][0] == 1.0
    assert [math.isnan(back["rows"][row][1]) for row in (0, 1)] == [True, True]
    assert isinstance(back["rows"], tuple)


def test_a_file_comes_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    write_digested(path, plain(VALUES))
    assert read_digested(path) == plain(VALUES)
    assert json.loads(path.read_text()) == with_digest(plain(VALUES))


@pytest.mark.parametrize("change", [("0.333333", "0.333334"), ('"digest"', '"other"'), ('"a"', '"b"')])
def test_a_changed_file_is_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    path = tmp_path / "values.json"
    write_digested(path, plain(VALUES))
    before = path.read_text()
    path.write_text(before.replace(*change))
    assert path.read_text() != before
    with pytest.raises(ValueError, match="digest"):
        read_digested(path)
