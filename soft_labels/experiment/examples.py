"""Which items the figures show: drawn by rules from the data and the first seed's heads."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from soft_labels.annotations.base import Input
from soft_labels.datamodules import AnnotationDataModule
from soft_labels.distributions import entropy
from soft_labels.experiment_index import Examples, ItemExample
from soft_labels.objectives import Target
from soft_labels.records import ItemScores

_STEPS = (0.02, 0.25, 0.5, 0.75, 0.98)
_DIGITS = 4


def choose_examples(
    datamodule: AnnotationDataModule,
    scores: Mapping[Target, ItemScores],
    predictions: Mapping[Target, NDArray[np.float32]],
    keep_texts: bool,
) -> Examples:
    """The items of figures 1, 2 and 5.

    Args:
        datamodule: The data.
        scores: By target, how a head of each target does on the test items.
        predictions: By target, ``[N, C]`` what that head says of them.
        keep_texts: Whether examples carry their texts.
    """
    everything = datamodule.targets.label_dist
    order = entropy(everything.double()).argsort(stable=True).tolist()
    spread = [order[round(step * (len(order) - 1))] for step in _STEPS]
    rows = datamodule.rows("test").tolist()
    agreeing = _by_difference(scores)

    def example(row: int, place: int | None = None) -> ItemExample:
        text = _text(datamodule.data.inputs[row]) if keep_texts else None
        said = {} if place is None else {target: _rounded(dist[place]) for target, dist in predictions.items()}
        return ItemExample(datamodule.data.uids[row], text, _rounded(everything[row].numpy()), said)

    def agreed(share: float) -> ItemExample | None:
        if not agreeing:
            return None
        place = agreeing[round(share * (len(agreeing) - 1))]
        return example(rows[place], place)

    return Examples([example(row) for row in spread], same_class=agreed(1), median=agreed(0.5))


def _by_difference(scores: Mapping[Target, ItemScores]) -> list[int]:
    """Places of the items where both heads name the majority class, by how much closer the soft head comes."""
    soft, hard = scores["soft"], scores["hard"]
    agreeing: list[int] = np.flatnonzero(soft.correct & hard.correct).tolist()
    return sorted(agreeing, key=lambda place: float(hard.kl[place] - soft.kl[place]))


def _text(given: Input) -> str | None:
    """An item as a person reads it; an image has no text."""
    if isinstance(given, str):
        return given
    if isinstance(given, tuple):
        return "\n".join(given)
    return None


def _rounded(dist: NDArray[np.floating]) -> list[float]:
    """A distribution with as many digits as a figure shows."""
    return [round(value, _DIGITS) for value in dist.astype(float).tolist()]
