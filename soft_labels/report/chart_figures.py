"""Figures 3 and 4: histograms of entropy and validation loss by epoch."""

from collections.abc import Mapping, Sequence

from soft_labels.report import svg
from soft_labels.report.content import Figure
from soft_labels.report.evidence import Evidence, SetEvidence
from soft_labels.report.item_figures import WIDTH

_PER_ROW, _COLUMN, _ROW, _CHART = 3, 324, 250, (250, 150)


def entropy_figure(evidence: Evidence) -> Figure:
    """Figure 3: how much annotators disagree."""
    panels = [_histogram(one, *_corner(place)) for place, one in enumerate(evidence.sets)]
    words = [
        f"{one.name}: mean {one.index.description['normalized_entropy_mean']:.2f}; items in bins of 0.05 from 0 to 1: "
        f"{', '.join(str(items) for items in one.index.entropy_histogram)}."
        for one in evidence.sets
    ]
    return Figure(
        name="figure3",
        title="Figure 3. Entropy of the annotations",
        description=" ".join(words),
        width=WIDTH,
        height=_height(evidence),
        body=svg.patterns("figure3", [svg.ANNOTATORS]) + "".join(panels),
        caption="Items by their label entropy divided by log C: 0 is full agreement, 1 an even spread over all "
        "classes. Dashed: the mean.",
    )  # fmt: skip


def loss_figure(evidence: Evidence) -> Figure:
    """Figure 4: validation loss by epoch, of every arm that trains."""
    heads = svg.heads(list(evidence.arms))
    series = {arm: heads[arm] for arm in evidence.trained}
    legend, bottom = svg.line_legend(list(series.values()), 12, WIDTH)
    panels = [_losses(one, series, *_corner(place)) for place, one in enumerate(evidence.sets)]
    return Figure(
        name="figure4",
        title="Figure 4. Validation loss by epoch",
        description=" ".join(_losses_in_words(one, arm) for one in evidence.sets for arm in series),
        width=WIDTH,
        height=_height(evidence) + round(bottom) + 8,
        body=legend + f'<g transform="translate(0 {round(bottom) + 8})">{"".join(panels)}</g>',
        caption="The runs of the first seed on the fixed split, each with its arm's best hyperparameters. Each loss is "
        "counted as its own arm's loss and target say, so heights do not compare across arms; shapes do. Ringed: the "
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
    counts = one.index.entropy_histogram
    frame = svg.Frame(x, y, *_CHART, (0, 0.25, 0.5, 0.75, 1), svg.ticks(0, max(counts)))
    bars = [_bin(frame, place / len(counts), (place + 1) / len(counts), items) for place, items in enumerate(counts)]
    mean = one.index.description["normalized_entropy_mean"]
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
    return svg.bar("figure3", svg.ANNOTATORS, left + 0.5, top, right - left - 1, bottom - top)


def _losses(one: SetEvidence, series: Mapping[str, svg.Series], x: float, y: float) -> str:
    """One data set's curves."""
    curves = {arm: _curve(one, arm) for arm in series}
    known = [loss for points in curves.values() for _, loss in points if loss is not None] or [0.0]
    margin = 0.05 * (max(known) - min(known)) or 0.1
    epochs = max(2, *(len(points) for points in curves.values()))
    x_ticks = [1, *(tick for tick in svg.ticks(1, epochs) if 1 < tick < epochs and tick == int(tick)), epochs]
    frame = svg.Frame(x, y, *_CHART, x_ticks, svg.ticks(min(known) - margin, max(known) + margin))
    drawn = [_drawn(frame, series[arm], curves[arm], one.fixed.records[arm][0].best_epoch) for arm in series]
    return svg.text(x, y - 38, one.name, "head") + frame.axes("epoch", "loss") + "".join(drawn)


def _curve(one: SetEvidence, arm: str) -> list[tuple[int, float | None]]:
    """Epochs from 1 and their losses, ``None`` where training broke down."""
    return list(enumerate(one.fixed.records[arm][0].curve["val/loss"], start=1))


def _drawn(frame: svg.Frame, series: svg.Series, points: Sequence[tuple[int, float | None]], best: int) -> str:
    """One curve with its markers; a ring at the best epoch."""
    known = [(frame.at(epoch, loss), epoch - 1) for epoch, loss in points if loss is not None]
    markers = [svg.marker(series, *place, "ringed" if epoch == best else "") for place, epoch in known]
    return svg.curve(series, [place for place, _ in known]) + "".join(markers)


def _losses_in_words(one: SetEvidence, arm: str) -> str:
    """One curve in words."""
    losses = ", ".join("not finite" if loss is None else f"{loss:.3f}" for _, loss in _curve(one, arm))
    return f"{one.name}, {arm}: {losses}; lowest at epoch {one.fixed.records[arm][0].best_epoch + 1}."
