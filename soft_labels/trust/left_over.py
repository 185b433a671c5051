"""Annotators of an item drawn without replacement, judged by those left over: exact sums in place of draws.

Of k annotators drawn from an item, the number that chose a class is hypergeometric, so the expected cross-entropy of
those left over is an exact sum. It differs from their KL by a number that does not depend on the prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from soft_labels.trust.inputs import Floats, need_whole

_LOG_STRENGTH = (-6.0, 7.0)
_LEAST_PRIOR = 1e-12  # a class that a head rules out may still be chosen


@dataclass(frozen=True)
class Cells:
    """The classes of items that somebody chose: cells ``[L]``, and where they stand.

    With one prior for all items equal cells are kept once.

    Args:
        annotators: ``[N]`` of each item.
        total: ``[L]`` annotators of the cell's item.
        chosen: ``[L]`` those of them that chose the class.
        prior: ``[L]`` the class's probability before anybody is asked.
        cell: ``[M]`` which cell adds
        item: ``[M]`` to which item.
    """

    annotators: Floats
    total: Floats
    chosen: Floats
    prior: Floats
    cell: NDArray[np.int64]
    item: NDArray[np.int64]

    @classmethod
    def of(cls, counts: Floats, prior: Floats) -> "Cells":
        """Cells of ``[N, C]`` counts with a prior ``[C]`` or ``[N, C]``."""
        need_whole(counts, "worth in annotators")
        item, column = np.nonzero(counts)
        prior = np.maximum(prior, _LEAST_PRIOR)
        totals = counts.sum(1)
        every = np.stack([totals[item], counts[item, column], np.broadcast_to(prior, counts.shape)[item, column]], 1)
        cells, cell = (
            np.unique(every, axis=0, return_inverse=True) if prior.ndim == 1 else (every, np.arange(len(every)))
        )
        return cls(totals, cells[:, 0], cells[:, 1], cells[:, 2], cell.ravel(), item)

    def cross_entropy(self, k: int, strength: float) -> Floats:
        """Of k annotators and the prior, expected over draws, against those left over: ``[N]``, nan without any."""
        each = self.expected(self.chances(k), k, strength)[self.cell]
        return np.where(self.annotators > k, np.bincount(self.item, each, minlength=len(self.annotators)), np.nan)

    def chances(self, k: int) -> Floats:
        """For each number of the k drawn: its chance times the class's share among those left over, ``[L, k + 1]``."""
        drawn = np.arange(min(k, int(self.chosen.max())) + 1.0)
        return _left_over(self.total[:, None], self.chosen[:, None], drawn, k)

    def expected(self, chances: Floats, k: int, strength: float) -> Floats:
        """What each cell adds to its item's cross-entropy, ``[L]`` nats; 0 where nobody is left over."""
        pseudo = np.arange(chances.shape[1]) + strength * self.prior[:, None]
        return np.asarray(chances.sum(1) * np.log(k + strength) - (chances * np.log(pseudo)).sum(1))


@np.errstate(divide="ignore", invalid="ignore")
def _left_over(total: Floats, chosen: Floats, drawn: Floats, k: int) -> Floats:
    """Chance that x of k drawn chose the class, times the class's share among those left over; 0 where none are."""
    log_chance = _log_choose(chosen, drawn) + _log_choose(total - chosen, k - drawn) - _log_choose(total, k)
    return np.where(total > k, np.exp(log_chance) * (chosen - drawn) / (total - k), 0)


def _log_choose(n: Floats, k: Floats | int) -> Floats:
    """Log of the binomial coefficient, ``-inf`` where that is 0, since the gamma function has poles at 0, -1, ..."""
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def best_strength(cells: Cells, annotators: Sequence[int]) -> float:
    """The strength with the lowest cross-entropy, averaged over numbers of annotators.

    Args:
        cells: Of the items that choose.
        annotators: Numbers of annotators.

    Returns:
        In annotators, from 0.0025 to 1,097.
    """
    kernels = [(k, cells.chances(k)) for k in annotators]
    repeats = np.bincount(cells.cell)

    def loss(log_strength: float) -> float:
        strength = float(np.exp(log_strength))
        sums = [repeats @ cells.expected(chances, k, strength) / (cells.annotators > k).sum() for k, chances in kernels]
        return float(np.mean(sums))

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_STRENGTH, method="bounded", options={"xatol": 0.01}).x))
