"""The first picture: from always the average answer, over every arm, to a perfect model."""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from soft_labels.experiment.index import ArmForm
from soft_labels.palette import GROUND, INK, MUTED, RULE, Look, shortened
from soft_labels.report.columns import as_float
from soft_labels.report.content import Figure, Key, Layout, Panel, Row
from soft_labels.report.drawing import POINTS, SMALL, SMALL_LETTER, TEXT, TOLD, printable
from soft_labels.report.evidence import Evidence, SetEvidence
from soft_labels.report.formats import NOT_DEFINED, number
from soft_labels.report.looks import looks
from soft_labels.report.summary import SetSummary, Summary
from soft_labels.training.kinds import HEADS
from soft_labels.training.objectives import LOSSES, TARGETS
from soft_labels.training.spec import HeadSpec

CONSTANT, PERFECT = "average answer", "perfect model"
_ROW, _BAR = 0.15, 0.62  # inches of a rung, and the share of it that a bar fills
_NAME, _NUMBERS = 18, 0.44  # letters of a name at most, and inches of the shares at the right
_ROOM, _WIDEST = 1.06, 1.6  # how far beyond the constant a plane reaches at least and at most
_HATCH = "/" * 6
_SAYING = ("target", "loss", "head")  # settings of an arm that say what it is


def ladder_figure(evidence: Evidence, summary: Summary) -> Figure:
    """Every arm between the constant and the floor, a panel a data set.

    Args:
        evidence: The experiment.
        summary: What its numbers mean.
    """
    order = _order(summary)
    rungs = {one.name: _rungs(one, order) for one in summary.sets}
    reach = _reach(rungs.values())
    names = [CONSTANT, *order, PERFECT]
    return Figure(
        name="ladder",
        title="From always the average answer to a perfect model",
        caption="How far answers are from the annotators' (KL, nats): shorter is better. Grey: a model that always "
        "gives the average answer, and a perfect one, which is still charged something because annotators are finite. "
        "Percent: how much of the way from the one to the other a head goes. Hatched: the part of its KL that is "
        "overconfidence. Lines at the ends: 95% intervals over seeds and items, for the perfect model the range over "
        "mixtures. Arms stand in the order of how far they go on average over data sets; the arrow is what the best "
        "one leaves to go. Each data set has its own scale; the average answer stands at the same place in "
        f"all.{_arms_in_words(evidence)}",
        description=" ".join(_in_words(name, rows) for name, rows in rungs.items()),
        rows=[row for rows in rungs.values() for row in rows],
        panels=[Panel(one.name, _told(one), _Ladder(rungs[one.name], looks(evidence), reach)) for one in evidence.sets],
        layout=Layout(_ROW * len(names), 0.1 + SMALL_LETTER * min(_NAME, max(map(len, names))), _NUMBERS, 0.34),
        keys=[Key("overconfidence: surer than right", _hatched)],
    )


def _arms_in_words(evidence: Evidence) -> str:
    """What the arms are."""
    return "".join(f" {name}: {_made_of(form)}." for name, form in {**evidence.arms, **evidence.added}.items())


def _made_of(form: ArmForm) -> str:
    """What an arm learns from, or takes from another."""
    if form.derived_from is not None:
        heads = f"{'the mean of ' if form.ensemble else ''}the heads of {form.derived_from}"
        return heads if form.calibration == "none" else f"{heads}, followed by {form.calibration}"
    target, loss, head = (str(form.overlay.get(f"model.{key}", getattr(HeadSpec, key))) for key in _SAYING)
    words = f"learned from {TARGETS[target].text}" if target in TARGETS else target
    words += f", by {LOSSES[loss].text.partition(',')[0]}" if loss in LOSSES and loss != HeadSpec.loss else ""
    return f"{words}; {HEADS[head].text}" if head in HEADS and head != HeadSpec.head else words


