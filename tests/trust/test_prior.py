import numpy as np
import pytest

from soft_labels.errors import DataError
from soft_labels.trust.floor import class_marginal
from soft_labels.trust.prior import PriorWorth, annotations_saved, combine, prior_strength, prior_worth
from soft_labels.trust.worth import annotator_curve
from tests.trust.simulation import TRUTHS, Floats, annotate, fuzzed


def known_strength(strength: float, draws: int, items: int, classes: int = 4) -> tuple[Floats, float]:
    """Strengths found for heads about which the truth is Dirichlet, and how often intervals hold the truth."""
    generator = np.random.default_rng(int(strength))
    found, covered = np.empty(draws), []
    for draw in range(draws):
        head = generator.dirichlet(np.ones(classes), items)
        gammas = generator.standard_gamma(strength * head)
        truth = gammas / gammas.sum(1, keepdims=True)
        counts, half = annotate(generator, truth, 12), items // 2
        found[draw] = prior_strength(counts[:half], head[:half])
        both = combine(annotate(generator, truth[half:], 3), head[half:], found[draw])
        covered.append(((both.low <= truth[half:]) & (truth[half:] <= both.high)).mean())
    return found, float(np.mean(covered))


def test_a_head_of_known_strength_is_found() -> None:
    found, covered = known_strength(5, draws=4, items=3000)
    assert found.mean() == pytest.approx(5, rel=0.1)
    assert covered == pytest.approx(0.95, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [1, 4, 15])
def test_strength_and_credible_intervals_keep_their_rates_over_200_draws(strength: float) -> None:
    found, covered = known_strength(strength, draws=200, items=800)
    assert found.mean() == pytest.approx(strength, rel=0.04)
    assert covered == pytest.approx(0.95, abs=0.01)


def saved(found: PriorWorth) -> list[float]:
    return [worth.annotators - k for k, worth in zip(found.annotators, found.equals, strict=True)]


def test_a_head_saves_annotators_as_its_strength_says() -> None:
    generator = np.random.default_rng(1)
    truth = TRUTHS["mixture"](generator, 3000, 3)
    counts, head = annotate(generator, truth, 30), fuzzed(generator, truth, 8)
    curve = annotator_curve(counts[:1500], counts[1500:], class_marginal(counts))
    gain = prior_worth(curve, counts[:1500], head[:1500], counts[1500:], head[1500:])
    none = prior_worth(curve, counts[:1500], np.full((1500, 3), 1 / 3), counts[1500:], np.full((1500, 3), 1 / 3))
    assert gain.annotators == (1, 3, 5)
    assert min(saved(gain)) > 1
    assert max(np.abs(saved(none))) < 0.1
    assert gain.strength > none.strength


def test_nobody_yet_leaves_the_head_alone() -> None:
    head = np.array([[0.7, 0.3]])
    both = combine(np.zeros((1, 2)), head, strength=5.0)
    np.testing.assert_allclose(both.mean, head)
    assert (both.low < head).all()
    assert (head < both.high).all()
    # A Beta(1, 1) has its 95% in the middle.
    even = combine(np.zeros((1, 2)), np.full((1, 2), 0.5), strength=2.0)
    np.testing.assert_allclose([even.low[0, 0], even.high[0, 0]], [0.025, 0.975])


@pytest.fixture(scope="module")
def simulated() -> tuple[Floats, Floats]:
    """Counts of 30 annotators, and three heads that scatter about the truth, ``[3, N, C]``."""
    generator = np.random.default_rng(1)
    truth = TRUTHS["mixture"](generator, 1000, 3)
    heads = np.stack([fuzzed(generator, truth, 8) for _ in range(3)])
    return annotate(generator, truth, 30), heads


def test_what_seeds_save_is_the_mean_of_each(simulated: tuple[Floats, Floats]) -> None:
    counts, heads = simulated
    test, val = slice(0, 500), slice(500, None)
    marginal = class_marginal(counts[val])
    found = annotations_saved(counts[test], heads[:, test], counts[val], heads[:, val], marginal=marginal)
    curve = annotator_curve(counts[test], counts[val], marginal)
    each = [prior_worth(curve, counts[test], head[test], counts[val], head[val]) for head in heads]
    assert found.annotators == (1, 3, 5)
    assert found.reach == ("within",) * 3
    assert found.strength == pytest.approx(np.mean([one.strength for one in each]))
    np.testing.assert_allclose(found.saved, np.mean([saved(one) for one in each], axis=0))
    assert all(one.low < one.value < one.high for one in found.equals)
    shared = annotations_saved(counts[test], heads[:, test], counts[val], heads[:, val], marginal=marginal, curve=curve)
    assert shared == found


def test_a_head_that_knows_all_is_above_the_ladder() -> None:
    generator = np.random.default_rng(2)
    truth = TRUTHS["mixture"](generator, 600, 3)
    counts = annotate(generator, truth, 5)
    found = annotations_saved(counts[:300], truth[:300], counts[300:], truth[300:], marginal=class_marginal(counts))
    assert found.reach == ("above",) * len(found.reach)
    assert found.equals[0].value == 4
    assert np.isnan(found.equals[0].low)


def test_seeds_must_pair(simulated: tuple[Floats, Floats]) -> None:
    counts, heads = simulated
    with pytest.raises(DataError, match="as many seeds in val_predictions as in predictions, got 1"):
        annotations_saved(counts, heads, counts, heads[0], marginal=class_marginal(counts))
