"""Against scipy where scipy has the same thing, and against numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from soft_labels.report.paired import holm, paired_comparison, unpaired


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


@pytest.mark.parametrize("seed", range(12))
def test_wilcoxon_with_ties_is_that_of_scipys_permutations(seed: int) -> None:
    steps = np.random.default_rng(seed).integers(-3, 4, 8).astype(float)
    every = stats.PermutationMethod(n_resamples=2**13)
    expected = stats.wilcoxon(steps, method=every).pvalue if steps.any() else 1.0
    assert paired_comparison(steps, np.zeros(8)).wilcoxon_p == pytest.approx(expected)


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


def test_what_cannot_be_paired_has_a_difference_and_no_test() -> None:
    found = unpaired(np.array([0.3, 0.3, 0.3]), np.array([0.2, 0.4, 0.5]))
    assert found.mean_difference == pytest.approx(-0.2 / 3)
    assert (found.higher, found.lower) == (1, 2)
    assert all(math.isnan(value) for value in (found.t_p, found.corrected_t_p, found.wilcoxon_p, found.cohens_dz))
