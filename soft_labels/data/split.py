"""The only place that draws a split: stratified by majority class, by group if asked, the same for every arm."""

import hashlib
import json
import logging
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.files import write_text

SplitName = Literal["train", "val", "test"]
Ratios = tuple[float, float, float]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "val", "test")
SMALL_TEST = 50
_FINEST_GROUP_SHARE = 100
logger = logging.getLogger(__name__)


class Fold(NamedTuple):
    """One of several equal parts.

    Args:
        folds: How many there are.
        number: Which, from 0.
    """

    folds: int
    number: int


@dataclass(frozen=True)
class Split:
    """Which items train, which choose, which judge.

    Args:
        train: uids that heads learn from.
        val: uids that every choice looks at (early stopping, best epoch, search).
        test: uids that no choice looks at.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """16 hex digits that change when any uid changes its part."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    def save(self, path: Path, drawn_with: dict[str, object]) -> None:
        """Write the uids of each part, and how they were drawn, as JSON."""
        write_text(path, json.dumps({"drawn_with": drawn_with, **asdict(self)}, indent=1) + "\n")


def draw_split(
    uids: Sequence[str],
    majority_label: NDArray[np.int64],
    *,
    ratios: Ratios = (0.7, 0.15, 0.15),
    seed: int = 0,
    groups: Sequence[str] | None = None,
    stratify: bool = True,
    class_names: Sequence[str] | None = None,
    fold: Fold | None = None,
) -> Split:
    """Draw train, val and test so that each holds the classes in the proportions of the whole.

    A class of 3 items or more stands in every part, or a warning says where not: items that share groups may leave no
    way. A class of fewer items stays in train, with a warning. So does a small test part.

    Args:
        uids: ``[N]`` the items, in the order that the caller wants the draw to depend on (sort them).
        majority_label: ``[N]`` int64, the class to stratify by.
        ratios: Shares of train, val and test, summing to 1; with a test share of 0 there is no test part.
        seed: Seed of the draw.
        groups: ``[N]`` items that share a group land in the same part; shares are then met as closely as groups allow.
        stratify: Whether classes count; if not, each item, or each group, is dealt out as if all had one class.
        class_names: ``[C]`` what warnings call the classes; their numbers from 0, if not given.
        fold: The test part is this fold of the items, and validation its share of the rest: one part of as many equal
            ones as come nearest to the ratios of train and val.

    Raises:
        DataError: The ratios are no shares, there are more folds than items or groups, no class has as many items as
            there are parts, or there are too few groups or items to deal groups out by the ratios.

    Source: the paper's section 3.3 (identical splits for both of its targets); ratios and seed are this project's.
    """
    _check_ratios(ratios)
    labels = majority_label if stratify else np.zeros_like(majority_label)
    parts = np.full(len(labels), SPLIT_NAMES.index("test"))
    rest, shares = np.arange(len(labels)), ratios
    if fold is not None:
        rest, shares = _outside(fold, labels, seed, groups), _without_test(ratios)
    parts[rest] = _deal(labels[rest], shares, seed, None if groups is None else [groups[row] for row in rest.tolist()])
    split = Split(
        *(tuple(uids[row] for row in np.flatnonzero(parts == part).tolist()) for part in range(len(SPLIT_NAMES)))
    )
    names = class_names or [f"number {label}" for label in range(labels.max() + 1)]
    warn_of_parts(split, uids, labels, names if stratify else ["of all"])
    if groups is not None and stratify:
        logger.info("grouped and stratified, what came out: %s", shares_in_words(split, uids, labels, names))
    return split


def warn_of_parts(
    split: Split, uids: Sequence[str], majority_label: NDArray[np.int64], class_names: Sequence[str]
) -> None:
    """Name the classes that do not stand in every part, and say that a test part is small.

    Args:
        split: The parts.
        uids: ``[N]`` the items.
        majority_label: ``[N]`` int64.
        class_names: ``[C]``.
    """
    counts = class_counts(split, uids, majority_label, len(class_names))
    wanted = [name for name in SPLIT_NAMES if getattr(split, name)]
    for label, name in enumerate(class_names):
        lacking = [part for part in wanted if counts[part][label] == 0]
        number = sum(counts[part][label] for part in wanted)
        if lacking and number:
            logger.warning(
                "class %s is the majority of %d item(s) and is absent from %s: no score there says anything of it; add "
                "items, merge it with another class, or set stratify to false",
                repr(name), number, " and ".join(lacking),
            )  # fmt: skip
    if 0 < len(split.test) < SMALL_TEST:
        logger.warning(
            "the test part has %d items: each one is %.1f%% of a mean over them", len(split.test), 100 / len(split.test)
        )