def _order(summary: Summary) -> list[str]:
    """The arms from the least to the most of the way, on average over data sets; unknown ones first."""
    arms = list(summary.sets[0].arms)
    means = {arm: float(np.mean([one.arms[arm].fixed.share_of_achievable for one in summary.sets])) for arm in arms}
    return sorted(arms, key=lambda arm: means[arm] if math.isfinite(means[arm]) else -math.inf)


def _rungs(one: SetSummary, order: Sequence[str]) -> list[Row]:
    """The constant, every arm and the floor; those that are not known are left out."""
    told = {arm: one.arms[arm].fixed for arm in order}
    first = next(iter(told.values()))
    none: Row = dict.fromkeys(("dataset", "rung", "kind", "kl", "kl_low", "kl_high", "overconfidence", "share_of_way"))
    none |= {"share_low": None, "share_high": None, "dataset": one.name}
    arms = [
        none
        | {"rung": arm, "kind": "arm", "kl": its.kl, "kl_low": its.kl_low, "kl_high": its.kl_high}
        | {"overconfidence": its.overconfidence, "share_of_way": its.share_of_achievable}
        | {"share_low": its.share_of_achievable_low, "share_high": its.share_of_achievable_high}
        for arm, its in told.items()
    ]
    constant = none | {"rung": CONSTANT, "kind": "constant", "kl": first.marginal, "share_of_way": 0.0}
    floor = none | {"rung": PERFECT, "kind": "floor", "kl": first.floor, "share_of_way": 1.0}
    floor |= {"kl_low": first.floor_low, "kl_high": first.floor_high}
    return [constant, *arms, *([floor] if math.isfinite(first.floor) else [])]


def _reach(ladders: Iterable[Sequence[Row]]) -> float:
    """How far every plane goes, in constants: as far as the worst arm's interval, within reason."""
    ends = [max(map(_end, rows)) / as_float(rows[0]["kl"]) for rows in ladders if as_float(rows[0]["kl"]) > 0]
    return min(max(_ROOM * max(ends, default=1.0), _ROOM), _WIDEST)


def _end(row: Row) -> float:
    """Where a rung ends, with its interval."""
    return max(value for value in (as_float(row["kl"]), as_float(row["kl_high"]), 0.0) if not math.isnan(value))


def _told(one: SetEvidence) -> list[str]:
    """What the answers are of and what the heads see."""
    annotators = number(one.index.description["annotations_per_item"], 1).removesuffix(".0")
    features = textwrap.wrap(f"features: {_features(one.index.encoder)}", TOLD)
    return [f"{annotators} annotators an item", *features]


def _features(encoder: str) -> str:
    """What made the features, without the classes that read it.

    Example:
        >>> _features("SeveralEncoders packaged:lite0 + packaged:lite1"), _features("VectorFileEncoder my file.npy")
        ('lite0 + lite1', 'my file.npy')
    """
    named = encoder.partition(" ")[2] or encoder
    return " + ".join(name.rpartition(":")[2] for name in named.split(" + "))


