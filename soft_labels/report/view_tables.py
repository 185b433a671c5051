"""Tables 3 and 4 of the paper, the tests in full and our further metrics, each for one view of the repeats."""

import math
from collections.abc import Sequence

import numpy as np

from soft_labels.metrics import METRICS, core_names
from soft_labels.report import notes
from soft_labels.report.columns import (
    as_float,
    change_columns,
    decimal,
    interval_column,
    p_column,
    paper_columns,
    paper_moments,
    spread_column,
    text,
)
from soft_labels.report.content import Column, Row, Table
from soft_labels.report.evidence import Evidence
from soft_labels.report.paired import Floats
from soft_labels.report.paper import PAPER, paper_arm, paper_pair
from soft_labels.report.views import Comparison, View

_TITLES = {"kl": "KL", "entropy_corr": "Entropy corr."}  # where the paper's tables have a shorter name than ours


def _against(view: View) -> str:
    """What a view compares, in words."""
    arm = view.compared[0] if len(view.compared) == 1 else "every arm"
    return f"{arm} against {view.baseline}" if view.compared else view.baseline


def _arm(view: View) -> str:
    """What a heading calls the arm that is compared: its name where there is but one."""
    return view.compared[0] if len(view.compared) == 1 else "arm"


def _arm_column(view: View) -> list[Column]:
    """Names of the arms, where headings do not give the only one."""
    return [text("Arm", "arm")] if len(view.compared) > 1 else []


def _capital(words: str) -> str:
    """Words that begin a title."""
    return words[:1].upper() + words[1:]


def result_table(evidence: Evidence, view: View) -> Table:
    """Table 3 in the paper's form: means and t-tests."""
    return Table(
        name=f"table3-{view.name}",
        title=f"Table 3. {_capital(_against(view))}, {view.title}",
        rows=[_result_row(view, dataset, arm) for dataset in view.repeats for arm in view.arms],
        columns=[
            text("Data set", "dataset"),
            text("Arm", "arm"),
            spread_column("Accuracy %", "accuracy", 2, bold="accuracy_better"),
            spread_column("KL", "kl", 3, bold="kl_better"),
            p_column("p (accuracy)", "accuracy_p"),
            p_column("p (KL)", "kl_p"),
            text("Significant", "significant"),
            *paper_columns(
                view.repeats,
                [
                    spread_column("Accuracy %", "paper_accuracy", 2),
                    spread_column("KL", "paper_kl", 3),
                    p_column("p (accuracy)", "paper_accuracy_p"),
                    p_column("p (KL)", "paper_kl_p"),
                ],
            ),
        ],
        notes=[notes.measured_on(evidence, view), notes.results(evidence, view), *notes.other_encoder(evidence)],
    )


def _result_row(view: View, dataset: str, arm: str) -> Row:
    """One arm of Table 3; the tests stand in the row of the arm that is compared with the baseline."""
    repeats, paper = view.repeats[dataset], paper_arm(dataset, view.paper.get(arm))
    tested = PAPER[dataset] if paper_pair(dataset, view.paper.get(arm), view.paper.get(view.baseline)) else None
    accuracy, kl = (view.at(dataset, metric).get(arm) for metric in ("accuracy", "kl"))
    return {
        "dataset": dataset,
        "arm": arm,
        **_moments("accuracy", 100 * repeats.metric(arm, "accuracy")),
        **_moments("kl", repeats.metric(arm, "kl")),
        "accuracy_p": accuracy.test.corrected_t_p if accuracy else None,
        "kl_p": kl.test.corrected_t_p if kl else None,
        "significant": _findings({"accuracy": accuracy, "KL": kl}),
        **{f"{metric}_better": int(view.best(dataset, metric) == arm) for metric in ("accuracy", "kl")},
        **paper_moments("accuracy", paper.accuracy if paper else None),
        **paper_moments("kl", paper.kl if paper else None),
        "paper_accuracy_p": tested.accuracy_p if tested else None,
        "paper_kl_p": tested.kl_p if tested else None,
    }


def _findings(comparisons: dict[str, Comparison | None]) -> str:
    """The differences that the adjusted tests find, and their direction; empty for the baseline."""
    tested = {name: one.verdict for name, one in comparisons.items() if one is not None}
    names = [f"{name} ({verdict})" for name, verdict in tested.items() if verdict != "open"]
    return (", ".join(names) or "none") if tested else ""


def test_table(evidence: Evidence, view: View) -> Table | None:
    """Every test in full, where there is any."""
    if not view.comparisons:
        return None
    corrected = [p_column("corrected t-test p", "corrected_t_p")] if view.name == "redrawn" else []
    arm = _arm(view)
    return Table(
        name=f"table3-tests-{view.name}",
        title=f"Table 3 in full. The tests, {view.title}",
        rows=[_test_row(comparison) for comparison in view.comparisons],
        columns=[
            text("Data set", "dataset"),
            *_arm_column(view),
            text("Metric", "metric"),
            decimal(f"{arm} - {view.baseline}", "difference", 4, signed=True),
            interval_column("95% interval"),
            p_column("t-test p", "t_p"),
            *corrected,
            p_column("Holm p", "holm_p"),
            p_column("Wilcoxon p", "wilcoxon_p"),
            decimal("d_z", "cohens_dz", 2, signed=True),
            Column(f"{arm} ahead", lambda row: f"{row['ahead']} of {row['pairs']}"),
        ],
        notes=[
            notes.measured_on(evidence, view),
            notes.tests(view),
            *([notes.OVERLAP] if view.name == "redrawn" else []),
        ],
    )


