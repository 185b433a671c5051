"""Every arm beside its baseline: effects with intervals, entropies, and whether a probability means what it says."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from soft_labels.metrics import METRICS, Judged
from soft_labels.palette import GROUND, INK, MUTED, Look, shortened
from soft_labels.report.columns import as_float
from soft_labels.report.content import Figure, Key, Layout, Panel, Row
from soft_labels.report.drawing import SMALL_LETTER, TOLD, printable
from soft_labels.report.evidence import Evidence, SetEvidence, item_values
from soft_labels.report.formats import listed, number
from soft_labels.report.looks import distinct, left_out, line_keys, looks
from soft_labels.report.notes import direction
from soft_labels.report.paired import Floats
from soft_labels.report.summary import SetSummary, Summary
from soft_labels.report.views import Comparison
from soft_labels.trust.reliability import reliability

_METRICS = ("kl", "entropy_corr", "accuracy")
_ROW, _NAME = 0.16, 16  # inches of an arm, letters of its name
_POINTS = 400  # items of a scatter at most


def effect_figure(evidence: Evidence, summary: Summary) -> Figure | None:
    """Every arm's difference from the baseline with its interval; nothing where nothing is compared."""
    found = [(view, one) for each in summary.sets for view, several in each.effects.items() for one in several]
    rows = [_effect(view, one) for view, one in found if one.metric in _METRICS]
    if not rows:
        return None
    arms = [arm for arm in looks(evidence) if arm in {row["arm"] for row in rows}]
    views = {row["repeats"] for row in rows}
    panels = [
        Panel(
            dataset,
            [f"{METRICS[metric].label}: {direction(metric)} is better"],
            partial(_forest, _of(rows, dataset, metric), looks(evidence), arms),
        )
        for dataset in dict.fromkeys(str(row["dataset"]) for row in rows)
        for metric in _METRICS
    ]
    redrawn = [Key("redrawn splits", partial(_sign, "D", True))] if len(views) > 1 else []
    return Figure(
        name="effects",
        title=f"Every arm against {evidence.baseline}",
        caption=f"Difference from {evidence.baseline} (arm less {evidence.baseline}) with its 95% interval. Filled: "
        "told apart after Holm's method; hollow: not told apart. Accuracy in percentage "
        f"points.{_untested([one for view, one in found if view == 'fixed'])}",
        description=" ".join(_effect_in_words(row) for row in rows),
        rows=rows,
        panels=panels,
        layout=Layout(_ROW * len(arms) + 0.06, 0.1 + SMALL_LETTER * min(_NAME, max(map(len, arms))), 0.12, 0.3),
        keys=[
            Key("seeds on one split", partial(_sign, "o", True)),
            *redrawn,
            Key("not told apart", partial(_sign, "o", False)),
        ],
    )


def _untested(found: Sequence[Comparison]) -> str:
    """Which arms of one split are hollow since there is nothing to test them by."""
    tested = {one.arm for one in found if not math.isnan(one.holm_p)}
    others = list(dict.fromkeys(one.arm for one in found if one.arm not in tested))
    return f" On one split hollow since it cannot be tested: {listed(others)}." if others else ""


def _of(rows: Sequence[Row], dataset: str, metric: str) -> list[Row]:
    """The rows of one panel."""
    return [row for row in rows if row["dataset"] == dataset and row["metric"] == metric]


def _effect(view: str, one: Comparison) -> Row:
    """One difference; of accuracy in percentage points."""
    scale = 100 if one.metric == "accuracy" else 1
    return {
        "dataset": one.dataset, "metric": one.metric, "arm": one.arm, "repeats": view,
        "difference": scale * one.test.mean_difference, "low": scale * one.interval[0],
        "high": scale * one.interval[1], "verdict": one.verdict,
    }  # fmt: skip


