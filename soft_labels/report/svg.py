"""A few shapes as SVG text, so that the same numbers always give the same bytes.

Colours are CSS classes of :mod:`soft_labels.report.style`. Letters are text in the reader's own sans-serif font.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]
SERIES = {"annotators": "annotators", "soft": "soft head", "hard": "hard head"}


def coordinate(value: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{round(value, 1) + 0.0:g}"


def text(x: float, y: float, content: str, css: str = "", anchor: str = "start") -> str:
    """Letters on a base line."""
    place = f'x="{coordinate(x)}" y="{coordinate(y)}"'
    return f'<text class="{css}" {place} text-anchor="{anchor}">{escape(content, quote=False)}</text>'


def line(start: Point, end: Point, css: str) -> str:
    """A straight line."""
    x1, y1, x2, y2 = map(coordinate, (*start, *end))
    return f'<line class="{css}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def polyline(points: Sequence[Point], css: str) -> str:
    """Connected points."""
    path = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)
    return f'<polyline class="{css}" points="{path}"/>'


def bar(figure: str, series: str, x: float, y: float, width: float, height: float) -> str:
    """A bar in a series' colour and pattern."""
    size = f'width="{coordinate(width)}" height="{coordinate(height)}"'
    return f'<rect fill="url(#{figure}-{series})" x="{coordinate(x)}" y="{coordinate(y)}" {size}/>'


def marker(series: str, x: float, y: float, css: str = "") -> str:
    """A dot for soft, a square for hard."""
    if series == "soft":
        return f'<circle class="{series} {css}" cx="{coordinate(x)}" cy="{coordinate(y)}" r="3.5"/>'
    place = f'x="{coordinate(x - 3)}" y="{coordinate(y - 3)}"'
    return f'<rect class="{series} {css}" {place} width="6" height="6"/>'


def patterns(figure: str) -> str:
    """The fills of bars: plain for annotators, stripes for soft, dots for hard."""
    ground = {series: f'<rect class="{series}" width="6" height="6"/>' for series in SERIES}
    stripes = f'{ground["soft"]}<rect class="gap" width="2" height="6"/>'
    dots = f'{ground["hard"]}<circle class="gap" cx="3" cy="3" r="1.3"/>'
    fills = [
        _pattern(figure, "annotators", ground["annotators"]),
        _pattern(figure, "soft", stripes, ' patternTransform="rotate(45)"'),
        _pattern(figure, "hard", dots),
    ]
    return f"<defs>{''.join(fills)}</defs>"


def _pattern(figure: str, series: str, content: str, turned: str = "") -> str:
    """One fill."""
    size = 'width="6" height="6" patternUnits="userSpaceOnUse"'
    return f'<pattern id="{figure}-{series}" {size}{turned}>{content}</pattern>'


def bar_legend(figure: str, series: Sequence[str], x: float, y: float) -> str:
    """What the fills of bars mean."""
    return "".join(
        bar(figure, one, x + 110 * place, y - 10, 22, 11) + text(x + 110 * place + 28, y, SERIES[one])
        for place, one in enumerate(series)
    )


def line_legend(x: float, y: float) -> str:
    """What the lines of soft and hard mean."""
    return "".join(
        line((x + 110 * place, y - 4), (x + 110 * place + 22, y - 4), f"{one}-line")
        + marker(one, x + 110 * place + 11, y - 4)
        + text(x + 110 * place + 28, y, SERIES[one])
        for place, one in enumerate(("soft", "hard"))
    )


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers that span a range.

    Args:
        low: Its lower end.
        high: Its upper end, above ``low``.
        about: How many steps to aim at.

    Example:
        >>> ticks(0.62, 1.13)
        [0.6, 0.8, 1.0, 1.2]
    """
    rough = (high - low) / about
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * place, 10) for place in range(first, last + 1)]


@dataclass(frozen=True)
class Frame:
    """The plane of a chart.

    Args:
        x: Left end, user units.
        y: Upper end, user units.
        width: User units.
        height: User units.
        x_ticks: Values at the horizontal axis, from its first to its last.
        y_ticks: Values at the vertical axis, from its first to its last.
    """

    x: float
    y: float
    width: float
    height: float
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    def at(self, x: float, y: float) -> Point:
        """The place of a pair of values."""
        return (
            self.x + self.width * _position(x, self.x_ticks),
            self.y + self.height * (1 - _position(y, self.y_ticks)),
        )

    def axes(self, x_title: str, y_title: str) -> str:
        """Grid lines, their values and what they mean."""
        left, right, bottom = self.x, self.x + self.width, self.y + self.height
        marks = [text(left, self.y - 18, y_title, "small"), text(right, bottom + 32, x_title, "small", "end")]
        for value in self.y_ticks:
            height = self.at(self.x_ticks[0], value)[1]
            marks += [
                line((left, height), (right, height), "grid"),
                text(left - 6, height + 4, f"{value:g}", "small", "end"),
            ]
        for value in self.x_ticks:
            marks.append(text(self.at(value, self.y_ticks[0])[0], bottom + 16, f"{value:g}", "small", "middle"))
        return "".join([*marks, line((left, bottom), (right, bottom), "axis")])


def _position(value: float, ends: Sequence[float]) -> float:
    """Where a value lies between the first and the last tick, from 0 to 1."""
    return (value - ends[0]) / (ends[-1] - ends[0])
