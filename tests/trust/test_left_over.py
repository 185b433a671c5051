from itertools import product
from math import comb

import numpy as np
import pytest

from soft_labels.trust.left_over import Cells, best_strength
from tests.trust.simulation import annotate, dirichlet


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_the_exact_sum_is_that_over_every_draw(k: int) -> None:
    """Every way to draw k of an item's annotators, with its chance."""
    counts, prior, strength = np.array([[2.0, 1.0, 1.0], [5.0, 0.0, 1.0]]), np.array([0.5, 0.3, 0.2]), 1.5
    found = Cells.of(counts, prior).cross_entropy(k, strength)
    for row, item in enumerate(counts.astype(int)):
        expected = 0.0
        for drawn in product(*(range(number + 1) for number in item)):
            if sum(drawn) == k:
                chance = np.prod([comb(n, x) for n, x in zip(item, drawn, strict=True)]) / comb(int(item.sum()), k)
                left = (item - drawn) / (item.sum() - k)
                expected -= chance * (left @ np.log((np.array(drawn) + strength * prior) / (k + strength)))
        assert found[row] == pytest.approx(expected)


def test_items_without_anyone_left_over_are_not_judged() -> None:
    cells = Cells.of(np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([0.5, 0.5]))
    assert np.isnan(cells.cross_entropy(2, 1.0)).tolist() == [True, False]


def test_the_best_strength_beats_its_neighbours() -> None:
    generator = np.random.default_rng(0)
    counts = annotate(generator, dirichlet(generator, 400, 3), 10)
    cells = Cells.of(counts, counts.sum(0) / counts.sum())
    best = best_strength(cells, [2])
    losses = [cells.cross_entropy(2, best * factor).mean() for factor in (0.8, 1.0, 1.25)]
    assert losses[1] < min(losses[0], losses[2])
