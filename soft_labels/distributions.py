"""Counts to label distributions, majority labels, entropies and divergences.

Pure functions over leading dimensions: the last axis is always the C classes. Information is in nats. A divergence
takes the annotations first and the model's logits second; the two broadcast, so one ``[N, C]`` label distribution
serves the ``[P, N, C]`` logits of a whole population. Nothing is checked here, because training calls these at every
step: label distributions are not negative and their rows sum to 1, logits are finite or rule a class out by ``-inf``
(never all of them), and C is at least 2.
"""

import math
from typing import Literal, assert_never

import torch
from torch import Tensor

TiePolicy = Literal["lowest", "highest", "random"]


def label_distribution(label_counts: Tensor) -> Tensor:
    """Share of the annotations that chose each class.

    Args:
        label_counts: ``[..., C]`` not negative, at least one annotation a row.

    Returns:
        ``[..., C]`` rows sum to 1, in the dtype of floating ``label_counts`` (integers give torch's default dtype).

    Example:
        >>> label_distribution(torch.tensor([[3.0, 1.0, 0.0]]))
        tensor([[0.7500, 0.2500, 0.0000]])
    """
    total = label_counts.sum(-1, keepdim=True)
    smaller = label_counts / (2 * label_counts.shape[-1])  # counts near the largest number have no finite sum
    return torch.where(total.isinf(), smaller / smaller.sum(-1, keepdim=True), label_counts / total)


def has_tie(label_counts: Tensor) -> Tensor:
    """Whether several classes share the highest count.

    Args:
        label_counts: ``[..., C]`` not negative.

    Returns:
        ``[...]`` bool.
    """
    return _is_top(label_counts).sum(-1) > 1


def majority_label(label_counts: Tensor, tie: TiePolicy = "lowest", seed: int = 0) -> Tensor:
    """Class with the highest count.

    Args:
        label_counts: ``[..., C]`` not negative.
        tie: Which of the tied classes is taken: the lowest index, the highest index, or one drawn uniformly.
        seed: Of the draws for ``"random"``. They follow the rows' order: the same rows in the same order give the same
            labels on every device, and a row's label depends on where it stands.

    Returns:
        ``[...]`` int64 class indices.

    Example:
        >>> majority_label(torch.tensor([[2.0, 2.0, 1.0]]), tie="highest")
        tensor([1])
    """
    return _tie_preference(label_counts, tie, seed).masked_fill(~_is_top(label_counts), -math.inf).argmax(-1)


def _is_top(label_counts: Tensor) -> Tensor:
    """Which classes have the row's highest count, ``[..., C]`` bool."""
    return label_counts == label_counts.amax(-1, keepdim=True)


def _tie_preference(label_counts: Tensor, tie: TiePolicy, seed: int) -> Tensor:
    """A number for each class, float32, that broadcasts to ``[..., C]``: of tied classes the one with most wins."""
    index = torch.arange(label_counts.shape[-1], dtype=torch.float32, device=label_counts.device)
    match tie:
        case "lowest":
            return -index
        case "highest":
            return index
        case "random":
            generator = torch.Generator().manual_seed(seed)
            draws = torch.rand(label_counts.shape, generator=generator, dtype=torch.float32)
            return draws.to(label_counts.device)
        case _:
            assert_never(tie)


def entropy(dist: Tensor) -> Tensor:
    """Shannon entropy, with 0 log 0 = 0.

    Args:
        dist: ``[..., C]`` rows sum to 1.

    Returns:
        ``[...]`` nats, from 0 to log C.

    Example:
        >>> entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
        tensor([0.6931, 0.0000])
    """
    # Subtracted from 0, here and below: a minus sign would show certainty as -0.0.
    return 0 - torch.xlogy(dist, dist).sum(-1)


def entropy_from_logits(logits: Tensor) -> Tensor:
    """Shannon entropy of ``softmax(logits)``, with a finite gradient however confident the logits are.

    Args:
        logits: ``[..., C]``; a class may be ruled out by ``-inf``.

    Returns:
        ``[...]`` nats, from 0 to log C.
    """
    log_pred = logits.log_softmax(-1)
    return 0 - (log_pred.exp() * _finite(log_pred)).sum(-1)


def normalized_entropy(dist: Tensor) -> Tensor:
    """Shannon entropy divided by its largest value, log C.

    Args:
        dist: ``[..., C]`` rows sum to 1.

    Returns:
        ``[...]`` from 0 (one class) to 1 (uniform), no unit.
    """
    return entropy(dist) / math.log(dist.shape[-1])


def kl_divergence(label_dist: Tensor, logits: Tensor) -> Tensor:
    """D_KL(label_dist || softmax(logits)), exact where a count is zero.

    Args:
        label_dist: ``[..., C]`` rows sum to 1.
        logits: ``[..., C]``.

    Returns:
        ``[...]`` nats, 0 or more (equal distributions give 0 up to rounding); ``inf`` where a class that annotators
        chose is ruled out.

    Example:
        >>> kl_divergence(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]]))
        tensor([0.6931])
    """
    return torch.xlogy(label_dist, label_dist).sum(-1) + soft_cross_entropy(label_dist, logits)


