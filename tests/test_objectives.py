import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch.nn import functional

from soft_labels.objectives import Target, item_losses

ITEMS, CLASSES = 30, 4


@pytest.fixture
def logits() -> torch.Tensor:
    return 3 * torch.randn(ITEMS, CLASSES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def label_dist() -> torch.Tensor:
    """Distributions of ten annotations; many classes have none."""
    return torch.from_numpy(np.random.default_rng(0).multinomial(10, [0.7, 0.2, 0.1, 0.0], ITEMS) / 10)


def test_soft_equals_hard_where_all_annotators_agree(logits: torch.Tensor) -> None:
    labels = torch.arange(ITEMS) % CLASSES
    agreed = functional.one_hot(labels, CLASSES).double()
    soft = item_losses("soft", logits, agreed, labels)
    torch.testing.assert_close(soft, item_losses("hard", logits, agreed, labels))


def test_hard_is_the_log_loss_of_scikit_learn(logits: torch.Tensor, label_dist: torch.Tensor) -> None:
    labels = label_dist.argmax(1)
    losses = item_losses("hard", logits, label_dist, labels)
    assert losses.shape == (ITEMS,)
    expected = log_loss(labels.numpy(), logits.softmax(1).numpy(), labels=range(CLASSES))
    assert float(losses.mean()) == pytest.approx(expected, rel=1e-12)


def test_soft_is_the_log_loss_over_single_annotations(logits: torch.Tensor, label_dist: torch.Tensor) -> None:
    item, label = (label_dist > 0).nonzero(as_tuple=True)
    expected = log_loss(
        label.numpy(),
        logits.softmax(1)[item].numpy(),
        labels=range(CLASSES),
        sample_weight=label_dist[item, label].numpy(),
    )
    losses = item_losses("soft", logits, label_dist, label_dist.argmax(1))
    assert float(losses.mean()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("target", ["soft", "hard"])
def test_the_gradient_of_the_mean_is_prediction_minus_target(
    target: Target, logits: torch.Tensor, label_dist: torch.Tensor
) -> None:
    labels = label_dist.argmax(1)
    wanted = label_dist if target == "soft" else functional.one_hot(labels, CLASSES)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(item_losses(target, logits, label_dist, labels).mean(), logits)
    torch.testing.assert_close(gradient, (logits.detach().softmax(1) - wanted) / ITEMS)


def test_each_target_reads_its_own_labels_only(logits: torch.Tensor, label_dist: torch.Tensor) -> None:
    labels = label_dist.argmax(1)
    soft = item_losses("soft", logits, label_dist, torch.zeros_like(labels))
    assert torch.equal(soft, item_losses("soft", logits, label_dist, labels))
    hard = item_losses("hard", logits, torch.full_like(label_dist, torch.nan), labels)
    assert torch.equal(hard, item_losses("hard", logits, label_dist, labels))


@pytest.mark.parametrize("target", ["soft", "hard"])
def test_very_confident_logits_keep_finite_losses(target: Target, label_dist: torch.Tensor) -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4, 0.0]]).expand(ITEMS, -1)
    assert torch.isfinite(item_losses(target, logits, label_dist.float(), label_dist.argmax(1))).all()
