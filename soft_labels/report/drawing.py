"""Figures by matplotlib: whole, as SVG and PDF for a paper, and cut into panels that a page lays out for any screen."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from soft_labels.palette import GROUND, INK, MUTED, NAMED, RULE, shortened
from soft_labels.report.content import Figure, Key, Panel

WIDTH = 2.4  # inches of a panel; three are as wide as a page of a paper
POINTS = 72
SMALL, TEXT, HEAD = 6.0, 6.5, 8.0  # points of letters
_HEAD, _SMALL = 31, 54  # letters of a title and of a small line that a panel has room for
TOLD = 52  # letters of a line that is wrapped
LETTER, SMALL_LETTER = 0.056, 0.051  # inches of an average letter of a text, and of a small one
_TITLE, _LINE, _ABOVE, _EDGE = 0.16, 0.115, 0.22, 0.04  # a title's base line, a line, a gap above a plane, and a margin
_KEY_HEIGHT, _KEY_SIGN, _KEY_GAP = 0.16, 0.3, 0.12
_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": MUTED.light,
    "axes.facecolor": "none",
    "axes.labelcolor": INK.light,
    "axes.labelsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK.light,
    "axes.titlesize": HEAD,
    "axes.titleweight": "bold",
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT,
    "grid.color": RULE.light,
    "grid.linewidth": 0.5,
    "hatch.color": GROUND.light,
    "hatch.linewidth": 0.9,
    "lines.linewidth": 1.1,
    "lines.markersize": 3,
    "patch.linewidth": 0,
    "pdf.fonttype": 42,  # fonts are embedded whole letter by letter, as publishers ask
    "savefig.facecolor": GROUND.light,
    "svg.fonttype": "none",
    "svg.hashsalt": "soft-labels",
    "text.color": INK.light,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "xtick.color": MUTED.light,
    "xtick.labelcolor": INK.light,
    "xtick.labelsize": SMALL,
    "xtick.major.size": 2,
    "xtick.major.width": 0.6,
    "ytick.color": MUTED.light,
    "ytick.labelcolor": INK.light,
    "ytick.labelsize": SMALL,
    "ytick.major.size": 2,
    "ytick.major.width": 0.6,
}
ET.register_namespace("", _SVG)
ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")


class _Box(NamedTuple):
    """A rectangle in inches, from the upper left corner."""

    left: float
    top: float
    width: float
    height: float


class Drawing:
    """A figure as matplotlib draws it, on light ground.

    Args:
        figure: What is to be drawn.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self._boxes: dict[str, _Box] = {}
        columns = min(figure.columns, len(figure.panels))
        self.width = WIDTH * columns
        keys, below = _flow(figure.keys, self.width)
        layout, lines = figure.layout, max(len(panel.told) for panel in figure.panels)
        top = _TITLE + _LINE * lines + _ABOVE
        tall = top + layout.height + layout.bottom
        self.height = below + tall * -(-len(figure.panels) // columns)
        with _styled():
            self.canvas = Canvas(figsize=(self.width, self.height))
            for place, (key, box) in enumerate(zip(figure.keys, keys, strict=True)):
                _draw_key(self._axes(f"key{place}", box, _Box(0, 0, _KEY_SIGN, _KEY_HEIGHT)), key)
            for place, panel in enumerate(figure.panels):
                box = _Box(WIDTH * (place % columns), below + tall * (place // columns), WIDTH, tall)
                plane = _Box(layout.left, top, WIDTH - layout.left - layout.right, layout.height)
                self._draw_panel(self._axes(f"panel{place}", box, plane), panel, box)

    def _axes(self, name: str, box: _Box, plane: _Box) -> Axes:
        """A plane within a box that also holds what stands around it."""
        self._boxes[name] = box
        left, bottom = box.left + plane.left, self.height - box.top - plane.top - plane.height
        axes = self.canvas.add_axes(
            (left / self.width, bottom / self.height, plane.width / self.width, plane.height / self.height)
        )
        axes.set_gid(name)
        axes.patch.set_visible(False)
        return axes

    def _draw_panel(self, axes: Axes, panel: Panel, box: _Box) -> None:
        """A panel under its title."""
        panel.draw(axes)
        top = self.height - box.top - _TITLE
        write = partial(axes.text, x=box.left + _EDGE, va="baseline", transform=self.canvas.dpi_scale_trans)
        write(y=top, s=_fitting(panel.title, HEAD), size=HEAD, weight="bold")
        for place, line in enumerate(panel.told, start=1):
            write(y=top - _LINE * place, s=_fitting(line, SMALL), size=SMALL, color=MUTED.light)

    @cached_property
    def _root(self) -> ET.Element:
        """The drawing as SVG, without what says when and by what it was made."""
        written = io.BytesIO()
        with _styled():
            self.canvas.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
        root = ET.fromstring(written.getvalue())  # noqa: S314, what matplotlib has just written
        for unneeded in root.findall(f"{{{_SVG}}}metadata"):
            root.remove(unneeded)
        for element in root.iter():
            for key in {"d", "x", "y", "transform"} & set(element.keys()):
                element.set(key, _NUMBER.sub(lambda found: f"{float(found[0]):.2f}", element.get(key, "")))
        return root

    def svg(self, *, dark: bool = False) -> str:
        """A file of its own: letters are text, so that a paper's editor can change them.

        Args:
            dark: Whether in the colours of dark ground, for a page or a slide; a paper wants them on white.
        """
        root = ET.fromstring(ET.tostring(self._root))  # noqa: S314, a copy
        for place, (tag, words) in enumerate((("title", self.figure.title), ("desc", self.figure.description))):
            element = ET.Element(f"{{{_SVG}}}{tag}")
            element.text = printable(words)
            root.insert(place, element)
        root.set("role", "img")
        text = ET.tostring(root, encoding="unicode")
        if dark:
            text = _COLOUR.sub(lambda found: _DARK.get(found[0], found[0]), text)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'

    def pdf(self) -> bytes:
        """A file of its own, with its fonts."""
        written = io.BytesIO()
        with _styled():
            self.canvas.savefig(
                written, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None}
            )
        return written.getvalue()

    def keys(self) -> list[str]:
        """The legend, a piece an entry."""
        return [self._piece(name) for name in self._boxes if name.startswith("key")]

    def panels(self) -> list[str]:
        """The panels, in order."""
        return [self._piece(name) for name in self._boxes if name.startswith("panel")]

    def _piece(self, name: str) -> str:
        """One part, in the colours of a page's theme; what it refers to has names that no other part uses."""
        group = next(element for element in self._root.iter() if element.get("id") == name)
        used = set(_REFERENCE.findall(ET.tostring(group, encoding="unicode")))
        own = set(group.iter())
        everywhere = [one for part in self._root.iter(f"{{{_SVG}}}defs") for one in part]
        shared = [one for one in everywhere if one.get("id") in used and one not in own]
        box = self._boxes[name]
        view = " ".join(f"{POINTS * value:.6g}" for value in box)
        svg = ET.Element("svg", {"viewBox": view})
        defs = ET.SubElement(svg, "defs")
        defs.extend(_plain(one, used, f"{self.figure.name}-{name}-") for one in shared)
        svg.append(_plain(group, used, f"{self.figure.name}-{name}-"))
        return ET.tostring(svg, encoding="unicode")


_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"#([\w.-]+)[\")]")
_COLOUR = re.compile("#[0-9a-f]{6}")
_VARIABLES = {colour.light: f"var(--{name})" for name, colour in NAMED.items()}
_DARK = {colour.light: colour.dark for colour in NAMED.values()}


def _plain(element: ET.Element, used: set[str], prefix: str) -> ET.Element:
    """An element as HTML has it: no namespaces, only names that something refers to, colours of the theme."""
    new = ET.Element(element.tag.partition("}")[2])
    for key, value in element.items():
        if key == "id" and value in used:
            new.set("id", prefix + value)
        elif key != "id":
            new.set("href" if key == _HREF else key, _named(value, key, prefix))
    new.text, new.tail = element.text, element.tail
    new.extend(_plain(child, used, prefix) for child in element)
    return new


def _named(value: str, key: str, prefix: str) -> str:
    """A value with its references under their new names and its colours as variables of the page."""
    if key == _HREF:
        return f"#{prefix}{value[1:]}"
    themed = _COLOUR.sub(lambda found: _VARIABLES.get(found[0], found[0]), value)
    return themed.replace("url(#", f"url(#{prefix}")


@contextmanager
def _styled() -> Iterator[None]:
    """Our style, whatever a user's matplotlibrc says; letters that the font lacks are shown by the reader's fonts."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def _flow(keys: Sequence[Key], width: float) -> tuple[list[_Box], float]:
    """Boxes of a legend in rows, and where the next thing may begin."""
    left, top, boxes = 0.0, 0.0, []
    for key in keys:
        needed = _KEY_SIGN + LETTER * len(key.label) + _KEY_GAP
        if left and left + needed > width:
            left, top = 0.0, top + _KEY_HEIGHT
        boxes.append(_Box(left, top, needed, _KEY_HEIGHT))
        left += needed
    return boxes, top + _KEY_HEIGHT + 0.06 if boxes else 0.0


def _draw_key(axes: Axes, key: Key) -> None:
    """A sign and its meaning."""
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis("off")
    key.draw(axes)
    axes.text(1.15, 0.5, printable(key.label), va="center", transform=axes.transAxes)


def _fitting(words: str, size: float) -> str:
    """Words that a panel has room for."""
    return shortened(printable(words), _HEAD if size == HEAD else _SMALL)


def printable(words: str) -> str:
    """Words without control characters, which XML cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in words)
