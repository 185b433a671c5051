"""Shapes lie where their numbers say."""

import pytest

from soft_labels.palette import MARKERS
from soft_labels.report.svg import ANNOTATORS, Frame, bar_legend, coordinate, heads, marker, patterns, text, ticks


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


def test_heads_of_a_dozen_arms_have_markers_of_their_own_shape() -> None:
    series = list(heads([f"arm-{place}" for place in range(len(MARKERS))]).values())
    drawn = [marker(one, 0, 0).replace(one.css, "") for one in series]
    assert len(set(drawn)) == len(MARKERS)


def test_names_of_arms_are_no_names_of_elements() -> None:
    series = list(heads(['a"<b>', "c"]).values())
    legend, _ = bar_legend("figure2", [ANNOTATORS, *series], 10, 500)
    assert 'a"&lt;b&gt; head' in legend
    assert "url(#figure2-arm0)" in legend
    assert patterns("figure2", series).count("<pattern") == 2


def test_a_legend_that_is_too_wide_goes_on_below() -> None:
    series = list(heads(["a" * 20] * 1 + [f"{place}" * 20 for place in range(5)]).values())
    assert bar_legend("figure2", series[:2], 10, 500)[1] == 10
    drawn, bottom = bar_legend("figure2", series, 10, 500)
    assert bottom == 10 + 2 * 18
    assert drawn.count("<rect") == 6
