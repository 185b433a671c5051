"""The only place that draws a split: stratified by majority class, by group if asked, the same for both targets."""

import hashlib
import json
import math
import warnings
from collections.abc import Sequence
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
_FINEST_GROUP_SHARE = 100


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
) -> Split:
    """Draw train, val and test so that each holds the classes in the proportions of the whole.

    Args:
        uids: ``[N]`` the items, in the order that the caller wants the draw to depend on (sort them).
        majority_label: ``[N]`` int64, the class to stratify by.
        ratios: Shares of train, val and test; positive, summing to 1.
        seed: Seed of the draw.
        groups: ``[N]`` items that share a group land in the same part; shares are then met as closely as groups allow.

    Raises:
        DataError: The ratios are no shares, a class has too few items to stand in every part, or there are too few
            groups or items to deal groups out by the ratios.

    Source: the paper's section 3.3 (identical splits for both targets); ratios and seed are this project's.
    """
    _check_ratios(ratios)
    _check_class_sizes(majority_label)
    if groups is None:
        parts = _stratified(majority_label, ratios, seed)
    else:
        parts = _stratified_by_group(majority_label, ratios, seed, groups)
    return Split(*(tuple(uids[row] for row in np.sort(part)) for part in parts))


def _check_ratios(ratios: tuple[float, float, float]) -> None:
    """Three positive shares of one whole."""
    if min(ratios) <= 0 or not math.isclose(sum(ratios), 1.0, abs_tol=1e-6):
        raise DataError(f"split ratios must be three positive shares that sum to 1, got {tuple(ratios)}")


def _check_class_sizes(majority_label: NDArray[np.int64]) -> None:
    """Stratifying needs one item of each class for each part."""
    labels, counts = np.unique(majority_label, return_counts=True)
    if counts.min() < len(SPLIT_NAMES):
        rare = int(labels[counts.argmin()])
        raise DataError(
            f"class number {rare} (from 0) is the majority of {counts.min()} item(s), too few to stand in train, val "
            "and test; add items or merge the class with another"
        )


def _stratified(
    labels: NDArray[np.int64], ratios: tuple[float, float, float], seed: int
) -> tuple[NDArray[np.int64], ...]:
    """Two stratified cuts: test off the whole, then val off the rest."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(labels))
    try:
        rest, test = train_test_split(rows, test_size=ratios[2], stratify=labels, random_state=seed)
        share = ratios[1] / (ratios[0] + ratios[1])
        train, val = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=seed)
    except ValueError as error:
        raise DataError(f"{len(labels)} items cannot be split {ratios} by class: {error}") from error
    return train, val, test


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
