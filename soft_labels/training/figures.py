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
_SHOWN, _UID, _NAME = 6, 25, 10  # items, letters of a uid and of a class
# TensorBoard's cards are 300 to 360 pixels wide: letters have their size there, and twice the pixels when enlarged.
_WIDTH, _DPI, _LETTERS = 3.6, 200, 7.5
_FITTING, _SLANTED = 20, 5  # letters of all classes that stand side by side below one item, and slanted classes


def items_figure(label_dist: Tensor, pred_dist: Tensor, class_names: Sequence[str], uids: Sequence[str]) -> "Figure":
    """A few items from the clearest to the most disputed, annotators beside model: the share of each class.

    Args:
        label_dist: ``[N, C]`` annotation distributions.
        pred_dist: ``[N, C]`` predicted distributions.
        class_names: ``[C]``.
        uids: ``[N]``.
    """
    from matplotlib.figure import Figure

    by_entropy = entropy(label_dist).argsort(stable=True)
    shown = by_entropy[torch.linspace(0, len(by_entropy) - 1, min(_SHOWN, len(by_entropy))).long()]
    figure = Figure(figsize=(_WIDTH, 4.2), dpi=_DPI)
    axes = figure.subplots(3, 2, sharex=True, sharey=True).ravel()
    figure.subplots_adjust(left=0.1, right=0.99, top=0.89, bottom=0.15, hspace=0.3, wspace=0.06)
    places = np.arange(len(class_names))
    for axis, row in zip(axes, shown.tolist(), strict=False):
        axis.bar(places - 0.2, label_dist[row].numpy(), 0.4, color=ANNOTATORS.light, label="annotators")
        axis.bar(
            places + 0.2, pred_dist[row].numpy(), 0.4, color=_MODEL.light, label="model", hatch="//", edgecolor="white"
        )
        axis.set_title(shortened(uids[row], _UID), fontsize=_LETTERS, pad=3)
        axis.tick_params(labelsize=_LETTERS, length=2, pad=2)
    names = [shortened(name, _NAME) for name in class_names]
    axes[0].set(ylim=(0, 1), yticks=(0, 0.5, 1), yticklabels=("0", "½", "1"), xticks=places, xticklabels=names)
    if sum(map(len, names)) > _FITTING:
        for label in (label for axis in axes[-2:] for label in axis.get_xticklabels()):
            label.set(rotation=30 if len(names) <= _SLANTED else 90, ha="right", rotation_mode="anchor")
            label.set_va("top" if len(names) <= _SLANTED else "center")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="upper center", ncols=2, fontsize=_LETTERS, frameon=False)
    return figure


def entropy_scatter(label_entropy: Tensor, pred_entropy: Tensor) -> "Figure":
    """Entropy of the annotations against entropy of the predictions, one point an item, with their correlation.

    Args:
        label_entropy: ``[N]`` nats.
        pred_entropy: ``[N]`` nats.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _WIDTH), dpi=_DPI)
    axis = figure.subplots()
    figure.subplots_adjust(left=0.15, right=0.97, top=0.92, bottom=0.13)
    axis.scatter(label_entropy, pred_entropy, s=10, alpha=0.5, color=ANNOTATORS.light, linewidths=0)
    top = 1.05 * max(label_entropy.max().item(), pred_entropy.max().item())
    axis.plot([0, top], [0, top], color="0.5", linestyle="--", linewidth=1)
    axis.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    axis.tick_params(labelsize=_LETTERS)
    axis.set_xlabel("annotation entropy (nats)", fontsize=_LETTERS + 1)
    axis.set_ylabel("predicted entropy (nats)", fontsize=_LETTERS + 1)
    pair = torch.stack([label_entropy, pred_entropy]).double()
    axis.set_title(f"Pearson r = {torch.corrcoef(pair)[0, 1]:.3f} over {pair.shape[1]:,} items", fontsize=_LETTERS + 1)
    return figure
