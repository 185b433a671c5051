"""Tables for machines, and what a report holds."""

import csv
import io
import math
from dataclasses import replace

from soft_labels.report.content import Column, Figure, Layout, Report, Section, Table

TABLE = Table(
    "numbers",
    "Numbers",
    [{"name": "a,b", "value": 1 / 3, "count": 1200}, {"name": None, "value": math.nan, "count": None}],
    [Column("Name", lambda row: str(row["name"]))],
    [],
)
FIGURE = Figure("one", "One", "below", "words", [{"x": 0.5, "name": "a"}], [], Layout(1.0))


def test_csv_has_six_digits_and_leaves_empty_what_is_not_defined() -> None:
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert rows == [
        {"name": "a,b", "value": "0.333333", "count": "1200"},
        {"name": "", "value": "", "count": ""},
    ]


def test_a_report_finds_its_tables_and_figures_in_order() -> None:
    first, last = replace(FIGURE, name="first"), replace(FIGURE, name="last")
    sections = [Section("A", parts=[FIGURE, TABLE]), Section("B", ["words"], [last])]
    report = Report("Title", ["lead"], first, sections, "{}")
    assert [table.name for table in report.tables()] == ["numbers"]
    assert [figure.name for figure in report.figures()] == ["first", "one", "last"]


def test_a_figure_has_its_data_as_csv() -> None:
    assert FIGURE.csv() == "x,name\n0.5,a\n"
