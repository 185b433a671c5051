"""Test items that a head has met before, and what its metrics are without them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.trust.inputs import Numbers, as_counts
from soft_labels.trust.slices import Slice, by_slice

MET, NEW = "stands in train", "does not"


@dataclass(frozen=True)
class Leakage:
    """One kind of likeness between test and training items.

    Args:
        kind: What is alike, as ``same_text``.
        items: Test items.
        leaking: Those that have their like among the training items.
        every: Metrics of all test items.
        without: Metrics of those that have no like; ``None`` where none is left.
        leaks: Metrics of those that do; ``None`` where there are none.
    """

    kind: str
    items: int
    leaking: int
    every: Slice
    without: Slice | None
    leaks: Slice | None


def in_train(test: NDArray[np.integer[Any]], train: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Whether the like of each test item stands in train.

    Args:
        test: ``[N]`` number of the group of items that are alike; 0 for an item that is like no other.
        train: ``[M]`` the same of the training items.

    Returns:
        ``[N]``.

    Example:
        >>> in_train(np.array([0, 1, 2]), np.array([0, 2])).tolist()
        [False, False, True]
    """
    return np.asarray((test > 0) & np.isin(test, train))


def leakage(
    counts: Numbers,
    predictions: Numbers,
    leaking: Mapping[str, NDArray[np.bool_]],
    *,
    majority: Numbers | None = None,
    ordinal: bool = False,
) -> tuple[Leakage, ...]:
    """Metrics with and without the test items that stand in train, kind by kind.

    Args:
        counts: ``[N, C]`` of the test items.
        predictions: ``[N, C]`` or ``[S, N, C]`` of several seeds, pred_dist or log_pred.
        leaking: By kind, ``[N]`` of :func:`in_train`.
        majority: ``[N]`` index of each item's majority class; by default the lowest of the tied ones.
        ordinal: Whether the classes are ordered.

    Raises:
        DataError: Counts or predictions are malformed, or there is not one mark an item.
    """
    rows = as_counts(counts)
    (every,) = by_slice(rows, predictions, ["all"] * len(rows), majority=majority, ordinal=ordinal)
    found = []
    for kind, met in leaking.items():
        if met.shape != (len(rows),):
            raise DataError(f"{kind}: {len(rows)} items but marks of shape {met.shape}; give one mark for each item")
        names = [MET if one else NEW for one in met]
        parts = {one.name: one for one in by_slice(rows, predictions, names, majority=majority, ordinal=ordinal)}
        found.append(Leakage(kind, len(rows), int(met.sum()), every, parts.get(NEW), parts.get(MET)))
    return tuple(found)
