"""Counts and predictions from anywhere, read into float64 arrays and checked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.errors import DataError

Floats = NDArray[np.float64]
Numbers = NDArray[Any] | Tensor
_SUM_WITHIN = 1e-3


def as_counts(counts: Numbers, name: str = "counts") -> Floats:
    """Read label counts.

    Args:
        counts: ``[N, C]`` annotations that chose each class; whole, or weighted (an annotation of weight 1.5 counts as
            that many annotators), at least two classes.
        name: What the counts are called in an error.

    Returns:
        ``[N, C]`` float64.

    Raises:
        DataError: A shape or a number is not as said above, a row is empty, or the rows are shares.
    """
    array = _float64(counts)
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 2:
        raise DataError(
            f"{name}: wanted [N, C] with at least one item and two classes, got {array.shape}; give one row an item"
        )
    bad = ~(np.isfinite(array).all(1) & (array >= 0).all(1) & (array.sum(1) > 0))
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{name}: {bad.sum()} of {len(array)} rows are empty, negative or not finite, the first is row {row}: "
            f"{array[row].tolist()}; give items that somebody annotated"
        )
    if not is_whole(array) and len(array) > 1 and np.allclose(array.sum(1), 1, atol=_SUM_WITHIN):
        raise DataError(
            f"{name}: every row sums to 1, so these are shares; how many annotators stand behind them decides floor "
            "and worth: give the counts"
        )
    return array


def as_log_pred(predictions: Numbers, shape: tuple[int, ...], name: str = "predictions") -> Floats:
    """Read predictions: probabilities, or their logarithms where a number is negative.

    Args:
        predictions: ``[..., N, C]`` pred_dist or log_pred; leading dimensions are heads or seeds.
        shape: ``(N, C)`` of the counts.
        name: What the predictions are called in an error.

    Returns:
        ``[..., N, C]`` log probabilities, float64, normalized again; ``-inf`` where a prediction is exactly 0.

    Raises:
        DataError: A shape is not as said above, or a row is no distribution.
    """
    array = _float64(predictions)
    if array.shape[-2:] != shape:
        raise DataError(
            f"{name}: wanted [..., {shape[0]}, {shape[1]}] as the counts have it, got {array.shape}; "
            "give one row for each item in the order of the counts"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        log_pred = array if (array < 0).any() else np.log(array)
        sums = np.exp(log_pred).sum(-1, keepdims=True)
        bad = ~(np.abs(sums - 1) < _SUM_WITHIN)
    if bad.any():
        raise DataError(
            f"{name}: wanted probabilities or their logarithms, but {bad.sum()} of {bad.size} rows do not sum to 1 "
            f"(the first sums to {sums[bad][0]:.6g}); give pred_dist or log_pred, not logits"
        )
    return np.asarray(log_pred - np.log(sums))


def is_whole(counts: Floats) -> bool:
    """Whether every count is a whole number, so that single annotators can be drawn."""
    return bool((counts == np.round(counts)).all())


def need_whole(counts: Floats, what: str) -> None:
    """Raise ``DataError`` unless single annotators can be drawn from the counts."""
    if not is_whole(counts):
        raise DataError(f"{what} draws single annotators, and these counts are not whole numbers; give unweighted ones")


def shares(counts: Floats) -> Floats:
    """label_dist of counts, ``[N, C]``."""
    return np.asarray(counts / counts.sum(1, keepdims=True))


def cross_entropy(label_dist: Floats, log_pred: Floats) -> Floats:
    """Cross-entropy, ``[..., N]`` nats, with 0 log 0 = 0 and infinite where a chosen class was ruled out."""
    with np.errstate(invalid="ignore"):
        return np.asarray(0 - np.where(label_dist > 0, label_dist * log_pred, 0).sum(-1))


def entropies(dist: Floats) -> Floats:
    """Shannon entropy over the last axis, nats; NumPy's for arrays too many to carry to torch and back."""
    with np.errstate(divide="ignore"):
        return cross_entropy(dist, np.log(dist))


def _float64(numbers: Numbers) -> Floats:
    """An array of float64 on the CPU."""
    if isinstance(numbers, Tensor):
        numbers = numbers.detach().cpu().double().numpy()
    return np.asarray(numbers, dtype=np.float64)
