import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from soft_labels.annotations.annotators import Annotations, Reading, krippendorff_alpha
from soft_labels.errors import DataError


def make() -> Annotations:
    return Annotations(
        torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 1, 0, 1, 2]), torch.tensor([0, 1, 1, 1, 1]), ("a", "b", "c"),
        {"age": ("20", None, "30")},
    )  # fmt: skip


def test_annotations_follow_their_items() -> None:
    taken = make().take([2, 0], 3)
    assert taken.item.tolist() == [1, 1, 0, 0]
    assert taken.label.tolist() == [0, 1, 1, 1]
    assert taken.annotators == ("a", "b", "c")


def test_who_annotated_how_much_and_with_the_majority() -> None:
    annotations = make()
    assert annotations.by_annotator().tolist() == [2, 2, 1]
    assert annotations.with_majority(torch.tensor([0, 1, 1])).tolist() == [1, 0.5, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"label": torch.tensor([0])},
        {"annotators": ("a",)},
        {"about": {"age": ("1",)}},
        {"weight": torch.ones(2).double()},
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    whole = vars(make()) | change
    with pytest.raises(DataError):
        Annotations(**whole)


def by_definition(counts: np.ndarray, ordinal: bool) -> float:
    """One minus observed over expected disagreement, over all pairs of annotations."""
    counts = counts[counts.sum(1) > 1]
    classes, totals = counts.shape[1], counts.sum(0)

    def distance(one: int, other: int) -> float:
        low, high = sorted((one, other))
        return (
            float((totals[low : high + 1].sum() - (totals[low] + totals[high]) / 2) ** 2)
            if ordinal
            else float(one != other)
        )

    pairs = list(itertools.product(range(classes), repeat=2))
    observed = sum(
        (row[one] * (row[other] - (one == other))) * distance(one, other) / (row.sum() - 1)
        for row in counts
        for one, other in pairs
    )
    expected = sum(totals[one] * (totals[other] - (one == other)) * distance(one, other) for one, other in pairs)
    return float(1 - (totals.sum() - 1) * observed / expected)


@pytest.mark.parametrize("level", ["nominal", "ordinal"])
def test_alpha_is_what_its_definition_says(level: str) -> None:
    counts = np.random.default_rng(0).integers(0, 4, (30, 4)) + np.array([2, 0, 0, 1])
    found = krippendorff_alpha(torch.from_numpy(counts).double(), level)  # type: ignore[arg-type]
    assert found == pytest.approx(by_definition(counts, level == "ordinal"), abs=1e-9)


def test_alpha_is_undefined_where_nothing_can_be_compared() -> None:
    assert krippendorff_alpha(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "nominal") is None
    assert krippendorff_alpha(torch.tensor([[2.0, 0.0]]), "nominal") is None
    assert krippendorff_alpha(torch.tensor([[1.5, 1.0]]), "nominal") is None
    assert krippendorff_alpha(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), "nominal") == 1


def test_a_reading_says_what_was_left_out_first() -> None:
    reading = Reading(5, {"no value in column 'label'": 2}, ("note",), ("odd",))
    assert reading.said() == ["2 rows left out: no value in column 'label'", "odd"]


def test_the_counts_of_groups_are_those_of_their_annotators_alone_and_add_up() -> None:
    found = make().counts_by_group(["x", "y", "x"], (3, 2))
    assert {name: counts.tolist() for name, counts in found.items()} == {
        "x": [[1, 0], [0, 1], [0, 1]], "y": [[0, 1], [0, 0], [0, 1]]
    }  # fmt: skip
    weighted = replace(make(), weight=torch.tensor([1.0, 0.5, 2.0, 1.0, 1.0], dtype=torch.float64))
    assert weighted.counts_by_group(["x", "y", "x"], (3, 2))["x"].tolist() == [[1, 0], [0, 2], [0, 1]]
    assert weighted.take([1], 3).counts_by_group(["x", "y", "z"], (1, 2)).keys() == {"x"}