def _forest(rows: Sequence[Row], by_arm: Mapping[str, Look], arms: Sequence[str], axes: Axes) -> None:
    """An arm a line: fixed split above, redrawn splits below it."""
    both = len({row["repeats"] for row in rows}) > 1
    for row in rows:
        arm, colour = str(row["arm"]), by_arm[str(row["arm"])].colour.light
        y = list(arms).index(arm) + (0 if not both else -0.17 if row["repeats"] == "fixed" else 0.17)
        value, low, high = (as_float(row[key]) for key in ("difference", "low", "high"))
        axes.plot([low, high], [y, y], color=colour)
        axes.plot(
            [value], [y], linestyle="", marker="o" if row["repeats"] == "fixed" else "D", color=colour, markersize=3.4,
            markerfacecolor=GROUND.light if row["verdict"] == "open" else colour,
        )  # fmt: skip
    axes.axvline(0, color=INK.light, linewidth=0.6)
    names = [shortened(printable(arm), _NAME) for arm in arms]
    axes.set(ylim=(len(names) - 0.4, -0.6), yticks=range(len(names)), yticklabels=names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=4)
    axes.spines["left"].set_visible(False)


def _sign(marker: str, filled: bool, axes: Axes) -> None:
    """A marker on its interval."""
    axes.plot([0.1, 0.9], [0.5, 0.5], color=MUTED.light)
    face = MUTED.light if filled else GROUND.light
    axes.plot([0.5], [0.5], marker=marker, color=MUTED.light, markerfacecolor=face, markersize=3.4)


def _effect_in_words(row: Row) -> str:
    """One difference in words."""
    digits = 2 if row["metric"] == "accuracy" else 3
    value, low, high = (number(as_float(row[key]), digits, signed=True) for key in ("difference", "low", "high"))
    where = "one split" if row["repeats"] == "fixed" else "redrawn splits"
    told = {"better": "better", "worse": "worse", "open": "not told apart"}[str(row["verdict"])]
    metric = METRICS[str(row["metric"])].label
    return f"{row['dataset']}, {metric}, {row['arm']}, {where}: {value} ({low} to {high}), {told}."


def entropy_scatter(evidence: Evidence, summary: Summary) -> Figure:
    """Entropy of the predictions against entropy of the annotations."""
    shown = distinct(evidence)
    pair = [arm for arm in (summary.baseline, summary.shown) if arm in shown]
    rows = {one.name: [*_points(one, pair), *_tenths(one, list(shown))] for one in evidence.sets}
    told = {one.name: _correlations(one, list(shown)) for one in summary.sets}
    return Figure(
        name="entropy",
        title="Where annotators disagree, do the heads hesitate?",
        caption=f"Entropy of the annotations and of the predictions, nats. Points: test items, at most {_POINTS} at "
        f"equal steps of label entropy, heads of the first seed of {listed(pair)}. Lines: means of all seeds over ten "
        f"groups of items as large as one another. Dashed: as the annotators.{left_out(evidence)}",
        description=" ".join(f"{name}: {' '.join(words)}." for name, words in told.items()),
        rows=[row for own in rows.values() for row in own],
        panels=[Panel(name, told[name], partial(_scatter, own, shown)) for name, own in rows.items()],
        layout=Layout(1.5),
        keys=line_keys(shown),
    )


def _points(one: SetEvidence, arms: Sequence[str]) -> list[Row]:
    """Some test items of the first seed."""
    rows: list[Row] = []
    for arm in arms:
        label, pred = _entropies(one.fixed.judged[arm][0])
        order = np.argsort(label, kind="stable")
        kept = order[np.unique(np.linspace(0, len(order) - 1, min(_POINTS, len(order))).round().astype(int))]
        rows += [_entropy_row(one, arm, "item", label[place], pred[place]) for place in kept]
    return rows


def _tenths(one: SetEvidence, arms: Sequence[str]) -> list[Row]:
    """Means over seeds and items of about equal label entropy."""
    rows: list[Row] = []
    for arm in arms:
        label, pred = np.mean([_entropies(judged) for judged in one.fixed.judged[arm]], axis=0)
        parts = np.array_split(np.argsort(label, kind="stable"), min(10, len(label)))
        rows += [_entropy_row(one, arm, "tenth", label[part].mean(), pred[part].mean()) for part in parts]
    return rows


def _entropies(judged: Judged) -> Floats:
    """``[2, N]`` of annotations and of predictions, nats."""
    return item_values("entropy_corr", judged)


def _entropy_row(one: SetEvidence, arm: str, what: str, label: float, pred: float) -> Row:
    """A point or a corner of a line."""
    return {
        "dataset": one.name, "arm": arm, "of": what, "label_entropy": round(float(label), 4),
        "pred_entropy": round(float(pred), 4),
    }  # fmt: skip


