"""What a data set holds, as a table and as histograms of disagreement."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from soft_labels.annotations.annotators import Annotations, Reading, krippendorff_alpha
from soft_labels.annotations.base import AnnotatedData, Input
from soft_labels.distributions import TiePolicy, has_tie, label_distribution, majority_label, normalized_entropy
from soft_labels.errors import ConfigError
from soft_labels.files import written_whole
from soft_labels.palette import ANNOTATORS, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HISTOGRAM_BINS = 20
PANELS_A_ROW = 3
LEAST_ITEMS = 3  # one for each of train, val and test
LEAST_ANNOTATIONS = 10


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
        annotations: ``[C]`` annotations of each class.
        majority_items: ``[C]`` items whose majority label is the class.
        alpha_nominal: Krippendorff's alpha of classes as names; ``None`` where it is not defined.
        alpha_ordinal: The same of ordered classes; ``None`` for classes that are not.
        annotators: What is known of the annotators; ``None`` where nobody is named.
        duplicates: Items whose input stands under another uid too.
        reading: How the file was read, where there was one.
        warnings: What looks odd.
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
    annotations: tuple[float, ...]
    majority_items: tuple[int, ...]
    alpha_nominal: float | None
    alpha_ordinal: float | None
    annotators: "AnnotatorStats | None"
    duplicates: int
    reading: Reading | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class AnnotatorStats:
    """The annotators of a data set in numbers.

    Args:
        number: How many there are.
        fewest: Annotations of the one with the fewest.
        median: Median of annotations.
        most: Annotations of the one with the most.
        with_majority: Mean share of an annotator's annotations that name the item's majority class.
        least_with_majority: The annotators who agree with the majority least, and their shares; with ten annotations
            at least.
    """

    number: int
    fewest: int
    median: float
    most: int
    with_majority: float
    least_with_majority: tuple[tuple[str, float], ...]


def summarise(data: AnnotatedData, tie: TiePolicy = "lowest", seed: int = 0) -> DataStats:
    """Summarise a data set.

    Args:
        data: The data set.
        tie: How a majority tie is broken.
        seed: Of the ``random`` tie policy.

    Returns:
        The numbers of the paper's Table 1, ties, majority shares, agreement, and what looks odd.
    """
    annotations = data.label_counts.sum(1)
    entropies = normalized_entropy(label_distribution(data.label_counts))
    tied = has_tie(data.label_counts)
    majority = majority_label(data.label_counts, tie, seed)
    majority_items = tuple(torch.bincount(majority, minlength=data.num_classes).tolist())
    duplicates = _duplicates(data)
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
        majority_shares=tuple(number / len(data) for number in majority_items),
        tie=tie,
        annotations=tuple(data.label_counts.sum(0).tolist()),
        majority_items=majority_items,
        alpha_nominal=krippendorff_alpha(data.label_counts, "nominal"),
        alpha_ordinal=krippendorff_alpha(data.label_counts, "ordinal") if data.ordinal else None,
        annotators=None if data.annotations is None else _annotator_stats(data.annotations, majority),
        duplicates=duplicates,
        reading=data.reading,
        warnings=(
            *(data.reading.warnings if data.reading else ()),
            *_odd(data.class_names, majority_items, duplicates),
        ),
    )


def _duplicates(data: AnnotatedData) -> int:
    """Items whose input, but for blanks around it, stands under another uid too; arrays are not compared."""
    shown = [_comparable(one) for one in data.inputs]
    times = Counter(one for one in shown if one is not None)
    return sum(times[one] > 1 for one in shown if one is not None)


def _comparable(shown: Input) -> object:
    """An input that can be compared."""
    if isinstance(shown, str):
        return shown.strip()
    return (
        tuple(part.strip() for part in shown)
        if isinstance(shown, tuple)
        else shown
        if isinstance(shown, Path)
        else None
    )


def _annotator_stats(annotations: Annotations, majority: Tensor) -> AnnotatorStats:
    """Who annotated how much, and how often with the majority."""
    numbers, agreed = annotations.by_annotator(), annotations.with_majority(majority)
    often = [place for place in agreed.argsort().tolist() if numbers[place] >= LEAST_ANNOTATIONS]
    return AnnotatorStats(
        number=len(annotations.annotators),
        fewest=int(numbers.min()),
        median=float(np.median(numbers.numpy())),
        most=int(numbers.max()),
        with_majority=agreed.nanmean().item(),
        least_with_majority=tuple((annotations.annotators[place], agreed[place].item()) for place in often[:3]),
    )


def _odd(class_names: Sequence[str], majority_items: Sequence[int], duplicates: int) -> list[str]:
    """What may go wrong in training: classes too rare for every part, and the same input twice."""
    rare = [f"{name} ({items})" for name, items in zip(class_names, majority_items, strict=True) if items < LEAST_ITEMS]
    found = []
    if rare:
        found.append(
            f"classes that are the majority of fewer than {LEAST_ITEMS} items, too few for train, val and test: "
            f"{', '.join(rare)}"
        )
    if duplicates:
        found.append(f"{duplicates:,} items have an input that another uid has too; a split may tear them apart")
    return found


def as_json(stats: Sequence[DataStats]) -> dict[str, Any]:
    """The same numbers as one JSON object.

    Args:
        stats: One entry a data set.

    Returns:
        ``{"datasets": [...]}``, of plain values.
    """
    return {"datasets": [_entry(one) for one in stats]}


def _entry(one: DataStats) -> dict[str, Any]:
    """One data set."""
    classes = zip(one.class_names, one.annotations, one.majority_items, strict=True)
    reading = one.reading
    return {
        "name": one.name,
        "items": one.items,
        "annotations": sum(one.annotations),
        "annotators": None if one.annotators is None else one.annotators.number,
        "classes": [{"name": name, "annotations": count, "majority_items": items} for name, count, items in classes],
        "rows_read": None if reading is None else reading.rows_read,
        "rows_dropped": 0 if reading is None else sum(reading.rows_dropped.values()),
        "dropped_because": {} if reading is None else dict(reading.rows_dropped),
        "notes": [] if reading is None else list(reading.notes),
        "warnings": list(one.warnings),
        "annotations_per_item": [one.annotations_min, one.annotations_mean, one.annotations_max],
        "entropy": {"mean": one.entropy_mean, "std": one.entropy_std},
        "ties": one.ties,
        "tie_policy": one.tie,
        "duplicates": one.duplicates,
        "krippendorff_alpha": {"nominal": one.alpha_nominal, "ordinal": one.alpha_ordinal},
        "by_annotator": None if one.annotators is None else asdict(one.annotators),
    }


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
    for entry in stats:
        for line in _said(entry):
            console.print(escape(line))


def _said(entry: DataStats) -> list[str]:
    """What the tables do not hold: agreement, annotators, how the file was read, and warnings."""
    lines = [f"{entry.name}: {part}" for part in (_agreement(entry), *_annotators(entry), *_read(entry)) if part]
    return [*lines, *(f"{entry.name}: warning: {warning}" for warning in entry.warnings)]


def _agreement(entry: DataStats) -> str:
    """Krippendorff's alpha."""
    alphas = (("nominal", entry.alpha_nominal), ("ordinal", entry.alpha_ordinal))
    said = ", ".join(f"{alpha:.3f} ({level})" for level, alpha in alphas if alpha is not None)
    return f"Krippendorff's alpha {said}" if said else ""


def _annotators(entry: DataStats) -> list[str]:
    """Who annotated, how much, and how often with the majority."""
    people = entry.annotators
    if people is None:
        return []
    least = ", ".join(f"{name} {share:.0%}" for name, share in people.least_with_majority)
    return [
        f"{people.number:,} annotators with {people.fewest:,} to {people.most:,} annotations (median "
        f"{people.median:g}), {people.with_majority:.0%} with the majority" + (f"; least {least}" if least else "")
    ]


def _read(entry: DataStats) -> list[str]:
    """Rows read, and left out for what reason."""
    if entry.reading is None:
        return []
    left = [f"{rows:,} left out: {why}" for why, rows in entry.reading.rows_dropped.items()]
    return [f"{entry.reading.rows_read:,} rows read ({'; '.join(entry.reading.notes)})", *left]


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
            entropies.numpy(),
            bins=np.linspace(0, 1, HISTOGRAM_BINS + 1),
            color=ANNOTATORS.light,
            edgecolor="white",
            linewidth=0.5,
        )
        panel.axvline(mean, color=INK.light, linestyle="--", linewidth=1.5, label=f"mean {mean:.3f}")
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
