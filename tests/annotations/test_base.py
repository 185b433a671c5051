from dataclasses import replace

import pytest
import torch

from soft_labels.annotations.base import AnnotatedData
from soft_labels.errors import DataError


def make(
    uids: tuple[str, ...] = ("b", "a"), counts: object = ((1, 2), (3, 0)), inputs: tuple[str, ...] = ("x", "y")
) -> AnnotatedData:
    return AnnotatedData(
        name="toy",
        uids=uids,
        inputs=inputs,
        label_counts=torch.tensor(counts, dtype=torch.float64),
        class_names=("no", "yes"),
        modality="text",
        groups=("g1", "g2"),
        true_dist=torch.tensor([[0.5, 0.5], [1.0, 0.0]]),
    )


def test_length_and_number_of_classes() -> None:
    assert (len(make()), make().num_classes) == (2, 2)


def test_sorting_by_uid_moves_every_field() -> None:
    data = make().sorted_by_uid()
    assert (data.uids, list(data.inputs), data.groups) == (("a", "b"), ["y", "x"], ("g2", "g1"))
    assert data.label_counts.tolist() == [[3, 0], [1, 2]]
    assert data.true_dist is not None
    assert data.true_dist.tolist() == [[1, 0], [0.5, 0.5]]


def test_taking_rows_keeps_their_order() -> None:
    assert make(("a", "b")).take([1]).uids == ("b",)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (((1, 2), (-1, 2)), "'a' has a negative count"),
        (((0, 0), (1, 2)), "'b' has no annotation at all"),
        (((1, 2), (float("nan"), 2)), "'a' has a count that is not a finite number"),
        (((1, 2, 3), (1, 2, 3)), r"\(2, 3\)"),
    ],
)
def test_bad_counts_are_named(counts: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make(counts=counts)


def test_a_repeated_uid_is_named() -> None:
    with pytest.raises(DataError, match="uid 'a' occurs more than once"):
        make(uids=("a", "a"))


def test_no_items_and_a_missing_input() -> None:
    with pytest.raises(DataError, match="no items"):
        make(uids=())
    with pytest.raises(DataError, match="2 uids but 1 inputs"):
        make(inputs=("x",))


@pytest.mark.parametrize("name", ["", ".hidden", "org/corpus", "a\\b"])
def test_a_name_that_cannot_name_a_file_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="can name a file"):
        replace(make(), name=name)
