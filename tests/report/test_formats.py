"""Numbers as readers see them."""

import math

import pytest

from soft_labels.report.formats import NOT_DEFINED, count, listed, number, p_value, percent, spread

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(-0.5), f"{MINUS}0.500"),
        (number(-0.0001), "0.000"),
        (number(0.0001, signed=True), "0.000"),
        (number(math.inf), NOT_DEFINED),
        (spread(0.5, math.nan), "0.500"),
        (percent(-0.1234), f"{MINUS}12.3%"),
        (percent(math.nan), NOT_DEFINED),
        (p_value(0.001), "0.001"),
        (p_value(0.00099), "9.9e-04"),
        (p_value(math.nan), NOT_DEFINED),
        (count(0, "item"), "0 items"),
    ],
)
def test_a_number_reads_as_it_should(shown: str, expected: str) -> None:
    assert shown == expected


def test_names_in_a_sentence() -> None:
    assert [listed(names) for names in ([], ["a"], ["a", "b"])] == ["", "a", "a and b"]
