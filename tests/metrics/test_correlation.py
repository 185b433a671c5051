import warnings
from itertools import pairwise

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from torch import Tensor

from soft_labels.distributions import label_distribution
from soft_labels.metrics import EntropyCorrelation, entropy_correlation


def random_case(num_items: int, num_classes: int) -> tuple[Tensor, Tensor]:
    """Logits and label distributions, float32."""
    rng = np.random.default_rng(num_items)
    counts = torch.tensor(rng.multinomial(9, rng.dirichlet(np.ones(num_classes), num_items)), dtype=torch.float32)
    return torch.tensor(rng.standard_normal((num_items, num_classes)), dtype=torch.float32), label_distribution(counts)


@pytest.mark.parametrize("shape", [(3, 2), (40, 3), (60, 10)])
def test_correlation_agrees_with_scipy(shape: tuple[int, int]) -> None:
    logits, label_dist = random_case(*shape)
    metric = EntropyCorrelation()
    metric.update(logits=logits, label_dist=label_dist)
    label_entropy = scipy.stats.entropy(label_dist.double().numpy(), axis=1)
    pred_entropy = scipy.stats.entropy(scipy.special.softmax(logits.double().numpy(), axis=1), axis=1)
    wanted = scipy.stats.pearsonr(label_entropy, pred_entropy).statistic
    assert metric.compute().item() == pytest.approx(wanted, abs=1e-6)


def test_uneven_batches_give_what_one_batch_gives_and_not_the_mean_of_batches() -> None:
    logits, label_dist = random_case(41, 3)
    whole, parts = EntropyCorrelation(), EntropyCorrelation()
    whole.update(logits, label_dist)
    by_batch = [
        parts(logits=logits[start:stop], label_dist=label_dist[start:stop])
        for start, stop in pairwise([0, 20, 23, 34, 41])
    ]
    torch.testing.assert_close(parts.compute(), whole.compute(), rtol=1e-12, atol=0)
    assert abs(torch.stack(by_batch).mean() - whole.compute()) > 1e-3


def test_batches_of_one_item_count() -> None:
    logits, label_dist = random_case(40, 3)
    whole, parts = EntropyCorrelation(), EntropyCorrelation()
    whole.update(logits, label_dist)
    for row in range(40):
        parts.update(logits[row : row + 1], label_dist[row : row + 1])
    torch.testing.assert_close(parts.compute(), whole.compute(), rtol=1e-12, atol=0)


def test_a_model_that_knows_the_annotators_has_correlation_one() -> None:
    label_dist = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.7, 0.3]], dtype=torch.float64)
    metric = EntropyCorrelation()
    metric.update(label_dist.log(), label_dist)
    assert metric.compute().item() == pytest.approx(1)


@pytest.mark.parametrize("flip", [False, True])
def test_a_constant_side_gives_nan_and_is_named(flip: bool) -> None:
    varied, constant = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.5, 0.5])
    sides = (constant, varied) if flip else (varied, constant)
    name = "label" if flip else "predicted"
    with pytest.warns(UserWarning, match=f"entropy_corr is nan: the {name} entropy is the same for every item"):
        assert entropy_correlation(*sides).isnan()


def test_two_constant_sides_are_both_named() -> None:
    with pytest.warns(UserWarning, match="the label and predicted entropy is the same"):
        assert entropy_correlation(torch.ones(3), torch.zeros(3)).isnan()


def test_rounding_does_not_make_a_constant_side_vary() -> None:
    dist = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.7, 0.2], [0.2, 0.1, 0.7]], dtype=torch.float64)
    metric = EntropyCorrelation()
    metric.update(logits=torch.randn(3, 3, generator=torch.Generator().manual_seed(0)), label_dist=dist)
    with pytest.warns(UserWarning, match="the label entropy is the same"):
        assert metric.compute().isnan()


def test_small_but_real_differences_are_correlated() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = entropy_correlation(
            torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1e-9, 2e-9, 3e-9], dtype=torch.float64)
        )
    assert value.item() == pytest.approx(1)


def test_fewer_than_two_items_give_nan() -> None:
    metric = EntropyCorrelation()
    metric.update(*random_case(1, 3))
    with pytest.warns(UserWarning, match="needs at least 2 items, got 1"):
        assert metric.compute().isnan()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
def test_no_items_give_nan() -> None:
    with pytest.warns(UserWarning, match="needs at least 2 items, got 0"):
        assert EntropyCorrelation().compute().isnan()


def test_a_model_that_gives_nan_is_not_hidden() -> None:
    assert entropy_correlation(torch.tensor([0.1, 0.2]), torch.tensor([0.1, torch.nan])).isnan()


def test_reset_forgets_everything() -> None:
    logits, label_dist = random_case(40, 3)
    metric, fresh = EntropyCorrelation(), EntropyCorrelation()
    metric.update(logits[:20], label_dist[:20])
    metric.compute()
    metric.reset()
    for each in (metric, fresh):
        each.update(logits[20:], label_dist[20:])
    assert metric.compute() == fresh.compute()


def test_kept_entropies_hold_no_graph_and_no_checkpoint_space() -> None:
    logits, label_dist = random_case(10, 3)
    metric = EntropyCorrelation()
    metric(logits=logits.requires_grad_(), label_dist=label_dist)
    assert not any(entropies.requires_grad for entropies in metric.pred_entropy)
    assert not metric.state_dict()


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"wanted the shape of logits, \[2, 3\], got \[3, 3\]"):
        EntropyCorrelation().update(torch.zeros(2, 3), torch.zeros(3, 3))
