"""Against scipy where scipy has the same thing, and against numbers worked out by hand."""

import math
import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import stats

import soft_labels.report.paired
from soft_labels.report.paired import (
    Statistic,
    bootstrap_interval,
    correlation_difference,
    holm,
    mean_difference,
    paired_comparison,
)


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    hard = generator.normal(0.4, 0.02, 10)
    return hard + generator.normal(-0.02, 0.02, 10), hard


def test_the_paired_tests_are_those_of_scipy(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    soft, hard = pairs
    found = paired_comparison(soft, hard)
    assert found.mean_difference == pytest.approx((soft - hard).mean())
    assert found.t_p == pytest.approx(stats.ttest_rel(soft, hard).pvalue)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(soft, hard, method="exact").pvalue)
    assert found.cohens_dz == pytest.approx((soft - hard).mean() / (soft - hard).std(ddof=1))
    assert (found.higher, found.lower) == (int((soft > hard).sum()), int((soft < hard).sum()))


def test_the_paired_tests_do_not_depend_on_which_arm_comes_first(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = paired_comparison(*pairs), paired_comparison(*pairs[::-1])
    assert one.t_p == pytest.approx(other.t_p)
    assert one.wilcoxon_p == pytest.approx(other.wilcoxon_p)
    assert one.cohens_dz == pytest.approx(-other.cohens_dz)
    assert one.higher == other.lower


def test_shared_items_widen_the_t_test(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    soft, hard = pairs
    differences = soft - hard
    found = paired_comparison(soft, hard, overlap=15 / 70)
    statistic = differences.mean() / math.sqrt((1 / 10 + 15 / 70) * differences.var(ddof=1))
    assert found.corrected_t_p == pytest.approx(2 * stats.t.sf(abs(statistic), 9))
    assert found.corrected_t_p > found.t_p == paired_comparison(soft, hard).corrected_t_p


def test_wilcoxon_is_exact_with_ties() -> None:
    soft, hard = np.array([0.3, 0.3, 0.3, 0.1, 0.5]), np.array([0.2, 0.2, 0.2, 0.2, 0.5])
    # Four equal steps, three up: 1 + 4 of 16 sign patterns are as uneven to one side, and as many to the other.
    assert paired_comparison(soft, hard).wilcoxon_p == pytest.approx(10 / 16)


@pytest.mark.parametrize(("pairs_count", "p_value"), [(10, 2 / 2**10), (20, 2 / 2**20)])
def test_wilcoxon_of_pairs_that_all_agree_is_the_smallest_possible(pairs_count: int, p_value: float) -> None:
    steps = np.arange(1, pairs_count + 1) / 100
    assert paired_comparison(steps, np.zeros(pairs_count)).wilcoxon_p == pytest.approx(p_value)


def test_one_seed_has_a_difference_and_no_test() -> None:
    found = paired_comparison(np.array([0.3]), np.array([0.5]))
    assert found.mean_difference == pytest.approx(-0.2)
    assert all(math.isnan(value) for value in (found.t_p, found.wilcoxon_p, found.cohens_dz))


def test_equal_values_are_no_finding() -> None:
    equal = paired_comparison(np.full(4, 0.5), np.full(4, 0.5))
    assert math.isnan(equal.t_p)
    assert equal.wilcoxon_p == 1
    assert (equal.higher, equal.lower) == (0, 0)


@pytest.mark.parametrize("step", [0.02, 0.1, -1 / 3])
def test_differences_without_spread_are_no_finding(step: float) -> None:
    hard = np.arange(10) / 7
    found = paired_comparison(hard + step, hard, overlap=15 / 70)
    assert found.mean_difference == pytest.approx(step)
    assert all(math.isnan(value) for value in (found.t_p, found.corrected_t_p, found.cohens_dz))
    assert found.wilcoxon_p == pytest.approx(2 / 2**10)


def test_shares_that_even_out_have_no_difference() -> None:
    soft, hard = np.array([90, 91, 93, 88]) / 166, np.array([91, 90, 92, 89]) / 166
    found = paired_comparison(soft, hard)
    assert found.mean_difference == 0
    assert found.wilcoxon_p == 1


@pytest.mark.parametrize("hard", [0.1, math.nan])
def test_a_metric_that_is_not_defined_gives_nan_everywhere(hard: float) -> None:
    found = paired_comparison(np.array([math.nan, 0.1, 0.2]), np.array([hard, 0.2, 0.4]))
    assert all(math.isnan(value) for value in (found.mean_difference, found.t_p, found.wilcoxon_p, found.cohens_dz))


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # 4 x .005, 3 x .01, 2 x .03, then not below it
        ([0.6, 0.9], [1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0.03], [0.03]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(np.array(p_values)) == pytest.approx(adjusted)


def test_a_test_that_could_not_be_made_is_no_member_of_the_family() -> None:
    adjusted = holm(np.array([0.01, math.nan, 0.04]))
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.04])
    assert math.isnan(adjusted[1])


@pytest.mark.slow
def test_items_of_one_seed_have_the_interval_of_scipy() -> None:
    generator = np.random.default_rng(2)
    soft, hard = generator.gamma(2, 0.15, 300), generator.gamma(2, 0.2, 300)
    ours = bootstrap_interval(mean_difference, [np.stack([soft, hard])], same_items=True, resamples=20_000)
    theirs = stats.bootstrap(
        (soft - hard,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03 * (theirs.high - theirs.low))


@pytest.mark.slow
def test_the_correlation_of_items_has_the_interval_of_scipy() -> None:
    generator = np.random.default_rng(4)
    reference = generator.normal(size=200)
    soft, hard = reference + generator.normal(size=200), generator.normal(size=200)

    def difference(one: np.ndarray, other: np.ndarray, third: np.ndarray) -> float:
        return float(np.corrcoef(one, third)[0, 1] - np.corrcoef(other, third)[0, 1])

    ours = bootstrap_interval(
        correlation_difference, [np.stack([soft, reference, hard, reference])], same_items=True, resamples=4000
    )
    theirs = stats.bootstrap(
        (soft, hard, reference), difference, n_resamples=4000, method="percentile", paired=True, vectorized=False,
        rng=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.06 * (theirs.high - theirs.low))


def test_weights_of_a_plain_sample_give_the_plain_statistics() -> None:
    generator = np.random.default_rng(6)
    soft, hard, reference = generator.normal(5, 1, (3, 50))
    even = np.full((1, 50), 1 / 50)
    assert mean_difference(np.stack([soft, hard]), even) == pytest.approx([(soft - hard).mean()])
    expected = np.corrcoef(soft, reference)[0, 1] - np.corrcoef(hard, reference)[0, 1]
    assert correlation_difference(np.stack([soft, reference, hard, reference]), even) == pytest.approx([expected])


def test_the_interval_takes_in_the_spread_of_seeds() -> None:
    steps = np.random.default_rng(7).normal(0, 1, 8)
    seeds = [np.stack([np.full(100, step), np.zeros(100)]) for step in steps]  # items agree, seeds do not
    low, high = bootstrap_interval(mean_difference, seeds, same_items=True)
    spread = steps.std() / math.sqrt(8)
    assert (high - low) / (2 * 1.96 * spread) == pytest.approx(1, abs=0.1)


def test_items_that_seeds_share_do_not_average_out() -> None:
    items = np.random.default_rng(8).normal(0, 1, 100)
    seeds = [np.stack([items, np.zeros(100)])] * 10
    shared = np.ptp(bootstrap_interval(mean_difference, seeds, same_items=True))
    redrawn = np.ptp(bootstrap_interval(mean_difference, seeds, same_items=False))
    assert shared > 2 * redrawn


def test_seeds_may_have_test_splits_of_other_sizes() -> None:
    generator = np.random.default_rng(9)
    seeds = [generator.normal(0, 1, (2, size)) - [[0.5], [0]] for size in (40, 41, 45)]
    low, high = bootstrap_interval(mean_difference, seeds, same_items=False)
    assert low < -0.5 < high < 0


def test_the_interval_is_the_same_every_time_and_nan_for_a_constant_prediction() -> None:
    values = np.random.default_rng(10).normal(size=(4, 30))
    first = bootstrap_interval(correlation_difference, [values], same_items=True)
    assert first == bootstrap_interval(correlation_difference, [values], same_items=True)
    values[0] = 0.7
    assert all(math.isnan(end) for end in bootstrap_interval(correlation_difference, [values], same_items=True))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("statistic", [mean_difference, correlation_difference])
def test_an_item_that_is_not_finite_gives_nan_and_no_warning(value: float, statistic: Statistic) -> None:
    values = np.random.default_rng(11).normal(size=(2 if statistic is mean_difference else 4, 30))
    values[:2, 4] = value
    with warnings.catch_warnings(action="error"):
        interval = bootstrap_interval(statistic, [values, values], same_items=True)
    assert all(math.isnan(end) for end in interval)


def test_a_draw_whose_items_do_not_vary_gives_nan_and_no_warning() -> None:
    values = np.random.default_rng(12).normal(size=(4, 6))
    values[0] = [1, 0, 0, 0, 0, 0]  # a draw without the first item is constant
    with warnings.catch_warnings(action="error"):
        interval = bootstrap_interval(correlation_difference, [values, values], same_items=False)
    assert all(math.isnan(end) for end in interval)


@pytest.mark.parametrize("same_items", [True, False])
def test_draws_in_blocks_are_the_draws_at_once(same_items: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = list(np.random.default_rng(13).normal(size=(3, 4, 70)))
    at_once = bootstrap_interval(correlation_difference, seeds, same_items=same_items)
    monkeypatch.setattr(soft_labels.report.paired, "_WEIGHTS_AT_ONCE", 700)
    blocks = bootstrap_interval(correlation_difference, seeds, same_items=same_items)
    assert blocks == pytest.approx(at_once, abs=1e-12)


def test_memory_does_not_grow_with_items_times_draws() -> None:
    values = np.random.default_rng(14).normal(size=(2, 20_000))
    tracemalloc.start()
    try:
        bootstrap_interval(mean_difference, [values], same_items=True, resamples=500)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500 * 20_000 * 8  # one array of all weights