def _test_row(comparison: Comparison) -> Row:
    """One test in full."""
    test = comparison.test
    return {
        "dataset": comparison.dataset,
        "arm": comparison.arm,
        "metric": METRICS[comparison.metric].title,
        "difference": test.mean_difference,
        "low": comparison.interval[0],
        "high": comparison.interval[1],
        "t_p": test.t_p,
        "corrected_t_p": test.corrected_t_p,
        "holm_p": comparison.holm_p,
        "wilcoxon_p": test.wilcoxon_p,
        "cohens_dz": test.cohens_dz,
        "ahead": comparison.pairs_better,
        "pairs": len(comparison.values),
    }


def alignment_table(evidence: Evidence, view: View) -> Table | None:
    """Table 4 in the paper's form: KL, entropy correlation and what else is tested, and how arms change them."""
    if not view.comparisons:
        return None
    metrics = [name for name in core_names() if name != "accuracy"]
    titles = {name: _TITLES.get(name, METRICS[name].label) for name in metrics}
    base, arm = view.baseline, _arm(view)
    paper = [name for name in metrics if name in _TITLES]
    return Table(
        name=f"table4-{view.name}",
        title=f"Table 4. Distributional alignment, {view.title}",
        rows=[row for one in view.compared for row in _alignment_rows(view, one, metrics)],
        columns=[
            text("Data set", "dataset"),
            *_arm_column(view),
            *(column for name in metrics for column in change_columns(name, titles[name], base, arm)),
            *paper_columns(
                view.repeats,
                [column for name in paper for column in change_columns(f"paper_{name}", titles[name], base, arm)],
            ),
        ],
        notes=[notes.measured_on(evidence, view), notes.alignment(view, metrics), *notes.other_encoder(evidence)],
    )


def _alignment_rows(view: View, arm: str, metrics: list[str]) -> list[Row]:
    """One arm on every data set, and the mean of its changes where there are several."""
    rows = [_alignment_row(view, dataset, arm, metrics) for dataset in view.repeats]
    return [*rows, _mean_row(rows)] if len(rows) > 1 else rows


def _alignment_row(view: View, dataset: str, arm: str, metrics: list[str]) -> Row:
    """One arm on one data set of Table 4."""
    row: Row = {"dataset": dataset, "arm": arm}
    for name in metrics:
        one = view.at(dataset, name)[arm]
        row |= _change(name, float(one.base.mean()), float(one.values.mean()), one.relative_change)
    pair = paper_pair(dataset, view.paper.get(arm), view.paper.get(view.baseline))
    for name in metrics:
        ours, base = (one.mean(name) for one in pair) if pair else (None, None)
        change = None if ours is None or base is None else (ours - base) / base
        row |= _change(f"paper_{name}", base, ours, change) if name in _TITLES else {}
    return row


def _change(name: str, base: float | None, arm: float | None, change: float | None) -> Row:
    """Both means and their relative change."""
    return {f"{name}_base": base, f"{name}_arm": arm, f"{name}_change": change}


def _mean_row(rows: list[Row]) -> Row:
    """The mean of the relative changes over data sets."""
    row: Row = dict.fromkeys(rows[0])
    for key in row:
        if key.endswith("_change"):
            known = [value for value in (as_float(one[key]) for one in rows) if math.isfinite(value)]
            row[key] = float(np.mean(known)) if known else math.nan
    return {**row, "dataset": "mean", "arm": rows[0]["arm"]}


def further_table(evidence: Evidence, view: View) -> Table | None:
    """The metrics that are not tested, where the data have any."""
    cases = [(dataset, name) for dataset in view.repeats for name in view.further(dataset)]
    arms: Sequence[str | None] = view.compared or [None]
    rows = [_further_row(view, dataset, name, arm) for dataset, name in cases for arm in arms]
    if not rows:
        return None
    return Table(
        name=f"further-metrics-{view.name}",
        title=f"Further metrics, {view.title}",
        rows=rows,
        columns=[text("Data set", "dataset"), _directed([name for _, name in cases]), *_further_columns(view)],
        notes=[notes.measured_on(evidence, view), notes.FURTHER],
    )


def _directed(metrics: list[str]) -> Column:
    """Names of metrics, and which way they are better: in the heading where all agree."""
    if len({notes.direction(name) for name in metrics}) == 1:
        return text(f"Metric ({notes.direction(metrics[0])} is better)", "metric")
    return Column("Metric", lambda row: f"{row['metric']} ({row['better']} is better)", numeric=False)


def _further_columns(view: View) -> list[Column]:
    """Baseline, arm and their difference; the baseline alone where nothing is compared with it."""
    base, arm = spread_column(view.baseline, "base", 4), _arm(view)
    if not view.compared:
        return [base]
    return [
        *_arm_column(view),
        base,
        spread_column(arm, "arm", 4),
        decimal(f"{arm} - {view.baseline}", "difference", 4, signed=True),
        Column(f"{arm} ahead", lambda row: f"{row['ahead']} of {row['pairs']}"),
    ]


def _further_row(view: View, dataset: str, name: str, arm: str | None) -> Row:
    """One further metric on one data set, of the baseline and of an arm that is compared with it."""
    repeats = view.repeats[dataset]
    base = repeats.metric(view.baseline, name)
    row: Row = {"dataset": dataset, "metric": METRICS[name].title, "better": notes.direction(name)}
    if arm is None:
        return row | _moments("base", base)
    difference = repeats.metric(arm, name) - base
    ahead = difference > 0 if METRICS[name].higher_is_better else difference < 0
    return {
        **row,
        "arm": arm,
        **_moments("base", base),
        **_moments("arm", repeats.metric(arm, name)),
        "difference": float(difference.mean()),
        "ahead": int(ahead.sum()),
        "pairs": len(base),
    }


def _moments(name: str, values: Floats) -> Row:
    """Mean and sample standard deviation."""
    return {
        f"{name}_mean": float(values.mean()),
        f"{name}_sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
    }
