"""Metrics of other authors under their own names, so that numbers can be laid side by side."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from soft_labels.distributions import entropy_error, jensen_shannon, total_variation, wasserstein
from soft_labels.trust.inputs import Floats, Numbers, as_counts, as_log_pred, shares

_LEAST_LOG = -700.0  # of a class that is ruled out: exp(-700) adds nothing, while 0 * -inf would be nan


def dist_ce(label_dist: Tensor, log_pred: Tensor) -> Tensor:
    """DistCE: total variation distance, ``[..., N]`` probability from 0 to 1.

    Source: Baan et al., "Stop measuring calibration when humans disagree", 2022, section 4.
    """
    return total_variation(label_dist, log_pred)


def ent_ce(label_dist: Tensor, log_pred: Tensor) -> Tensor:
    """EntCE: absolute difference of the entropies, ``[..., N]`` nats, as in the authors' tables.

    Source: Baan et al. (2022), section 4, which defines it with its sign; their released code takes the absolute value.
    """
    return entropy_error(label_dist, log_pred)


def rank_cs(label_dist: Tensor, log_pred: Tensor) -> Tensor:
    """RankCS: whether the model ranks all classes as the annotators do, ``[..., N]`` 0 or 1.

    Of equal classes the one with the lower index ranks lower, as in the authors' code.

    Source: Baan et al. (2022), section 4.
    """
    ranked = [side.argsort(dim=-1, stable=True) for side in (label_dist, log_pred)]
    return (ranked[0] == ranked[1]).all(-1).to(label_dist.dtype)


def manhattan(label_dist: Tensor, log_pred: Tensor) -> Tensor:
    """Manhattan distance of LeWiDi: the sum of absolute differences, ``[..., N]`` from 0 to 2.

    Source: the shared task Learning with Disagreements, third edition, 2025.
    """
    return (label_dist - log_pred.exp()).abs().sum(-1)


def po_jsd(label_dist: Tensor, log_pred: Tensor) -> Tensor:
    """PO-JSD: 1 - Jensen-Shannon divergence in bits, ``[..., N]`` from 0 to 1, higher is better.

    Source: Kurniawan et al., "Training and evaluating with human label variation", 2025.
    """
    return 1 - jensen_shannon(label_dist, log_pred) / math.log(2)


def soft_accuracy(label_dist: Tensor, log_pred: Tensor) -> Tensor:
    """Soft accuracy: the mass that both distributions share, ``[..., N]`` from 0 to 1; 1 - DistCE.

    Source: Kurniawan et al. (2025).
    """
    return torch.minimum(label_dist, log_pred.exp()).sum(-1)


PEERS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "dist_ce": dist_ce,
    "ent_ce": ent_ce,
    "rank_cs": rank_cs,
    "manhattan": manhattan,
    "wasserstein": wasserstein,
    "po_jsd": po_jsd,
    "soft_accuracy": soft_accuracy,
}


def peer_metrics(counts: Numbers, predictions: Numbers) -> dict[str, Floats]:
    """All metrics of :data:`PEERS`; ``wasserstein`` means something for ordered classes only.

    Args:
        counts: ``[N, C]``.
        predictions: ``[..., N, C]`` pred_dist or log_pred.

    Returns:
        ``[..., N]`` for each name; their means over items are what the papers print.
    """
    label_dist = shares(as_counts(counts))
    log_pred = torch.from_numpy(as_log_pred(predictions, label_dist.shape)).clamp(min=_LEAST_LOG)
    return {name: metric(torch.from_numpy(label_dist), log_pred).numpy() for name, metric in PEERS.items()}
