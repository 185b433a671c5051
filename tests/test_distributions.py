import math
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
import torch
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss
from torch import Tensor

from soft_labels.distributions import (
    TiePolicy,
    brier_score,
    entropy,
    entropy_error,
    entropy_from_logits,
    has_tie,
    jensen_shannon,
    kl_divergence,
    label_distribution,
    majority_label,
    normalized_entropy,
    ranked_probability_score,
    soft_cross_entropy,
    total_variation,
    wasserstein,
)

Divergence = Callable[[Tensor, Tensor], Tensor]
DIVERGENCES: list[Divergence] = [
    kl_divergence,
    soft_cross_entropy,
    jensen_shannon,
    total_variation,
    brier_score,
    wasserstein,
    ranked_probability_score,
    entropy_error,
]
SHAPES = [(1, 2), (7, 3), (40, 5), (25, 10)]


def random_case(num_items: int, num_classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Counts of seven annotators, many of them zero, and logits, both float64."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(num_classes, 0.5), num_items)
    counts = np.stack([rng.multinomial(7, share) for share in shares])
    return torch.tensor(counts, dtype=torch.float64), torch.tensor(3 * rng.standard_normal(counts.shape))


def rows(label_dist: Tensor, logits: Tensor) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return zip(label_dist.numpy(), scipy.special.softmax(logits.numpy(), axis=-1), strict=True)


def by_row(label_dist: Tensor, logits: Tensor, function: Callable[..., float]) -> Tensor:
    return torch.tensor([function(p, q) for p, q in rows(label_dist, logits)], dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_label_distribution_has_the_counts_shares_and_dtype(dtype: torch.dtype) -> None:
    label_dist = label_distribution(torch.tensor([[1, 3, 0], [2, 2, 4]], dtype=dtype))
    assert label_dist.dtype == dtype
    assert label_dist.tolist() == [[0.25, 0.75, 0.0], [0.25, 0.25, 0.5]]


@pytest.mark.parametrize("shape", SHAPES)
def test_label_distribution_rows_sum_to_one(shape: tuple[int, int]) -> None:
    counts, _ = random_case(*shape)
    torch.testing.assert_close(label_distribution(counts).sum(-1), torch.ones(shape[0], dtype=torch.float64))


def test_has_tie_looks_only_at_the_highest_count() -> None:
    counts = torch.tensor([[2.0, 2.0, 1.0], [3.0, 1.0, 1.0], [0.0, 0.0, 5.0], [1.0, 1.0, 1.0]])
    assert has_tie(counts).tolist() == [True, False, False, True]


@pytest.mark.parametrize(("tie", "wanted"), [("lowest", [0, 2, 1]), ("highest", [1, 2, 2])])
def test_majority_label_breaks_ties_by_index(tie: TiePolicy, wanted: list[int]) -> None:
    counts = torch.tensor([[2.0, 2.0, 1.0], [0.0, 0.0, 5.0], [0.0, 4.0, 4.0]])
    labels = majority_label(counts, tie)
    assert labels.dtype == torch.int64
    assert labels.tolist() == wanted


@pytest.mark.parametrize("tie", ["lowest", "highest", "random"])
@pytest.mark.parametrize("shape", SHAPES)
def test_majority_label_is_a_class_with_the_highest_count(tie: TiePolicy, shape: tuple[int, int]) -> None:
    counts, _ = random_case(*shape)
    labels = majority_label(counts, tie)
    torch.testing.assert_close(counts.gather(1, labels[:, None])[:, 0], counts.amax(1))
    clear = ~has_tie(counts)
    assert labels[clear].tolist() == counts.numpy().argmax(1)[clear.numpy()].tolist()


def test_random_ties_are_uniform_among_the_tied_classes() -> None:
    labels = majority_label(torch.tensor([[3.0, 0.0, 3.0, 3.0]]).expand(3000, 4), tie="random")
    drawn = np.bincount(labels.numpy(), minlength=4)
    assert drawn[1] == 0
    assert scipy.stats.chisquare(drawn[[0, 2, 3]]).pvalue > 0.001


def test_random_ties_repeat_for_a_seed_and_leave_the_global_generator_alone() -> None:
    counts = torch.ones(200, 3)
    state = torch.get_rng_state()
    first = majority_label(counts, "random", seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(majority_label(counts, "random", seed=1), first)
    assert not torch.equal(majority_label(counts, "random", seed=2), first)


def test_an_unknown_tie_policy_is_an_error() -> None:
    with pytest.raises(AssertionError, match="first"):
        majority_label(torch.ones(1, 2), cast("TiePolicy", "first"))


@pytest.mark.parametrize("shape", SHAPES)
def test_entropy_agrees_with_scipy(shape: tuple[int, int]) -> None:
    counts, logits = random_case(*shape)
    label_dist = label_distribution(counts)
    wanted = torch.tensor(scipy.stats.entropy(label_dist.numpy(), axis=-1))
    torch.testing.assert_close(entropy(label_dist), wanted)
    torch.testing.assert_close(normalized_entropy(label_dist), wanted / np.log(shape[1]))
    pred_dist = scipy.special.softmax(logits.numpy(), axis=-1)
    torch.testing.assert_close(entropy_from_logits(logits), torch.tensor(scipy.stats.entropy(pred_dist, axis=-1)))


def test_certainty_has_entropy_zero_without_a_minus_sign() -> None:
    certain = [entropy(torch.eye(3)), entropy_from_logits(1e4 * torch.eye(3)), soft_cross_entropy(*2 * [torch.eye(1)])]
    for values in certain:
        assert not values.any()
        assert not torch.signbit(values).any()


def test_uniform_has_normalized_entropy_one() -> None:
    torch.testing.assert_close(normalized_entropy(torch.full((2, 5), 0.2)), torch.ones(2))


@pytest.mark.parametrize("extreme", [1e4, math.inf])
def test_entropy_from_logits_has_finite_values_and_gradients_for_confident_heads(extreme: float) -> None:
    logits = torch.tensor([[0.0, -extreme, 1.0]], requires_grad=True)
    values = entropy_from_logits(logits)
    torch.testing.assert_close(values, entropy(torch.tensor([[0.0, 1.0]]).softmax(-1)))
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("divergence", "reference"),
    [
        (kl_divergence, scipy.stats.entropy),
        (soft_cross_entropy, lambda p, q: -(p * np.log(q)).sum()),
        (jensen_shannon, lambda p, q: scipy.spatial.distance.jensenshannon(p, q) ** 2),
        (total_variation, lambda p, q: np.maximum(p - q, 0).sum()),
        (brier_score, scipy.spatial.distance.sqeuclidean),
        (wasserstein, lambda p, q: scipy.stats.wasserstein_distance(np.arange(len(p)), np.arange(len(p)), p, q)),
        (
            ranked_probability_score,
            lambda p, q: sum((p[:k].sum() - q[:k].sum()) ** 2 for k in range(1, len(p))) / (len(p) - 1),
        ),
        (entropy_error, lambda p, q: abs(scipy.stats.entropy(p) - scipy.stats.entropy(q))),
    ],
)
def test_divergences_agree_with_references(
    divergence: Divergence, reference: Callable[..., float], shape: tuple[int, int]
) -> None:
    for seed in range(3):
        counts, logits = random_case(*shape, seed=seed)
        label_dist = label_distribution(counts)
        torch.testing.assert_close(
            divergence(label_dist, logits), by_row(label_dist, logits, reference), rtol=1e-10, atol=1e-12
        )


def test_one_hot_targets_agree_with_sklearn() -> None:
    counts, logits = random_case(40, 5)
    labels = majority_label(counts)
    one_hot = torch.nn.functional.one_hot(labels, 5).double()
    pred_dist = scipy.special.softmax(logits.numpy(), axis=-1)
    classes = list(range(5))
    assert soft_cross_entropy(one_hot, logits).mean().item() == pytest.approx(
        log_loss(labels.numpy(), pred_dist, labels=classes)
    )
    assert kl_divergence(one_hot, logits).mean().item() == pytest.approx(
        log_loss(labels.numpy(), pred_dist, labels=classes)
    )
    assert brier_score(one_hot, logits).mean().item() == pytest.approx(
        brier_score_loss(labels.numpy(), pred_dist, labels=classes, scale_by_half=False)
    )


def test_worst_cases_reach_the_stated_ranges() -> None:
    label_dist = torch.tensor([[1.0, 0.0, 0.0]])
    logits = torch.tensor([[-1e4, -1e4, 1e4]])
    assert jensen_shannon(label_dist, logits).item() == pytest.approx(math.log(2))
    assert total_variation(label_dist, logits).item() == 1
    assert brier_score(label_dist, logits).item() == 2
    assert wasserstein(label_dist, logits).item() == 2
    assert ranked_probability_score(label_dist, logits).item() == 1


def test_kl_of_float32_logits_of_ten_thousand_is_exact() -> None:
    label_dist = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    logits = torch.tensor([[1e4, -1e4, 0.0]]).expand(3, 3)
    torch.testing.assert_close(kl_divergence(label_dist, logits), torch.tensor([1e4 - math.log(2), 0.0, 2e4]))


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_values_and_gradients_are_finite_with_zero_counts(divergence: Divergence, scale: float) -> None:
    label_dist = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    logits = (scale * torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, -1.0], [0.5, 1.0, -1.0]])).requires_grad_()
    values = divergence(label_dist, logits)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_gradients_agree_with_finite_differences(divergence: Divergence) -> None:
    counts, logits = random_case(6, 4, seed=3)
    label_dist = label_distribution(counts)
    assert torch.autograd.gradcheck(lambda logits: divergence(label_dist, logits), logits.requires_grad_())


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_one_label_distribution_serves_a_population(divergence: Divergence) -> None:
    counts, _ = random_case(7, 3)
    label_dist = label_distribution(counts)
    logits = torch.stack([random_case(7, 3, seed=seed)[1] for seed in range(4)])
    wanted = torch.stack([divergence(label_dist, member) for member in logits])
    torch.testing.assert_close(divergence(label_dist, logits), wanted)


