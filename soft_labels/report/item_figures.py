"""Figures 1, 2 and 5: single items, what annotators said and what the heads say."""

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import rel_entr

from soft_labels.experiment.index import Examples, ItemExample
from soft_labels.report import svg
from soft_labels.report.content import Figure
from soft_labels.report.evidence import Evidence
from soft_labels.report.formats import number

WIDTH = 960
_PANEL, _GAP, _PER_ROW = 300, 30, 3
_LINE, _LINES, _LETTERS = 15, 4, 48
_NAME, _SHARE = 130, 130  # widths of a class name and of a bar of share 1


def spread_figure(evidence: Evidence) -> Figure:
    """Figure 1: items from near-consensus to strong disagreement."""
    body, words, y = [], [], 20.0
    for one in evidence.sets:
        body.append(svg.text(0, y, one.name, "head"))
        names, items = one.index.class_names, one.index.examples.spread
        panels = [_Panel("figure1", item.uid, item, names, [svg.ANNOTATORS]) for item in items]
        drawn, y = _grid(panels, y + 24)
        body.append(drawn)
        words += [f"{one.name}, {item.uid}: {_in_words(names, item.label_dist)}." for item in items]
    return Figure(
        name="figure1",
        title="Figure 1. From near-consensus to strong disagreement",
        description=" ".join(words),
        width=WIDTH,
        height=round(y),
        body=svg.patterns("figure1", [svg.ANNOTATORS]) + "".join(body),
        caption="Items at equal steps of label entropy. Bars: share of annotators that chose each class.",
    )


def same_class_figure(evidence: Evidence) -> Figure:
    """Figure 2: the same class, another distribution."""
    return _heads_figure(
        evidence,
        "figure2",
        "Figure 2. Both heads name the majority class and differ in the distribution",
        "The test item of each data set where both heads of the first seed name the majority class and their KL to the "
        "annotators differs most.",
        lambda examples: examples.same_class,
    )


def median_figure(evidence: Evidence) -> Figure:
    """Figure 5: annotators and two heads on one item a data set."""
    heads = [svg.heads(list(evidence.arms))[arm].name for arm in _shown(evidence)]
    return _heads_figure(
        evidence,
        "figure5",
        f"Figure 5. {', '.join(['Annotators', *heads[:-1]])} and {heads[-1] if heads else 'heads'}",
        "The test item of each data set whose KL differs by the median between the heads of the first seed, among "
        "items where both name the majority class: neither the best nor the worst case.",
        lambda examples: examples.median,
    )


def _shown(evidence: Evidence) -> list[str]:
    """The arms whose heads the examples show; none where no data set has such an item."""
    examples = [one.index.examples for one in evidence.sets]
    items = [item for example in examples for item in (example.same_class, example.median) if item is not None]
    return list(items[0].pred_dist) if items else []


def _heads_figure(
    evidence: Evidence, name: str, title: str, caption: str, choose: Callable[[Examples], ItemExample | None]
) -> Figure:
    """One item a data set with both heads."""
    heads = svg.heads(list(evidence.arms))
    series = [svg.ANNOTATORS, *(heads[arm] for arm in _shown(evidence))]
    panels, words = [], []
    for one in evidence.sets:
        item, names = choose(one.index.examples), one.index.class_names
        title_of = f"{one.name}: {item.uid if item else 'no such item'}"
        panels.append(_Panel(name, title_of, item, names, series))
        words.append(f"{one.name}, {item.uid}: {_all_in_words(names, item)}." if item else f"{title_of}.")
    legend, bottom = svg.bar_legend(name, series, 16, WIDTH)
    drawn, bottom = _grid(panels, bottom + 34)
    body = svg.patterns(name, series) + legend + drawn
    return Figure(name, title, " ".join(words), WIDTH, round(bottom), body, caption)


def _in_words(names: Sequence[str], dist: Sequence[float]) -> str:
    """A distribution in words; classes without a share are left out."""
    return ", ".join(f"{name} {share:.2f}" for name, share in zip(names, dist, strict=True) if share >= 0.005)


def _all_in_words(names: Sequence[str], item: ItemExample) -> str:
    """What annotators and heads say of an item."""
    said = [f"{arm} head {_in_words(names, dist)}" for arm, dist in item.pred_dist.items()]
    return "; ".join([f"annotators {_in_words(names, item.label_dist)}", *said])


