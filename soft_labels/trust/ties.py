"""How much a number owes to the rule by which tied majorities are broken."""

from dataclasses import dataclass

import numpy as np

from soft_labels.trust.inputs import Floats, Numbers, as_counts, as_log_pred
from soft_labels.trust.intervals import Interval, seed_interval


@dataclass(frozen=True)
class TieSensitivity:
    """Accuracy of the same predictions under each rule; intervals are 95% over seeds and items.

    What a hard head would have learnt under another rule is not told by its predictions: ``tied`` of the training
    items says how many of its labels the rule chose.

    Args:
        items: How many.
        tied: Items whose highest count several classes share.
        lowest: The first of the tied classes is right.
        highest: The last is.
        random: One of them drawn by lot is, on average over all draws.
        drop: Without the tied items; nan where none is left.
    """

    items: int
    tied: int
    lowest: Interval
    highest: Interval
    random: Interval
    drop: Interval


def tie_sensitivity(counts: Numbers, predictions: Numbers) -> TieSensitivity:
    """Accuracy under each rule for ties.

    Args:
        counts: ``[N, C]``.
        predictions: ``[N, C]`` or ``[S, N, C]`` of several seeds, pred_dist or log_pred; of equal highest ones the
            lowest index is the answer.

    Raises:
        DataError: Counts or predictions are malformed.

    Example:
        >>> found = tie_sensitivity(np.array([[2, 2], [3, 1]]), np.array([[0.3, 0.7], [0.6, 0.4]]))
        >>> [found.lowest.value, found.highest.value, found.random.value, found.drop.value]
        [0.5, 1.0, 0.75, 1.0]
    """
    rows = as_counts(counts)
    log_pred = as_log_pred(predictions, rows.shape)
    answers = np.atleast_2d(log_pred.argmax(-1))
    top = rows == rows.max(1, keepdims=True)
    chances = top / top.sum(1, keepdims=True)
    tied = top.sum(1) > 1
    right = np.take_along_axis(np.broadcast_to(chances, (len(answers), *chances.shape)), answers[..., None], -1)[..., 0]
    first, last = rows.argmax(1), rows.shape[1] - 1 - rows[:, ::-1].argmax(1)
    return TieSensitivity(
        items=len(rows),
        tied=int(tied.sum()),
        lowest=_interval(answers == first),
        highest=_interval(answers == last),
        random=_interval(right),
        drop=_interval((answers == first)[:, ~tied]),
    )


def _interval(values: Floats) -> Interval:
    """Over seeds and items; one item has a value and no interval, none has neither."""
    table = values.astype(np.float64)
    if table.shape[1] > 1:
        return seed_interval(table)
    return Interval(float(table.mean()) if table.size else float("nan"), float("nan"), float("nan"))
