import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import dirichlet_multinomial, multinomial

from soft_labels.errors import DataError
from soft_labels.trust.dirichlet import DirichletMixture, Posterior, best, fit_mixtures
from tests.trust.simulation import annotate, dirichlet, mixture


def log_likelihood(counts: np.ndarray, mixture: DirichletMixture) -> float:
    """Of counts in a given order of their annotations, by scipy."""
    total = counts.sum(1).astype(int)
    parts = [
        dirichlet_multinomial.logpmf(counts, alpha, total) + np.log(weight)
        for alpha, weight in zip(mixture.alpha, mixture.weights, strict=True)
    ]
    orders = [
        multinomial.logpmf(row, n, row / n) - np.sum(row * np.log(np.maximum(row / n, 1e-300)))
        for row, n in zip(counts, total, strict=True)
    ]
    return float((logsumexp(parts, axis=0) - orders).sum())


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    generator = np.random.default_rng(0)
    truth = mixture(generator, 1500, 3)
    return np.concatenate([annotate(generator, truth[:700], 8), annotate(generator, truth[700:], 15)]).astype(int)


def test_the_likelihood_is_that_of_scipy(counts: np.ndarray) -> None:
    for fitted in fit_mixtures(counts[:200], (1, 3)):
        assert fitted.log_likelihood == pytest.approx(log_likelihood(counts[:200], fitted), rel=1e-9)
        parameters = fitted.alpha.size + len(fitted.weights) - 1
        assert fitted.bic == pytest.approx(parameters * np.log(200) - 2 * fitted.log_likelihood)


def test_a_fit_finds_what_generated_the_counts() -> None:
    generator = np.random.default_rng(1)
    truth = dirichlet(generator, 6000, 4)
    single, *_ = fits = fit_mixtures(annotate(generator, truth, 20), (1, 3))
    np.testing.assert_allclose(single.alpha[0], [0.4, 0.8, 1.2, 1.6], rtol=0.06)
    assert best(fits) is single


def test_no_step_away_from_a_fit_is_likelier(counts: np.ndarray) -> None:
    generator = np.random.default_rng(2)
    for fitted in fit_mixtures(counts, (1, 4)):
        for size in (0.01, 0.1):
            alpha = fitted.alpha * np.exp(size * generator.standard_normal(fitted.alpha.shape))
            other = DirichletMixture(fitted.weights, alpha, 0, 0)
            assert log_likelihood(counts, other) < fitted.log_likelihood


def test_components_are_found_and_counted(counts: np.ndarray) -> None:
    fits = fit_mixtures(counts, (1, 2, 4, 8))
    assert [len(fit.weights) for fit in fits] == [1, 2, 4, 8]
    assert np.all(np.diff([fit.log_likelihood for fit in fits]) > 0)
    assert len(best(fits).weights) == 4


def test_the_posterior_is_that_of_bayes(counts: np.ndarray) -> None:
    fitted = fit_mixtures(counts, (3,))[0]
    posterior = fitted.posterior(counts)
    row, total = counts[7], counts[7].sum()
    chances = [
        weight * dirichlet_multinomial.pmf(row, alpha, total)
        for weight, alpha in zip(fitted.weights, fitted.alpha, strict=True)
    ]
    np.testing.assert_allclose(posterior.weights[7], np.array(chances) / sum(chances))
    np.testing.assert_allclose(posterior.alpha[7], row + fitted.alpha)


def test_moments_of_the_posterior_are_those_of_its_draws() -> None:
    posterior = Posterior(np.tile([0.3, 0.7], (60_000, 1)), np.tile([[4.0, 1.0, 2.0], [1.0, 3.0, 3.0]], (60_000, 1, 1)))
    drawn = posterior.draw(np.random.default_rng(0))
    np.testing.assert_allclose(drawn.mean(0), posterior.mean()[0], atol=0.005)
    np.testing.assert_allclose(np.log(drawn).mean(0), posterior.expected_log()[0], atol=0.02)


def test_a_whole_weight_is_as_good_as_that_many_annotators(counts: np.ndarray) -> None:
    once, weighted = fit_mixtures(counts, (2,))[0], fit_mixtures(counts + 1e-9, (2,))[0]
    np.testing.assert_allclose(np.sort(weighted.weights), np.sort(once.weights), atol=1e-2)
    assert weighted.log_likelihood == pytest.approx(once.log_likelihood, rel=1e-4)


def test_one_annotation_an_item_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="more than one annotation"):
        fit_mixtures(np.eye(3)[[0, 1, 2, 2]])


@pytest.mark.parametrize("counts", [[[5, 0]], [[5, 0], [5, 0], [0, 5]], [[3, 3, 0]] * 20, [[2, 0, 0], [1, 1, 0]]])
def test_little_and_lopsided_data_are_fitted_without_a_warning(counts: list[list[int]]) -> None:
    for fitted in fit_mixtures(np.array(counts)):
        assert np.isfinite(fitted.log_likelihood)
        assert fitted.weights.sum() == pytest.approx(1)
        assert np.isfinite(fitted.posterior(np.array(counts)).expected_log()).all()


def test_of_few_annotations_no_more_components_are_sought_than_there_are_different_shares() -> None:
    """Rows of one and of two annotations may be the same shares: six of three classes."""
    generator = np.random.default_rng(0)
    truth = dirichlet(generator, 300, 3)
    counts = np.stack([generator.multinomial(1 + row % 2, dist) for row, dist in enumerate(truth)])
    assert len(np.unique(counts, axis=0)) == 9
    assert [len(one.weights) for one in fit_mixtures(counts, [1, 3, 6, 8])] == [1, 3, 6]
