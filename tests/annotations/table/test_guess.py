from pathlib import Path

import pytest

from soft_labels.annotations.table.guess import guess_table
from soft_labels.annotations.table.read import read_table
from tests.annotations.table.layouts import R_LAYOUTS


@pytest.mark.slow
@pytest.mark.parametrize("layout", R_LAYOUTS)
def test_a_layout_is_guessed_and_read(layout: str, tmp_path: Path) -> None:
    first, *second = R_LAYOUTS[layout](tmp_path)
    guess = guess_table(first, second[0] if second else None)
    data = read_table(guess.path, guess.table_settings())
    chosen = [[int(count) for count in row if count] for row in data.label_counts.tolist()]
    assert sorted(map(sorted, chosen)) == [[1, 2], [1, 2], [3]], guess
    totals = sorted(total for total in data.label_counts.sum(0).tolist() if total)
    assert (len(data), totals) == (3, [3, 6]), guess


@pytest.mark.parametrize("layout", ["row numbers", "rating by its values", "GoEmotions", "MTurk", "Argilla 2", "wide"])
def test_annotators_are_found(layout: str, tmp_path: Path) -> None:
    (path,) = R_LAYOUTS[layout](tmp_path)
    data = read_table(path, guess_table(path).table_settings())
    assert data.annotations is not None
    assert (len(data.annotations.annotators), len(data.annotations)) == (3, 9)
