"""Which items the figures show: drawn by rules from the data and the first seed's heads."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.annotations.base import Input
from soft_labels.data.dataset import Dataset
from soft_labels.distributions import entropy
from soft_labels.experiment.index import Examples, ItemExample
from soft_labels.metrics import METRICS, Judged

_STEPS = (0.02, 0.25, 0.5, 0.75, 0.98)
_DIGITS = 4


def choose_examples(dataset: Dataset, judged: Mapping[str, Judged], keep_texts: bool) -> Examples:
    """The items of figures 1, 2 and 5.

    Args:
        dataset: The data.
        judged: By arm, what a head predicts for the test items: the baseline's, then that of the arm which is shown
            beside it; none where there is no such arm.
        keep_texts: Whether examples carry their texts.
    """
    everything = dataset.observed.label_dist
    order = entropy(everything.double()).argsort(stable=True).tolist()
    spread = [order[round(step * (len(order) - 1))] for step in _STEPS]
    rows = dataset.rows("test").tolist()
    predictions = {arm: one.logits.softmax(-1) for arm, one in judged.items()}
    agreeing = _by_difference(judged)

    def example(row: int, place: int | None = None) -> ItemExample:
        text = _text(dataset.data.inputs[row]) if keep_texts else None
        said = {} if place is None else {arm: _rounded(dist[place]) for arm, dist in predictions.items()}
        return ItemExample(dataset.data.uids[row], text, _rounded(everything[row]), said)

    def agreed(share: float) -> ItemExample | None:
        if not agreeing:
            return None
        place = agreeing[round(share * (len(agreeing) - 1))]
        return example(rows[place], place)

    return Examples([example(row) for row in spread], same_class=agreed(1), median=agreed(0.5))


def _by_difference(judged: Mapping[str, Judged]) -> list[int]:
    """Places of the items where both heads name the majority class, by how much closer the second comes."""
    if len(judged) < 2:
        return []
    base, other = (one.precise() for one in judged.values())
    right = [METRICS["accuracy"].items(one).numpy() for one in (base, other)]
    closer: NDArray[np.float64] = (METRICS["kl"].items(base) - METRICS["kl"].items(other)).numpy().round(_DIGITS + 2)
    agreeing: list[int] = np.flatnonzero(right[0] & right[1]).tolist()
    return sorted(agreeing, key=lambda place: float(closer[place]))


def _text(given: Input) -> str | None:
    """An item as a person reads it; an image has no text."""
    if isinstance(given, str):
        return given
    if isinstance(given, tuple):
        return "\n".join(given)
    return None


def _rounded(dist: Tensor) -> list[float]:
    """A distribution with as many digits as a figure shows."""
    return [round(value, _DIGITS) for value in dist.double().tolist()]
