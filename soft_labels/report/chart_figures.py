"""Figures 3 and 4: histograms of entropy and validation loss by epoch."""

from collections.abc import Sequence

from soft_labels.objectives import Target
from soft_labels.report import svg
from soft_labels.report.evidence import TARGETS, Evidence, SetEvidence
from soft_labels.report.item_figures import WIDTH
from soft_labels.report.parts import Figure

_PER_ROW, _COLUMN, _ROW, _CHART = 3, 324, 250, (250, 150)


def entropy_figure(evidence: Evidence) -> Figure:
    """Figure 3: how much annotators disagree."""
    panels = [_histogram(one, *_corner(place)) for place, one in enumerate(evidence.sets)]
    words = [
        f"{one.name}: mean {one.part.description['normalized_entropy_mean']:.2f}; items in bins of 0.05 from 0 to 1: "
        f"{', '.join(str(items) for items in one.part.entropy_histogram)}."
        for one in evidence.sets
    ]
    return Figure(
        name="figure3",
        title="Figure 3. Entropy of the annotations",
        description=" ".join(words),
        width=WIDTH,
        height=_height(evidence),
        body="".join(panels),
        caption="Items by their label entropy divided by log C: 0 is full agreement, 1 an even spread over all "
        "classes. Dashed: the mean.",
    )  # fmt: skip


def loss_figure(evidence: Evidence) -> Figure:
    """Figure 4: validation loss by epoch."""
    panels = [_losses(one, *_corner(place)) for place, one in enumerate(evidence.sets)]
    return Figure(
        name="figure4",
        title="Figure 4. Validation loss by epoch",
        description=" ".join(_losses_in_words(one, target) for one in evidence.sets for target in TARGETS),
        width=WIDTH,
        height=_height(evidence) + 20,
        body=svg.line_legend(0, 12) + f'<g transform="translate(0 20)">{"".join(panels)}</g>',
        caption="The runs of the first seed on the fixed split, each with its target's best hyperparameters. Each loss "
        "is the cross-entropy with its own target, so heights do not compare across targets; shapes do. Ringed: the "
        "epoch that was kept.",
    )  # fmt: skip


def _corner(place: int) -> tuple[float, float]:
    """Upper left corner of a chart's plane."""
    return 50 + _COLUMN * (place % _PER_ROW), 60 + _ROW * (place // _PER_ROW)


def _height(evidence: Evidence) -> int:
    """Height of all rows."""
    return _ROW * -(-len(evidence.sets) // _PER_ROW)


def _histogram(one: SetEvidence, x: float, y: float) -> str:
    """One data set's items by entropy."""
    counts = one.part.entropy_histogram
    frame = svg.Frame(x, y, *_CHART, (0, 0.25, 0.5, 0.75, 1), svg.ticks(0, max(counts)))
    bars = [_bin(frame, place / len(counts), (place + 1) / len(counts), items) for place, items in enumerate(counts)]
    mean = one.part.description["normalized_entropy_mean"]
    top = frame.at(mean, frame.y_ticks[-1])
    return (
        svg.text(x, y - 38, one.name, "head")
        + frame.axes("normalized entropy", "items")
        + "".join(bars)
        + svg.line(frame.at(mean, 0), top, "mean")
        + svg.text(top[0], top[1] - 4, f"mean {mean:.2f}", "small", "middle")
    )


def _bin(frame: svg.Frame, low: float, high: float, items: int) -> str:
    """One bar of a histogram."""
    (left, bottom), (right, top) = frame.at(low, 0), frame.at(high, items)
    return svg.bar("figure3", "annotators", left + 0.5, top, right - left - 1, bottom - top)


def _losses(one: SetEvidence, x: float, y: float) -> str:
    """One data set's two curves."""
    curves = {target: _curve(one, target) for target in TARGETS}
    known = [loss for points in curves.values() for _, loss in points if loss is not None] or [0.0]
    margin = 0.05 * (max(known) - min(known)) or 0.1
    epochs = max(2, *(len(points) for points in curves.values()))
    x_ticks = [1, *(tick for tick in svg.ticks(1, epochs) if 1 < tick < epochs and tick == int(tick)), epochs]
    frame = svg.Frame(x, y, *_CHART, x_ticks, svg.ticks(min(known) - margin, max(known) + margin))
    drawn = [
        _drawn(frame, target, points, one.fixed.records[target][0].best_epoch) for target, points in curves.items()
    ]
    return svg.text(x, y - 38, one.name, "head") + frame.axes("epoch", "loss, nats") + "".join(drawn)


def _curve(one: SetEvidence, target: Target) -> list[tuple[int, float | None]]:
    """Epochs from 1 and their losses, ``None`` where training broke down."""
    return list(enumerate(one.fixed.records[target][0].curve["val/loss"], start=1))


def _drawn(frame: svg.Frame, target: Target, points: Sequence[tuple[int, float | None]], best: int) -> str:
    """One curve with its markers; a ring at the best epoch."""
    known = [(frame.at(epoch, loss), epoch - 1) for epoch, loss in points if loss is not None]
    markers = [svg.marker(target, *place, "ringed" if epoch == best else "") for place, epoch in known]
    return svg.polyline([place for place, _ in known], f"{target}-line") + "".join(markers)


def _losses_in_words(one: SetEvidence, target: Target) -> str:
    """One curve in words."""
    losses = ", ".join("not finite" if loss is None else f"{loss:.3f}" for _, loss in _curve(one, target))
    return f"{one.name}, {target}: {losses}; lowest at epoch {one.fixed.records[target][0].best_epoch + 1}."
