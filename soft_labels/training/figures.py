"""Figures of one run: what annotators said against what the model says."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from soft_labels.distributions import entropy
from soft_labels.palette import ANNOTATORS, ARMS, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MODEL = ARMS[1]
_SHOWN, _UID, _NAME = 6, 32, 14  # items, letters of a uid and of a class


def items_figure(label_dist: Tensor, pred_dist: Tensor, class_names: Sequence[str], uids: Sequence[str]) -> "Figure":
    """A few items from the clearest to the most disputed, annotators beside model.

    Args:
        label_dist: ``[N, C]`` annotation distributions.
        pred_dist: ``[N, C]`` predicted distributions.
        class_names: ``[C]``.
        uids: ``[N]``.
    """
    from matplotlib.figure import Figure

    by_entropy = entropy(label_dist).argsort(stable=True)
    shown = by_entropy[torch.linspace(0, len(by_entropy) - 1, min(_SHOWN, len(by_entropy))).long()]
    figure = Figure(figsize=(10, 5.5))
    axes = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    figure.subplots_adjust(left=0.07, right=0.98, top=0.94, bottom=0.16, hspace=0.2, wspace=0.06)
    places = np.arange(len(class_names))
    for axis, row in zip(axes, shown.tolist(), strict=False):
        axis.bar(places - 0.2, label_dist[row].numpy(), 0.4, color=ANNOTATORS.light, label="annotators")
        axis.bar(
            places + 0.2, pred_dist[row].numpy(), 0.4, color=_MODEL.light, label="model", hatch="//", edgecolor="white"
        )
        axis.set_title(shortened(uids[row], _UID), fontsize=9)
    axes[0].set(ylim=(0, 1), xticks=places, xticklabels=[shortened(name, _NAME) for name in class_names])
    for axis in axes[3:]:
        axis.tick_params(axis="x", labelsize=8, labelrotation=30 if len(class_names) > 3 else 0)
    axes[0].legend(fontsize=8)
    figure.supylabel("share")
    return figure


def entropy_scatter(label_entropy: Tensor, pred_entropy: Tensor) -> "Figure":
    """Entropy of the annotations against entropy of the predictions, one point an item, with their correlation.

    Args:
        label_entropy: ``[N]`` nats.
        pred_entropy: ``[N]`` nats.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5))
    axis = figure.subplots()
    figure.subplots_adjust(left=0.14, right=0.96, top=0.92, bottom=0.12)
    axis.scatter(label_entropy, pred_entropy, s=12, alpha=0.5, color=ANNOTATORS.light, linewidths=0)
    top = 1.05 * max(label_entropy.max().item(), pred_entropy.max().item())
    axis.plot([0, top], [0, top], color="0.5", linestyle="--", linewidth=1)
    axis.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    axis.set_xlabel("annotation entropy (nats)")
    axis.set_ylabel("predicted entropy (nats)")
    pair = torch.stack([label_entropy, pred_entropy]).double()
    axis.set_title(f"Pearson r = {torch.corrcoef(pair)[0, 1]:.3f} over {pair.shape[1]:,} items")
    return figure
