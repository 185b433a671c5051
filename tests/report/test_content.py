"""Tables for machines, and what a report holds."""

import csv
import io
import math

from soft_labels.report.content import Column, Figure, Report, Section, Table

TABLE = Table(
    "numbers",
    "Numbers",
    [{"name": "a,b", "value": 1 / 3, "count": 1200}, {"name": None, "value": math.nan, "count": None}],
    [Column("Name", lambda row: str(row["name"]))],
    [],
)
FIGURE = Figure("figure1", "One", "words", 10, 10, "<rect/>", "below")


def test_csv_has_six_digits_and_leaves_empty_what_is_not_defined() -> None:
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))
    assert rows == [
        {"name": "a,b", "value": "0.333333", "count": "1200"},
        {"name": "", "value": "", "count": ""},
    ]


def test_a_report_finds_its_tables_and_figures_in_order() -> None:
    other = Figure("figure2", "Two", "words", 10, 10, "<rect/>", "below")
    report = Report("Title", [Section("First", parts=[FIGURE, TABLE]), Section("Second", ["words"], [other])])
    assert [table.name for table in report.tables()] == ["numbers"]
    assert [figure.name for figure in report.figures()] == ["figure1", "figure2"]
