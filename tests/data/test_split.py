import json
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.annotations.sources import DatasetName
from soft_labels.commands.data import READERS
from soft_labels.data.split import SPLIT_NAMES, Fold, Split, class_counts, draw_split
from soft_labels.distributions import majority_label
from soft_labels.errors import DataError

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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    "ratios", [(0.7, 0.2, 0.2), (0.7, 0.0, 0.3), (1.2, -0.1, -0.1), (0.5, 0.25, 0.2), (float("nan"), 0.5, 0.5)]
)
def test_ratios_that_are_no_shares_are_refused(labels: NDArray[np.int64], ratios: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match=r"three positive shares that sum to 1 \(that of test may be 0\), got"):
        draw_split(UIDS, labels, ratios=ratios)


RARE = [
    [1_003, 997, 3],
    [40, 3, 3, 3, 3],
    [3, 3, 3],
    [5, 4, 3],
    [900, 30, 20, 10, 6, 5, 4, 3, 3],
]


@pytest.mark.slow
@pytest.mark.parametrize("counts", RARE, ids=str)
@pytest.mark.parametrize("grouped", [False, True])
def test_a_class_of_three_items_stands_in_every_part_for_every_seed(counts: list[int], grouped: bool) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    uids = [str(number) for number in range(len(labels))]
    if grouped and not 20 <= max(counts) < 1_000:
        pytest.skip("groups are dealt out by twentieths, and slowly")
    for seed in range(2 if grouped else 50):
        parts = parts_of(draw_split(uids, labels, seed=seed, groups=uids if grouped else None))
        assert sorted(sum(parts, ()), key=int) == uids
        for part in parts:
            assert set(labels[[int(uid) for uid in part]]) == set(range(len(counts)))


def test_a_completed_split_keeps_the_sizes_of_its_parts() -> None:
    labels = np.repeat([0, 1, 2], [1_003, 997, 3])
    uids = [str(number) for number in range(2_003)]
    for seed in range(20):
        assert [len(part) for part in parts_of(draw_split(uids, labels, seed=seed))] == [1_401, 301, 301]


@pytest.mark.slow
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("items", [1, 2])
def test_fewer_items_of_a_class_than_parts_stay_in_train_and_are_named(
    grouped: bool, items: int, caplog: pytest.LogCaptureFixture
) -> None:
    labels = np.repeat([0, 1, 2], [170, 170, items])
    uids = [str(number) for number in range(len(labels))]
    groups = [*uids[: len(uids) - items], *["one"] * items] if grouped else None
    for seed in range(2):
        caplog.clear()
        split = draw_split(uids, labels, seed=seed, groups=groups, class_names=["no", "yes", "don't know"])
        assert set(uids[-items:]) <= set(split.train)
        (said,) = caplog.messages
        assert said.startswith(
            f'class "don\'t know" is the majority of {items} item(s) and is absent from val and test'
        )


