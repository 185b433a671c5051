"""What the annotators of a data set have in common: a mixture of Dirichlet distributions behind their counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import digamma, gammaln, softmax

from soft_labels.errors import DataError
from soft_labels.trust.inputs import Floats, Numbers, as_counts, shares

COMPONENTS = (1, 3, 6, 12)
_LEAST, _MOST = 1e-3, 1e5  # of a Dirichlet parameter: a class that a component never shows, and no spread at all
_STARTS, _FIRST_STEPS, _MOST_STEPS = 3, 15, 400
_LEAST_GAIN = 1e-5  # nats of all items, a step
_STRETCH = 1.8  # of fixed-point steps, which are short; from 2 on they would swing


@dataclass(frozen=True)
class Posterior:
    """What the counts of each item say about its true distribution: a mixture of Dirichlet distributions.

    Args:
        weights: ``[N, M]`` rows sum to 1.
        alpha: ``[N, M, C]`` positive.
    """

    weights: Floats
    alpha: Floats

    def mean(self) -> Floats:
        """Expected true distribution, ``[N, C]``."""
        return np.asarray(np.einsum("nm,nmc->nc", self.weights, self.alpha / self.alpha.sum(-1, keepdims=True)))

    def expected_log(self) -> Floats:
        """Expected log of the true distribution, ``[N, C]`` nats."""
        each = digamma(self.alpha) - digamma(self.alpha.sum(-1, keepdims=True))
        return np.asarray(np.einsum("nm,nmc->nc", self.weights, each))

    def draw(self, generator: np.random.Generator) -> Floats:
        """One true distribution an item, ``[N, C]``."""
        chosen = (self.weights.cumsum(1) < generator.random((len(self.weights), 1))).sum(1)
        chosen = np.minimum(chosen, self.weights.shape[1] - 1)
        gammas = generator.standard_gamma(self.alpha[np.arange(len(chosen)), chosen])
        return np.asarray(gammas / gammas.sum(1, keepdims=True))


@dataclass(frozen=True)
class DirichletMixture:
    """True distributions of items, drawn from one of several Dirichlet distributions.

    Args:
        weights: ``[M]`` sum to 1.
        alpha: ``[M, C]`` positive.
        log_likelihood: Of the counts it was fitted to, in a given order of the annotations, nats.
        bic: Bayesian information criterion; lower is better.
    """

    weights: Floats
    alpha: Floats
    log_likelihood: float
    bic: float

    def posterior(self, counts: Numbers) -> Posterior:
        """Posterior of each item's true distribution.

        Args:
            counts: ``[N, C]``.
        """
        rows = as_counts(counts)
        table = _Table.of(rows)
        joint = table.log_likelihood(self.alpha) + np.log(self.weights)
        return Posterior(softmax(joint, axis=1)[table.row_of], rows[:, None] + self.alpha)


def fit_mixtures(counts: Numbers, components: Sequence[int] = COMPONENTS) -> tuple[DirichletMixture, ...]:
    """Fit Dirichlet mixtures to counts by maximum likelihood.

    The true distributions are integrated out (Dirichlet-multinomial). Expectation maximisation from a k-means start:
    it damps the last bits in which machines differ (1e-14 of a floor), where quasi-Newton steps carry them to 1e-3 of a
    floor and 1e-2 of a ceiling with 12 components. Weighted counts are taken as that much evidence.

    Args:
        counts: ``[N, C]``; some item with more than one annotation, or spread cannot be told from disagreement.
        components: Numbers of components; those above the number of different shares are left out.

    Returns:
        A mixture for each number of components; :func:`best` takes the one with the lowest BIC.

    Raises:
        DataError: Counts are malformed, or no item has more than one annotation.

    Source:
        Minka, "Estimating a Dirichlet distribution", 2000, for the fixed-point step; Schwarz (1978) for BIC.

    Example:
        >>> truth = np.random.default_rng(0).dirichlet([4.0, 2.0, 1.0], 2000)
        >>> counts = np.random.default_rng(1).multinomial(20, truth)
        >>> fit_mixtures(counts, [1])[0].alpha.round(1).tolist()
        [[4.0, 2.0, 1.0]]
    """
    rows = as_counts(counts)
    if rows.sum(1).max() <= 1:
        raise DataError(
            f"none of {len(rows)} items has more than one annotation, so nothing tells how far annotators of an item "
            "differ; give counts with several annotators for some items"
        )
    table = _Table.of(rows)
    most = len(np.unique(shares(table.rows), axis=0))
    return tuple(_fit(table, number) for number in components if number <= most)


def best(mixtures: Sequence[DirichletMixture]) -> DirichletMixture:
    """The mixture with the lowest BIC."""
    return min(mixtures, key=lambda mixture: mixture.bic)


@dataclass(frozen=True)
class _Table:
    """Counts without repetition: different rows ``[U, C]``, and the (class, count) cells ``[L]`` that they are made of.

    The totals are one more class, with a sign of -1, as they enter the Dirichlet-multinomial likelihood.
    """

    rows: Floats
    repeats: Floats
    row_of: NDArray[np.int64]
    cells: sparse.csr_matrix
    class_of: NDArray[np.int64]
    value: Floats
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, counts: Floats) -> "_Table":
        """Collect the rows and cells of ``[N, C]`` counts."""
        rows, row_of, repeats = np.unique(counts, axis=0, return_inverse=True, return_counts=True)
        columns = [np.unique(column, return_inverse=True) for column in [*rows.T, rows.sum(1)]]
        sizes = np.array([len(values) for values, _ in columns])
        starts = np.concatenate([[0], sizes.cumsum()[:-1]])
        indices = np.stack([inverse + start for (_, inverse), start in zip(columns, starts, strict=True)], 1)
        ends = np.arange(len(rows) + 1) * len(columns)
        cells = sparse.csr_matrix((np.ones(indices.size), indices.ravel(), ends), shape=(len(rows), sizes.sum()))
        class_of = np.repeat(np.arange(len(columns)), sizes)
        values = np.concatenate([values for values, _ in columns])
        return cls(rows, repeats.astype(np.float64), row_of.ravel(), cells, class_of, values, starts)

    def log_likelihood(self, alpha: Floats) -> Floats:
        """Of each row under each of ``[M, C]`` Dirichlets, ``[U, M]`` nats, in a given order of its annotations."""
        whole = _with_total(alpha)
        rising = gammaln(self.value + whole[:, self.class_of]) - gammaln(whole)[:, self.class_of]
        return np.asarray(self.cells @ (rising * np.where(self.class_of == alpha.shape[1], -1, 1)).T)

    def by_cell(self, held: Floats) -> Floats:
        """How much of each cell the components hold, ``[M, L]``, of how much of the rows they hold, ``[U, M]``."""
        return np.asarray((self.cells.T @ held).T)

    def slopes(self, alpha: Floats, in_cells: Floats) -> Floats:
        """Derivatives by each parameter and last by the total, without its sign, ``[M, C + 1]``."""
        whole = _with_total(alpha)
        each = in_cells * (digamma(self.value + whole[:, self.class_of]) - digamma(whole)[:, self.class_of])
        return np.asarray(np.add.reduceat(each, self.starts, axis=1))

    def shared(self, alpha: Floats, log_weights: Floats) -> tuple[float, Floats]:
        """Log likelihood of all items, and how much of the rows each component holds, ``[U, M]``."""
        joint = self.log_likelihood(alpha) + log_weights
        top = joint.max(1, keepdims=True)
        each = np.exp(joint - top)
        total = each.sum(1, keepdims=True)
        return float(self.repeats @ (top + np.log(total))[:, 0]), each * (self.repeats[:, None] / total)


def _with_total(alpha: Floats) -> Floats:
    """``[M, C]`` with the sums as one more column."""
    return np.concatenate([alpha, alpha.sum(1, keepdims=True)], axis=1)


def _fit(table: _Table, number: int) -> DirichletMixture:
    """Expectation maximisation: a few steps from several starts, then on from the best of them."""
    starts = [_start(table, number, seed) for seed in range(_STARTS if number > 1 else 1)]
    firsts = [_maximised(table, *start, _FIRST_STEPS, inner=1) for start in starts]
    alpha, weights, log_likelihood = _maximised(table, *max(firsts, key=lambda fit: fit[2])[:2], _MOST_STEPS, inner=5)
    parameters = alpha.size + number - 1
    bic = -2 * log_likelihood + parameters * np.log(table.repeats.sum())
    return DirichletMixture(weights, alpha, log_likelihood, float(bic))


def _maximised(table: _Table, alpha: Floats, weights: Floats, steps: int, inner: int) -> tuple[Floats, Floats, float]:
    """Steps of expectation maximisation, each with some fixed-point steps of the Dirichlet parameters."""
    log_likelihood, held = table.shared(alpha, np.log(weights))
    for _ in range(steps):
        in_cells = table.by_cell(held)
        for _ in range(inner):
            slopes = table.slopes(alpha, in_cells)
            longer = (slopes[:, :-1] / np.maximum(slopes[:, -1:], 1e-300)) ** _STRETCH
            alpha = np.clip(alpha * longer, _LEAST, _MOST)
        weights = np.maximum(held.sum(0) / held.sum(), 1e-12)
        before = log_likelihood
        log_likelihood, held = table.shared(alpha, np.log(weights))
        if log_likelihood - before < _LEAST_GAIN:
            break
    return alpha, weights, log_likelihood


def _start(table: _Table, number: int, seed: int) -> tuple[Floats, Floats]:
    """One Dirichlet around each centre of a k-means clustering of the shares: ``[M, C]`` and weights ``[M]``."""
    from sklearn.cluster import KMeans

    points = shares(table.rows)
    groups = KMeans(number, n_init=1, random_state=seed).fit(points, sample_weight=table.repeats)
    sizes = np.bincount(groups.labels_, weights=table.repeats, minlength=number) + 1
    centres = 0.9 * np.asarray(groups.cluster_centers_, dtype=np.float64) + 0.1 / points.shape[1]
    return 3 * points.shape[1] * centres, sizes / sizes.sum()
