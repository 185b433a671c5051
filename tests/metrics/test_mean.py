import copy
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
import torch
from sklearn.metrics import accuracy_score
from torch import Tensor
from torchmetrics import Metric

from soft_labels.distributions import kl_divergence, label_distribution, majority_label
from soft_labels.metrics import METRICS, KLDivergence, MajorityAccuracy, MeanDivergence, MeanLoss
from soft_labels.metrics.mean import TrueDivergence

# Every divergence of the table, and the class that stands by itself.
DIVERGENCES = [name for name, row in METRICS.items() if row.divergence is not None and not row.needs_truth]
DISTRIBUTION_METRICS: dict[str, Callable[[], Metric]] = {
    **{name: METRICS[name].new for name in DIVERGENCES},
    "KLDivergence": KLDivergence,
}
every_divergence = pytest.mark.parametrize("new", DISTRIBUTION_METRICS.values(), ids=DISTRIBUTION_METRICS)


@pytest.fixture
def case() -> tuple[Tensor, Tensor, Tensor]:
    """Logits, label distributions with zeros, majority labels of 50 items and 4 classes, float32."""
    rng = np.random.default_rng(0)
    counts = torch.tensor(rng.multinomial(6, [0.5, 0.3, 0.2, 0.0], 50), dtype=torch.float32)
    logits = torch.tensor(2 * rng.standard_normal((50, 4)), dtype=torch.float32)
    return logits, label_distribution(counts), majority_label(counts)


