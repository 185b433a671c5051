"""What a report is made of, whichever way it is written: sections of paragraphs, tables and figures."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Value = str | int | float | None
Row = dict[str, Value]


@dataclass(frozen=True)
class Column:
    """One column as a reader sees it.

    Args:
        title: Its heading.
        cell: What stands in a row's cell; ``**x**`` is bold.
        numeric: Whether it is aligned as numbers are.
        paper: Whether it holds the paper's numbers.
    """

    title: str
    cell: Callable[[Row], str]
    numeric: bool = True
    paper: bool = False


@dataclass(frozen=True)
class Table:
    """A table: rows of plain values for machines, columns for readers.

    Args:
        name: Of its CSV file.
        title: What it shows.
        rows: Values, with the same keys in every row.
        columns: How readers see the rows.
        notes: What one must know to read it: first what it was measured on.
    """

    name: str
    title: str
    rows: list[Row]
    columns: Sequence[Column]
    notes: Sequence[str]

    def csv(self) -> str:
        """The rows as CSV; numbers have six significant digits, what is not defined is empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _machine(value) for key, value in row.items()} for row in self.rows)
        return text.getvalue()


def _machine(value: Value) -> str:
    """A value in a CSV file."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else str(value)


@dataclass(frozen=True)
class Figure:
    """A drawing that says the same in words.

    Args:
        name: Of its file and of its elements.
        title: What it shows.
        description: Its content in words, for those who cannot see it.
        width: In user units.
        height: In user units.
        body: SVG elements.
        caption: What stands below it.
    """

    name: str
    title: str
    description: str
    width: int
    height: int
    body: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of the report under its own heading."""

    title: str
    paragraphs: Sequence[str] = ()
    parts: Sequence[Table | Figure] = ()


@dataclass(frozen=True)
class Report:
    """The whole report."""

    title: str
    sections: Sequence[Section]

    def tables(self) -> list[Table]:
        """Every table, in order."""
        return [part for section in self.sections for part in section.parts if isinstance(part, Table)]

    def figures(self) -> list[Figure]:
        """Every figure, in order."""
        return [part for section in self.sections for part in section.parts if isinstance(part, Figure)]
