"""What a data set holds, as a table and as histograms of disagreement."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from soft_labels.annotations.base import AnnotatedData
from soft_labels.distributions import TiePolicy, has_tie, label_distribution, majority_label, normalized_entropy
from soft_labels.errors import ConfigError
from soft_labels.files import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HISTOGRAM_BINS = 20
PANELS_A_ROW = 3
BLUE, VERMILION = "#0072B2", "#D55E00"  # of Okabe and Ito's palette, distinct for every kind of colour vision


@dataclass(frozen=True)
class DataStats:
    """One data set in numbers.

    Args:
        name: The data set.
        class_names: ``[C]``.
        items: N.
        annotations_min: Fewest annotations of an item.
        annotations_mean: Mean over items.
        annotations_max: Most annotations of an item.
        entropy_mean: Mean normalized entropy, from 0 to 1.
        entropy_std: Its population standard deviation over items.
        ties: Items whose highest count is shared by several classes.
        tie_share: ``ties`` divided by N.
        majority_shares: ``[C]`` share of items whose majority label is the class, under ``tie``.
        tie: The policy by which a tie is broken.
    """

    name: str
    class_names: tuple[str, ...]
    items: int
    annotations_min: float
    annotations_mean: float
    annotations_max: float
    entropy_mean: float
    entropy_std: float
    ties: int
    tie_share: float
    majority_shares: tuple[float, ...]
    tie: TiePolicy


def summarise(data: AnnotatedData, tie: TiePolicy = "lowest", seed: int = 0) -> DataStats:
    """Summarise a data set.

    Args:
        data: The data set.
        tie: How a majority tie is broken.
        seed: Of the ``random`` tie policy.

    Returns:
        The numbers of the paper's Table 1, ties and majority shares.
    """
    annotations = data.label_counts.sum(1)
    entropies = normalized_entropy(label_distribution(data.label_counts))
    tied = has_tie(data.label_counts)
    majority = majority_label(data.label_counts, tie, seed)
    return DataStats(
        name=data.name,
        class_names=data.class_names,
        items=len(data),
        annotations_min=annotations.min().item(),
        annotations_mean=annotations.mean().item(),
        annotations_max=annotations.max().item(),
        entropy_mean=entropies.mean().item(),
        entropy_std=entropies.std(correction=0).item(),
        ties=int(tied.sum()),
        tie_share=tied.double().mean().item(),
        majority_shares=tuple((torch.bincount(majority, minlength=data.num_classes).double() / len(data)).tolist()),
        tie=tie,
    )


def print_stats(stats: Sequence[DataStats], console: Console | None = None) -> None:
    """Print the paper's Table 1 with ties, and the majority shares below it.

    Args:
        stats: One entry a data set.
        console: Where to print; standard output by default.
    """
    console = console or Console()
    console.print(_size_table(stats))
    console.print(_share_table(stats))
    policies = ", ".join(sorted({entry.tie for entry in stats}))
    console.print("Entropy: divided by log C, mean +- population standard deviation over items.")
    console.print(f"Majority shares by the tie policy: {policies}.")


def _size_table(stats: Sequence[DataStats]) -> Table:
    """Classes, samples, annotations, entropy and ties, one row a data set."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True)
    table.add_column("Data set", overflow="fold")
    for title in ("Classes", "Samples", "Annot./sample", "Entropy", "Ties"):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in stats:
        table.add_row(
            escape(entry.name),
            f"{len(entry.class_names)}",
            f"{entry.items:,}",
            _annotations(entry),
            f"{entry.entropy_mean:.3f} +- {entry.entropy_std:.3f}",
            f"{entry.ties:,} ({entry.tie_share:.1%})",
        )
    return table


def _annotations(entry: DataStats) -> str:
    """One number where all items have as many, else the mean and the range."""
    if entry.annotations_min == entry.annotations_max:
        return f"{entry.annotations_mean:g}"
    return f"{entry.annotations_mean:.1f} ({entry.annotations_min:g}-{entry.annotations_max:g})"


def _share_table(stats: Sequence[DataStats]) -> Table:
    """Each class's share of the majority labels, one row a data set."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True)
    table.add_column("Data set", overflow="fold")
    table.add_column("Majority shares")
    for entry in stats:
        shares = zip(entry.class_names, entry.majority_shares, strict=True)
        cells = [escape(f"{name}: {share:.3f}") for name, share in shares]
        table.add_row(escape(entry.name), Columns(cells, padding=(0, 2)))
    return table


def entropy_figure(data_sets: Sequence[tuple[str, Tensor]]) -> "Figure":
    """Draw the paper's Figure 3: how often annotators agree and how often they do not, one panel a data set.

    Args:
        data_sets: Name and normalized entropies ``[N]`` of each data set.

    Returns:
        A figure that belongs to no window and no global state.

    Raises:
        ConfigError: There is no data set to draw.
    """
    from matplotlib.figure import Figure

    if not data_sets:
        raise ConfigError("an entropy figure wants at least one data set, got none")
    columns = min(len(data_sets), PANELS_A_ROW)
    rows = -(-len(data_sets) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.6 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharex=True, squeeze=False).flat)
    for panel, (name, entropies) in zip(panels, data_sets, strict=False):
        mean = entropies.mean().item()
        panel.hist(
            entropies.numpy(), bins=np.linspace(0, 1, HISTOGRAM_BINS + 1), color=BLUE, edgecolor="white", linewidth=0.5
        )
        panel.axvline(mean, color=VERMILION, linestyle="--", linewidth=1.5, label=f"mean {mean:.3f}")
        panel.set(title=f"{name} ({len(entropies):,})", xlim=(0, 1), xlabel="normalized entropy", ylabel="items")
        panel.tick_params(labelbottom=True)
        panel.legend(frameon=False)
    for panel in panels[len(data_sets) :]:
        panel.remove()
    return figure


def save_figure(figure: "Figure", path: Path) -> None:
    """Save a figure whole or not at all, in the format that the suffix names.

    Args:
        figure: The figure.
        path: Where to; folders are made as needed.

    Raises:
        ConfigError: The suffix names no format that can be written.
    """
    formats = figure.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in formats:
        raise ConfigError(f"{path}: wanted a figure that ends in one of .{', .'.join(sorted(formats))}")
    with written_whole(path) as partial:
        figure.savefig(partial, dpi=150)
