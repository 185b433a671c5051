"""How many annotators are enough: what heads reach that learn from a few annotators of each item."""

from collections.abc import Mapping, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from soft_labels.experiment.budget import Budget
from soft_labels.metrics import METRICS
from soft_labels.palette import Look
from soft_labels.report.columns import as_float
from soft_labels.report.content import Figure, Layout, Panel, Row, Value
from soft_labels.report.evidence import Evidence
from soft_labels.report.formats import count, number
from soft_labels.report.looks import distinct, left_out, line_keys
from soft_labels.report.notes import direction

_METRICS = ("kl", "entropy_corr")


def budget_figure(evidence: Evidence, budgets: Mapping[str, Budget]) -> Figure | None:
    """KL and entropy correlation against annotators an item; nothing where no budget was made.

    Args:
        evidence: The experiment.
        budgets: By data set.
    """
    known = [budgets[one.name] for one in evidence.sets if one.name in budgets]
    if not known:
        return None
    shown = {arm: one for arm, one in distinct(evidence).items() if any(arm in budget.arms for budget in known)}
    rows = [row for budget in known for arm in shown if arm in budget.arms for row in _rows(budget, arm)]
    return Figure(
        name="budget",
        title="How many annotators are enough?",
        caption="Heads that learned from so many drawn annotators of each item, judged by all annotations of the test "
        "items; bands: 95% intervals over draws, seeds and test items. An item with fewer annotators keeps all of its."
        + left_out(evidence, {arm for budget in known for arm in budget.arms}),
        description=" ".join(
            _in_words(rows, budget.dataset, arm) for budget in known for arm in shown if arm in budget.arms
        ),
        rows=rows,
        panels=[
            Panel(budget.dataset, _told(budget, metric), partial(_curves, _of(rows, budget.dataset, metric), shown))
            for budget in known
            for metric in _METRICS
        ],
        layout=Layout(1.3),
        keys=line_keys(shown),
        columns=2,
    )


def _rows(budget: Budget, arm: str) -> list[Row]:
    """Every step of an arm's ladder; money is empty where nobody gave a price."""
    money: Sequence[Value] = budget.money or [None] * len(budget.annotators)
    return [
        {"dataset": budget.dataset, "arm": arm, "metric": metric, "annotators": annotators, "annotations": annotations,
         "money": cost, "value": value, "low": low, "high": high}
        for metric in _METRICS
        for curve in [budget.curve(arm, metric)]
        for annotators, annotations, cost, value, low, high in zip(
            budget.annotators, budget.annotations, money, curve.values, curve.low, curve.high, strict=True
        )
    ]  # fmt: skip


def _of(rows: Sequence[Row], dataset: str, metric: str) -> list[Row]:
    """The rows of one panel."""
    return [row for row in rows if row["dataset"] == dataset and row["metric"] == metric]


def _told(budget: Budget, metric: str) -> list[str]:
    """Which way is better, and how often annotators were drawn."""
    told = f"{count(budget.draws, 'draw')}, {count(budget.seeds, 'seed')} each"
    return [f"{METRICS[metric].label}: {direction(metric)} is better", told]


def _curves(rows: Sequence[Row], shown: Mapping[str, Look], axes: Axes) -> None:
    """Every arm's curve with its band, over a logarithmic number of annotators."""
    for arm, one in shown.items():
        own = [row for row in rows if row["arm"] == arm]
        x, y, low, high = ([as_float(row[key]) for row in own] for key in ("annotators", "value", "low", "high"))
        axes.plot(x, y, color=one.colour.light, marker=one.marker, linestyle=one.line)
        axes.fill_between(x, low, high, color=one.colour.light, alpha=0.15, linewidth=0)
    steps = sorted({int(as_float(row["annotators"])) for row in rows})
    axes.set(xscale="log", xlabel="annotators an item")
    axes.set_xticks(steps, [str(step) for step in steps])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")
    axes.locator_params(axis="y", nbins=5)


def _in_words(rows: Sequence[Row], dataset: str, arm: str) -> str:
    """Both curves of an arm."""
    told = [
        f"{METRICS[metric].label} "
        + ", ".join(
            f"{number(as_float(row['value']))} with {row['annotators']}"
            for row in _of(rows, dataset, metric)
            if row["arm"] == arm
        )
        for metric in _METRICS
    ]
    return f"{dataset}, {arm}: {'; '.join(told)}."