def _correlations(one: SetSummary, arms: Sequence[str]) -> list[str]:
    """Entropy correlations, and what a perfect model would have."""
    first = one.arms[arms[0]].fixed
    each = [f"{arm} {number(one.arms[arm].fixed.entropy_corr, 2)}" for arm in arms]
    perfect = f"perfect model {number(first.ceiling_low, 2)} to {number(first.ceiling_high, 2)}"
    return textwrap.wrap(f"correlation: {', '.join([*each, perfect])}", TOLD)


def _scatter(rows: Sequence[Row], shown: Mapping[str, Look], axes: Axes) -> None:
    """Points and lines of one data set."""
    for arm, one in shown.items():
        for what in ("item", "tenth"):
            own = [row for row in rows if row["arm"] == arm and row["of"] == what]
            x, y = ([as_float(row[key]) for row in own] for key in ("label_entropy", "pred_entropy"))
            if what == "item":
                axes.plot(x, y, linestyle="", marker=one.marker, markersize=1.6, color=one.colour.light, alpha=0.35)
            else:
                axes.plot(x, y, color=one.colour.light, marker=one.marker, linestyle=one.line)
    known = [as_float(row[key]) for row in rows for key in ("label_entropy", "pred_entropy")]
    top = 1.04 * max((value for value in known if math.isfinite(value)), default=1.0) or 1.0
    axes.plot([0, top], [0, top], color=INK.light, linewidth=0.7, linestyle=(0, (4, 3)))
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="entropy of the annotations", ylabel="of the predictions")
    axes.locator_params(nbins=5)


def reliability_figure(evidence: Evidence, summary: Summary) -> Figure:
    """Predicted probabilities against the annotators' shares."""
    shown = distinct(evidence)
    rows = {one.name: [row for arm in shown for row in _reliability(one, arm)] for one in evidence.sets}
    told = {one.name: _gaps(one, list(shown)) for one in summary.sets}
    return Figure(
        name="reliability",
        title="Does a probability mean what it says?",
        caption="Mean predicted probability and mean share of the annotators, over all pairs of test item and class in "
        "ten bins, heads of the first seed; bars: two standard errors. On the dashed line a probability is the share "
        "of annotators that one will find; below it the head promises too much. Gap: mean distance from that line over "
        f"all seeds.{left_out(evidence)}",
        description=" ".join(f"{name}: {' '.join(words)}." for name, words in told.items()),
        rows=[row for own in rows.values() for row in own],
        panels=[Panel(name, told[name], partial(_diagram, own, shown)) for name, own in rows.items()],
        layout=Layout(1.5),
        keys=line_keys(shown),
    )


def _reliability(one: SetEvidence, arm: str) -> list[Row]:
    """The bins of one arm; none of a head that says nothing finite."""
    logits = one.fixed.judged[arm][0].logits
    if not logits.isfinite().all():
        return []
    found = reliability(one.fixed.counts[0].test, logits.log_softmax(-1).numpy())
    columns = zip(found.predicted, found.observed, found.standard_error, found.pairs, strict=True)
    return [
        {"dataset": one.name, "arm": arm, "predicted": round(float(predicted), 5), "share": round(float(share), 5),
         "standard_error": round(float(error), 5), "pairs": int(pairs)}
        for predicted, share, error, pairs in columns
    ]  # fmt: skip


def _gaps(one: SetSummary, arms: Sequence[str]) -> list[str]:
    """Mean distances of probabilities from shares."""
    each = [f"{arm} {number(one.arms[arm].fixed.reliability_error, 3)}" for arm in arms]
    return textwrap.wrap(f"gap: {', '.join(each)}", TOLD)


def _diagram(rows: Sequence[Row], shown: Mapping[str, Look], axes: Axes) -> None:
    """The bins of one data set."""
    axes.plot([0, 1], [0, 1], color=INK.light, linewidth=0.7, linestyle=(0, (4, 3)))
    for arm, one in shown.items():
        own = [row for row in rows if row["arm"] == arm]
        x, y, error = ([as_float(row[key]) for row in own] for key in ("predicted", "share", "standard_error"))
        axes.errorbar(
            x, y, 2 * np.nan_to_num(error), color=one.colour.light, marker=one.marker, linestyle=one.line,
            elinewidth=0.6, capsize=0,
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="share of the annotators")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
