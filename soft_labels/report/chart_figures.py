"""Histograms of entropy and validation loss by epoch."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from soft_labels.palette import ANNOTATORS, INK, Look
from soft_labels.report.columns import as_float
from soft_labels.report.content import Figure, Layout, Panel, Row
from soft_labels.report.drawing import TEXT
from soft_labels.report.evidence import Evidence, SetEvidence
from soft_labels.report.looks import distinct, left_out, line_keys


def entropy_figure(evidence: Evidence) -> Figure:
    """How much annotators disagree."""
    bins = {one.name: _bins(one) for one in evidence.sets}
    means = {one.name: one.index.description["normalized_entropy_mean"] for one in evidence.sets}
    words = [
        f"{name}: mean {means[name]:.2f}; items in bins of 0.05 from 0 to 1: "
        f"{', '.join(str(row['items']) for row in rows)}."
        for name, rows in bins.items()
    ]
    return Figure(
        name="histogram",
        title="Entropy of the annotations",
        caption="Items by their label entropy divided by log C: 0 is full agreement, 1 an even spread over all "
        "classes. Dashed: the mean.",
        description=" ".join(words),
        rows=[row for rows in bins.values() for row in rows],
        panels=[Panel(name, [], partial(_histogram, rows, means[name])) for name, rows in bins.items()],
        layout=Layout(1.1),
    )


def _bins(one: SetEvidence) -> list[Row]:
    """One data set's bins of normalized entropy."""
    counts = one.index.entropy_histogram
    ends = [place / len(counts) for place in range(len(counts) + 1)]
    return [
        {"dataset": one.name, "from": low, "to": high, "items": items}
        for low, high, items in zip(ends, ends[1:], counts, strict=False)
    ]


def _histogram(rows: Sequence[Row], mean: float, axes: Axes) -> None:
    """One data set's items by entropy."""
    lows = [as_float(row["from"]) for row in rows]
    axes.bar(lows, [as_float(row["items"]) for row in rows], 0.9 / len(rows), align="edge", color=ANNOTATORS.light)
    axes.axvline(mean, color=INK.light, linestyle=(0, (4, 3)))
    axes.annotate(
        f"mean {mean:.2f}", (mean, 1), (0, 2), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
        ha="center", size=TEXT,
    )  # fmt: skip
    axes.set(xlim=(0, 1), xlabel="normalized entropy", ylabel="items")
    axes.locator_params(nbins=5)


def loss_figure(evidence: Evidence) -> Figure:
    """Validation loss by epoch, of every arm that trains."""
    shown = {arm: one for arm, one in distinct(evidence).items() if arm in evidence.trained}
    curves = {one.name: _curves(one, list(shown)) for one in evidence.sets}
    return Figure(
        name="training",
        title="Validation loss by epoch",
        caption="The runs of the first seed on the fixed split, each with its arm's best hyperparameters. Each loss is "
        "counted as its own arm's loss and target say, so heights do not compare across arms; shapes do. Ringed: the "
        f"epoch that was kept.{left_out(evidence, evidence.trained)}",
        description=" ".join(
            _in_words(name, arm, [row for row in rows if row["arm"] == arm])
            for name, rows in curves.items()
            for arm in shown
        ),
        rows=[row for rows in curves.values() for row in rows],
        panels=[Panel(name, [], partial(_losses, rows, shown)) for name, rows in curves.items()],
        layout=Layout(1.3),
        keys=line_keys(shown),
    )


def _curves(one: SetEvidence, arms: Sequence[str]) -> list[Row]:
    """Epochs from 1 and their losses, nan where training broke down."""
    records = {arm: one.fixed.records[arm][0] for arm in arms}
    return [
        {"dataset": one.name, "arm": arm, "epoch": epoch, "loss": math.nan if loss is None else loss,
         "kept": int(epoch == record.best_epoch + 1)}
        for arm, record in records.items()
        for epoch, loss in enumerate(record.curve["val/loss"], start=1)
    ]  # fmt: skip


def _losses(rows: Sequence[Row], shown: Mapping[str, Look], axes: Axes) -> None:
    """One data set's curves; a ring at the epoch that was kept."""
    for arm, one in shown.items():
        own = [row for row in rows if row["arm"] == arm]
        epochs, losses = ([as_float(row[key]) for row in own] for key in ("epoch", "loss"))
        kept = [place for place, row in enumerate(own) if row["kept"]]
        axes.plot(epochs, losses, color=one.colour.light, marker=one.marker, linestyle=one.line)
        axes.plot(
            [epochs[place] for place in kept], [losses[place] for place in kept], linestyle="", marker="o",
            markersize=6.5, markerfacecolor="none", markeredgecolor=INK.light,
        )  # fmt: skip
    axes.set(xlabel="epoch", ylabel="validation loss")
    axes.grid(axis="y")
    axes.locator_params(axis="y", nbins=5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _in_words(name: str, arm: str, rows: Sequence[Row]) -> str:
    """One curve in words."""
    losses = [as_float(row["loss"]) for row in rows]
    told = ", ".join(f"{loss:.3f}" if math.isfinite(loss) else "not finite" for loss in losses)
    kept = ", ".join(str(row["epoch"]) for row in rows if row["kept"])
    return f"{name}, {arm}: {told}; lowest at epoch {kept}."
