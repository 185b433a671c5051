"""Paired statistics: by how much an arm differs from its baseline, and how sure one can be of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], Floats]
_EXACT_WITH_TIES = 2**13
_WEIGHTS_AT_ONCE = 2**20  # 8 MB an array of the bootstrap


@dataclass(frozen=True)
class PairedComparison:
    """An arm less its baseline over pairs of runs. What the pairs do not define is nan.

    Differences that are all the same have no spread, hence neither a t-test nor d_z.

    Args:
        mean_difference: Mean of the differences, arm - baseline.
        t_p: Two-sided p-value of the paired t-test.
        corrected_t_p: The same with the variance corrected for splits that share items; ``t_p`` where none do.
        wilcoxon_p: Two-sided exact p-value of the signed-rank test; pairs without a difference are left out.
        cohens_dz: Mean of the differences divided by their sample standard deviation.
        higher: Pairs in which the arm is higher.
        lower: Pairs in which the arm is lower.
    """

    mean_difference: float
    t_p: float
    corrected_t_p: float
    wilcoxon_p: float
    cohens_dz: float
    higher: int
    lower: int


@np.errstate(invalid="ignore")
def paired_comparison(arm: Floats, base: Floats, overlap: float = 0.0) -> PairedComparison:
    """Compare an arm with its baseline over pairs that share seed and split.

    Args:
        arm: ``[S]`` one value a seed.
        base: ``[S]`` the same seeds of the baseline.
        overlap: Items in test divided by items in train where the pairs are redrawn splits of the same items, else 0.

    Source: the paper's section 4.2 for the t-test; Nadeau and Bengio (2003), section 3, for the correction; Cohen
    (1988), section 2.3.5, for d_z.

    Example:
        >>> paired_comparison(np.array([0.3, 0.4, 0.2]), np.array([0.5, 0.5, 0.5])).lower
        3
    """
    # Differences of decimal numbers that are equal on paper must tie here too.
    differences = np.round(arm - base, 12)
    mean = float(np.round(differences.mean(), 10))
    effect = mean / float(differences.std(ddof=1)) if np.ptp(differences) > 0 else np.nan
    return PairedComparison(
        mean_difference=mean,
        t_p=_t_p(effect, len(differences), 0.0),
        corrected_t_p=_t_p(effect, len(differences), overlap),
        wilcoxon_p=_wilcoxon_p(differences),
        cohens_dz=effect,
        higher=int((differences > 0).sum()),
        lower=int((differences < 0).sum()),
    )


def _t_p(effect: float, pairs: int, overlap: float) -> float:
    """Two-sided p-value of the mean difference, given in standard deviations."""
    return float(2 * stats.t.sf(abs(effect) / np.sqrt(1 / pairs + overlap), pairs - 1))


def _wilcoxon_p(differences: Floats) -> float:
    """Exact signed-rank p-value; with ties it is exact up to 13 pairs, then drawn from a fixed seed."""
    if len(differences) < 2:
        return float("nan")
    sizes = np.abs(differences[differences != 0])
    tied = len(np.unique(sizes)) < len(differences)
    drawn = stats.PermutationMethod(n_resamples=_EXACT_WITH_TIES, rng=np.random.default_rng(0))
    return float(stats.wilcoxon(differences, method=drawn if tied else "exact").pvalue)


def holm(p_values: Floats) -> Floats:
    """Adjust a family of p-values so that the chance of any false finding stays below the level.

    Args:
        p_values: ``[K]``; nan, a test that could not be made, is no member of the family.

    Returns:
        ``[K]`` adjusted p-values, nan where there was none.

    Source: Holm (1979).

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    stepped = np.arange(len(order), 0, -1) * p_values[order]
    adjusted = np.full(len(p_values), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def mean_difference(values: Floats, weights: Floats) -> Floats:
    """Weighted mean over items of arm - baseline.

    Args:
        values: ``[2, N]`` of the arm and of the baseline.
        weights: ``[R, N]`` rows sum to 1.

    Returns:
        ``[R]``.
    """
    return np.asarray(weights @ (values[0] - values[1]))


def correlation_difference(values: Floats, weights: Floats) -> Floats:
    """Weighted Pearson correlation of two values of each item under an arm, less that under its baseline.

    Args:
        values: ``[4, N]`` the two values of the arm, then those of the baseline.
        weights: ``[R, N]`` rows sum to 1.

    Returns:
        ``[R]``; nan where something is constant or not finite.
    """
    return _correlation(values[0], values[1], weights) - _correlation(values[2], values[3], weights)


@np.errstate(divide="ignore", invalid="ignore")
def _correlation(left: Floats, right: Floats, weights: Floats) -> Floats:
    """Weighted Pearson correlation, ``[R]``."""
    if not (_varies(left) and _varies(right)):
        return np.full(len(weights), np.nan)
    left, right = left - left.mean(), right - right.mean()
    mean_left, mean_right = weights @ left, weights @ right
    covariance = weights @ (left * right) - mean_left * mean_right
    variances = (weights @ left**2 - mean_left**2) * (weights @ right**2 - mean_right**2)
    correlation = covariance / np.sqrt(variances)
    return np.where(np.isfinite(correlation), correlation, np.nan)


def _varies(values: Floats) -> bool:
    """Whether a correlation with these values can be defined."""
    return bool(np.isfinite(values).all() and np.ptp(values) > 0)


@np.errstate(invalid="ignore")
def bootstrap_interval(
    statistic: Statistic, seeds: Sequence[Floats], *, same_items: bool, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95% percentile interval of a statistic's mean over seeds; seeds and test items are both drawn anew.

    Arm and baseline always get the same draws.

    Args:
        statistic: Of the values of one seed ``[K, N]`` and weights of its items ``[R, N]``, gives ``[R]``.
        seeds: ``[K, N_s]`` for each seed.
        same_items: Whether all seeds have the same test items, which are then drawn together.
        resamples: How many draws, R.
        seed: Of the draws.

    Returns:
        The lower and the upper end; nan where the statistic is not defined.

    Source: Efron and Tibshirani (1993), chapter 13; Owen (2007) for two crossed factors.
    """
    generator = np.random.default_rng(seed)
    seed_weights = _weights(generator, len(seeds), resamples)
    positions = list(range(len(seeds)))
    means = np.zeros(resamples)
    for together in [positions] if same_items else [[position] for position in positions]:
        for block in _blocks(resamples, seeds[together[0]].shape[-1]):
            weights = _weights(generator, seeds[together[0]].shape[-1], block.stop - block.start)
            for position in together:
                means[block] += seed_weights[block, position] * statistic(seeds[position], weights)
    low, high = np.quantile(means, [0.025, 0.975]) if np.isfinite(means).all() else (np.nan, np.nan)
    return float(low), float(high)


def _blocks(resamples: int, size: int) -> list[slice]:
    """Draws that are made at once, so that memory does not grow with their number."""
    step = max(1, _WEIGHTS_AT_ONCE // size)
    return [slice(start, min(start + step, resamples)) for start in range(0, resamples, step)]


def _weights(generator: np.random.Generator, size: int, resamples: int) -> Floats:
    """``[R, size]`` shares with which each thing appears in a draw of ``size`` with replacement."""
    drawn = generator.integers(size, size=(resamples, size)) + size * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size) / size
