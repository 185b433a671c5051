"""The only place that draws a split: stratified by majority class, by group if asked, the same for every arm."""

import hashlib
import json
import logging
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.files import write_text

SplitName = Literal["train", "val", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "val", "test")
SMALL_TEST = 50
_FINEST_GROUP_SHARE = 100
logger = logging.getLogger(__name__)


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
    ratios: tuple[float, float, float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    groups: Sequence[str] | None = None,
    stratify: bool = True,
    class_names: Sequence[str] | None = None,
    warn: Callable[[str], object] = logger.warning,
) -> Split:
    """Draw train, val and test so that each holds the classes in the proportions of the whole.

    A class of 3 items or more stands in every part, or a warning says where not: items that share groups may leave no
    way. A class of fewer items stays in train, with a warning. So does a small test part.

    Args:
        uids: ``[N]`` the items, in the order that the caller wants the draw to depend on (sort them).
        majority_label: ``[N]`` int64, the class to stratify by.
        ratios: Shares of train, val and test; positive, summing to 1.
        seed: Seed of the draw.
        groups: ``[N]`` items that share a group land in the same part; shares are then met as closely as groups allow.
        stratify: Whether classes count; if not, each item, or each group, is dealt out as if all had one class.
        class_names: ``[C]`` what warnings call the classes; their numbers from 0, if not given.
        warn: What takes a warning.

    Raises:
        DataError: The ratios are no shares, no class has as many items as there are parts, or there are too few groups
            or items to deal groups out by the ratios.

    Source: the paper's section 3.3 (identical splits for both of its targets); ratios and seed are this project's.
    """
    _check_ratios(ratios)
    labels = majority_label if stratify else np.zeros_like(majority_label)
    units = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    rare = np.isin(units, units[np.isin(labels, _rare_classes(labels))])  # with all that shares a group with them
    dealt = np.flatnonzero(~rare)
    if not len(dealt):
        raise DataError(f"no class of {len(labels)} items has {len(SPLIT_NAMES)} of them, one for each part; add items")
    parts = np.zeros(len(labels), dtype=np.int64)
    parts[dealt] = _dealt(
        labels[dealt], ratios, seed, None if groups is None else [groups[row] for row in dealt.tolist()]
    )
    _complete(parts, labels, units, seed)
    if stratify:
        _warn_of_classes(parts, labels, class_names or [f"number {label}" for label in range(labels.max() + 1)], warn)
    _warn_of_size(int((parts == SPLIT_NAMES.index("test")).sum()), warn)
    return Split(
        *(tuple(uids[row] for row in np.flatnonzero(parts == part).tolist()) for part in range(len(SPLIT_NAMES)))
    )


def _check_ratios(ratios: tuple[float, float, float]) -> None:
    """Three positive shares of one whole."""
    if min(ratios) <= 0 or not math.isclose(sum(ratios), 1.0, abs_tol=1e-6):
        raise DataError(f"split ratios must be three positive shares that sum to 1, got {tuple(ratios)}")


def _rare_classes(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Classes that have fewer items than there are parts."""
    classes, counts = np.unique(labels, return_counts=True)
    return classes[counts < len(SPLIT_NAMES)]


def _dealt(
    labels: NDArray[np.int64], ratios: tuple[float, float, float], seed: int, groups: Sequence[str] | None
) -> NDArray[np.int64]:
    """The part of each item by the ratios, 0 to 2."""
    drawn = _stratified(labels, ratios, seed) if groups is None else _stratified_by_group(labels, ratios, seed, groups)
    parts = np.zeros(len(labels), dtype=np.int64)
    for part, rows in enumerate(drawn):
        parts[rows] = part
    return parts


def _complete(parts: NDArray[np.int64], labels: NDArray[np.int64], units: NDArray[np.int64], seed: int) -> None:
    """Let each class that some part lacks stand there too, in place; where none is lacking nothing is drawn.

    A unit of the class moves from the part that has most of them. Single items are swapped for one of the class that
    is most frequent where they go, so that the parts keep their sizes.
    """
    generator = np.random.default_rng(seed)
    single = len(np.unique(units)) == len(units)
    wanted = np.setdiff1d(labels, _rare_classes(labels))
    for label, part in [(label, part) for label in wanted for part in range(len(SPLIT_NAMES))]:
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


def _warn_of_classes(
    parts: NDArray[np.int64], labels: NDArray[np.int64], names: Sequence[str], warn: Callable[[str], object]
) -> None:
    """Name the classes that do not stand in every part."""
    for label in np.unique(labels):
        lacking = [name for part, name in enumerate(SPLIT_NAMES) if not _stands(label, part, parts, labels)]
        if lacking:
            where = " and ".join(lacking)
            warn(
                f"class {names[label]!r} is the majority of {int((labels == label).sum())} item(s) and is absent from "
                f"{where}: no score there says anything of it; add items, merge it with another class, or set stratify "
                "to false"
            )


def _warn_of_size(items: int, warn: Callable[[str], object]) -> None:
    """Say that a test part is small."""
    if items < SMALL_TEST:
        warn(f"the test part has {items} items: each one is {100 / items:.1f}% of a mean over them")


def _stratified(
    labels: NDArray[np.int64], ratios: tuple[float, float, float], seed: int
) -> tuple[NDArray[np.int64], ...]:
    """Two stratified cuts: test off the whole, then val off the rest; where a part has no room, one item a class."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(labels))
    try:
        rest, test = train_test_split(rows, test_size=ratios[2], stratify=labels, random_state=seed)
        share = ratios[1] / (ratios[0] + ratios[1])
        train, val = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=seed)
    except ValueError:  # fewer items in a part than there are classes, or than are left of one
        return _one_of_each(labels, ratios, seed)
    return train, val, test


def _one_of_each(
    labels: NDArray[np.int64], ratios: tuple[float, float, float], seed: int
) -> tuple[NDArray[np.int64], ...]:
    """The items of each class dealt out by the ratios, at least one to each part."""
    generator = np.random.default_rng(seed)
    dealt: list[list[NDArray[np.int64]]] = []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        most = len(rows) - len(SPLIT_NAMES) + 1
        test = min(max(1, round(ratios[2] * len(rows))), most)
        val = min(max(1, round(ratios[1] * len(rows))), most - test + 1)
        dealt.append([rows[test + val :], rows[test : test + val], rows[:test]])
    return tuple(np.concatenate(part) for part in zip(*dealt, strict=True))


def _stratified_by_group(
    labels: NDArray[np.int64], ratios: tuple[float, float, float], seed: int, groups: Sequence[str]
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
    return tuple(np.concatenate(part) for part in (dealt[: ends[0]], dealt[ends[0] : ends[1]], dealt[ends[1] :]))
