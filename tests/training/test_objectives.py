from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import dirichlet
from sklearn.metrics import log_loss
from torch.nn import functional

from soft_labels.data.batches import Observed
from soft_labels.errors import ConfigError
from soft_labels.training.objectives import (
    LOSSES,
    TARGETS,
    Aim,
    Loss,
    Objective,
    Target,
    fields_read,
    item_losses,
    known,
)
from soft_labels.training.spec import HeadSpec

ITEMS, CLASSES = 30, 4
CROSS_ENTROPY = LOSSES["cross_entropy"]


@pytest.fixture
def logits() -> torch.Tensor:
    return 3 * torch.randn(ITEMS, CLASSES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def label_dist() -> torch.Tensor:
    """Distributions of ten annotations; many classes have none."""
    return torch.from_numpy(np.random.default_rng(0).multinomial(10, [0.7, 0.2, 0.1, 0.0], ITEMS) / 10)


def observed(label_dist: torch.Tensor, labels: torch.Tensor) -> Observed:
    return Observed(10 * label_dist, label_dist, labels)


def losses(target: str, logits: torch.Tensor, label_dist: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each item with a target."""
    return item_losses(CROSS_ENTROPY, Objective(HeadSpec(target)).judged_by(observed(label_dist, labels)), logits)


def test_soft_equals_hard_where_all_annotators_agree(logits: torch.Tensor) -> None:
    labels = torch.arange(ITEMS) % CLASSES
    agreed = functional.one_hot(labels, CLASSES).double()
    torch.testing.assert_close(losses("soft", logits, agreed, labels), losses("hard", logits, agreed, labels))


def test_hard_is_the_log_loss_of_scikit_learn(logits: torch.Tensor, label_dist: torch.Tensor) -> None:
    labels = label_dist.argmax(1)
    found = losses("hard", logits, label_dist, labels)
    assert found.shape == (ITEMS,)
    expected = log_loss(labels.numpy(), logits.softmax(1).numpy(), labels=range(CLASSES))
    assert float(found.mean()) == pytest.approx(expected, rel=1e-12)


def test_soft_is_the_log_loss_over_single_annotations(logits: torch.Tensor, label_dist: torch.Tensor) -> None:
    item, label = (label_dist > 0).nonzero(as_tuple=True)
    expected = log_loss(
        label.numpy(),
        logits.softmax(1)[item].numpy(),
        labels=range(CLASSES),
        sample_weight=label_dist[item, label].numpy(),
    )
    found = losses("soft", logits, label_dist, label_dist.argmax(1))
    assert float(found.mean()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("target", ["soft", "hard"])
def test_the_gradient_of_the_mean_is_prediction_minus_target(
    target: str, logits: torch.Tensor, label_dist: torch.Tensor
) -> None:
    labels = label_dist.argmax(1)
    wanted = label_dist if target == "soft" else functional.one_hot(labels, CLASSES)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(losses(target, logits, label_dist, labels).mean(), logits)
    torch.testing.assert_close(gradient, (logits.detach().softmax(1) - wanted) / ITEMS)


def test_each_target_reads_its_own_labels_only(logits: torch.Tensor, label_dist: torch.Tensor) -> None:
    labels = label_dist.argmax(1)
    soft = losses("soft", logits, label_dist, torch.zeros_like(labels))
    assert torch.equal(soft, losses("soft", logits, label_dist, labels))
    hard = losses("hard", logits, torch.full_like(label_dist, torch.nan), labels)
    assert torch.equal(hard, losses("hard", logits, label_dist, labels))


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.7])
def test_smoothed_is_the_label_smoothing_of_torch_and_validates_against_the_majority(
    strength: float, logits: torch.Tensor, label_dist: torch.Tensor
) -> None:
    labels = label_dist.argmax(1)
    seen, objective = observed(label_dist, labels), Objective(HeadSpec("smoothed", smoothing=strength))
    found = item_losses(CROSS_ENTROPY, objective.trained_by(seen, 0, 0), logits)
    torch.testing.assert_close(
        found, functional.cross_entropy(logits, labels, reduction="none", label_smoothing=strength)
    )
    judged = item_losses(CROSS_ENTROPY, objective.judged_by(seen), logits)
    torch.testing.assert_close(judged, functional.cross_entropy(logits, labels, reduction="none"))


def test_repeated_is_the_log_loss_over_all_annotations_each_counted_once(logits: torch.Tensor) -> None:
    counts = torch.from_numpy(np.random.default_rng(1).integers(0, 9, (ITEMS, CLASSES)) + 1.0)
    seen = Observed(counts, counts / counts.sum(1, keepdim=True), counts.argmax(1))
    found = item_losses(CROSS_ENTROPY, Objective(HeadSpec("repeated")).judged_by(seen), logits)
    item, label = counts.nonzero(as_tuple=True)
    expected = log_loss(label, logits.softmax(1)[item], labels=range(CLASSES), sample_weight=counts[item, label])
    assert float(found.mean()) == pytest.approx(expected, rel=1e-6)  # weights are float32
    assert abs(float(losses("soft", logits, *seen[1:3]).mean()) - expected) > 1e-3, "the weights must matter"


def test_sampled_draws_annotators_anew_in_each_epoch_and_validates_against_all_of_them(
    label_dist: torch.Tensor,
) -> None:
    seen, objective = observed(label_dist, label_dist.argmax(1)), Objective(HeadSpec("sampled"))
    epochs = torch.stack([objective.trained_by(seen, 0, epoch).dist for epoch in range(600)])
    assert torch.equal(epochs.amax(-1), torch.ones(600, ITEMS, dtype=torch.float64)), "one label an item"
    assert not torch.equal(epochs[0], epochs[1])
    torch.testing.assert_close(epochs.mean(0), label_dist, atol=0.08, rtol=0)
    assert torch.equal(objective.judged_by(seen).dist, label_dist)


@pytest.mark.parametrize("strength", [0.0, 1.0, 30.0])
def test_shrunk_is_the_posterior_mean_under_a_symmetric_dirichlet(strength: float, label_dist: torch.Tensor) -> None:
    counts = torch.arange(1, 1 + ITEMS)[:, None] * (10 * label_dist).round()
    seen, objective = observed(label_dist, label_dist.argmax(1)), Objective(HeadSpec("shrunk", shrinkage=strength))
    found = objective.trained_by(seen._replace(label_counts=counts), 0, 0).dist.numpy()
    posterior = [dirichlet(row + strength / CLASSES + 1e-12).mean() for row in counts.numpy()]
    np.testing.assert_allclose(found, posterior, atol=1e-9)
    assert torch.equal(objective.judged_by(seen).dist, label_dist)
    pull = np.abs(found - label_dist.numpy()).max(1) / np.abs(label_dist.numpy() - 1 / CLASSES).max(1)
    np.testing.assert_allclose(
        pull, strength / (strength + counts.sum(1).numpy()), err_msg="many annotators weigh more"
    )


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_lowest_where_the_head_says_what_annotators_say(name: str, label_dist: torch.Tensor) -> None:
    loss, everybody = LOSSES[name], (label_dist + 0.1) / 1.4
    there, elsewhere = everybody.log(), everybody.log() + torch.tensor([0.3, 0.0, 0.0, -0.2])
    torch.testing.assert_close(loss.slope(everybody, there), torch.zeros(ITEMS, CLASSES, dtype=torch.float64))
    assert (loss.of_items(everybody, elsewhere) > loss.of_items(everybody, there)).all()


@pytest.mark.parametrize("name", LOSSES)
def test_every_slope_is_finite_where_float32_logits_are_very_confident(name: str, label_dist: torch.Tensor) -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4, 0.0]]).repeat(ITEMS, 1)
    assert torch.isfinite(LOSSES[name].of_items(label_dist.float(), logits)).all()
    assert torch.isfinite(LOSSES[name].slope(label_dist.float(), logits)).all()


@pytest.mark.parametrize("target", ["soft", "hard"])
def test_very_confident_logits_keep_finite_losses(target: str, label_dist: torch.Tensor) -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4, 0.0]]).expand(ITEMS, -1)
    assert torch.isfinite(losses(target, logits, label_dist.float(), label_dist.argmax(1))).all()


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_gives_distributions(name: str, label_dist: torch.Tensor) -> None:
    seen = observed(label_dist.float(), label_dist.argmax(1))
    for aim in (Objective(HeadSpec(name)).judged_by(seen), Objective(HeadSpec(name)).trained_by(seen, 3, 1)):
        assert aim.dist.shape == (ITEMS, CLASSES)
        assert aim.dist.dtype == torch.float32
        assert (aim.dist >= 0).all()
        torch.testing.assert_close(aim.dist.sum(-1), torch.ones(ITEMS))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_over_leading_dimensions(name: str, label_dist: torch.Tensor) -> None:
    loss = LOSSES[name]
    logits = torch.randn(2, 5, ITEMS, CLASSES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = loss.of_items(label_dist, logits)
    assert together.shape == (2, 5, ITEMS)
    torch.testing.assert_close(together[1, 3], loss.of_items(label_dist, logits[1, 3]))


@pytest.mark.parametrize("name", LOSSES)
def test_a_slope_is_what_autograd_gives_and_what_differences_give(name: str, label_dist: torch.Tensor) -> None:
    loss = LOSSES[name]
    logits = torch.randn(3, ITEMS, CLASSES, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    slope = loss.slope(label_dist, logits)
    torch.testing.assert_close(slope, Loss("by autograd", loss.of_items).slope(label_dist, logits))
    step = 1e-6 * functional.one_hot(torch.tensor(1), CLASSES)
    difference = (loss.of_items(label_dist, logits + step) - loss.of_items(label_dist, logits - step)) / 2e-6
    torch.testing.assert_close(slope[..., 1], difference, atol=1e-7, rtol=1e-5)


def test_a_slope_by_autograd_needs_no_gradients_switched_on(label_dist: torch.Tensor) -> None:
    logits = torch.randn(ITEMS, CLASSES, dtype=torch.float64)
    with torch.no_grad():
        slope = LOSSES["rps"].slope(label_dist, logits)
    assert slope.abs().max() > 0
    assert not slope.requires_grad
    assert not logits.requires_grad


def test_an_item_counts_as_often_as_its_weight_says(logits: torch.Tensor, label_dist: torch.Tensor) -> None:
    weight = torch.arange(ITEMS).double()
    plain, weighted = (item_losses(CROSS_ENTROPY, Aim(label_dist, one), logits) for one in (None, weight))
    torch.testing.assert_close(weighted, plain * weight)


def test_weights_are_one_on_average_whatever_their_scale(
    monkeypatch: pytest.MonkeyPatch, label_dist: torch.Tensor
) -> None:
    def by_count(scale: float) -> Callable[[Observed], torch.Tensor]:
        return lambda seen: scale * (1 + seen.label_counts[:, 0])

    for name, scale in (("small", 1e-3), ("large", 1e3)):
        monkeypatch.setitem(TARGETS, name, Target("weighted", TARGETS["soft"].dist, weight=by_count(scale)))
    seen = observed(label_dist, label_dist.argmax(1))
    small, large = (Objective(HeadSpec(name)).judged_by(seen).weight for name in ("small", "large"))
    assert small is not None
    assert large is not None
    torch.testing.assert_close(small, large)
    assert float(small.mean()) == pytest.approx(1)
    torch.testing.assert_close(
        small / small[0], ((1 + seen.label_counts[:, 0]) / (1 + seen.label_counts[0, 0])).float()
    )


def test_draws_are_functions_of_seed_and_epoch_and_stay_where_the_target_says_so(
    monkeypatch: pytest.MonkeyPatch, label_dist: torch.Tensor
) -> None:
    def drawn(seen: Observed, spec: HeadSpec, generator: torch.Generator) -> torch.Tensor:
        return functional.one_hot(seen.label_dist.multinomial(1, generator=generator)[:, 0], CLASSES).float()

    soft = TARGETS["soft"].dist
    monkeypatch.setitem(TARGETS, "once", Target("drawn once", soft, train_dist=drawn))
    monkeypatch.setitem(TARGETS, "anew", Target("drawn anew", soft, train_dist=drawn, each_epoch=True))
    seen = observed(label_dist, label_dist.argmax(1))

    def dist(target: str, seed: int, epoch: int) -> torch.Tensor:
        torch.rand(3)  # the global state has no part in it
        return Objective(HeadSpec(target)).trained_by(seen, seed, epoch).dist

    assert torch.equal(dist("anew", 3, 2), dist("anew", 3, 2))
    assert torch.equal(dist("anew", 3, 0), dist("once", 3, 7))
    assert torch.equal(dist("once", 3, 0), dist("once", 3, 7))
    assert not torch.equal(dist("anew", 3, 2), dist("anew", 3, 3))
    assert not torch.equal(dist("anew", 3, 2), dist("anew", 4, 2))
    assert torch.equal(Objective(HeadSpec("anew")).judged_by(seen).dist, label_dist)
    often = torch.stack([dist("anew", 0, epoch) for epoch in range(600)]).mean(0)
    torch.testing.assert_close(often, label_dist.float(), atol=0.08, rtol=0)


@pytest.mark.parametrize(("table", "kind", "name", "near"), [
    (TARGETS, "target", "softt", "soft"), (LOSSES, "loss", "cross-entropy", "cross_entropy"),
])  # fmt: skip
def test_a_name_that_is_no_row_is_refused_with_the_nearest_one(
    table: dict[str, object], kind: str, name: str, near: str
) -> None:
    with pytest.raises(ConfigError, match=rf"wanted a {kind} of {', '.join(table)}, got {name}; did you mean {near}\?"):
        known(kind, name, table)


def test_a_name_unlike_any_row_is_refused_without_a_guess() -> None:
    with pytest.raises(ConfigError, match=r"wanted a target of soft, hard.*, got zzz$"):
        fields_read("zzz")


def test_a_loss_for_ordered_classes_is_refused_for_others() -> None:
    objective = Objective(HeadSpec(loss="rps"))
    objective.check(ordinal=True)
    with pytest.raises(ConfigError, match="loss rps is defined for ordered classes only; choose another, or say"):
        objective.check(ordinal=False)


def test_a_target_names_the_fields_that_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "reader", Target("reads", TARGETS["soft"].dist, reads=("dropout",)))
    assert fields_read("reader") == ("dropout",)
    assert (fields_read("soft"), fields_read("shrunk")) == ((), ("shrinkage",))
