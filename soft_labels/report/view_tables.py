"""Tables 3 and 4 of the paper, the tests in full and our further metrics, each for one view of the repeats."""

import math

import numpy as np

from soft_labels.metric_names import HIGHER_IS_BETTER, LABELS
from soft_labels.objectives import Target
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
from soft_labels.report.evidence import TARGETS, Evidence
from soft_labels.report.paper import PAPER
from soft_labels.report.parts import Column, Row, Table
from soft_labels.report.views import Comparison, View
from soft_labels.stats import Floats


def result_table(evidence: Evidence, view: View) -> Table:
    """Table 3 in the paper's form: means and t-tests."""
    return Table(
        name=f"table3-{view.name}",
        title=f"Table 3. Soft against hard, {view.title}",
        rows=[_result_row(view, dataset, target) for dataset in view.repeats for target in TARGETS],
        columns=[
            text("Data set", "dataset"),
            text("Target", "target"),
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


def _result_row(view: View, dataset: str, target: Target) -> Row:
    """One arm of Table 3; the tests stand in the first of the two."""
    accuracy, kl = (view.of(metric)[list(view.repeats).index(dataset)] for metric in ("accuracy", "kl"))
    paper = PAPER.get(dataset)
    arm, tested = paper.arms[target] if paper else None, target == TARGETS[0]
    found = {"accuracy": accuracy.verdict, "KL": kl.verdict}
    names = [f"{name} ({verdict})" for name, verdict in found.items() if verdict != "open"]
    return {
        "dataset": dataset,
        "target": target,
        **_moments("accuracy", 100 * getattr(accuracy, target)),
        **_moments("kl", getattr(kl, target)),
        "accuracy_p": accuracy.test.corrected_t_p if tested else None,
        "kl_p": kl.test.corrected_t_p if tested else None,
        "significant": (", ".join(names) or "none") if tested else "",
        "accuracy_better": int(accuracy.ahead == target),
        "kl_better": int(kl.ahead == target),
        **paper_moments("accuracy", arm.accuracy if arm else None),
        **paper_moments("kl", arm.kl if arm else None),
        "paper_accuracy_p": paper.accuracy_p if paper and tested else None,
        "paper_kl_p": paper.kl_p if paper and tested else None,
    }


def test_table(evidence: Evidence, view: View) -> Table:
    """Every test in full."""
    corrected = [p_column("corrected t-test p", "corrected_t_p")] if view.name == "redrawn" else []
    return Table(
        name=f"table3-tests-{view.name}",
        title=f"Table 3 in full. The tests, {view.title}",
        rows=[_test_row(comparison) for comparison in view.comparisons],
        columns=[
            text("Data set", "dataset"),
            text("Metric", "metric"),
            decimal("Soft - hard", "difference", 4, signed=True),
            interval_column("95% interval"),
            p_column("t-test p", "t_p"),
            *corrected,
            p_column("Holm p", "holm_p"),
            p_column("Wilcoxon p", "wilcoxon_p"),
            decimal("d_z", "cohens_dz", 2, signed=True),
            Column("Soft ahead", lambda row: f"{row['soft_ahead']} of {row['pairs']}"),
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
    higher_is_better = comparison.metric in HIGHER_IS_BETTER
    return {
        "dataset": comparison.dataset,
        "metric": LABELS[comparison.metric],
        "difference": test.mean_difference,
        "low": comparison.interval[0],
        "high": comparison.interval[1],
        "t_p": test.t_p,
        "corrected_t_p": test.corrected_t_p,
        "holm_p": comparison.holm_p,
        "wilcoxon_p": test.wilcoxon_p,
        "cohens_dz": test.cohens_dz,
        "soft_ahead": test.soft_higher if higher_is_better else test.hard_higher,
        "pairs": len(comparison.soft),
    }


def alignment_table(evidence: Evidence, view: View) -> Table:
    """Table 4 in the paper's form: KL, entropy correlation and their relative changes."""
    kl, correlation = view.of("kl"), view.of("entropy_corr")
    rows = [_alignment_row(*pair) for pair in zip(kl, correlation, strict=True)]
    if len(rows) > 1:
        rows.append(_mean_row(rows))
    return Table(
        name=f"table4-{view.name}",
        title=f"Table 4. Distributional alignment, {view.title}",
        rows=rows,
        columns=[
            text("Data set", "dataset"),
            *change_columns("kl", "KL"),
            *change_columns("entropy_corr", "Entropy corr."),
            *paper_columns(
                view.repeats,
                [*change_columns("paper_kl", "KL"), *change_columns("paper_entropy_corr", "Entropy corr.")],
            ),
        ],
        notes=[notes.measured_on(evidence, view), notes.alignment(view), *notes.other_encoder(evidence)],
    )  # fmt: skip


def _alignment_row(kl: Comparison, correlation: Comparison) -> Row:
    """One data set of Table 4."""
    paper = PAPER.get(kl.dataset)
    row: Row = {"dataset": kl.dataset}
    for name, comparison in (("kl", kl), ("entropy_corr", correlation)):
        row |= {f"{name}_hard": float(comparison.hard.mean()), f"{name}_soft": float(comparison.soft.mean()),
                f"{name}_change": comparison.relative_change}  # fmt: skip
    for name in ("kl", "entropy_corr"):
        row |= _paper_change(name, *(paper.arms[target].mean(name) if paper else None for target in TARGETS))
    return row


def _paper_change(name: str, hard: float | None, soft: float | None) -> Row:
    """The paper's means and their relative change."""
    change = None if hard is None or soft is None else (soft - hard) / hard
    return {f"paper_{name}_hard": hard, f"paper_{name}_soft": soft, f"paper_{name}_change": change}


def _mean_row(rows: list[Row]) -> Row:
    """The mean of the relative changes over data sets."""
    row: Row = dict.fromkeys(rows[0])
    for key in row:
        if key.endswith("_change"):
            known = [value for value in (as_float(one[key]) for one in rows) if math.isfinite(value)]
            row[key] = float(np.mean(known)) if known else math.nan
    return {**row, "dataset": "mean"}


def further_table(evidence: Evidence, view: View) -> Table | None:
    """The metrics that are not the paper's, where the records have any."""
    rows = [_further_row(view, dataset, name) for dataset in view.repeats for name in view.further(dataset)]
    if not rows:
        return None
    return Table(
        name=f"further-metrics-{view.name}",
        title=f"Further metrics, {view.title}",
        rows=rows,
        columns=[
            text("Data set", "dataset"),
            text("Metric (lower is better)", "metric"),
            spread_column("Hard", "hard", 4),
            spread_column("Soft", "soft", 4),
            decimal("Soft - hard", "difference", 4, signed=True),
            Column("Soft lower", lambda row: f"{row['soft_lower']} of {row['pairs']}"),
        ],
        notes=[notes.measured_on(evidence, view), notes.FURTHER],
    )


def _further_row(view: View, dataset: str, name: str) -> Row:
    """One further metric on one data set."""
    hard, soft = (view.repeats[dataset].metric(target, name) for target in TARGETS)
    return {
        "dataset": dataset,
        "metric": LABELS[name],
        **_moments("hard", hard),
        **_moments("soft", soft),
        "difference": float((soft - hard).mean()),
        "soft_lower": int((soft < hard).sum()),
        "pairs": len(soft),
    }


def _moments(name: str, values: Floats) -> Row:
    """Mean and sample standard deviation."""
    return {
        f"{name}_mean": float(values.mean()),
        f"{name}_sd": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
    }
