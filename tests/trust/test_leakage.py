import numpy as np
import pytest

from soft_labels.errors import DataError
from soft_labels.trust.decomposition import decompose
from soft_labels.trust.leakage import in_train, leakage
from tests.trust.simulation import annotate, dirichlet, fuzzed


def test_an_item_leaks_where_its_group_has_a_training_item() -> None:
    generator = np.random.default_rng(0)
    test, train = generator.integers(0, 6, 40), generator.integers(0, 4, 30)
    slow = [any(mine == theirs != 0 for theirs in train) for mine in test]
    assert in_train(test, train).tolist() == slow
    assert 0 < sum(slow) < 40


def test_metrics_are_taken_with_and_without_the_items_that_leak() -> None:
    generator = np.random.default_rng(1)
    truth = dirichlet(generator, 200, 3)
    counts, predictions = annotate(generator, truth, 8), fuzzed(generator, truth, 5)
    met = generator.random(200) < 0.3
    predictions[met] = (counts[met] + 0.1) / (counts[met] + 0.1).sum(1, keepdims=True)  # learnt by heart
    same, none, every = leakage(counts, predictions, {"same_input": met, "none": met & False, "every": met | True})
    kl = decompose(counts, predictions).kl
    assert (same.kind, same.items, same.leaking) == ("same_input", 200, met.sum())
    assert same.without is not None
    assert same.leaks is not None
    assert same.every.values["kl"].value == pytest.approx(kl.mean())
    assert same.without.values["kl"].value == pytest.approx(kl[~met].mean())
    assert same.leaks.values["kl"].value < same.every.values["kl"].value < same.without.values["kl"].value
    assert (none.leaks, every.without) == (None, None)
    assert (none.leaking, every.leaking) == (0, 200)


def test_each_item_needs_a_mark() -> None:
    with pytest.raises(DataError, match=r"same_input: 1 items but marks of shape \(2,\)"):
        leakage(np.array([[1, 2]]), np.array([[0.5, 0.5]]), {"same_input": np.array([True, False])})
