"""Where a model fails: every metric by slices of the items, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.metrics.table import Judged, Metric, defined_for
from soft_labels.trust.decomposition import decompose
from soft_labels.trust.inputs import Floats, Numbers, as_counts, as_log_pred, entropies, shares
from soft_labels.trust.intervals import Interval, correlation_values, seed_interval

NOT_KNOWN = "not known"
_MOST_NAMES = 8  # more numbers than these are shown in bins


@dataclass(frozen=True)
class Slice:
    """Metrics of some of the items.

    Args:
        name: Of the slice.
        items: How many.
        values: By metric of ``soft_labels.metrics.METRICS``, and ``overconfidence`` and ``vagueness`` beside ``kl``:
            the mean and its 95% interval over seeds and items; nan where it is not defined, and without ends where
            there is one item.
    """

    name: str
    items: int
    values: Mapping[str, Interval]


def by_slice(
    counts: Numbers,
    predictions: Numbers,
    names: Sequence[str],
    *,
    majority: Numbers | None = None,
    ordinal: bool = False,
) -> tuple[Slice, ...]:
    """Metrics of each slice.

    A slice by ``label_entropy`` or by majority class is chosen by the annotators who also judge: high-entropy items
    are partly those whose annotators happened to differ. Read a slice against the same slice of another model.

    Args:
        counts: ``[N, C]``.
        predictions: ``[N, C]`` or ``[S, N, C]`` of several seeds, pred_dist or log_pred.
        names: ``[N]`` which slice each item is in, from :func:`entropy_bins`, :func:`annotator_numbers`,
            :func:`majority_classes`, :func:`column_names` or anything else.
        majority: ``[N]`` index of each item's majority class; by default the lowest of the tied ones.
        ordinal: Whether the classes are ordered.

    Returns:
        Slices in order of their names' first item.

    Raises:
        DataError: Counts or predictions are malformed, or there is not one name an item.
    """
    rows = as_counts(counts)
    if len(names) != len(rows):
        raise DataError(f"slices: {len(rows)} items but {len(names)} names; give one name for each item")
    items = _Items.of(rows, predictions, rows.argmax(1) if majority is None else np.asarray(majority), ordinal)
    column = np.array(names)
    return tuple(items.slice(name, np.flatnonzero(column == name)) for name in dict.fromkeys(names))


@dataclass(frozen=True)
class _Items:
    """What metrics are made of: values of each item ``[S, N]``, or two sides of a correlation."""

    means: Mapping[str, Floats]
    sides: Mapping[str, tuple[Floats, Floats]]
    order: Sequence[str]

    @classmethod
    def of(cls, rows: Floats, predictions: Numbers, majority: NDArray[np.int64], ordinal: bool) -> "_Items":
        """All metrics that are defined."""
        log_pred = as_log_pred(predictions, rows.shape)
        log_pred = log_pred if log_pred.ndim == 3 else log_pred[None]
        parts = decompose(rows, log_pred)
        judged = Judged(torch.from_numpy(log_pred), torch.from_numpy(shares(rows)), torch.from_numpy(majority))
        metrics = defined_for(ordinal, true_dist=False)
        means = {name: _values(one, judged) for name, one in metrics.items() if one.correlates is None}
        own = {"overconfidence": parts.overconfidence, "vagueness": parts.vagueness}
        sides = {
            name: (parts.pred_entropy, parts.label_entropy)
            for name, one in metrics.items()
            if one.correlates is not None
        }
        return cls({**means, **own}, sides, [*metrics, *own])

    def slice(self, name: str, rows: NDArray[np.int64]) -> Slice:
        """The metrics of the items at some rows."""
        found = {key: _interval(values[:, rows]) for key, values in self.means.items()}
        for key, (left, right) in self.sides.items():
            found[key] = _interval(correlation_values(left[:, rows], right[rows]))
        return Slice(name, len(rows), {key: found[key] for key in self.order})


def _values(metric: Metric, judged: Judged) -> Floats:
    """``[S, N]`` of a metric that is a mean over items."""
    return metric.items(judged).double().numpy()


def _interval(values: Floats) -> Interval:
    """Over seeds and items; one item has a value and no interval."""
    try:
        return seed_interval(values)
    except DataError:
        return Interval(float(values.mean()), float("nan"), float("nan"))


def entropy_bins(counts: Numbers, bins: int = 4) -> list[str]:
    """Bin of each item's label_entropy, equal numbers of items where there are no ties; named by its ends in nats.

    Args:
        counts: ``[N, C]``.
        bins: How many.
    """
    return _bins(entropies(shares(as_counts(counts))), bins, ".2f")


def annotator_numbers(counts: Numbers, bins: int = 4) -> list[str]:
    """Number of each item's annotators, as a name; bins of them where there are many.

    Args:
        counts: ``[N, C]``.
        bins: How many, where there are many.
    """
    totals = as_counts(counts).sum(1)
    return _bins(totals, bins, "g") if len(np.unique(totals)) > _MOST_NAMES else [f"{total:g}" for total in totals]


def majority_classes(counts: Numbers, class_names: Sequence[str], majority: Numbers | None = None) -> list[str]:
    """Name of each item's majority class.

    Args:
        counts: ``[N, C]``.
        class_names: ``[C]``.
        majority: ``[N]`` its index; by default the lowest of the tied ones.
    """
    return [class_names[index] for index in (as_counts(counts).argmax(1) if majority is None else np.asarray(majority))]


def column_names(values: Sequence[str | None], bins: int = 4) -> list[str]:
    """A column of a user's table as names of slices: its values, or bins of many numbers.

    Args:
        values: ``[N]``.
        bins: How many, where there are many numbers.

    Example:
        >>> column_names(["news", None, "fiction"])
        ['news', 'not known', 'fiction']
    """
    known = [value for value in values if value is not None]
    if len(set(known)) <= _MOST_NAMES or not all(map(is_number, known)):
        return [NOT_KNOWN if value is None else value for value in values]
    named = iter(_bins(np.array([float(value) for value in known]), bins, "g"))
    return [NOT_KNOWN if value is None else next(named) for value in values]


def is_number(text: str) -> bool:
    """Whether a cell holds a finite number.

    Args:
        text: The cell.
    """
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _bins(values: Floats, bins: int, digits: str) -> list[str]:
    """Bins between quantiles, named by their ends."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))
    if len(edges) == 1:
        return [f"{edges[0]:{digits}}"] * len(values)
    bin_of = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return [f"{edges[index]:{digits}} to {edges[index + 1]:{digits}}" for index in bin_of]
