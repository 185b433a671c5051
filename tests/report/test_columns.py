"""What stands in a cell."""

import math

import pytest

from soft_labels.report.columns import (
    as_float,
    change_columns,
    decimal,
    integer,
    interval_column,
    p_column,
    paper_columns,
    paper_moments,
    plain,
    spread_column,
)
from soft_labels.report.content import Column, Row, Value
from soft_labels.report.formats import NOT_DEFINED


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        (integer("", "x"), 1234, "1,234"),
        (plain("", "x"), 1e-4, "0.0001"),
        (plain("", "x"), "plateau", "plateau"),
        (decimal("", "x", 2, signed=True), 0.126, "+0.13"),
        (p_column("", "x"), 0.00002, "2.0e-05"),
        (p_column("", "x"), math.nan, NOT_DEFINED),
    ],
)
def test_a_value_is_shown_and_no_value_is_an_empty_cell(column: Column, value: Value, shown: str) -> None:
    assert column.cell({"x": value}) == shown
    assert column.cell({"x": None}) == ""


def test_a_mean_stands_with_its_deviation_and_is_bold_where_the_row_says_so() -> None:
    column = spread_column("KL", "kl", 3, bold="best")
    row: Row = {"kl_mean": 0.5, "kl_sd": 0.01}
    assert column.cell({**row, "best": 1}) == "**0.500 ± 0.010**"
    assert column.cell({**row, "best": 0}) == "0.500 ± 0.010"
    assert column.cell({"kl_mean": 0.5, "kl_sd": math.nan, "best": 0}) == "0.500"


def test_an_interval_needs_both_ends() -> None:
    column = interval_column("95%")
    assert column.cell({"low": 0.1, "high": 0.2}) == "+0.1000 to +0.2000"
    assert column.cell({"low": math.nan, "high": math.nan}) == NOT_DEFINED


def test_a_change_stands_beside_baseline_and_arm_by_their_names() -> None:
    columns = change_columns("kl", "KL", "hard", "hard_t")
    assert [column.title for column in columns] == ["KL hard", "KL hard_t", "Change"]
    row: Row = {"kl_base": 0.5, "kl_arm": 0.4, "kl_change": -0.2}
    assert [column.cell(row) for column in columns][:2] == ["0.500", "0.400"]
    assert columns[2].cell(row).endswith("20.0%")


def test_the_papers_columns_stand_beside_the_papers_data_alone() -> None:
    columns = [integer("Items", "items")]
    assert [column.paper for column in paper_columns(["mine", "chaosnli"], columns)] == [True]
    assert paper_columns(["mine"], columns) == []


def test_numbers_that_are_missing_stay_missing() -> None:
    assert paper_moments("kl", None) == {"paper_kl_mean": None, "paper_kl_sd": None}
    assert math.isnan(as_float(None))
    assert as_float(3) == 3.0