def class_counts(
    split: Split, uids: Sequence[str], majority_label: NDArray[np.int64], num_classes: int
) -> dict[SplitName, list[int]]:
    """Items of each part whose majority is each class.

    Args:
        split: The parts.
        uids: ``[N]`` the items.
        majority_label: ``[N]`` int64.
        num_classes: C.

    Returns:
        For each part ``[C]`` numbers of items.
    """
    label_of = dict(zip(uids, majority_label.tolist(), strict=True))
    found: dict[SplitName, list[int]] = {}
    for part in SPLIT_NAMES:
        labels = np.array([label_of[uid] for uid in getattr(split, part)], dtype=np.int64)
        found[part] = np.bincount(labels, minlength=num_classes).tolist()
    return found


def shares_in_words(
    split: Split, uids: Sequence[str], majority_label: NDArray[np.int64], class_names: Sequence[str]
) -> str:
    """The share of all items, and of each class, that each part holds: what a draw by groups could keep to.

    Args:
        split: The parts.
        uids: ``[N]`` the items.
        majority_label: ``[N]`` int64.
        class_names: ``[C]``.
    """
    counts = np.array([*class_counts(split, uids, majority_label, len(class_names)).values()])
    rows = [("all items", counts.sum(1)), *((repr(name), counts[:, label]) for label, name in enumerate(class_names))]
    told = [
        f"{name} {' / '.join(f'{100 * number / of_part.sum():.1f}' for number in of_part)}%"
        for name, of_part in rows
        if of_part.sum()
    ]
    return f"{' / '.join(SPLIT_NAMES)} hold of {'; of '.join(told)}"


def _deal(labels: NDArray[np.int64], ratios: Ratios, seed: int, groups: Sequence[str] | None) -> NDArray[np.int64]:
    """The part of each item, 0 to 2; rare classes, with all that shares a group with them, train."""
    wanted = _parts_of(ratios)
    units = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    rare = np.isin(units, units[np.isin(labels, _rare_classes(labels, wanted))])
    dealt = np.flatnonzero(~rare)
    if not len(dealt):
        raise DataError(f"no class of {len(labels)} items has {wanted} of them, one for each part; add items")
    parts = np.zeros(len(labels), dtype=np.int64)
    own = None if groups is None else [groups[row] for row in dealt.tolist()]
    drawn = (
        _stratified(labels[dealt], ratios, seed)
        if own is None
        else _stratified_by_group(labels[dealt], ratios, seed, own)
    )
    for part, rows in enumerate(drawn):
        parts[dealt[rows]] = part
    _complete(parts, labels, units, seed, wanted)
    return parts


def _parts_of(ratios: Ratios) -> int:
    """How many parts there are: without a test share two."""
    return sum(ratio > 0 for ratio in ratios)


