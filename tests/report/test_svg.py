"""Shapes lie where their numbers say."""

import pytest

from soft_labels.report.svg import Frame, coordinate, text, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 40, [0, 10, 20, 30, 40]), (0, 1, [0, 0.5, 1]), (0.62, 1.13, [0.6, 0.8, 1.0, 1.2]), (0, 3, [0, 1, 2, 3])],
)
def test_ticks_are_round_and_span_the_range(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("high", [1e-6, 0.013, 0.7, 9.99, 101, 12345])
def test_ticks_are_few_at_any_scale(high: float) -> None:
    found = ticks(0, high)
    assert found[0] == 0
    assert found[-1] >= high * (1 - 1e-9)
    assert 3 <= len(found) <= 6


def test_a_frame_puts_values_between_its_ticks() -> None:
    frame = Frame(10, 20, 100, 50, (0, 1), (0, 4))
    assert frame.at(0, 0) == (10, 70)
    assert frame.at(1, 4) == (110, 20)
    assert frame.at(0.5, 2) == (60, 45)


def test_coordinates_have_no_negative_zero() -> None:
    assert [coordinate(value) for value in (-0.01, 0.04, 12.34, 1234.5)] == ["0", "0", "12.3", "1234.5"]


def test_letters_that_mean_something_in_svg_are_words() -> None:
    assert ">a &lt;b&gt; &amp; c<" in text(0, 0, "a <b> & c")
