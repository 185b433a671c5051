"""Metrics that are a mean over the items of a split."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from soft_labels.distributions import (
    brier_score,
    entropy_error,
    jensen_shannon,
    kl_divergence,
    ranked_probability_score,
    soft_cross_entropy,
    total_variation,
    wasserstein,
)
from soft_labels.metrics.inputs import STATE_DTYPE, check_distributions, check_labels


class _MeanOverItems(Metric):
    """Sum and number of per-item values, so that batches and processes of any size give the split's mean."""

    is_differentiable = True
    higher_is_better = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=STATE_DTYPE), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=STATE_DTYPE), dist_reduce_fx="sum")

    def _add(self, values: Tensor) -> None:
        """Take in the values of one batch, ``[B]``."""
        # Out of place, because processes started by spawn share the memory of a metric's first state.
        self.total = self.total + values.sum(dtype=STATE_DTYPE)
        # Module.to(bfloat16) casts states too, and a bfloat16 count stops at 256.
        self.count = self.count.to(STATE_DTYPE) + len(values)

    def compute(self) -> Tensor:
        """Mean over all items so far, a scalar; nan where there were none."""
        return self.total / self.count


class MeanLoss(_MeanOverItems):
    """Mean of losses that were computed elsewhere; unlike torchmetrics' own mean it lets a nan through."""

    def update(self, losses: Tensor) -> None:
        """Take in one batch.

        Args:
            losses: ``[B]``.
        """
        self._add(losses)


class _MeanDivergence(_MeanOverItems):
    """Mean of a function of label distribution and logits."""

    per_item: "ClassVar[staticmethod[[Tensor, Tensor], Tensor]]"

    def update(self, logits: Tensor, label_dist: Tensor) -> None:
        """Take in one batch.

        Args:
            logits: ``[B, C]`` of the model.
            label_dist: ``[B, C]`` rows sum to 1.

        Raises:
            ValueError: The shapes are not as said above.
        """
        check_distributions(logits, label_dist)
        self._add(self.per_item(label_dist.to(STATE_DTYPE), logits.to(STATE_DTYPE)))


class KLDivergence(_MeanDivergence):
    """Mean D_KL(label_dist || pred_dist), nats.

    Example:
        >>> metric = KLDivergence()
        >>> metric.update(logits=torch.tensor([[0.0, 0.0]]), label_dist=torch.tensor([[1.0, 0.0]]))
        >>> round(metric.compute().item(), 4)
        0.6931
    """

    per_item = staticmethod(kl_divergence)


class SoftCrossEntropy(_MeanDivergence):
    """Mean cross-entropy with the label distribution as target, nats."""

    per_item = staticmethod(soft_cross_entropy)


class JensenShannonDivergence(_MeanDivergence):
    """Mean Jensen-Shannon divergence (not its square root), nats."""

    per_item = staticmethod(jensen_shannon)


class TotalVariation(_MeanDivergence):
    """Mean total variation distance, probability from 0 to 1."""

    per_item = staticmethod(total_variation)


class BrierScore(_MeanDivergence):
    """Mean Brier score as a sum over classes, from 0 to 2."""

    per_item = staticmethod(brier_score)


class EntropyError(_MeanDivergence):
    """Mean absolute difference of label entropy and predicted entropy, nats; EntCE in the literature."""

    per_item = staticmethod(entropy_error)


class WassersteinDistance(_MeanDivergence):
    """Mean Wasserstein-1 distance of ordered classes, in classes."""

    per_item = staticmethod(wasserstein)


class RankedProbabilityScore(_MeanDivergence):
    """Mean ranked probability score of ordered classes, divided by C - 1, from 0 to 1."""

    per_item = staticmethod(ranked_probability_score)


class MajorityAccuracy(_MeanOverItems):
    """Share of the items whose highest logit is at the majority label, from 0 to 1; the lowest index of equal logits.

    Example:
        >>> metric = MajorityAccuracy()
        >>> metric.update(logits=torch.tensor([[2.0, 1.0], [2.0, 1.0]]), majority_label=torch.tensor([0, 1]))
        >>> metric.compute().item()
        0.5
    """

    is_differentiable = False
    higher_is_better = True

    def update(self, logits: Tensor, majority_label: Tensor) -> None:
        """Take in one batch.

        Args:
            logits: ``[B, C]`` of the model.
            majority_label: ``[B]`` int64 class indices.

        Raises:
            ValueError: The shapes or the dtype are not as said above.
        """
        check_labels(logits, majority_label)
        self._add(logits.argmax(-1) == majority_label)
