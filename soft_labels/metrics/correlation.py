"""Does the model disagree with itself where annotators disagree with one another?"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import rank_zero_warn
from torchmetrics.utilities.distributed import gather_all_tensors

from soft_labels.distributions import entropy, entropy_from_logits
from soft_labels.metrics.inputs import STATE_DTYPE, check_distributions

# Entropies of permuted counts, or of logits that are equal but for rounding, differ by less than this (nats).
_CONSTANT_BELOW = 100 * torch.finfo(STATE_DTYPE).eps


def entropy_correlation(label_entropy: Tensor, pred_entropy: Tensor) -> Tensor:
    """Pearson correlation of the entropies of a split, with a warning where it is undefined.

    Args:
        label_entropy: ``[..., N]`` nats.
        pred_entropy: ``[..., N]`` nats; leading dimensions broadcast, as for many heads on one split.

    Returns:
        ``[...]`` float64 on the CPU, from -1 to 1; nan where N is below 2 or where one side is constant.
    """
    sides = (label_entropy.cpu().double(), pred_entropy.cpu().double())
    shape = torch.broadcast_shapes(*(side.shape for side in sides))  # type: ignore[no-untyped-call]
    if shape[-1] < 2:
        rank_zero_warn(f"entropy_corr is nan: a correlation needs at least 2 items, got {shape[-1]}")
        return torch.full(shape[:-1], torch.nan, dtype=torch.float64)
    constant = [side.amax(-1) - side.amin(-1) <= _CONSTANT_BELOW for side in sides]
    names = " and ".join(name for name, flat in zip(("label", "predicted"), constant, strict=True) if flat.any())
    if names:
        rank_zero_warn(f"entropy_corr is nan: the {names} entropy is the same for every item")
    x, y = (side - side.mean(-1, keepdim=True) for side in sides)
    correlation: Tensor = (x * y).sum(-1) / (x.square().sum(-1) * y.square().sum(-1)).sqrt()
    return correlation.clamp(-1, 1).masked_fill(constant[0] | constant[1], torch.nan)


class EntropyCorrelation(Metric):
    """Pearson correlation of label entropy and predicted entropy over a whole split, from -1 to 1.

    One number for the split, not a mean over batches: the entropies of all items are kept until it is computed, then
    gathered from every process and correlated in float64 on the CPU. Nan, with a warning, where it is undefined.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    label_entropy: list[Tensor] | Tensor
    pred_entropy: list[Tensor] | Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("label_entropy", [], dist_reduce_fx="cat")
        self.add_state("pred_entropy", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor, label_dist: Tensor) -> None:
        """Take in one batch.

        Args:
            logits: ``[B, C]`` of the model.
            label_dist: ``[B, C]`` rows sum to 1.

        Raises:
            ValueError: The shapes are not as said above.
        """
        check_distributions(logits, label_dist)
        self.label_entropy = [*self.label_entropy, entropy(label_dist.detach().to(STATE_DTYPE))]
        self.pred_entropy = [*self.pred_entropy, entropy_from_logits(logits.detach().to(STATE_DTYPE))]

    def compute(self) -> Tensor:
        """Correlation over all items so far, a scalar on the metric's device; nan where it is undefined."""
        correlation = entropy_correlation(self._joined(self.label_entropy), self._joined(self.pred_entropy))
        return correlation.to(self.device, STATE_DTYPE)

    def _joined(self, state: list[Tensor] | Tensor) -> Tensor:
        """All items of a state, ``[N]``: a list before processes are gathered, a tensor after."""
        if isinstance(state, Tensor):
            return state
        return torch.cat([torch.empty(0, dtype=STATE_DTYPE, device=self.device), *state])

    def _sync_dist(
        self, dist_sync_fn: Callable[..., list[Tensor]] = gather_all_tensors, process_group: Any | None = None
    ) -> None:
        """Gather the entropies of all processes.

        Torchmetrics gives a process without items empty states of the default dtype, and gathering different dtypes
        fails or garbles values: give them the dtype that the other processes hold.
        """
        self.label_entropy = [self._joined(self.label_entropy)]
        self.pred_entropy = [self._joined(self.pred_entropy)]
        super()._sync_dist(dist_sync_fn, process_group)
