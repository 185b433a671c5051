"""Where a model can be believed: reliability against the annotators' shares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soft_labels.trust.inputs import Floats, Numbers, as_counts, as_log_pred, shares


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