class _Panel:
    """One item: its name, its text and a group of bars a class."""

    def __init__(
        self, figure: str, title: str, item: ItemExample | None, names: Sequence[str], series: Sequence[svg.Series]
    ) -> None:
        self.figure = figure
        self.names = names if item else []
        self.lines = [_shortened(title, _LETTERS - 4), *_told(item)]
        self.text = _wrapped(item.text) if item and item.text else []
        self.dists = list(zip(series, [item.label_dist, *item.pred_dist.values()], strict=False)) if item else []
        self.bar = 12 if len(self.dists) == 1 else 7

    @property
    def _group(self) -> int:
        """Height of one class."""
        return self.bar * len(self.dists) + 6

    def height(self) -> float:
        """User units, with the gap below."""
        return _LINE * (len(self.lines) + len(self.text)) + self._group * len(self.names) + 36

    def draw(self, x: float, y: float) -> str:
        """The panel with its upper left corner at a place."""
        rows = [(line, "strong" if place == 0 else "small") for place, line in enumerate(self.lines)]
        rows += [(line, "small quote") for line in self.text]
        letters = "".join(svg.text(x, y + _LINE * place, line, css) for place, (line, css) in enumerate(rows))
        top = y + _LINE * len(rows) - 6
        bottom = top + self._group * len(self.names)
        scale = "".join(_scale_line(x + _NAME, share, top, bottom) for share in (0.5, 1) if len(self.dists) > 1)
        classes = [self._class(x, top + self._group * place, place) for place in range(len(self.names))]
        return "".join([letters, scale, *classes])

    def _class(self, x: float, y: float, place: int) -> str:
        """One class: its name, its bars, and its share where there is one bar."""
        left, middle = x + _NAME, y + self._group / 2 + 1
        parts = [svg.text(left - 6, middle, _shortened(self.names[place], 22), "small", "end")]
        parts.append(svg.line((left, y - 2), (left, y + self._group - 2), "axis"))
        for row, (series, dist) in enumerate(self.dists):
            parts.append(svg.bar(self.figure, series, left, y + row * self.bar, _SHARE * dist[place], self.bar - 1))
            if len(self.dists) == 1:
                parts.append(svg.text(left + _SHARE * dist[place] + 5, middle, f"{dist[place]:.2f}", "small"))
        return "".join(parts)


def _scale_line(left: float, share: float, top: float, bottom: float) -> str:
    """Where a share lies that bars can be read by."""
    x = left + _SHARE * share
    return svg.line((x, top - 2), (x, bottom - 2), "grid") + svg.text(x, bottom + 10, f"{share:g}", "small", "middle")


def _told(item: ItemExample | None) -> list[str]:
    """The KL of both heads to the annotators."""
    if item is None or not item.pred_dist:
        return []
    told = [f"{arm} {number(_kl(item.label_dist, dist))}" for arm, dist in item.pred_dist.items()]
    return [f"KL to the annotators: {', '.join(told)}"]


def _kl(label_dist: Sequence[float], pred_dist: Sequence[float]) -> float:
    """D_KL(label_dist || pred_dist), nats."""
    return float(rel_entr(np.array(label_dist), np.array(pred_dist)).sum())


def _wrapped(content: str) -> list[str]:
    """A text in a few lines; control characters, which XML cannot hold, become spaces."""
    printable = "".join(letter if letter.isprintable() else " " for letter in content)
    return textwrap.wrap(printable, _LETTERS, max_lines=_LINES, placeholder=" …")


def _shortened(content: str, letters: int) -> str:
    """A name that fits."""
    return content if len(content) <= letters else f"{content[: letters - 1]}…"


def _grid(panels: Sequence[_Panel], y: float) -> tuple[str, float]:
    """Panels in rows, and where the next thing may begin."""
    drawn = []
    for start in range(0, len(panels), _PER_ROW):
        row = panels[start : start + _PER_ROW]
        drawn += [panel.draw(place * (_PANEL + _GAP), y) for place, panel in enumerate(row)]
        y += max(panel.height() for panel in row)
    return "".join(drawn), y
