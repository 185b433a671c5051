import numpy as np
import pytest
import torch

from soft_labels.distributions import majority_label
from soft_labels.trust.ties import tie_sensitivity
from tests.trust.simulation import annotate, dirichlet, fuzzed


def test_each_rule_is_the_accuracy_of_its_labels() -> None:
    generator = np.random.default_rng(0)
    truth = dirichlet(generator, 400, 4)
    counts = annotate(generator, truth, 4)
    seeds = np.stack([fuzzed(generator, truth, 3) for _ in range(3)])
    found = tie_sensitivity(counts, seeds)
    answers, rows = seeds.argmax(-1), torch.from_numpy(counts)
    lowest = majority_label(rows, "lowest").numpy()
    assert found.lowest.value == pytest.approx((answers == lowest).mean())
    assert found.highest.value == pytest.approx((answers == majority_label(rows, "highest").numpy()).mean())
    lots = [(answers == majority_label(rows, "random", seed).numpy()).mean() for seed in range(300)]
    assert found.random.value == pytest.approx(np.mean(lots), abs=4 * np.std(lots) / np.sqrt(300))
    clear = [row for row, count in enumerate(counts) if max(count) > sorted(count)[-2]]
    assert found.tied == 400 - len(clear) > 0
    assert found.drop.value == pytest.approx((answers == lowest)[:, clear].mean())
    assert found.drop.low < found.drop.value < found.drop.high


def test_where_all_are_tied_nothing_is_left() -> None:
    found = tie_sensitivity(np.array([[1, 1], [2, 2]]), np.array([[0.6, 0.4], [0.3, 0.7]]))
    assert np.isnan(found.drop.value)
    assert (found.lowest.value, found.highest.value, found.random.value) == (0.5, 0.5, 0.5)
