"""Where a model can be believed: reliability against the annotators' shares, and metrics by slices of the items."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.trust.decomposition import decompose
from soft_labels.trust.floor import pearson
from soft_labels.trust.inputs import Floats, Numbers, as_counts, as_log_pred, entropies, shares


@dataclass(frozen=True)
class Reliability:
    """Predicted probabilities against the annotators' shares, over all pairs of item and class, in bins that hold any.

    Args:
        predicted: ``[B]`` mean predicted probability.
        observed: ``[B]`` mean share of the annotators.
        standard_error: ``[B]`` of ``observed - predicted``, from the spread of the pairs; nan for one pair.
        pairs: ``[B]`` pairs of item and class.
        error: Mean over pairs of ``|observed - predicted|`` of their bin, probability.
        values: ``[N]`` items' values whose mean is ``error``, for an interval; signs and bins are taken as given.
    """

    predicted: Floats
    observed: Floats
    standard_error: Floats
    pairs: NDArray[np.int64]
    error: float
    values: Floats


def reliability(counts: Numbers, predictions: Numbers, bins: int = 10) -> Reliability:
    """Compare predicted probabilities with shares, in bins of equal width.

    Shares of few annotators scatter about the truth but not to one side, so that finite annotators add no bias to a
    bin's mean, unlike to a reliability against majority labels.

    Args:
        counts: ``[N, C]``.
        predictions: ``[N, C]`` pred_dist or log_pred.
        bins: Of the predicted probability, closed below; 1 falls in the last.

    Source: class-wise reliability (Kull et al., 2019), with shares in place of labels.

    Example:
        >>> reliability(np.array([[3, 1], [1, 3]]), np.array([[0.9, 0.1], [0.1, 0.9]])).observed.tolist()
        [0.25, 0.75]
    """
    label_dist = shares(as_counts(counts)).ravel()
    pred_dist = np.exp(as_log_pred(predictions, counts.shape)).ravel()
    bin_of = np.minimum((pred_dist * bins + 1e-12).astype(np.int64), bins - 1)
    number = np.bincount(bin_of, minlength=bins)
    there = number > 0
    number = number[there]
    predicted, observed, squares = (
        np.bincount(bin_of, values, bins)[there] / number
        for values in (pred_dist, label_dist, (label_dist - pred_dist) ** 2)
    )
    gap = observed - predicted
    with np.errstate(divide="ignore", invalid="ignore"):
        standard_error = np.sqrt(np.maximum(squares - gap**2, 0) / (number - 1))
    sign = np.zeros(bins)
    sign[there] = np.sign(gap)
    values = (sign[bin_of] * (label_dist - pred_dist)).reshape(counts.shape).mean(1)
    error = float(number @ np.abs(gap) / number.sum())
    return Reliability(predicted, observed, standard_error, number, error, values)


@dataclass(frozen=True)
class Slice:
    """Metrics of some of the items.

    Args:
        name: Of the slice.
        items: How many.
        kl: Mean, nats.
        overconfidence: Mean, nats.
        vagueness: Mean, nats.
        accuracy: Share of items whose likeliest class has the highest count; the lowest index of equal ones.
        entropy_corr: Pearson correlation within the slice; nan where one side is constant or there is one item.
    """

    name: str
    items: int
    kl: float
    overconfidence: float
    vagueness: float
    accuracy: float
    entropy_corr: float


def by_slice(counts: Numbers, predictions: Numbers, names: Sequence[str]) -> tuple[Slice, ...]:
    """Metrics of each slice.

    A slice by ``label_entropy`` or by majority class is chosen by the annotators who also judge: high-entropy items
    are partly those whose annotators happened to differ. Read a slice against the same slice of another model.

    Args:
        counts: ``[N, C]``.
        predictions: ``[N, C]`` pred_dist or log_pred.
        names: ``[N]`` which slice each item is in, from :func:`entropy_bins`, :func:`annotator_numbers`,
            :func:`majority_classes` or any column of the user's table.

    Returns:
        Slices in order of their names' first item.

    Raises:
        DataError: Counts or predictions are malformed, or there is not one name an item.
    """
    rows = as_counts(counts)
    if len(names) != len(rows):
        raise DataError(f"slices: {len(rows)} items but {len(names)} names; give one name for each item")
    parts = decompose(rows, predictions)
    right = as_log_pred(predictions, rows.shape).argmax(1) == rows.argmax(1)
    column = np.array(names)

    def measured(name: str) -> Slice:
        chosen = column == name
        return Slice(
            name=name,
            items=int(chosen.sum()),
            kl=float(parts.kl[chosen].mean()),
            overconfidence=float(parts.overconfidence[chosen].mean()),
            vagueness=float(parts.vagueness[chosen].mean()),
            accuracy=float(right[chosen].mean()),
            entropy_corr=pearson(parts.label_entropy[chosen], parts.pred_entropy[chosen]),
        )

    return tuple(measured(name) for name in dict.fromkeys(names))


def entropy_bins(counts: Numbers, bins: int = 4) -> list[str]:
    """Bin of each item's label_entropy, equal numbers of items where there are no ties; named by its ends in nats."""
    label_entropy = entropies(shares(as_counts(counts)))
    edges = np.unique(np.quantile(label_entropy, np.linspace(0, 1, bins + 1)))
    if len(edges) == 1:
        return [f"{edges[0]:.2f}"] * len(label_entropy)
    bin_of = np.clip(np.searchsorted(edges, label_entropy, side="right") - 1, 0, len(edges) - 2)
    return [f"{edges[index]:.2f} to {edges[index + 1]:.2f}" for index in bin_of]


def annotator_numbers(counts: Numbers) -> list[str]:
    """Number of each item's annotators, as a name."""
    return [f"{total:g}" for total in as_counts(counts).sum(1)]


def majority_classes(counts: Numbers, class_names: Sequence[str]) -> list[str]:
    """Name of each item's majority class; the lowest index of tied ones."""
    return [class_names[index] for index in as_counts(counts).argmax(1)]
