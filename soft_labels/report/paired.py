"""Paired statistics: by how much an arm differs from its baseline, and how sure one can be of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
_MOST_PAIRS = 13


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


def unpaired(arm: Floats, base: Floats) -> PairedComparison:
    """The mean difference alone, where pairs are no draws of their own and nothing can be tested over them.

    Args:
        arm: ``[S]``.
        base: ``[S]``.
    """
    mean = float(np.round(np.round(arm - base, 12).mean(), 10))
    return PairedComparison(mean, np.nan, np.nan, np.nan, np.nan, int((arm > base).sum()), int((arm < base).sum()))


def _t_p(effect: float, pairs: int, overlap: float) -> float:
    """Two-sided p-value of the mean difference, given in standard deviations."""
    return float(2 * stats.t.sf(abs(effect) / np.sqrt(1 / pairs + overlap), pairs - 1))


def _wilcoxon_p(differences: Floats) -> float:
    """Exact signed-rank p-value; with ties it is exact up to 13 pairs, then drawn from a fixed seed."""
    if len(differences) < 2 or np.isnan(differences).any():
        return float("nan")
    sizes = np.abs(differences[differences != 0])
    if len(np.unique(sizes)) == len(differences):
        return float(stats.wilcoxon(differences, method="exact").pvalue)
    if len(sizes) > _MOST_PAIRS:
        drawn = stats.PermutationMethod(n_resamples=2**_MOST_PAIRS, rng=np.random.default_rng(0))
        return float(stats.wilcoxon(differences, method=drawn).pvalue)
    ranks = stats.rankdata(sizes)
    signs = (np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes))) & 1
    sums, found = signs @ ranks, ranks[differences[differences != 0] > 0].sum()
    return float(min(1.0, 2 * min((sums <= found).mean(), (sums >= found).mean())))


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