def soft_cross_entropy(label_dist: Tensor, logits: Tensor) -> Tensor:
    """Cross-entropy of ``softmax(logits)`` with the whole label distribution as target.

    Args:
        label_dist: ``[..., C]`` rows sum to 1.
        logits: ``[..., C]``.

    Returns:
        ``[...]`` nats: the KL divergence plus the label entropy; ``inf`` where a class that annotators chose is ruled
        out.
    """
    log_pred = logits.log_softmax(-1).masked_fill(label_dist == 0, 0)  # 0 * -inf would be nan
    return 0 - (label_dist * log_pred).sum(-1)


def jensen_shannon(label_dist: Tensor, logits: Tensor) -> Tensor:
    """Jensen-Shannon divergence: the mean KL divergence of both distributions from their average.

    This is the divergence, not its square root: SciPy's ``jensenshannon`` and the "JSD" that ChaosNLI publishes are
    the square root, the Jensen-Shannon distance.

    Args:
        label_dist: ``[..., C]`` rows sum to 1.
        logits: ``[..., C]``.

    Returns:
        ``[...]`` nats, from 0 to log 2.

    Source:
        Lin, "Divergence measures based on the Shannon entropy", 1991, with equal weights.
    """
    log_pred = _finite(logits.log_softmax(-1))
    log_mean = torch.logaddexp(label_dist.log(), log_pred) - math.log(2)
    label_part = torch.xlogy(label_dist, label_dist) - label_dist * log_mean
    pred_part = log_pred.exp() * (log_pred - log_mean)
    return (label_part + pred_part).sum(-1) / 2


def total_variation(label_dist: Tensor, logits: Tensor) -> Tensor:
    """Total variation distance: half the sum over classes of absolute differences.

    Args:
        label_dist: ``[..., C]`` rows sum to 1.
        logits: ``[..., C]``.

    Returns:
        ``[...]`` probability, from 0 to 1.
    """
    return _difference(label_dist, logits).abs().sum(-1) / 2


def brier_score(label_dist: Tensor, logits: Tensor) -> Tensor:
    """Brier score: the sum over classes of squared differences, neither halved nor divided by C.

    Args:
        label_dist: ``[..., C]`` rows sum to 1.
        logits: ``[..., C]``.

    Returns:
        ``[...]`` squared probability, from 0 to 2.

    Source:
        Brier, "Verification of forecasts expressed in terms of probability", 1950, equation 2.
    """
    return _difference(label_dist, logits).square().sum(-1)


def wasserstein(label_dist: Tensor, logits: Tensor) -> Tensor:
    """Wasserstein-1 distance of ordered classes, with a distance of 1 between neighbours.

    Args:
        label_dist: ``[..., C]`` rows sum to 1, classes in their order.
        logits: ``[..., C]``.

    Returns:
        ``[...]`` classes by which the mass must move, from 0 to C - 1.
    """
    return _cumulative_difference(label_dist, logits).abs().sum(-1)


def ranked_probability_score(label_dist: Tensor, logits: Tensor) -> Tensor:
    """Ranked probability score: squared differences of the cumulative distributions, summed over the C - 1 thresholds.

    The sum is divided by C - 1, so that scores of different numbers of classes can be compared.

    Args:
        label_dist: ``[..., C]`` rows sum to 1, classes in their order.
        logits: ``[..., C]``.

    Returns:
        ``[...]`` squared probability, from 0 to 1.

    Source:
        Epstein, "A scoring system for probability forecasts of ranked categories", 1969, with the division by C - 1
        that is usual today.
    """
    return _cumulative_difference(label_dist, logits).square().mean(-1)


def entropy_error(label_dist: Tensor, logits: Tensor) -> Tensor:
    """Absolute difference of the label entropy and the predicted entropy.

    Args:
        label_dist: ``[..., C]`` rows sum to 1.
        logits: ``[..., C]``.

    Returns:
        ``[...]`` nats, from 0 to log C.

    Source:
        EntCE in Baan et al., "Stop measuring calibration when humans disagree", 2022, in absolute value.
    """
    return (entropy(label_dist) - entropy_from_logits(logits)).abs()


def _finite(log_pred: Tensor) -> Tensor:
    """The log probabilities, very low instead of -inf: 0 * -inf would be nan, 0 times any number is the 0 meant."""
    return log_pred.clamp(min=torch.finfo(log_pred.dtype).min)


def _difference(label_dist: Tensor, logits: Tensor) -> Tensor:
    """Label distribution less predicted distribution, ``[..., C]``."""
    return label_dist - logits.softmax(-1)


def _cumulative_difference(label_dist: Tensor, logits: Tensor) -> Tensor:
    """Difference of the cumulative distributions at the thresholds between classes, ``[..., C - 1]``."""
    return _difference(label_dist, logits).cumsum(-1)[..., :-1]