def _outside(fold: Fold, labels: NDArray[np.int64], seed: int, groups: Sequence[str] | None) -> NDArray[np.int64]:
    """The rows that are not of a fold."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    units = len(labels) if groups is None else len(set(groups))
    if not 2 <= fold.folds <= units or not 0 <= fold.number < fold.folds:
        raise DataError(
            f"wanted from 2 to {units:,} folds of {units:,} {'items' if groups is None else 'groups'}, and a fold from "
            f"0 to one less, got folds {fold.folds} and fold {fold.number}; set folds and fold so"
        )
    if fold.folds > np.bincount(labels).max():
        raise DataError(f"no class has {fold.folds} items, one for each fold; choose fewer folds, or stratify: false")
    make = StratifiedKFold if groups is None else StratifiedGroupKFold
    with warnings.catch_warnings():  # a class rarer than the folds is spread as far as it goes
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        cuts = make(n_splits=fold.folds, shuffle=True, random_state=seed).split(labels, labels, groups)
        rest: NDArray[np.int64] = list(cuts)[fold.number][0]
    return rest


def _without_test(ratios: Ratios) -> Ratios:
    """Train and val as one of so many equal parts."""
    parts = max(2, round((ratios[0] + ratios[1]) / ratios[1]))
    return (1 - 1 / parts, 1 / parts, 0.0)


def _check_ratios(ratios: Ratios) -> None:
    """Shares of one whole; only the test part may be left out."""
    if min(ratios[:2]) <= 0 or ratios[2] < 0 or not math.isclose(sum(ratios), 1.0, abs_tol=1e-6):
        raise DataError(
            f"split ratios must be three positive shares that sum to 1 (that of test may be 0), got {tuple(ratios)}"
        )


def _rare_classes(labels: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """Classes that have fewer items than there are parts."""
    classes, counts = np.unique(labels, return_counts=True)
    return classes[counts < parts]


def _complete(
    parts: NDArray[np.int64], labels: NDArray[np.int64], units: NDArray[np.int64], seed: int, wanted: int
) -> None:
    """Let each class that some part lacks stand there too, in place; where none is lacking nothing is drawn.

    A unit of the class moves from the part that has most of them. Single items are swapped for one of the class that
    is most frequent where they go, so that the parts keep their sizes.
    """
    generator = np.random.default_rng(seed)
    single = len(np.unique(units)) == len(units)
    classes_of_all = np.setdiff1d(labels, _rare_classes(labels, wanted))
    for label, part in [(label, part) for label in classes_of_all for part in range(wanted)]:
        movable = [] if _stands(label, part, parts, labels) else _movable(label, parts, labels, units)
        if movable:
            moved = units == generator.choice(movable)
            origin, parts[moved] = parts[moved][0], part
            classes, counts = np.unique(labels[parts == part], return_counts=True)
            if single and counts.max() > 1:
                back = np.flatnonzero((parts == part) & (labels == classes[counts.argmax()]))
                parts[generator.choice(back)] = origin


def _stands(label: int, part: int, parts: NDArray[np.int64], labels: NDArray[np.int64]) -> bool:
    """Whether a part has an item of a class."""
    return bool((labels[parts == part] == label).any())


def _movable(
    label: int, parts: NDArray[np.int64], labels: NDArray[np.int64], units: NDArray[np.int64]
) -> list[np.int64]:
    """The smallest units of a class that may leave the part that has most of it, of those that any may leave."""
    free = [unit for unit in np.unique(units[labels == label]) if _may_leave(unit, parts, labels, units)]
    held = {unit: int(np.sum(labels[parts == parts[units == unit][0]] == label)) for unit in free}
    fullest = [unit for unit in free if held[unit] == max(held.values())]
    sizes = {unit: int(np.sum(units == unit)) for unit in fullest}
    return [unit for unit in fullest if sizes[unit] == min(sizes.values())]


def _may_leave(unit: np.int64, parts: NDArray[np.int64], labels: NDArray[np.int64], units: NDArray[np.int64]) -> bool:
    """Whether a part keeps every class that it has without a unit."""
    mine = units == unit
    rest = (parts == parts[mine][0]) & ~mine
    return bool(np.isin(labels[mine], labels[rest]).all())


def _stratified(labels: NDArray[np.int64], ratios: Ratios, seed: int) -> tuple[NDArray[np.int64], ...]:
    """Two stratified cuts: test off the whole, then val off the rest; where a part has no room, one item a class."""
    from sklearn.model_selection import train_test_split

    rest, test = np.arange(len(labels)), np.arange(0)
    try:
        if ratios[2]:
            rest, test = train_test_split(rest, test_size=ratios[2], stratify=labels, random_state=seed)
        share = ratios[1] / (ratios[0] + ratios[1])
        train, val = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=seed)
    except ValueError:  # fewer items in a part than there are classes, or than are left of one
        return _one_of_each(labels, ratios, seed)
    return train, val, test


def _one_of_each(labels: NDArray[np.int64], ratios: Ratios, seed: int) -> tuple[NDArray[np.int64], ...]:
    """The items of each class dealt out by the ratios, at least one to each part."""
    generator = np.random.default_rng(seed)
    dealt: list[list[NDArray[np.int64]]] = []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        most = len(rows) - _parts_of(ratios) + 1
        test = min(max(1, round(ratios[2] * len(rows))), most) if ratios[2] else 0
        val = min(max(1, round(ratios[1] * len(rows))), len(rows) - test - 1)
        dealt.append([rows[test + val :], rows[test : test + val], rows[:test]])
    return tuple(np.concatenate(part) for part in zip(*dealt, strict=True))


def _stratified_by_group(
    labels: NDArray[np.int64], ratios: Ratios, seed: int, groups: Sequence[str]
) -> tuple[NDArray[np.int64], ...]:
    """Equal stratified folds of whole groups, dealt out to the parts by the ratios."""
    from sklearn.model_selection import StratifiedGroupKFold

    shares = [Fraction(ratio).limit_denominator(_FINEST_GROUP_SHARE) for ratio in ratios]
    folds = math.lcm(*(share.denominator for share in shares))
    largest = int(np.unique(labels, return_counts=True)[1].max())
    if folds > min(len(set(groups)), largest):
        raise DataError(
            f"split ratios {ratios} by group need at least {folds} groups and a class of {folds} items, the data have "
            f"{len(set(groups))} groups and a class of at most {largest}; choose rounder ratios or add items"
        )
    dealer = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class rarer than the folds is spread as far as it goes
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        folds_of_rows = [fold for _, fold in dealer.split(labels, labels, groups)]
    # A fold that one giant group has filled goes to train, the first part dealt: a small part could not hold it.
    dealt = sorted(folds_of_rows, key=lambda fold: len(fold) <= 2 * len(labels) / folds)
    ends = np.cumsum([int(share * folds) for share in shares])[:-1]
    nothing = np.arange(0)
    parts = (dealt[: ends[0]], dealt[ends[0] : ends[1]], dealt[ends[1] :])
    return tuple(np.concatenate([nothing, *part]) for part in parts)