def test_counts_functions_take_leading_dimensions() -> None:
    counts, _ = random_case(6, 3)
    stacked = counts.reshape(2, 3, 3)
    assert torch.equal(has_tie(stacked), has_tie(counts).reshape(2, 3))
    assert torch.equal(majority_label(stacked), majority_label(counts).reshape(2, 3))
    assert torch.equal(label_distribution(stacked), label_distribution(counts).reshape(2, 3, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_counts_near_the_largest_number_still_give_their_shares(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    counts = torch.tensor([[largest, largest, largest / 2], [largest, 0.0, 0.0], [3.0, 1.0, 0.0]], dtype=dtype)
    wanted = torch.tensor([[0.4, 0.4, 0.2], [1.0, 0.0, 0.0], [0.75, 0.25, 0.0]], dtype=dtype)
    torch.testing.assert_close(label_distribution(counts), wanted)
    assert torch.equal(label_distribution(counts[2]), counts[2] / 4)


RULED_OUT = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]), torch.tensor([[1.0, 0.5, -math.inf]] * 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_class_ruled_out_has_its_right_value_in_every_divergence(dtype: torch.dtype) -> None:
    label_dist, logits = (part.to(dtype) for part in RULED_OUT)
    p, q = label_dist.double().numpy(), scipy.special.softmax(logits.double().numpy(), axis=-1)
    distance = scipy.spatial.distance.jensenshannon(p, q, axis=-1)
    wanted = {
        kl_divergence: scipy.special.rel_entr(p, q).sum(-1),
        soft_cross_entropy: scipy.special.rel_entr(p, q).sum(-1) + scipy.special.entr(p).sum(-1),
        jensen_shannon: distance**2,
        total_variation: np.abs(p - q).sum(-1) / 2,
        brier_score: ((p - q) ** 2).sum(-1),
        entropy_error: np.abs(scipy.special.entr(p).sum(-1) - scipy.special.entr(q).sum(-1)),
    }
    assert np.isinf(wanted[kl_divergence]).tolist() == [False, True]
    for divergence, values in wanted.items():
        torch.testing.assert_close(divergence(label_dist, logits), torch.tensor(values, dtype=dtype))


@pytest.mark.parametrize("divergence", [kl_divergence, soft_cross_entropy, jensen_shannon])
def test_gradients_are_finite_where_nobody_chose_the_class_that_is_ruled_out(divergence: Divergence) -> None:
    label_dist, logits = (part[:1] for part in RULED_OUT)
    logits = logits.clone().requires_grad_()
    divergence(label_dist, logits).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 2] == 0


def test_values_and_gradients_of_finite_logits_are_those_of_the_plain_formula_bit_for_bit() -> None:
    counts, logits = random_case(40, 5)
    label_dist, logits = label_distribution(counts).float(), logits.float().requires_grad_()
    plain = 0 - (label_dist * logits.log_softmax(-1)).sum(-1)
    values = soft_cross_entropy(label_dist, logits)
    assert torch.equal(values, plain)
    assert torch.equal(*(torch.autograd.grad(part.sum(), logits)[0] for part in (values, plain)))
