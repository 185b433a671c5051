"""Between what a KL and an entropy correlation can lie: constants, floor and ceiling."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.trust.dirichlet import DirichletMixture
from soft_labels.trust.draws import draw_annotators
from soft_labels.trust.inputs import Floats, Numbers, as_counts, cross_entropy, entropies, shares

_LEAST_TO_HALVE = 4


def class_marginal(train_counts: Numbers) -> Floats:
    """The best answer that looks at no item: the mean label_dist of the training items.

    Args:
        train_counts: ``[N, C]``.

    Returns:
        ``[C]`` sums to 1. Where a class was never chosen, one item's worth of the uniform distribution is added, lest
        a single later choice of it make the constant's KL infinite.
    """
    label_dist = shares(as_counts(train_counts, "train_counts"))
    items, classes = label_dist.shape
    mean = label_dist.mean(0)
    return np.asarray(mean if mean.all() else (items * mean + 1 / classes) / (items + 1))


def constant_kl(counts: Numbers, constant: Floats) -> Floats:
    """KL of one answer for every item.

    Args:
        counts: ``[N, C]``.
        constant: ``[C]`` positive, sums to 1; of :func:`class_marginal`, or uniform.

    Returns:
        ``[N]`` nats.
    """
    label_dist = shares(as_counts(counts))
    return cross_entropy(label_dist, np.log(constant)) - entropies(label_dist)


def kl_floor(counts: Numbers, mixture: DirichletMixture) -> Floats:
    """KL that a perfect model is still charged because an item has finitely many annotators.

    Floor divided by the truth in simulations (means of 6 data sets of 1,500 items; 3, 7, 20 and 50 annotators; 3, 5 and
    10 classes; components 1, 3 or 6 by BIC): .99 to 1.01 where the truth is one Dirichlet; .99 to 1.02 where it is a
    mixture that can be told, from 7 annotators on (.94 with 600 items); .79 to .96 for a mixture that cannot (3
    annotators, or 11 components); .91 to .98 where it is logistic-normal. So it errs towards a lower floor: BIC takes
    too few components for few annotators, and then the upper end of :func:`floor_range` is nearer.

    Args:
        counts: ``[N, C]``.
        mixture: Of the true distributions, fitted to these or to more counts.

    Returns:
        ``[N]`` nats, E[D_KL(label_dist || truth) | counts]; only their mean should be read.

    Source:
        With r_m the posterior weight of component m, a its parameters, A their sum, p = label_dist and n annotators:
        sum_m r_m (-H(p) - sum_k p_k (digamma(c_k + a_mk) - digamma(n + A_m))).
    """
    rows = as_counts(counts)
    label_dist = shares(rows)
    return cross_entropy(label_dist, mixture.posterior(rows).expected_log()) - entropies(label_dist)


def entropy_ceiling(counts: Numbers, mixture: DirichletMixture, draws: int = 20, seed: int = 0) -> float:
    """Entropy correlation that a perfect model would reach: of label_entropy with the entropy of the truth.

    Ceiling less the truth in the same simulations: within .02 from 7 annotators on, but for a mixture of 11 components
    (.05 too high) and a logistic-normal of 10 classes (.05 too low); within .08 with 3 annotators. Half of the
    annotators (:func:`split_half`) give .06 to .12 too low a ceiling with 7, and a right one from 20 on.

    Args:
        counts: ``[N, C]``.
        mixture: Of the true distributions.
        draws: True distributions that are drawn for each item.
        seed: Of the draws.

    Returns:
        Mean of the draws' Pearson correlations; nan where all items have the same label_entropy.
    """
    rows = as_counts(counts)
    posterior, generator = mixture.posterior(rows), np.random.default_rng(seed)
    label_entropy = entropies(shares(rows))
    return float(np.mean([pearson(label_entropy, entropies(posterior.draw(generator))) for _ in range(draws)]))


@dataclass(frozen=True)
class SplitHalf:
    """How well one half of the annotators foretells which items divide the other half.

    Args:
        half: Pearson correlation of the label entropies of two halves.
        whole: Expected correlation with as many fresh annotators as there are (Spearman-Brown).
        ceiling: Square root of ``whole``: the correlation with the entropies that endlessly many repetitions of the
            same number of annotators would have on average.
    """

    half: float
    whole: float
    ceiling: float


def split_half(counts: Numbers, draws: int = 20, seed: int = 0) -> SplitHalf:
    """Reliability of the label entropies, without a model of the annotators.

    Args:
        counts: ``[N, C]`` whole numbers; items with fewer than four annotators are left out, since one
            annotator has no entropy.
        draws: Random halvings that are averaged. Of an odd number one annotator sits out.
        seed: Of the draws.

    Raises:
        DataError: Counts are not whole, or there are no two items with four annotators.

    Source:
        Spearman (1910) and Brown (1910): r of the whole is 2 r / (1 + r) of the half.
    """
    rows = as_counts(counts)
    rows = rows[rows.sum(1) >= _LEAST_TO_HALVE]
    if len(rows) < 2:
        raise DataError(
            f"split-half wants 2 items with {_LEAST_TO_HALVE} annotators or more, got {len(rows)}; add some"
        )
    generator, half = np.random.default_rng(seed), (rows.sum(1) // 2).astype(np.int64)
    found = float(np.mean([_halves(rows, half, generator) for _ in range(draws)]))
    whole = 2 * found / (1 + found)
    return SplitHalf(found, whole, float(np.sqrt(max(whole, 0))))


def _halves(rows: Floats, half: NDArray[np.int64], generator: np.random.Generator) -> float:
    """Correlation of the entropies of two halves that share no annotator."""
    one = draw_annotators(rows, half, generator)
    other = draw_annotators(rows - one, half, generator)
    return pearson(entropies(shares(one)), entropies(shares(other)))


def share_of_achievable(kl: float, constant: float, floor: float) -> float:
    """How far a model goes from the constant answer to a perfect model.

    Args:
        kl: Mean KL of the model, nats.
        constant: Mean KL of the class marginal, nats.
        floor: Mean KL of a perfect model, nats.

    Returns:
        1 at the floor, 0 at the constant, below 0 beyond it; nan where the constant is no higher than the floor.

    Example:
        >>> round(share_of_achievable(0.405, 0.582, 0.288), 2)
        0.6
    """
    return (constant - kl) / (constant - floor) if constant > floor else float("nan")


def pearson(left: Floats, right: Floats) -> float:
    """Pearson correlation, nan without a warning where a side is constant."""
    return float(pearson_rows(left[None], right)[0])


def pearson_rows(left: Floats, right: Floats) -> Floats:
    """Pearson correlation of each row of ``[S, N]`` with ``[N]``, ``[S]``; nan where a side is constant."""
    left, right = left - left.mean(-1, keepdims=True), right - right.mean()
    scale = np.sqrt((left**2).sum(-1) * (right**2).sum())
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(scale > 1e-12, left @ right / np.where(scale > 1e-12, scale, 1), np.nan))


def floor_range(counts: Numbers, mixtures: Sequence[DirichletMixture]) -> tuple[float, float]:
    """The lowest and the highest mean floor over mixtures of different sizes, nats."""
    means = [float(kl_floor(counts, mixture).mean()) for mixture in mixtures]
    return min(means), max(means)


def ceiling_range(counts: Numbers, mixtures: Sequence[DirichletMixture]) -> tuple[float, float]:
    """The lowest and the highest ceiling over mixtures of different sizes."""
    ceilings = [entropy_ceiling(counts, mixture) for mixture in mixtures]
    return min(ceilings), max(ceilings)
