import json

import pytest
import torch

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data.dataset import Dataset
from soft_labels.data.describe import split_as_json, split_in_words, summarise_split
from soft_labels.data.split import Split

NAMES = ("no", "yes", "maybe")
INPUTS = [("A man", "x"), ("A man ", "y"), ("A dog", "x"), ("A dog", "z"), ("A cat", "w"), (" A cat", "w ")]


@pytest.fixture
def dataset() -> Dataset:
    counts = torch.tensor([[2, 1, 0], [0, 3, 0], [3, 0, 0], [1, 2, 0], [0, 3, 0], [3, 0, 0]], dtype=torch.float64)
    data = AnnotatedData("toy", tuple("abcdef"), INPUTS, counts, NAMES, "text_pair", groups=tuple("112233"))
    return Dataset(data, given_split=Split(("a", "c", "e"), ("b", "f"), ("d",)))


def test_classes_are_counted_by_part_and_sum_to_the_whole(dataset: Dataset) -> None:
    stats = summarise_split(dataset, NAMES)
    assert stats.items == {"train": 3, "val": 2, "test": 1}
    assert stats.classes == {"train": [2, 1, 0], "val": [1, 1, 0], "test": [0, 1, 0]}
    assert stats.annotations == {"train": [5, 4, 0], "val": [3, 3, 0], "test": [1, 2, 0]}
    total = torch.tensor([*stats.annotations.values()]).sum(0)
    assert torch.equal(total.double(), dataset.data.label_counts.sum(0))


def test_what_other_parts_show_too_is_counted(dataset: Dataset) -> None:
    stats = summarise_split(dataset, NAMES)
    assert (stats.duplicates, stats.shared_firsts, stats.shared_seconds) == (1, 3, 1)
    alone = Dataset(dataset.data, given_split=Split(("a", "b"), ("c", "d"), ("e", "f")))
    stats = summarise_split(alone, NAMES)
    assert (stats.duplicates, stats.shared_firsts, stats.shared_seconds) == (0, 0, 1)


def test_what_is_odd_is_said(dataset: Dataset) -> None:
    warnings = summarise_split(dataset, NAMES).warnings
    assert warnings[:6] == (
        "train has 3 items: each one is 33.3% of a mean over them", "train has no item whose majority is maybe",
        "val has 2 items: each one is 50.0% of a mean over them", "val has no item whose majority is maybe",
        "test has 1 items: each one is 100.0% of a mean over them", "test has no item whose majority is no, maybe",
    )  # fmt: skip
    assert warnings[6].startswith("3 groups stand in several parts, with 3 items of val and test")
    judged = Dataset(dataset.data, given_split=Split(tuple("abcd"), tuple("ef"), ()))
    assert (
        "there is no test part: heads can be trained and chosen, not judged" in summarise_split(judged, NAMES).warnings
    )


def test_words_and_json_hold_the_same(dataset: Dataset) -> None:
    stats = summarise_split(dataset, NAMES)
    plain = json.loads(json.dumps(split_as_json(stats, NAMES)))
    assert plain["classes"]["val"] == {"no": 1, "yes": 1, "maybe": 0}
    assert plain["settings"] == {"given": dataset.split.digest}
    lines = split_in_words(stats, NAMES)
    assert lines[2] == "  val 2: no 1, yes 1, maybe 0"
    assert lines[4] == (
        "  of the items of val and test, 1 share their input, 3 share their first text (premise), 1 share their second "
        "text with another part"
    )
    assert [f"warning: {warning}" for warning in stats.warnings] == lines[5:]
