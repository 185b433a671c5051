import numpy as np
import pytest

from soft_labels.errors import DataError
from soft_labels.trust.draws import draw_annotators
from soft_labels.trust.floor import class_marginal
from soft_labels.trust.inputs import cross_entropy, shares
from soft_labels.trust.intervals import seed_interval
from soft_labels.trust.prior import prior_strength
from soft_labels.trust.worth import annotator_curve
from tests.trust.simulation import TRUTHS, Floats, annotate


def fresh_annotators(kind: str, k: int, draws: int, items: int) -> tuple[Floats, float]:
    """Worth of a model that is k fresh annotators, and how often its interval covers k."""
    generator = np.random.default_rng(k)
    worth, covered = np.empty(draws), 0
    for draw in range(draws):
        truth = TRUTHS[kind](generator, items, 5)
        counts, others = annotate(generator, truth, 20), annotate(generator, truth, k)
        val, test = slice(0, items // 3), slice(items // 3, None)
        marginal = class_marginal(counts[val])
        curve = annotator_curve(counts[test], counts[val], marginal)
        strength = curve.strength[curve.annotators.tolist().index(k)]
        found = curve.worth(((others + strength * marginal) / (k + strength))[test])
        interval = seed_interval(found.values)
        worth[draw] = found.annotators
        covered += interval.low <= k <= interval.high
    return worth, covered / draws


@pytest.mark.parametrize("k", [1, 4])
def test_k_fresh_annotators_are_worth_k(k: int) -> None:
    worth, _ = fresh_annotators("mixture", k, draws=4, items=2000)
    assert worth.mean() == pytest.approx(k, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRUTHS)
@pytest.mark.parametrize("k", [1, 3])
def test_worth_keeps_its_rates_over_200_draws(kind: str, k: int) -> None:
    worth, covered = fresh_annotators(kind, k, draws=200, items=800)
    assert worth.mean() == pytest.approx(k, rel=0.03)
    assert covered > 0.91


@pytest.mark.slow
def test_the_exact_sum_is_the_mean_of_many_draws() -> None:
    generator = np.random.default_rng(0)
    truth = TRUTHS["dirichlet"](generator, 300, 4)
    counts = np.concatenate([annotate(generator, truth[:150], 6), annotate(generator, truth[150:], 9)])
    marginal = class_marginal(counts)
    curve = annotator_curve(counts, counts, marginal)
    for k in (1, 4):
        step = curve.annotators.tolist().index(k)
        strength = curve.strength[step]
        tried = []
        for _ in range(400):
            drawn = draw_annotators(counts, k, generator)
            log_pred = np.log((drawn + strength * marginal) / (k + strength))
            tried.append(cross_entropy(shares(counts - drawn), log_pred).mean())
        error = np.std(tried) / np.sqrt(len(tried))
        assert curve.cross_entropy[step].mean() == pytest.approx(np.mean(tried), abs=4 * error)


def test_the_chosen_strength_is_the_best_of_a_grid() -> None:
    generator = np.random.default_rng(0)
    truth = TRUTHS["dirichlet"](generator, 4000, 4)
    counts = annotate(generator, truth, 30)
    curve = annotator_curve(counts, counts, class_marginal(counts))
    # The truth is Dirichlet with parameters that sum to 4, and its mean is the marginal.
    np.testing.assert_allclose(curve.strength[1:6], 4, rtol=0.1)


def test_the_ladder_ends_where_nobody_is_left_over() -> None:
    generator = np.random.default_rng(0)
    truth = TRUTHS["dirichlet"](generator, 60, 3)
    counts = np.concatenate([annotate(generator, truth[:20], 4), annotate(generator, truth[20:], 6)])
    curve = annotator_curve(counts, counts, class_marginal(counts))
    assert curve.annotators.tolist() == [0, 1, 2, 3, 4, 5]
    assert np.isnan(curve.cross_entropy).sum(1).tolist() == [0, 0, 0, 0, 20, 20]


def test_both_ends_are_named() -> None:
    generator = np.random.default_rng(0)
    truth = TRUTHS["mixture"](generator, 900, 3)
    counts = annotate(generator, truth, 5)
    marginal = class_marginal(counts)
    curve = annotator_curve(counts, counts, marginal)
    low, high = curve.worth(np.full((900, 3), 1 / 3)), curve.worth(truth)
    assert (low.annotators, low.reach) == (0, "below")
    assert (high.annotators, high.reach) == (4, "above")
    assert np.isnan(low.values).all()
    assert np.isnan(high.values).all()


def test_a_model_that_rules_out_answers_is_worth_nothing() -> None:
    counts = np.array([[2, 2], [3, 1], [1, 3]])
    curve = annotator_curve(counts, counts, class_marginal(counts))
    predictions = np.array([[1.0, 0.0], [0.8, 0.2], [0.2, 0.8]])
    assert curve.worth(predictions).reach == "below"
    assert np.isfinite(prior_strength(counts, predictions))


@pytest.mark.parametrize(("counts", "said"), [(np.eye(2), "single annotator"), (np.full((4, 2), 1.5), "whole")])
def test_annotators_must_be_there_to_be_drawn(counts: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        annotator_curve(counts, counts, np.array([0.5, 0.5]))
    with pytest.raises(DataError, match=said):
        prior_strength(counts, np.full(counts.shape, 0.5))
