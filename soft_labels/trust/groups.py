"""Whom a model agrees with: its metrics against the annotations of one group of annotators at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.trust.dirichlet import best, fit_mixtures
from soft_labels.trust.floor import kl_floor
from soft_labels.trust.inputs import Floats, Numbers, as_log_pred, cross_entropy, entropies, shares
from soft_labels.trust.intervals import Interval, correlation_values, seed_interval
from soft_labels.trust.peers import soft_accuracy

LEAST_ITEMS = 20
_COMPONENTS = (1, 3)  # a group gives an item few annotations, which tell no more kinds of items apart
_UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class AnnotatorGroup:
    """The annotations of one group of annotators.

    Args:
        name: Of the group.
        rows: ``[G]`` which items someone of it annotated.
        counts: ``[G, C]`` its annotations of them.
        others: ``[G, C]`` those of all other annotators of the same items; a row of zeros where there are none.
        elsewhere: ``[E, C]`` its annotations of further items.
    """

    name: str
    rows: NDArray[np.int64]
    counts: Floats
    others: Floats
    elsewhere: Floats

    @property
    def items(self) -> int:
        """How many items someone of the group annotated."""
        return len(self.rows)

    @property
    def annotations(self) -> float:
        """How many annotations the group gave them."""
        return float(self.counts.sum())

    @property
    def judged(self) -> bool:
        """Whether there are items enough to say anything."""
        return self.items >= LEAST_ITEMS

    @cached_property
    def floor(self) -> Interval:
        """Mean KL of a perfect model of this group, nats, and its range over mixtures.

        nan where fewer than 20 items have two annotations of the group, which tell how far it disagrees.
        """
        known = np.concatenate([self.counts, self.elsewhere])
        if not self.judged or (known.sum(1) > 1).sum() < LEAST_ITEMS:
            return _UNKNOWN
        mixtures = fit_mixtures(known, _COMPONENTS)
        means = {mixture.bic: float(kl_floor(known, mixture)[: self.items].mean()) for mixture in mixtures}
        return Interval(means[best(mixtures).bic], min(means.values()), max(means.values()))


def annotator_groups(
    counts: Mapping[str, Numbers], elsewhere: Mapping[str, Numbers] | None = None
) -> tuple[AnnotatorGroup, ...]:
    """The groups that one column about the annotators makes.

    Args:
        counts: By group, ``[N, C]`` label counts of its annotators alone; rows may be empty.
        elsewhere: By group, ``[M, C]`` the same of further items, from which floors are learnt too.

    Returns:
        Groups in their order, without those that annotated none of the items.

    Raises:
        DataError: Shapes differ.
    """
    tables = {name: np.asarray(table, dtype=np.float64) for name, table in counts.items()}
    if len({table.shape for table in tables.values()}) > 1:
        raise DataError(f"groups of annotators: wanted one shape, got {[table.shape for table in tables.values()]}")
    everyone = np.sum(list(tables.values()), axis=0)
    found = []
    for name, table in tables.items():
        rows = np.flatnonzero(table.sum(1) > 0)
        if len(rows):
            more = np.empty((0, table.shape[1])) if elsewhere is None else np.asarray(elsewhere[name], dtype=np.float64)
            others = np.maximum(everyone[rows] - table[rows], 0)
            found.append(AnnotatorGroup(name, rows, table[rows], others, more[more.sum(1) > 0]))
    return tuple(found)


def agreement(group: AnnotatorGroup, predictions: Numbers) -> dict[str, Interval]:
    """How far a model agrees with a group.

    The fewer annotations of an item, the higher is KL and the lower are entropy correlation and soft accuracy, whatever
    the model: read KL beside the group's floor, which few annotations tell roughly (in simulations within a tenth, so
    that intervals of differences above it would cover .5 to .8). Which group is nearer is told by ``distance`` and
    ``beside_others``, which do not depend on the number of annotations.

    Args:
        group: Of :func:`annotator_groups`.
        predictions: ``[N, C]`` or ``[S, N, C]`` of several seeds, pred_dist or log_pred, for all items.

    Returns:
        Means with 95% intervals over seeds and items: ``kl``, nats; ``entropy_corr``; ``soft_accuracy``;
        ``distance``: squared distance of the prediction from the group's true distribution, 0 to 2, estimated without
        bias over items with two annotations of the group; ``beside_others``: that less the same of all other
        annotators, over items with two annotations of each. nan where something is not defined, and for fewer than 20
        items.

    Raises:
        DataError: Predictions are malformed.

    Source:
        Ferro, "Fair scores for ensemble forecasts", 2014, for the squared distance: |q - p|^2 is the mean over draws of
        |q - c/n|^2 - (1 - |c/n|^2) / (n - 1).
    """
    if not group.judged:
        return dict.fromkeys(("kl", "entropy_corr", "soft_accuracy", "distance", "beside_others"), _UNKNOWN)
    log_pred = as_log_pred(np.asarray(predictions)[..., group.rows, :], group.counts.shape)
    log_pred = log_pred if log_pred.ndim == 3 else log_pred[None]
    dist, pred = shares(group.counts), np.exp(log_pred)
    entropy = entropies(dist)
    own, others = _distances(group.counts, pred), _distances(group.others, pred)
    return {
        "kl": seed_interval(cross_entropy(dist, log_pred) - entropy),
        "entropy_corr": _over(correlation_values(cross_entropy(pred, log_pred), entropy)),
        "soft_accuracy": seed_interval(soft_accuracy(torch.from_numpy(dist), torch.from_numpy(log_pred)).numpy()),
        "distance": _over(own),
        "beside_others": _over(own - others),
    }


def _distances(counts: Floats, pred: Floats) -> Floats:
    """``[S, N]`` squared distance from the distribution behind some counts; nan with fewer than two annotations."""
    totals = counts.sum(1)
    told = (totals > 1) & (counts == counts.round()).all(1)
    dist, spare = counts / np.where(told, totals, 1)[:, None], np.where(told, totals - 1, 1)
    found = ((pred - dist) ** 2).sum(-1) - (1 - (dist**2).sum(1)) / spare
    return np.asarray(np.where(told, found, np.nan))


def _over(values: Floats) -> Interval:
    """An interval over the items that have a value; nan where they are few."""
    return seed_interval(values) if np.isfinite(values).all(0).sum() >= LEAST_ITEMS else _UNKNOWN
