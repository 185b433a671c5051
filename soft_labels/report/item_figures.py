"""Single items: what annotators said and what the heads say."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy.special import rel_entr

from soft_labels.experiment.index import Examples, ItemExample
from soft_labels.palette import ANNOTATORS, GROUND, RULE, shortened
from soft_labels.report.columns import as_float
from soft_labels.report.content import Figure, Key, Layout, Panel, Row
from soft_labels.report.drawing import SMALL, SMALL_LETTER, TOLD, printable
from soft_labels.report.evidence import Evidence, SetEvidence
from soft_labels.report.formats import number
from soft_labels.report.looks import looks

_LINES, _NAME = 4, 16  # lines of a text, letters of a class
_TELLING, _CHOSEN, _MANY = 0.005, 0.02, 5  # the least shares told and drawn, and how many classes are all drawn
_FEW = f" Of more than {_MANY} classes those are drawn to which someone gives a share of {_CHOSEN} or more."
_CLASS = 0.17  # inches of a class
_HATCHES = ("", "////", "\\\\\\\\", "----", "||||")  # annotators, the baseline and others, told apart without colour
_SAID = "annotators"


def spread_figure(evidence: Evidence) -> Figure:
    """Items from near-consensus to strong disagreement."""
    shown = [(one, item) for one in evidence.sets for item in one.index.examples.spread]
    words = [f"{one.name}, {item.uid}: {_in_words(one.index.class_names, item.label_dist)}." for one, item in shown]
    rows = [_rows(one, item) for one, item in shown]
    most = _most(rows)
    return Figure(
        name="spread",
        title="From near-consensus to strong disagreement",
        caption="Items at equal steps of label entropy. Bars: share of annotators that chose each class."
        + _few(evidence),
        description=" ".join(words),
        rows=[row for own in rows for row in own],
        panels=[
            Panel(f"{one.name}: {item.uid}", _wrapped(item.text), partial(_bars, own, {_SAID: ANNOTATORS.light}, most))
            for (one, item), own in zip(shown, rows, strict=True)
        ],
        layout=_layout(rows, 1),
    )


def same_class_figure(evidence: Evidence) -> Figure | None:
    """The same class, another distribution; nothing where no data set has such an item."""
    return _heads_figure(
        evidence,
        "same_class",
        "Both heads name the majority class and differ in the distribution",
        "The test item of each data set where both heads of the first seed name the majority class and their KL to the "
        "annotators differs most.",
        lambda examples: examples.same_class,
    )


def median_figure(evidence: Evidence) -> Figure | None:
    """Annotators and two heads on one item a data set; nothing where no data set has such an item."""
    return _heads_figure(
        evidence,
        "median",
        "Annotators and both heads on an item of the middle",
        "The test item of each data set whose KL differs by the median between the heads of the first seed, among "
        "items where both name the majority class: neither the best nor the worst case.",
        lambda examples: examples.median,
    )


def _heads_figure(
    evidence: Evidence, name: str, title: str, caption: str, choose: Callable[[Examples], ItemExample | None]
) -> Figure | None:
    """One item a data set with both heads."""
    found = [(one, choose(one.index.examples)) for one in evidence.sets]
    shown = [(one, item) for one, item in found if item is not None]
    if not shown:
        return None
    missing = [one.name for one, item in found if item is None]
    colours = {arm: one.colour.light for arm, one in looks(evidence).items() if arm in shown[0][1].pred_dist}
    said = {_SAID: ANNOTATORS.light, **colours}
    rows = [_rows(one, item) for one, item in shown]
    most = _most(rows)
    return Figure(
        name=name,
        title=title,
        caption=" ".join([caption + _few(evidence), *(f"No such item in {name}." for name in missing)]),
        description=" ".join(
            f"{one.name}, {item.uid}: {_all_in_words(one.index.class_names, item)}." for one, item in shown
        ),
        rows=[row for own in rows for row in own],
        panels=[
            Panel(f"{one.name}: {item.uid}", [*_wrapped(item.text), _told(item)], partial(_bars, own, said, most))
            for (one, item), own in zip(shown, rows, strict=True)
        ],
        layout=_layout(rows, len(said)),
        keys=[Key(_named(who), partial(_sign, colour, place)) for place, (who, colour) in enumerate(said.items())],
    )


def _few(evidence: Evidence) -> str:
    """Which classes are drawn, where not all are."""
    return _FEW if any(len(one.index.class_names) > _MANY for one in evidence.sets) else ""


def _rows(one: SetEvidence, item: ItemExample) -> list[Row]:
    """Every share of an item: the annotators', then the heads'; of many classes those that someone chose."""
    dists = {_SAID: item.label_dist, **item.pred_dist}
    names = one.index.class_names
    chosen = [max(dist[place] for dist in dists.values()) >= _CHOSEN for place in range(len(names))]
    return [
        {"dataset": one.name, "uid": item.uid, "class": name, "of": who, "share": dist[place]}
        for place, name in enumerate(names)
        if chosen[place] or len(names) <= _MANY
        for who, dist in dists.items()
    ]


def _layout(rows: Sequence[Sequence[Row]], bars: int) -> Layout:
    """Room for the classes of the item that has most."""
    longest = max(len(str(row["class"])) for own in rows for row in own)
    height = _CLASS * _most(rows) * (1 if bars == 1 else 1.4)
    return Layout(height, 0.1 + SMALL_LETTER * min(_NAME, longest), 0.3, 0.1)


def _most(rows: Sequence[Sequence[Row]]) -> int:
    """Classes of the item that has most."""
    return max(len({row["class"] for row in own}) for own in rows)


def _bars(rows: Sequence[Row], said: Mapping[str, str], most: int, axes: Axes) -> None:
    """A group of bars a class; the share beside it where there is one bar."""
    names = list(dict.fromkeys(str(row["class"]) for row in rows))
    width = 0.8 / len(said)
    for place, (who, colour) in enumerate(said.items()):
        shares = [as_float(row["share"]) for row in rows if row["of"] == who]
        at = np.arange(len(names)) + (place - (len(said) - 1) / 2) * width
        axes.barh(at, shares, width * 0.9, color=colour, hatch=_HATCHES[place % len(_HATCHES)], edgecolor=GROUND.light)
        for y, value in zip(at, shares, strict=True):
            if len(said) == 1:
                axes.annotate(f"{value:.2f}", (value, y), (2, 0), textcoords="offset points", va="center", size=SMALL)
    short = [shortened(printable(name), _NAME) for name in names]
    axes.set(xlim=(0, 1), ylim=(most - 0.4, -0.6), yticks=range(len(names)), yticklabels=short)
    axes.xaxis.tick_top()
    axes.spines[["top", "bottom"]].set_visible(False)
    axes.spines["left"].set_bounds(len(names) - 0.5, -0.5)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.tick_params(length=0)
    for share in (0.5, 1):
        axes.plot([share, share], [-0.5, len(names) - 0.5], color=RULE.light, linewidth=0.5, zorder=0)


def _sign(colour: str, place: int, axes: Axes) -> None:
    """What a fill means."""
    hatch = _HATCHES[place % len(_HATCHES)]
    axes.add_patch(Rectangle((0.05, 0.2), 0.9, 0.6, facecolor=colour, hatch=hatch, edgecolor=GROUND.light))


def _named(who: str) -> str:
    """What readers call it."""
    return who if who == _SAID else f"{who} head"


def _in_words(names: Sequence[str], dist: Sequence[float]) -> str:
    """A distribution in words; classes without a share are left out."""
    return ", ".join(f"{name} {share:.2f}" for name, share in zip(names, dist, strict=True) if share >= _TELLING)


def _all_in_words(names: Sequence[str], item: ItemExample) -> str:
    """What annotators and heads say of an item."""
    said = [f"{_named(arm)} {_in_words(names, dist)}" for arm, dist in item.pred_dist.items()]
    return "; ".join([f"annotators {_in_words(names, item.label_dist)}", *said])


def _told(item: ItemExample) -> str:
    """The KL of both heads to the annotators."""
    told = [f"{arm} {number(_kl(item.label_dist, dist))}" for arm, dist in item.pred_dist.items()]
    return f"KL to the annotators: {', '.join(told)}"


def _kl(label_dist: Sequence[float], pred_dist: Sequence[float]) -> float:
    """D_KL(label_dist || pred_dist), nats."""
    return float(rel_entr(np.array(label_dist), np.array(pred_dist)).sum())


def _wrapped(content: str | None) -> list[str]:
    """A text in a few lines."""
    return textwrap.wrap(printable(content or ""), TOLD, max_lines=_LINES, placeholder=" …")
