"""What a report is made of, whichever way it is written: sections of paragraphs, tables and figures."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

Value = str | int | float | None
Row = dict[str, Value]
Draw = Callable[[Axes], None]


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
        shown: The rows that readers see, where they are too many for a page; the CSV file has all.
    """

    name: str
    title: str
    rows: list[Row]
    columns: Sequence[Column]
    notes: Sequence[str]
    shown: Sequence[Row] | None = None

    @property
    def page_rows(self) -> Sequence[Row]:
        """The rows that readers see."""
        return self.rows if self.shown is None else self.shown

    def csv(self) -> str:
        """The rows as CSV."""
        return _csv(self.rows)


@dataclass(frozen=True)
class Layout:
    """The room that each panel of a figure has, in inches; the panels themselves are all equally wide.

    Args:
        height: Of the plane.
        left: Of its margin.
        right: Of its margin.
        bottom: Of its margin.
    """

    height: float
    left: float = 0.46
    right: float = 0.1
    bottom: float = 0.42


@dataclass(frozen=True)
class Panel:
    """One plane of a figure.

    Args:
        title: What it shows.
        told: Lines below the title, in small letters.
        draw: Draws on the plane.
    """

    title: str
    told: Sequence[str]
    draw: Draw


@dataclass(frozen=True)
class Key:
    """What a colour, a marker or a hatch means.

    Args:
        label: In words.
        draw: The sign, on axes from 0 to 1.
    """

    label: str
    draw: Draw


@dataclass(frozen=True)
class Figure:
    """A drawing that says the same in words and in numbers.

    Args:
        name: Of its files and of its elements.
        title: What it shows.
        caption: How it is to be read.
        description: Its content in words, for those who cannot see it.
        rows: The data that is drawn, with the same keys in every row.
        panels: Each shows its part of the rows.
        layout: The room of each panel.
        keys: The legend.
        columns: Panels in a row, where there is room.
    """

    name: str
    title: str
    caption: str
    description: str
    rows: list[Row]
    panels: Sequence[Panel]
    layout: Layout
    keys: Sequence[Key] = ()
    columns: int = 3

    def csv(self) -> str:
        """The data that is drawn, as CSV."""
        return _csv(self.rows)


def _csv(rows: list[Row]) -> str:
    """Rows as CSV; numbers have six significant digits, what is not defined is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _machine(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _machine(value: Value) -> str:
    """A value in a CSV file."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else str(value)


@dataclass(frozen=True)
class Section:
    """A part of the report under its own heading."""

    title: str
    paragraphs: Sequence[str] = ()
    parts: Sequence[Table | Figure] = ()


@dataclass(frozen=True)
class Report:
    """The whole report.

    Args:
        title: What it is about.
        lead: What a reader should take away, a sentence or two a data set.
        picture: What they see first.
        sections: Everything else, in order.
        summary: Every number for machines, as JSON.
    """

    title: str
    lead: Sequence[str]
    picture: Figure
    sections: Sequence[Section]
    summary: str

    def tables(self) -> list[Table]:
        """Every table, in order."""
        return [part for section in self.sections for part in section.parts if isinstance(part, Table)]

    def figures(self) -> list[Figure]:
        """Every figure, in order; the first is figure 1."""
        return [self.picture, *(part for one in self.sections for part in one.parts if isinstance(part, Figure))]