@pytest.mark.slow
def test_a_class_within_one_group_is_named_and_the_group_stays_whole(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.repeat([0, 1, 2], [170, 170, 9])
    uids = [str(number) for number in range(349)]
    split = draw_split(uids, labels, groups=[*uids[:340], *["one"] * 9])
    assert sum(bool(set(uids[340:]) & set(part)) for part in parts_of(split)) == 1
    (said,) = caplog.messages
    assert said.startswith("class 'number 2' is the majority of 9 item(s) and is absent from ")


def test_without_strata_no_class_counts(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.arange(1_000)
    split = draw_split(UIDS, labels, stratify=False, seed=1)
    assert [len(part) for part in parts_of(split)] == [700, 150, 150]
    assert split == draw_split(UIDS, labels * 0, seed=1)
    assert caplog.messages == []
    with pytest.raises(DataError, match="no class of 1000 items has 3 of them"):
        draw_split(UIDS, labels)


def test_a_small_test_part_is_said_to_be_small(caplog: pytest.LogCaptureFixture) -> None:
    draw_split(UIDS[:60], np.zeros(60, dtype=np.int64))
    draw_split(UIDS[:400], np.zeros(400, dtype=np.int64))
    assert caplog.messages == ["the test part has 9 items: each one is 11.1% of a mean over them"]


def test_without_a_test_share_there_is_no_test_part(
    labels: NDArray[np.int64], caplog: pytest.LogCaptureFixture
) -> None:
    split = draw_split(UIDS, labels, ratios=(0.8, 0.2, 0.0))
    assert (len(split.train), len(split.val), split.test) == (800, 200, ())
    assert np.bincount(labels[[int(uid) for uid in split.val]]).tolist() == [120, 60, 20]
    rare = draw_split(["a", "b", "c", "d"], np.array([0, 0, 1, 1]), ratios=(0.5, 0.5, 0.0))
    assert [{int(uid in "cd") for uid in part} for part in (rare.train, rare.val)] == [{0, 1}, {0, 1}]
    assert caplog.messages == []


@pytest.mark.parametrize("grouped", [False, True])
def test_folds_are_test_parts_that_hold_each_item_once_in_the_proportions_of_the_whole(
    labels: NDArray[np.int64], grouped: bool
) -> None:
    groups = [str(number) for number in np.random.default_rng(1).integers(0, 300, ITEMS)] if grouped else None
    splits = [draw_split(UIDS, labels, groups=groups, fold=Fold(5, number)) for number in range(5)]
    assert sorted(uid for split in splits for uid in split.test) == UIDS
    for split in splits:
        assert sorted(sum(parts_of(split), ())) == UIDS
        assert len(split.val) / (len(split.val) + len(split.train)) == pytest.approx(1 / 6, abs=0.02)
        for part in parts_of(split):
            shares = np.bincount([labels[int(uid)] for uid in part]) / len(part)
            assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.05 if grouped else 0.01)
        if groups is not None:
            owners = Counter(group for part in parts_of(split) for group in {groups[int(uid)] for uid in part})
            assert set(owners.values()) == {1}
    assert draw_split(UIDS, labels, groups=groups, fold=Fold(5, 0), seed=1) != splits[0]


def test_a_class_rarer_than_the_folds_is_tested_once_too(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.repeat([0, 1], [57, 3])
    uids = [str(number) for number in range(60)]
    splits = [draw_split(uids, labels, fold=Fold(5, number), class_names=["often", "rare"]) for number in range(5)]
    assert sorted((uid for split in splits for uid in split.test), key=int) == uids
    assert any("class 'rare' is the majority of 3 item(s) and is absent from test" in one for one in caplog.messages)


@pytest.mark.parametrize(
    ("fold", "message"),
    [(Fold(1, 0), "from 2 to 1,000 folds"), (Fold(5, 5), "got folds 5 and fold 5"), (Fold(5, -1), "fold -1"),
     (Fold(2_000, 0), "from 2 to 1,000 folds"), (Fold(700, 0), "no class has 700 items")],
)  # fmt: skip
def test_folds_that_cannot_be_are_refused(labels: NDArray[np.int64], fold: Fold, message: str) -> None:
    with pytest.raises(DataError, match=message):
        draw_split(UIDS, labels, fold=fold)


def test_what_a_draw_by_groups_could_keep_to_is_said(
    labels: NDArray[np.int64], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "soft_labels")
    groups = [f"group {number}" for number in np.random.default_rng(1).integers(0, 60, ITEMS)]
    split = draw_split(UIDS, labels, groups=groups, class_names=["a", "b", "c"])
    (said,) = caplog.messages
    share = 100 * sum(labels[int(uid)] == 2 for uid in split.test) / 100
    assert said.startswith("grouped and stratified, what came out: train / val / test hold of all items ")
    assert said.endswith(f"/ {share:.1f}%")
    assert said.count("of 'a'") == said.count("of 'b'") == said.count("of 'c'") == 1


def test_counts_of_a_class_and_part_are_those_of_the_split() -> None:
    split = Split(("a", "b"), ("c",), ())
    assert class_counts(split, ["a", "b", "c"], np.array([1, 1, 0]), 3) == {
        "train": [0, 2, 0], "val": [1, 0, 0], "test": [0, 0, 0],
    }  # fmt: skip


REFERENCE: dict[DatasetName, dict[int, str]] = {  # of the committed reference run
    "chaosnli": {0: "d7f3e24b5979c5d7", 8: "156b9b14e949fd06", 10: "1a8d9333abda3b50"},
    "popquorn": {0: "38ce82931fbf703e", 4: "58cc9b10ed98497e", 10: "4261b52f88b82bb5"},
    "cifar10h": {0: "46456df09372d6cc", 6: "85d498dce69dbf65", 9: "cd6f070640658edf"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_the_splits_of_the_reference_run_stay_what_they_are(name: DatasetName, shared_data: Path) -> None:
    data = READERS[name](shared_data).sorted_by_uid()
    labels = majority_label(data.label_counts).numpy()
    assert {seed: draw_split(data.uids, labels, seed=seed).digest for seed in REFERENCE[name]} == REFERENCE[name]
    if data.groups is not None:
        assert draw_split(data.uids, labels, groups=data.groups).digest == "146f5173e3ff8556"


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
