"""What ``soft-labels compare`` prints: the metrics of each arm, and what the numbers mean."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soft_labels.commands.compare_result import ARMS, CompareResult
from soft_labels.metrics import METRICS
from soft_labels.report.formats import p_value
from soft_labels.trust.report import TrustReport

if TYPE_CHECKING:
    from rich.table import Table

_METRICS_A_TABLE = 3


def print_result(result: CompareResult, saved: Path) -> None:
    """Print the tables, what they rest on, and what to open next.

    Args:
        result: What was found.
        saved: The folder that it is kept in.
    """
    from rich.console import Console

    console = Console()
    for table in [*_tables(result), *_effects(result), _meaning(result)]:
        console.print(table)
    for line in _yardsticks(next(iter(result.trust.values()))):
        console.print(line, highlight=False)
    for line in [*result.notes, *(f"warning: {warning}" for warning in result.warnings)]:
        console.print(line, highlight=False)
    console.print(f"Saved: soft-labels compare --show {saved}  prints it again", highlight=False, soft_wrap=True)
    console.print(
        f"Next: tensorboard --logdir {saved / ARMS}  (a line an arm; each run by itself: {result.folder})",
        highlight=False,
        soft_wrap=True,
    )


def _tables(result: CompareResult) -> list["Table"]:
    """Two arms: a row a metric. More: a row an arm, a few metrics a table, so that any number of arms fits."""
    from rich.table import Table

    base, others = result.baseline, [name for name in result.metrics if name != result.baseline]
    there = [name for name in METRICS if name in result.metrics[base]]
    title = f"{result.dataset}: test split"
    if len(others) == 1:
        table = Table("metric", title=title, title_justify="left")
        for heading in (base, others[0], f"{others[0]} - {base}"):
            table.add_column(heading, justify="right")
        for name in there:
            difference = result.metrics[others[0]][name] - result.metrics[base][name]
            cells = [_cell(values[name]) for values in result.metrics.values()]
            table.add_row(_heading(name), *cells, _cell(difference, signed=True))
        return [table]
    tables = []
    for start in range(0, len(there), _METRICS_A_TABLE):
        names = there[start : start + _METRICS_A_TABLE]
        table = Table("arm", title=f"{title}; below each mean: less {base}", title_justify="left", show_lines=True)
        for name in names:
            table.add_column(_heading(name), justify="right")
        for arm, values in result.metrics.items():
            table.add_row(arm, *(_beside(values[name], result.metrics[base][name], arm == base) for name in names))
        tables.append(table)
    return tables


def _heading(name: str) -> str:
    """A metric with the direction that is better."""
    return f"{METRICS[name].title} {'↑' if METRICS[name].higher_is_better else '↓'}"


def _beside(values: NDArray[np.float64], base: NDArray[np.float64], is_base: bool) -> str:
    """An arm's values and, below, how they differ from the baseline's."""
    return _cell(values) if is_base else f"{_cell(values)}\n{_cell(values - base, signed=True)}"


def _cell(values: NDArray[np.float64], signed: bool = False) -> str:
    """Mean and sample standard deviation; one value has no spread."""
    mean = f"{values.mean():{'+' if signed else ''}.3f}"
    return f"{mean} ± {values.std(ddof=1):.3f}" if len(values) > 1 else mean


def _effects(result: CompareResult) -> list["Table"]:
    """Each arm's difference to the baseline, with its interval and what the test says."""
    from rich.table import Table

    if not result.effects:
        return []
    how = "95% over seeds and test items, p of the paired t-test over seeds by Holm's method"
    title = f"difference to {result.baseline}: {how}"
    table = Table("arm", "metric", title=title, title_justify="left")
    for heading in ("difference", "95%", "p", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in result.effects:
        ends = f"{one.low:+.3f}..{one.high:+.3f}" if np.isfinite(one.low) else "not known"
        words = {"open": "not told apart"}.get(one.verdict, one.verdict)
        table.add_row(one.arm, METRICS[one.metric].label, f"{one.difference:+.3f}", ends, p_value(one.p_holm), words)
    return [table]


def _meaning(result: CompareResult) -> "Table":
    """Each arm's KL in its two parts, what it reached of the achievable, and its worth, with 95% intervals."""
    from rich.table import Table

    table = Table(title="KL = overconfidence + vagueness; below: 95% over seeds and items", title_justify="left")
    table.add_column("arm", overflow="fold")
    for heading in ("KL", "over-\nconfidence", "\nvagueness", "\nachieved", "worth in\nannotators"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, trust in result.trust.items():
        table.add_row(
            name,
            _with_ends(trust.kl, trust.kl_low, trust.kl_high),
            _with_ends(trust.overconfidence, trust.overconfidence_low, trust.overconfidence_high),
            _with_ends(trust.vagueness, trust.vagueness_low, trust.vagueness_high),
            _with_ends(
                trust.share_of_achievable, trust.share_of_achievable_low, trust.share_of_achievable_high, ".0%", ".0%"
            ),
            _worth(trust),
        )
    return table


def _with_ends(value: float, low: float, high: float, digits: str = ".3f", ends: str = ".2f") -> str:
    """A value, and below it its interval."""
    return f"{value:{digits}}\n{low:{ends}}..{high:{ends}}" if np.isfinite(value) else "not known"


def _worth(trust: TrustReport) -> str:
    """As many annotators as predict the others equally well."""
    if trust.worth_reach == "within":
        return _with_ends(trust.worth, trust.worth_low, trust.worth_high, ".1f", ".1f")
    words = {"below": "below 0", "above": f"above {trust.worth:.0f}", "mixed": f"about {trust.worth:.1f}"}
    return words.get(trust.worth_reach, "not known")


def _yardsticks(trust: TrustReport) -> list[str]:
    """What the data set allows, whatever the model."""
    floor = f"floor of {trust.annotators:.3g} annotators an item {trust.floor_low:.3f} to {trust.floor_high:.3f}"
    ceiling = f"{trust.ceiling_low:.2f} to {trust.ceiling_high:.2f}"
    return [
        f"KL: uniform {trust.uniform:.3f}, class marginal {trust.marginal:.3f} (0% achieved), {floor} (100%)",
        f"entropy correlation of a perfect model {ceiling}; entropy error of one constant {trust.ent_ce_constant:.3f}",
        "annotators: as many of them, drawn anew, predict the others as well as the model does",
        *trust.notes,
    ]
