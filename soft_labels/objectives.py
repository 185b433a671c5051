"""What a head is trained towards: the annotation distribution (soft) or its majority class (hard)."""

from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own short name)

from soft_labels.distributions import soft_cross_entropy

Target = Literal["soft", "hard"]
TARGETS: tuple[Target, ...] = get_args(Target)


def item_losses(target: Target, logits: Tensor, label_dist: Tensor, majority_label: Tensor) -> Tensor:
    """Cross-entropy of each item against the chosen target.

    Args:
        target: ``soft`` for the whole distribution, ``hard`` for its majority class.
        logits: ``[B, C]``.
        label_dist: ``[B, C]``, rows sum to 1; read by ``soft`` only.
        majority_label: ``[B]`` int64; read by ``hard`` only.

    Returns:
        ``[B]`` in nats.

    Source: the paper's section 3.3.
    """
    if target == "soft":
        return soft_cross_entropy(label_dist, logits)
    return F.cross_entropy(logits, majority_label, reduction="none")
