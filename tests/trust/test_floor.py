from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.annotations.cifar10h import read_cifar10h
from soft_labels.annotations.popquorn import read_popquorn
from soft_labels.data.split import draw_split
from soft_labels.distributions import majority_label
from soft_labels.errors import DataError
from soft_labels.trust.dirichlet import best, fit_mixtures
from soft_labels.trust.floor import (
    ceiling_range,
    class_marginal,
    constant_kl,
    entropy_ceiling,
    floor_range,
    kl_floor,
    pearson,
    pearson_rows,
    share_of_achievable,
    split_half,
)
from soft_labels.trust.inputs import cross_entropy, entropies, shares
from tests.trust.simulation import TRUTHS, annotate

READERS = {"chaosnli": read_chaosnli, "popquorn": read_popquorn, "cifar10h": read_cifar10h}


def charged(counts: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """KL of the true distributions themselves."""
    return float((cross_entropy(shares(counts), np.log(truth)) - entropies(shares(counts))).mean())


def rates(
    kind: str, annotators: int, classes: int, draws: int, items: int = 600
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Floor divided by the truth, and ceiling less the truth, of each draw."""
    generator = np.random.default_rng(annotators + classes)
    floors, ceilings = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        truth = TRUTHS[kind](generator, items, classes)
        counts = annotate(generator, truth, annotators)
        mixture = best(fit_mixtures(counts, (1, 3)))
        floors[draw] = kl_floor(counts, mixture).mean() / charged(counts, truth)
        ceilings[draw] = entropy_ceiling(counts, mixture, draws=5) - pearson(
            entropies(shares(counts)), entropies(truth)
        )
    return floors, ceilings


@pytest.mark.parametrize(
    ("kind", "annotators", "low", "high"),
    [
        ("dirichlet", 7, 0.97, 1.03),
        ("dirichlet", 50, 0.97, 1.03),
        ("mixture", 20, 0.95, 1.03),
        ("logistic_normal", 20, 0.9, 1),
    ],
)
def test_the_floor_is_what_the_truth_is_charged(kind: str, annotators: int, low: float, high: float) -> None:
    floors, ceilings = rates(kind, annotators, 3, 5, items=1500)
    assert low < floors.mean() < high
    assert abs(ceilings.mean()) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "annotators", "classes", "low", "high", "off"),
    [
        ("dirichlet", 3, 3, 0.98, 1.02, 0.02),
        ("dirichlet", 7, 5, 0.98, 1.02, 0.02),
        ("dirichlet", 20, 3, 0.98, 1.02, 0.01),
        ("mixture", 7, 3, 0.92, 0.97, 0.02),
        ("mixture", 3, 5, 0.75, 0.95, 0.06),
        ("logistic_normal", 7, 3, 0.95, 1.0, 0.02),
        ("logistic_normal", 20, 5, 0.9, 0.97, 0.02),
    ],
)
def test_the_floor_keeps_its_rates_over_200_draws(
    kind: str, annotators: int, classes: int, low: float, high: float, off: float
) -> None:
    floors, ceilings = rates(kind, annotators, classes, 200)
    assert low < floors.mean() < high
    assert abs(ceilings.mean()) < off


def test_the_marginal_is_the_best_constant() -> None:
    counts = annotate(np.random.default_rng(0), TRUTHS["dirichlet"](np.random.default_rng(1), 400, 3), 6)
    marginal = class_marginal(counts)
    np.testing.assert_allclose(marginal, shares(counts).mean(0))
    lowest = constant_kl(counts, marginal).mean()
    for other in np.random.default_rng(2).dirichlet([5, 5, 5], 50):
        assert constant_kl(counts, other).mean() > lowest


def test_a_class_that_nobody_chose_yet_keeps_the_constant_finite() -> None:
    marginal = class_marginal(np.array([[3, 1, 0], [1, 3, 0]]))
    assert marginal.sum() == pytest.approx(1)
    assert np.isfinite(constant_kl(np.array([[0, 0, 4]]), marginal)).all()


def test_one_dirichlet_has_the_floor_of_the_formula_for_a_beta() -> None:
    counts = np.array([[2, 2], [4, 0]])
    mixture = best(
        fit_mixtures(annotate(np.random.default_rng(0), np.random.default_rng(1).dirichlet([1, 1], 500), 4), (1,))
    )
    grid = (np.arange(200_000) + 0.5) / 200_000
    for row, floor in zip(counts, kl_floor(counts, mixture), strict=True):
        density = grid ** (row[0] + mixture.alpha[0, 0] - 1) * (1 - grid) ** (row[1] + mixture.alpha[0, 1] - 1)
        p = row / row.sum()
        kl = sum(share * np.log(share / side) for share, side in zip(p, (grid, 1 - grid), strict=True) if share)
        assert floor == pytest.approx((density * kl).sum() / density.sum(), rel=1e-4)


def test_halves_agree_as_well_as_annotators_allow() -> None:
    generator = np.random.default_rng(3)
    truth = TRUTHS["mixture"](generator, 4000, 3)
    halves = split_half(annotate(generator, truth, 40))
    fresh = [entropies(shares(annotate(generator, truth, 40))) for _ in range(2)]
    assert halves.whole == pytest.approx(pearson(*fresh), abs=0.02)
    assert halves.ceiling == pytest.approx(pearson(fresh[0], entropies(truth)), abs=0.02)


def test_halves_need_annotators() -> None:
    with pytest.raises(DataError, match="4 annotators"):
        split_half(np.array([[2, 1], [1, 2]]))


def test_a_correlation_is_that_of_numpy() -> None:
    left, right = np.random.default_rng(0).standard_normal((2, 3, 50))
    expected = [np.corrcoef(row, right[0])[0, 1] for row in left]
    np.testing.assert_allclose(pearson_rows(left, right[0]), expected)
    assert np.isnan(pearson(np.ones(5), np.arange(5.0)))


def test_the_share_of_the_achievable_has_its_ends() -> None:
    assert [share_of_achievable(kl, 0.6, 0.2) for kl in (0.2, 0.4, 0.6, 0.8)] == pytest.approx([1, 0.5, 0, -0.5])
    assert np.isnan(share_of_achievable(0.3, 0.2, 0.2))


def real(name: str, folder: Path) -> AnnotatedData:
    return READERS[name](folder).sorted_by_uid()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "uniform", "marginal", "floor", "ceiling", "halves"),
    [
        ("chaosnli", 0.445, 0.396, (0.0097, 0.0101), (0.960, 0.966), 0.96),
        ("popquorn", 0.644, 0.582, (0.282, 0.291), (0.41, 0.53), 0.44),
        ("cifar10h", 1.721, 1.670, (0.033, 0.038), (0.94, 0.952), 0.95),
    ],
)
def test_the_published_sets_have_their_measured_values(
    shared_data: Path,
    name: str,
    uniform: float,
    marginal: float,
    floor: tuple[float, float],
    ceiling: tuple[float, float],
    halves: float,
) -> None:
    data = real(name, shared_data)
    counts = data.label_counts.numpy()
    split = draw_split(data.uids, majority_label(data.label_counts).numpy())
    place = {uid: row for row, uid in enumerate(data.uids)}
    train, test = (counts[[place[uid] for uid in part]] for part in (split.train, split.test))
    classes = counts.shape[1]
    assert constant_kl(test, np.full(classes, 1 / classes)).mean() == pytest.approx(uniform, abs=6e-4)
    assert constant_kl(test, class_marginal(train)).mean() == pytest.approx(marginal, abs=6e-4)
    mixtures = fit_mixtures(counts)
    assert floor[0] <= floor_range(counts, mixtures)[0] <= floor_range(counts, mixtures)[1] <= floor[1]
    assert ceiling[0] <= ceiling_range(counts, mixtures)[0] <= ceiling_range(counts, mixtures)[1] <= ceiling[1]
    assert split_half(counts).ceiling == pytest.approx(halves, abs=0.015)
