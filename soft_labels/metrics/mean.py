"""Metrics that are a mean over the items of a split."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from soft_labels.distributions import kl_divergence
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


class MeanDivergence(_MeanOverItems):
    """Mean of a function of label distribution and logits.

    Args:
        of_items: Of label distributions and logits, both ``[B, C]``: ``[B]``, lower for the better.
        kwargs: See :class:`torchmetrics.Metric`.

    Example:
        >>> from soft_labels.distributions import total_variation
        >>> metric = MeanDivergence(total_variation)
        >>> metric.update(logits=torch.tensor([[0.0, 0.0]]), label_dist=torch.tensor([[1.0, 0.0]]))
        >>> metric.compute().item()
        0.5
    """

    def __init__(self, of_items: Callable[[Tensor, Tensor], Tensor], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.of_items = of_items

    def update(self, logits: Tensor, label_dist: Tensor) -> None:
        """Take in one batch.

        Args:
            logits: ``[B, C]`` of the model.
            label_dist: ``[B, C]`` rows sum to 1.

        Raises:
            ValueError: The shapes are not as said above.
        """
        check_distributions(logits, label_dist)
        self._add(self.of_items(label_dist.to(STATE_DTYPE), logits.to(STATE_DTYPE)))


class TrueDivergence(MeanDivergence):
    """The same against the distribution that generated the annotations."""

    def update(self, logits: Tensor, true_dist: Tensor) -> None:  # named as the collection names it
        """Take in one batch.

        Args:
            logits: ``[B, C]`` of the model.
            true_dist: ``[B, C]`` rows sum to 1.
        """
        super().update(logits, true_dist)


class KLDivergence(MeanDivergence):
    """Mean D_KL(label_dist || pred_dist), nats.

    Args:
        kwargs: See :class:`torchmetrics.Metric`.

    Example:
        >>> metric = KLDivergence()
        >>> metric.update(logits=torch.tensor([[0.0, 0.0]]), label_dist=torch.tensor([[1.0, 0.0]]))
        >>> round(metric.compute().item(), 4)
        0.6931
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(kl_divergence, **kwargs)


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
