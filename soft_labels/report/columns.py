"""Columns that show one or two values of a row."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from soft_labels.report.content import Column, Row, Value
from soft_labels.report.formats import NOT_DEFINED, number, p_value, percent, spread
from soft_labels.report.paper import PAPER


def as_float(value: Value) -> float:
    """A number, nan where there is none."""
    return float(value) if isinstance(value, int | float) else math.nan


def text(title: str, key: str) -> Column:
    """A word."""
    return Column(title, lambda row: str(row[key]), numeric=False)


def plain(title: str, key: str) -> Column:
    """A setting, as a person would type it; empty where the row has none."""
    return Column(title, lambda row: "" if row[key] is None else _typed(row[key]))


def _typed(value: Value) -> str:
    """A setting's value."""
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def integer(title: str, key: str) -> Column:
    """A count; empty where the row has none."""
    return Column(title, lambda row: "" if row[key] is None else f"{row[key]:,}")


def decimal(title: str, key: str, digits: int, signed: bool = False) -> Column:
    """A number; empty where the row has none."""
    return Column(title, lambda row: "" if row[key] is None else number(as_float(row[key]), digits, signed))


def p_column(title: str, key: str) -> Column:
    """A p-value; empty where the row has none."""
    return Column(title, lambda row: "" if row[key] is None else p_value(as_float(row[key])))


def spread_column(title: str, name: str, digits: int, bold: str | None = None) -> Column:
    """Mean and standard deviation; bold where the key ``bold`` says so."""

    def cell(row: Row) -> str:
        if row[f"{name}_mean"] is None:
            return ""
        shown = spread(as_float(row[f"{name}_mean"]), as_float(row[f"{name}_sd"]), digits)
        return f"**{shown}**" if bold and row[bold] else shown

    return Column(title, cell)


def interval_column(title: str) -> Column:
    """Both ends of an interval."""

    def cell(row: Row) -> str:
        low, high = as_float(row["low"]), as_float(row["high"])
        both = f"{number(low, 4, signed=True)} to {number(high, 4, signed=True)}"
        return both if math.isfinite(low) else NOT_DEFINED

    return Column(title, cell)


def ends_column(title: str, name: str, digits: int, scale: float = 1, signed: bool = False) -> Column:
    """A value with its interval in brackets; empty where the row has none.

    Args:
        title: Its heading.
        name: Of the value; its ends are ``NAME_low`` and ``NAME_high``.
        digits: Decimals.
        scale: What readers see is multiplied by this, as 100 for percent.
        signed: Whether a plus is written.
    """

    def cell(row: Row) -> str:
        if row[name] is None:
            return ""
        each = (scale * as_float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
        value, low, high = (number(one, digits, signed) for one in each)
        return value if low == NOT_DEFINED else f"{value} ({low} to {high})"

    return Column(title, cell)


def change_columns(name: str, title: str, base: str, arm: str) -> list[Column]:
    """Baseline, arm and the relative change.

    Args:
        name: What the row's keys begin with.
        title: What it is of.
        base: What the baseline is called.
        arm: What the arm is called.
    """
    return [
        decimal(f"{title} {base}", f"{name}_base", 3),
        decimal(f"{title} {arm}", f"{name}_arm", 3),
        Column("Change", lambda row: "" if row[f"{name}_change"] is None else percent(as_float(row[f"{name}_change"]))),
    ]


def paper_columns(datasets: Iterable[str], columns: Sequence[Column]) -> list[Column]:
    """The paper's columns, if any data set is the paper's."""
    return [replace(column, paper=True) for column in columns] if PAPER.keys() & set(datasets) else []


def paper_moments(name: str, pair: tuple[float, float] | None) -> Row:
    """The paper's mean and standard deviation as values of a row."""
    mean, sd = pair or (None, None)
    return {f"paper_{name}_mean": mean, f"paper_{name}_sd": sd}