def test_values_agree_with_scipy_and_sklearn(case: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, label_dist, labels = case
    pred = scipy.special.softmax(logits.double().numpy(), axis=-1)
    label = label_dist.double().numpy()
    steps = np.arange(4)
    gaps = (label - pred).cumsum(1)[:, :3]
    wanted = {
        "kl": scipy.stats.entropy(label, pred, axis=1).mean(),
        "soft_ce": -(label * np.log(pred)).sum(1).mean(),
        "js": (scipy.spatial.distance.jensenshannon(label, pred, axis=1) ** 2).mean(),
        "tv": np.abs(label - pred).sum(1).mean() / 2,
        "brier": ((label - pred) ** 2).sum(1).mean(),
        "entropy_error": np.abs(scipy.stats.entropy(label, axis=1) - scipy.stats.entropy(pred, axis=1)).mean(),
        "wasserstein": np.mean(
            [scipy.stats.wasserstein_distance(steps, steps, p, q) for p, q in zip(label, pred, strict=True)]
        ),
        "rps": (gaps**2).sum(1).mean() / 3,
    }
    wanted["KLDivergence"] = wanted["kl"]
    assert set(wanted) == set(DISTRIBUTION_METRICS)
    for name, value in wanted.items():
        metric = DISTRIBUTION_METRICS[name]()
        metric.update(logits=logits, label_dist=label_dist)
        assert metric.compute().item() == pytest.approx(value, abs=1e-7), name
    accuracy = MajorityAccuracy()
    accuracy.update(logits=logits, majority_label=labels)
    assert accuracy.compute().item() == pytest.approx(accuracy_score(labels.numpy(), pred.argmax(1)))


@every_divergence
def test_uneven_batches_give_what_one_batch_gives(
    new: Callable[[], Metric], case: tuple[Tensor, Tensor, Tensor]
) -> None:
    logits, label_dist, _ = case
    whole, parts = new(), new()
    whole.update(logits, label_dist)
    for start, stop in pairwise([0, 1, 31, 31, 43, 50]):
        parts.update(logits[start:stop], label_dist[start:stop])
    torch.testing.assert_close(parts.compute(), whole.compute(), rtol=1e-12, atol=0)


def test_a_zero_count_and_an_underflow_stay_finite_where_torchmetrics_is_infinite() -> None:
    metric = KLDivergence()
    metric.update(logits=torch.tensor([[1e4, -1e4]]), label_dist=torch.tensor([[0.0, 1.0]]))
    assert metric.compute().item() == 2e4


@every_divergence
def test_reset_forgets_everything(new: Callable[[], Metric], case: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, label_dist, _ = case
    metric, fresh = new(), new()
    metric.update(logits[:20], label_dist[:20])
    metric.compute()
    metric.reset()
    for each in (metric, fresh):
        each.update(logits[20:], label_dist[20:])
    assert metric.compute() == fresh.compute()


def test_forward_gives_the_batch_value_with_a_gradient_and_accumulates(case: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, label_dist, _ = case
    metric, whole = KLDivergence(), KLDivergence()
    leaf = logits[:20].clone().requires_grad_()
    first = metric(logits=leaf, label_dist=label_dist[:20])
    metric(logits=logits[20:], label_dist=label_dist[20:])
    whole.update(logits, label_dist)
    torch.testing.assert_close(metric.compute(), whole.compute())
    (gradient,) = torch.autograd.grad(first, leaf)
    torch.testing.assert_close(gradient, (leaf.softmax(-1) - label_dist[:20]).detach() / 20)


def test_half_precision_modules_keep_exact_sums() -> None:
    metric = MajorityAccuracy().to(torch.bfloat16)
    for _ in range(3):
        metric.update(torch.tensor([[0.0, 1.0]], dtype=torch.bfloat16).expand(333, 2), torch.ones(333).long())
    metric.update(torch.tensor([[1.0, 0.0]], dtype=torch.bfloat16), torch.tensor([1]))
    assert metric.compute().item() == 999 / 1000


@every_divergence
def test_half_precision_logits_are_judged_in_double_precision(
    new: Callable[[], Metric], case: tuple[Tensor, Tensor, Tensor]
) -> None:
    logits, label_dist = case[0].bfloat16(), case[1]
    half, double = new(), new()
    half.update(logits, label_dist)
    double.update(logits.double(), label_dist.double())
    assert half.compute() == double.compute()


def test_states_stay_out_of_checkpoints(case: tuple[Tensor, Tensor, Tensor]) -> None:
    metric = KLDivergence()
    metric.update(*case[:2])
    assert not metric.state_dict()


def test_a_copy_goes_on_by_itself(case: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, label_dist, _ = case
    metric = KLDivergence()
    metric.update(logits, label_dist)
    before = metric.compute()
    copy.deepcopy(metric).update(10 * logits, label_dist)
    assert metric.compute() == before


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
def test_no_items_give_nan() -> None:
    assert KLDivergence().compute().isnan()


@every_divergence
def test_a_label_dist_of_another_shape_is_refused(new: Callable[[], Metric]) -> None:
    with pytest.raises(ValueError, match=r"label_dist: wanted the shape of logits, \[2, 3\], got \[2, 4\]"):
        new().update(torch.zeros(2, 3), torch.zeros(2, 4))


def test_directions_are_declared() -> None:
    metrics = [new() for new in DISTRIBUTION_METRICS.values()]
    assert not any(metric.higher_is_better for metric in metrics)
    assert all(metric.is_differentiable for metric in metrics)
    assert MajorityAccuracy.higher_is_better
    assert not MajorityAccuracy.is_differentiable
    assert not any(metric.full_state_update for metric in metrics)
    assert not MajorityAccuracy.full_state_update


def test_a_loss_that_is_nan_stays_nan() -> None:
    metric = MeanLoss()
    metric.update(torch.tensor([1.0, 2.0]))
    metric.update(torch.tensor([6.0]))
    assert metric.compute() == pytest.approx(3.0)
    metric.update(torch.tensor([float("nan")]))
    assert metric.compute().isnan()


def test_the_generating_distribution_is_judged_by_the_same_function(case: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, label_dist, _ = case
    true, annotated = TrueDivergence(kl_divergence), MeanDivergence(kl_divergence)
    true.update(logits=logits, true_dist=label_dist)
    annotated.update(logits=logits, label_dist=label_dist)
    assert true.compute() == annotated.compute()


def test_any_function_of_distributions_and_logits_becomes_a_metric(case: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, label_dist, _ = case
    metric = MeanDivergence(lambda dist, given: (dist - given.softmax(-1)).abs().amax(-1))
    metric.update(logits=logits[:30], label_dist=label_dist[:30])
    metric.update(logits=logits[30:], label_dist=label_dist[30:])
    pred = scipy.special.softmax(logits.double().numpy(), axis=-1)
    assert metric.compute().item() == pytest.approx(np.abs(label_dist.numpy() - pred).max(1).mean(), abs=1e-7)
