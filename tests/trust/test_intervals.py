import numpy as np
import pytest
from scipy import stats

from soft_labels.errors import DataError
from soft_labels.report.paired import paired_comparison
from soft_labels.trust.intervals import (
    correlation_values,
    ratio_values,
    seed_interval,
    split_interval,
)
from tests.trust.simulation import Floats


def crossed(generator: np.random.Generator, seeds: int, spread: tuple[float, float, float], items: int = 200) -> Floats:
    """Values around 0 with effects of seeds, of items, and a rest."""
    by_seed, by_item, rest = spread
    shape = (seeds, items)
    effects = by_seed * generator.standard_normal((seeds, 1)) + by_item * generator.standard_normal(items)
    return np.asarray(effects + rest * generator.standard_normal(shape))


def coverage(seeds: int, spread: tuple[float, float, float], draws: int) -> float:
    generator = np.random.default_rng(seeds)
    found = [seed_interval(crossed(generator, seeds, spread)) for _ in range(draws)]
    return float(np.mean([interval.low <= 0 <= interval.high for interval in found]))


SEEDS_RULE, ITEMS_RULE, REST_RULES = (0.03, 0.1, 0.1), (0.003, 0.3, 0.1), (0.005, 0.1, 0.5)


@pytest.mark.parametrize("spread", [SEEDS_RULE, ITEMS_RULE, REST_RULES])
@pytest.mark.parametrize("seeds", [3, 10])
def test_intervals_cover(seeds: int, spread: tuple[float, float, float]) -> None:
    assert coverage(seeds, spread, 400) > 0.92


@pytest.mark.slow
@pytest.mark.parametrize("spread", [SEEDS_RULE, ITEMS_RULE, REST_RULES])
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_intervals_cover_over_4000_draws(seeds: int, spread: tuple[float, float, float]) -> None:
    assert 0.944 < coverage(seeds, spread, 4000) < 0.99


def correlated(generator: np.random.Generator, label: Floats, seeds: int, noise: float) -> Floats:
    """Entropies of an arm whose seeds differ in how much they know of those of the annotators."""
    known = 0.5 + 0.1 * generator.standard_normal((seeds, 1))
    return np.asarray(known * label + noise * generator.standard_normal((seeds, len(label))))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_of_a_difference_of_correlations_cover(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    many = generator.standard_normal(2000)
    long = [correlation_values(correlated(generator, many, 400, noise), many).mean() for noise in (1.0, 2.0)]
    truth = long[0] - long[1]
    covered = 0
    for _ in range(1000):
        label = generator.standard_normal(200)
        arm, base = (correlated(generator, label, seeds, noise) for noise in (1.0, 2.0))
        found = seed_interval(correlation_values(arm, label) - correlation_values(base, label))
        covered += found.low <= truth <= found.high
    assert 0.93 < covered / 1000 < 0.995


@pytest.mark.slow
def test_intervals_over_splits_that_share_items_cover() -> None:
    generator, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        difference = generator.standard_normal(400)  # of all items there are, around 0
        splits = [difference[generator.permutation(400)[:80]].mean() for _ in range(10)]
        found = split_interval(np.array(splits), overlap=80 / 320)
        covered += found.low <= 0 <= found.high
    assert 0.93 < covered / 1000 < 0.99


def test_a_split_without_a_value_leaves_no_ends() -> None:
    found = split_interval(np.array([0.4, np.inf]), 0.2)
    assert np.isnan([found.low, found.high]).all()


def test_seeds_alone_give_the_t_interval_of_scipy() -> None:
    seeds = np.array([0.3, 0.35, 0.4, 0.28])
    low, high = stats.t.interval(0.95, 3, seeds.mean(), stats.sem(seeds))
    found = seed_interval(np.tile(seeds[:, None], (1, 50)))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_one_seed_gives_the_t_interval_of_its_items() -> None:
    items = np.random.default_rng(0).standard_normal(40)
    low, high = stats.t.interval(0.9, 39, items.mean(), stats.sem(items))
    found = seed_interval(items, level=0.9)
    assert (found.value, found.low, found.high) == pytest.approx((items.mean(), low, high))


def test_items_without_a_value_are_left_out_and_an_infinite_one_leaves_no_ends() -> None:
    values = np.array([[0.1, np.nan, 0.3], [0.2, np.nan, 0.5]])
    assert seed_interval(values) == seed_interval(values[:, [0, 2]])
    endless = seed_interval(np.array([[0.1, np.inf, 0.3]]))
    assert endless.value == np.inf
    assert np.isnan([endless.low, endless.high]).all()
    with pytest.raises(DataError, match="at least 2 items"):
        seed_interval(np.array([[0.1], [0.2]]))


def test_splits_agree_with_the_corrected_test() -> None:
    difference = np.random.default_rng(1).normal(0.01, 0.02, 10)
    for level in (0.9, 0.99):
        found = split_interval(difference, overlap=15 / 70, level=level)
        p = paired_comparison(difference, np.zeros(10), overlap=15 / 70).corrected_t_p
        assert (found.low > 0 or found.high < 0) == (p < 1 - level)
    edge = split_interval(difference, 15 / 70, 1 - paired_comparison(difference, np.zeros(10), 15 / 70).corrected_t_p)
    assert min(abs(edge.low), abs(edge.high)) == pytest.approx(0, abs=1e-9)


def test_one_split_has_no_interval() -> None:
    found = split_interval(np.array([0.4]), 0.2)
    assert found.value == 0.4
    assert np.isnan([found.low, found.high]).all()


def test_values_of_a_correlation_have_its_mean_and_its_spread() -> None:
    generator = np.random.default_rng(0)
    pairs = generator.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], (500, 300))
    found = [correlation_values(pair[None, :, 0], pair[:, 1]) for pair in pairs]
    correlations = [np.corrcoef(pair.T)[0, 1] for pair in pairs]
    np.testing.assert_allclose([values.mean() for values in found], correlations)
    assert np.mean([values.std() / np.sqrt(300) for values in found]) == pytest.approx(np.std(correlations), rel=0.1)
    intervals = [seed_interval(values) for values in found]
    assert np.mean([each.low <= 0.6 <= each.high for each in intervals]) > 0.92
    assert np.isnan(correlation_values(np.ones((1, 5)), np.arange(5.0))).all()


def test_values_of_a_ratio_have_its_mean_and_its_spread() -> None:
    generator = np.random.default_rng(0)
    tops, bottoms = generator.normal(1, 1, (500, 1, 300)), generator.normal(2, 1, (500, 300))
    found = [ratio_values(top, bottom) for top, bottom in zip(tops, bottoms, strict=True)]
    ratios = tops[:, 0].mean(1) / bottoms.mean(1)
    np.testing.assert_allclose([values.mean() for values in found], ratios)
    assert np.mean([values.std() / np.sqrt(300) for values in found]) == pytest.approx(np.std(ratios), rel=0.1)
