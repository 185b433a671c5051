"""A few shapes as SVG text, so that the same numbers always give the same bytes.

Colours are CSS classes of :mod:`soft_labels.report.style`. Letters are text in the reader's own sans-serif font.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from soft_labels.palette import Look, look

Point = tuple[float, float]
_SHAPES = {
    "triangle": ((0, -4.2), (4.2, 3.4), (-4.2, 3.4)),
    "wedge": ((0, 4.2), (4.2, -3.4), (-4.2, -3.4)),
    "diamond": ((0, -4.6), (4.6, 0), (0, 4.6), (-4.6, 0)),
    "bar": ((-1.6, -4.6), (1.6, -4.6), (1.6, 4.6), (-1.6, 4.6)),
    "cross": ((-4.5, -1.4), (-1.4, -1.4), (-1.4, -4.5), (1.4, -4.5), (1.4, -1.4), (4.5, -1.4),
              (4.5, 1.4), (1.4, 1.4), (1.4, 4.5), (-1.4, 4.5), (-1.4, 1.4), (-4.5, 1.4)),
}  # fmt: skip
_LETTER, _LEGEND_ROW = 7, 18  # about as wide as a letter is, and a row of a legend


@dataclass(frozen=True)
class Series:
    """One of the things that a figure sets side by side.

    Args:
        key: Part of the names of its elements.
        name: What readers call it.
        place: Its arm's place among the arms, 0 for the baseline; ``None`` of the annotators.
    """

    key: str
    name: str
    place: int | None = None

    @property
    def look(self) -> Look:
        """How the arm is drawn."""
        return look(self.place or 0)

    @property
    def css(self) -> str:
        """The class of its colour."""
        return "annotators" if self.place is None else f"arm{self.look.colour}"


ANNOTATORS = Series("annotators", "annotators")


def heads(arms: Sequence[str]) -> dict[str, Series]:
    """The heads of arms, as every figure draws them.

    Args:
        arms: All arms of the experiment, the baseline first.
    """
    return {arm: Series(f"arm{place}", f"{arm} head", place) for place, arm in enumerate(arms)}


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


def polyline(points: Sequence[Point], css: str, dashes: str = "") -> str:
    """Connected points."""
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline class="{css}"{dashed} points="{_path(points)}"/>'


def _path(points: Sequence[Point]) -> str:
    """Points one after another."""
    return " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)


def bar(figure: str, series: Series, x: float, y: float, width: float, height: float) -> str:
    """A bar in a series' colour and pattern."""
    size = f'width="{coordinate(width)}" height="{coordinate(height)}"'
    return f'<rect fill="url(#{figure}-{series.key})" x="{coordinate(x)}" y="{coordinate(y)}" {size}/>'


def curve(series: Series, points: Sequence[Point]) -> str:
    """An arm's line."""
    return polyline(points, f"line{series.look.colour}", series.look.dashes)


def marker(series: Series, x: float, y: float, css: str = "") -> str:
    """An arm's marker at a place."""
    css, shape = f"{series.css} {css}", series.look.marker
    if shape == "circle":
        return f'<circle class="{css}" cx="{coordinate(x)}" cy="{coordinate(y)}" r="3.5"/>'
    if shape == "square":
        return f'<rect class="{css}" x="{coordinate(x - 3)}" y="{coordinate(y - 3)}" width="6" height="6"/>'
    return f'<polygon class="{css}" points="{_path([(x + right, y + down) for right, down in _SHAPES[shape]])}"/>'


def patterns(figure: str, series: Sequence[Series]) -> str:
    """The fills of bars: plain for annotators, dots for the baseline, stripes of another slant for each other arm."""
    return f"<defs>{''.join(_pattern(figure, one) for one in series)}</defs>"


def _pattern(figure: str, series: Series) -> str:
    """One fill."""
    marks = {None: "", 0: '<circle class="gap" cx="3" cy="3" r="1.3"/>'}
    content = marks.get(series.place, '<rect class="gap" width="2" height="6"/>')
    turned = f' patternTransform="rotate({45 * series.place % 180})"' if series.place else ""
    size = 'width="6" height="6" patternUnits="userSpaceOnUse"'
    ground = f'<rect class="{series.css}" width="6" height="6"/>'
    return f'<pattern id="{figure}-{series.key}" {size}{turned}>{ground}{content}</pattern>'


def bar_legend(figure: str, series: Sequence[Series], y: float, width: float) -> tuple[str, float]:
    """What the fills of bars mean, and the base line of its last row."""
    return _legend(series, y, width, lambda one, x, base: bar(figure, one, x, base - 10, 22, 11))


def line_legend(series: Sequence[Series], y: float, width: float) -> tuple[str, float]:
    """What the lines of arms mean, and the base line of its last row."""
    return _legend(
        series,
        y,
        width,
        lambda one, x, base: curve(one, [(x, base - 4), (x + 22, base - 4)]) + marker(one, x + 11, base - 4),
    )


def _legend(
    series: Sequence[Series], y: float, width: float, sign: Callable[[Series, float, float], str]
) -> tuple[str, float]:
    """Signs and names in rows."""
    x, drawn = 0.0, []
    for one in series:
        needed = max(110, 40 + _LETTER * len(one.name))
        if x and x + needed > width:
            x, y = 0.0, y + _LEGEND_ROW
        drawn.append(sign(one, x, y) + text(x + 28, y, one.name))
        x += needed
    return "".join(drawn), y


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