class _Ladder:
    """Draws the rungs of one data set."""

    def __init__(self, rows: Sequence[Row], arms: Mapping[str, Look], reach: float) -> None:
        self.rows, self.arms = rows, arms
        self.widest = reach * as_float(rows[0]["kl"]) or 1.0

    def __call__(self, axes: Axes) -> None:
        """Draw on a plane."""
        names = [shortened(printable(str(row["rung"])), _NAME) for row in self.rows]
        axes.set(xlim=(0, self.widest), ylim=(len(self.rows) - 0.4, -0.6), yticks=range(len(names)), yticklabels=names)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=4)
        axes.spines["left"].set_color(RULE.light)
        for row in (self.rows[0], self.rows[-1]):
            if row["kind"] != "arm":
                axes.axvline(as_float(row["kl"]), color=MUTED.light, linewidth=0.7, linestyle=(0, (3, 2)), zorder=0)
        for place, row in enumerate(self.rows):
            self._rung(axes, place, row)
            bold = {"weight": "bold", "size": TEXT} if row["kind"] == "arm" else {"color": MUTED.light, "size": SMALL}
            _beside(axes, place, share(as_float(row["share_of_way"])), bold)
        _beside(axes, -0.95, "of the way", {"color": MUTED.light, "size": SMALL})
        self._left(axes)
        axes.set_xlabel("KL to the annotators, nats", labelpad=1)

    def _rung(self, axes: Axes, place: int, row: Row) -> None:
        """One bar with its interval and the part that is overconfidence."""
        kl, low, high = (as_float(row[key]) for key in ("kl", "kl_low", "kl_high"))
        end, arm = min(kl, self.widest), row["kind"] == "arm"
        colour = self.arms[str(row["rung"])].colour.light if arm else RULE.light
        axes.barh(place, end, _BAR, color=colour)
        over = max(as_float(row["overconfidence"]), 0.0) if arm else 0.0
        if math.isfinite(over) and kl - over < end:
            axes.barh(
                place, end - (kl - over), _BAR, left=kl - over, color=colour, hatch=_HATCH, edgecolor=GROUND.light
            )
        if low < high:
            axes.plot([low, min(high, self.widest)], [place, place], color=GROUND.light, linewidth=2.2)  # on any bar
            axes.plot([low, min(high, self.widest)], [place, place], color=INK.light, linewidth=0.9)
            axes.plot([low, high], [place, place], color=INK.light, marker="|", linestyle="", markersize=4)

    def _left(self, axes: Axes) -> None:
        """What the best arm leaves to go, beside the perfect model."""
        known = [row for row in self.rows if row["kind"] == "arm" and math.isfinite(as_float(row["share_of_way"]))]
        best, floor = max(known, key=lambda row: as_float(row["share_of_way"]), default=None), self.rows[-1]
        if best is None or not as_float(floor["kl"]) < as_float(best["kl"]) <= self.widest:
            return
        place, start, end = len(self.rows) - 1, as_float(floor["kl"]), as_float(best["kl"])
        arrow = {"arrowstyle": "<->", "color": MUTED.light, "linewidth": 0.7, "mutation_scale": 5}
        axes.annotate("", (start, place), (end, place), arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})
        ends = [(0.0, start), (start, end), (end, self.widest)]
        low, high = max(ends, key=lambda one: one[1] - one[0])
        axes.text(
            (low + high) / 2, place, f"{share(1 - as_float(best['share_of_way']))} to go", ha="center", va="center",
            size=SMALL, bbox={"facecolor": RULE.light if high == start else GROUND.light, "pad": 0.8, "linewidth": 0},
        )  # fmt: skip


def _beside(axes: Axes, place: float, words: str, style: Mapping[str, Any]) -> None:
    """Words at the right of a rung, at the panel's edge."""
    axes.annotate(
        words, (1, place), (POINTS * (_NUMBERS - 0.04), 0), xycoords=axes.get_yaxis_transform(),
        textcoords="offset points", ha="right", va="center", annotation_clip=False, **style,
    )  # fmt: skip


def share(value: float) -> str:
    """A share as whole percent.

    Example:
        >>> share(0.604), share(1.0)
        ('60%', '100%')
    """
    return f"{number(100 * value, 0)}%" if math.isfinite(value) else NOT_DEFINED


def _hatched(axes: Axes) -> None:
    """The sign of overconfidence."""
    axes.add_patch(Rectangle((0.05, 0.2), 0.9, 0.6, facecolor=MUTED.light, hatch=_HATCH, edgecolor=GROUND.light))


def _in_words(name: str, rows: Sequence[Row]) -> str:
    """One data set's rungs."""
    return f"{name}: {'; '.join(map(_rung_in_words, rows))}."


def _rung_in_words(row: Row) -> str:
    """One rung."""
    kl, low, high = (number(as_float(row[key])) for key in ("kl", "kl_low", "kl_high"))
    if row["kind"] != "arm":
        return f"{row['rung']} {kl}"
    over, way = number(as_float(row["overconfidence"])), share(as_float(row["share_of_way"]))
    return f"{row['rung']} {kl} ({low} to {high}), {way} of the way, overconfidence {over}"
