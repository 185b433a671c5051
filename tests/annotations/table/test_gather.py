import numpy as np
import pytest
import torch

from soft_labels.annotations.table import gather
from soft_labels.annotations.table.gather import about, annotations_of, blocks_of, counts_of, first_of_each, inputs_of
from soft_labels.annotations.table.layouts import make_annotations
from soft_labels.annotations.table.rows import Work
from tests.annotations.table.conftest import MakeWork

CELLS: dict[str, list[str | None]] = {
    "uid": ["b", "a", "b", "c", "a"],
    "input_0": ["second ", "first", "second", "third", "first"],
    "annotator": ["w2", "w3", "w1", "w0", "w1"],
    "label": ["1", "0", "1", "?", "1"],
    "part": [None, "train", "val", "test", "train"],
}


@pytest.fixture
def work(make_work: MakeWork) -> Work:
    """Three items, of which the last loses its only annotation."""
    made = make_work("rows", CELLS, annotator_column="who", ignore_labels=["?"])
    make_annotations(made)
    made.run("UPDATE meanings SET class = label::SMALLINT WHERE label IS NOT NULL")
    return made


def test_an_item_has_the_inputs_of_its_first_row(work: Work) -> None:
    assert inputs_of(work, 1) == [["a", "b", "c"], ["first", "second ", "third"]]
    assert work.rows(first_of_each(["label"], "rowid")) == [("b", "1"), ("a", "0"), ("c", "?")]


def test_counts_have_a_row_of_zeros_where_all_are_lost(work: Work) -> None:
    assert counts_of(work, 2).tolist() == [[1, 1], [0, 2], [0, 0]]


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_annotations_are_numbers_among_what_is_left(work: Work, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "_ROWS", rows)
    found = annotations_of(work, np.array([True, True, False]))
    assert found is not None
    assert found.annotators == ("w1", "w2", "w3")
    assert list(zip(found.item.tolist(), found.annotator.tolist(), found.label.tolist(), strict=True)) == [
        (0, 0, 1), (0, 2, 0), (1, 0, 1), (1, 1, 1),
    ]  # fmt: skip
    assert (found.item.dtype, found.annotator.dtype, found.label.dtype) == (torch.int32, torch.int32, torch.int16)


def test_without_annotators_there_are_no_annotations(make_work: MakeWork) -> None:
    work = make_work("rows", {"uid": ["a"], "label": ["0"]})
    make_annotations(work)
    assert annotations_of(work, np.array([True])) is None


def test_blocks_together_are_the_answer_in_its_order(work: Work) -> None:
    blocks = [block.fetchall() for block in blocks_of(work, "SELECT uid FROM rows ORDER BY uid DESC", 2)]
    assert blocks == [[("c",), ("b",)], [("b",), ("a",)], [("a",)]]
    assert [block.fetchall() for block in blocks_of(work, "SELECT 1")] == [[(1,)]]


def test_what_describes_an_item_is_the_first_that_is_said(work: Work) -> None:
    assert about(work, ["part"], "uid", ["a", "b"]) == {"part": ("train", "val")}
    assert work.notes == []
    about(work, ["input_0"], "cleaned(annotator)", ["w1"])
    assert work.notes == ["1 annotators have several values of one column that describes them; the first counts"]
