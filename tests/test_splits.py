import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.distributions import majority_label
from soft_labels.errors import DataError
from soft_labels.splits import SPLIT_NAMES, Split, draw_split

ITEMS = 1_000
UIDS = [f"{number:04d}" for number in range(ITEMS)]


@pytest.fixture
def labels() -> NDArray[np.int64]:
    """Three classes of 600, 300 and 100 items in mixed order."""
    return np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [600, 300, 100]))


@pytest.fixture(scope="module")
def chaosnli(shared_data: Path) -> AnnotatedData:
    return read_chaosnli(shared_data)


def parts_of(split: Split) -> list[tuple[str, ...]]:
    return [getattr(split, name) for name in SPLIT_NAMES]


@pytest.mark.parametrize("ratios", [(0.7, 0.15, 0.15), (0.8, 0.1, 0.1), (0.5, 0.2, 0.3), (0.34, 0.33, 0.33)])
def test_parts_are_a_partition_in_the_ratios_and_each_holds_the_classes_in_proportion(
    labels: NDArray[np.int64], ratios: tuple[float, float, float]
) -> None:
    parts = parts_of(draw_split(UIDS, labels, ratios=ratios))
    assert sorted(sum(parts, ())) == UIDS
    for part, ratio in zip(parts, ratios, strict=True):
        assert abs(len(part) - ratio * ITEMS) <= 1
        counts = np.bincount([labels[int(uid)] for uid in part])
        assert np.abs(counts - ratio * np.array([600, 300, 100])).max() <= 1.5
        assert list(part) == sorted(part)


def test_a_seed_gives_one_split_and_another_seed_another(labels: NDArray[np.int64]) -> None:
    assert draw_split(UIDS, labels, seed=3) == draw_split(list(UIDS), labels.copy(), seed=3)
    assert set(draw_split(UIDS, labels, seed=3).test) != set(draw_split(UIDS, labels, seed=4).test)


def test_a_split_depends_on_no_global_random_state(labels: NDArray[np.int64]) -> None:
    first = draw_split(UIDS, labels)
    np.random.seed(5)  # noqa: NPY002 # the state that scikit-learn falls back on
    assert draw_split(UIDS, labels) == first


def test_a_split_depends_on_order_and_labels_but_not_on_what_items_are_called(labels: NDArray[np.int64]) -> None:
    renamed = draw_split([f"item-{uid}" for uid in UIDS], labels)
    assert renamed.test == tuple(f"item-{uid}" for uid in draw_split(UIDS, labels).test)


def test_items_of_a_group_stay_together(labels: NDArray[np.int64]) -> None:
    groups = [f"group {number}" for number in np.random.default_rng(1).integers(0, 300, ITEMS)]
    split = draw_split(UIDS, labels, groups=groups, seed=2)
    parts = parts_of(split)
    assert sorted(sum(parts, ())) == UIDS
    owners = Counter(group for part in parts for group in {groups[int(uid)] for uid in part})
    assert set(owners.values()) == {1}
    for part, ratio in zip(parts, (0.7, 0.15, 0.15), strict=True):
        assert len(part) / ITEMS == pytest.approx(ratio, abs=0.01)
        shares = np.bincount([labels[int(uid)] for uid in part]) / len(part)
        assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert split == draw_split(UIDS, labels, groups=groups, seed=2)
    assert split != draw_split(UIDS, labels, groups=groups, seed=3)


def test_no_premise_of_chaosnli_straddles_a_group_split(chaosnli: AnnotatedData) -> None:
    assert chaosnli.groups is not None
    labels = majority_label(chaosnli.label_counts).numpy()
    premise = dict(zip(chaosnli.uids, chaosnli.groups, strict=True))
    shared = {group for group, items in Counter(chaosnli.groups).items() if items > 1}
    assert sum(premise[uid] in shared for uid in chaosnli.uids) == 941

    def straddling(split: Split) -> int:
        owners = Counter(group for part in parts_of(split) for group in {premise[uid] for uid in part})
        return sum(count > 1 for count in owners.values())

    grouped = draw_split(chaosnli.uids, labels, groups=chaosnli.groups)
    assert straddling(grouped) == 0
    assert [len(part) / 3_113 for part in parts_of(grouped)] == pytest.approx([0.7, 0.15, 0.15], abs=0.005)
    assert straddling(draw_split(chaosnli.uids, labels)) > 100


def test_a_group_larger_than_a_small_part_goes_to_the_large_one(labels: NDArray[np.int64]) -> None:
    groups = ["giant"] * 400 + UIDS[400:]
    for seed in range(5):
        split = draw_split(UIDS, labels, groups=groups, seed=seed)
        assert UIDS[0] in split.train
        assert min(len(split.val), len(split.test)) > 50


def test_a_class_rarer_than_the_folds_is_spread_without_a_warning() -> None:
    labels = np.repeat([0, 1, 2], [60, 60, 6])
    uids = [str(number) for number in range(126)]
    parts = parts_of(draw_split(uids, labels, groups=uids))
    assert sum(map(len, parts)) == 126


@pytest.mark.parametrize(
    "ratios", [(0.7, 0.2, 0.2), (0.7, 0.3, 0.0), (1.2, -0.1, -0.1), (0.5, 0.25, 0.2), (float("nan"), 0.5, 0.5)]
)
def test_ratios_that_are_no_shares_are_refused(labels: NDArray[np.int64], ratios: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match="three positive shares that sum to 1, got"):
        draw_split(UIDS, labels, ratios=ratios)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_class_with_fewer_items_than_parts_is_named(grouped: bool) -> None:
    labels = np.repeat([0, 1, 2], [60, 60, 2])
    uids = [str(number) for number in range(122)]
    with pytest.raises(DataError, match=r"class number 2 \(from 0\) is the majority of 2 item\(s\), too few"):
        draw_split(uids, labels, groups=uids if grouped else None)


def test_a_part_too_small_for_the_classes_is_an_error_in_words() -> None:
    uids = [str(number) for number in range(12)]
    with pytest.raises(DataError, match=r"12 items cannot be split \(0\.7, 0\.15, 0\.15\) by class"):
        draw_split(uids, np.repeat([0, 1, 2, 3], 3))


@pytest.mark.parametrize(("groups", "items"), [(19, 1_000), (45, 45)])
def test_too_few_groups_or_items_to_deal_out_are_an_error(groups: int, items: int) -> None:
    uids = UIDS[:items]
    names = [str(number % groups) for number in range(items)]
    with pytest.raises(DataError, match=rf"need at least 20 groups and a class of 20 items.* {groups} groups"):
        draw_split(uids, np.arange(items) % 3, groups=names)


def test_a_saved_split_reads_back(tmp_path: Path, labels: NDArray[np.int64]) -> None:
    split = draw_split(UIDS, labels)
    split.save(tmp_path / "run" / "split.json", {"seed": 0, "ratios": [0.7, 0.15, 0.15]})
    content = json.loads((tmp_path / "run" / "split.json").read_text(encoding="utf-8"))
    assert content["drawn_with"] == {"seed": 0, "ratios": [0.7, 0.15, 0.15]}
    assert Split(*(tuple(content[name]) for name in SPLIT_NAMES)) == split
