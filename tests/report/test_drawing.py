"""One drawing is a file for a paper, a file for its printer, and pieces that a page lays out."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes

from soft_labels.palette import ARMS, GROUND, INK, NAMED
from soft_labels.report.content import Figure, Key, Layout, Panel
from soft_labels.report.drawing import WIDTH, Drawing, printable

SVG = "{http://www.w3.org/2000/svg}"
DARK = {colour.light: colour.dark for colour in NAMED.values()}


def draw(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=ARMS[0].light, marker="s")
    axes.bar([0.5], [1], color=ARMS[1].light, hatch="//", edgecolor=GROUND.light)
    axes.set(xlabel="cost in $ and $", title="")


FIGURE = Figure(
    "sample",
    "A <sample>",
    "How to read it",
    "What it & shows",
    [{"x": 0}],
    [Panel("First <one>", ["told\x00 below"], draw), Panel("Second", [], draw), Panel("Third", [], draw)],
    Layout(1.0),
    [Key("sign & meaning", draw), Key("another", draw)],
    columns=2,
)


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return Drawing(FIGURE)


def test_panels_are_equally_wide_and_stand_in_rows(drawing: Drawing) -> None:
    assert drawing.width == 2 * WIDTH
    planes = {axes.get_gid(): axes.get_position() for axes in drawing.canvas.axes}
    assert planes["panel0"].y0 == planes["panel1"].y0 > planes["panel2"].y1
    assert planes["panel0"].x0 == planes["panel2"].x0
    assert drawing.height * planes["panel0"].height == pytest.approx(1.0)


def test_an_svg_file_has_letters_as_text_and_says_what_it_shows(drawing: Drawing) -> None:
    root = ET.fromstring(drawing.svg())  # noqa: S314
    assert [root.findtext(f"{SVG}{tag}") for tag in ("title", "desc")] == ["A <sample>", "What it & shows"]
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert {"First <one>", "told  below", "sign & meaning", "cost in $ and $"} <= set(words)
    assert "metadata" not in drawing.svg()
    assert "var(" not in drawing.svg()


def test_an_svg_file_has_a_ground_of_its_own_for_dark_pages(drawing: Drawing) -> None:
    first = next(element for element in ET.fromstring(drawing.svg()).iter(f"{SVG}path"))  # noqa: S314
    assert first.get("style") == f"fill: {GROUND.light}"
    width, height = (f"{72 * inches:g}" for inches in (drawing.width, drawing.height))
    assert (first.get("d") or "").split()[:9] == ["M", "0", height, "L", width, height, "L", width, "0"]


def test_a_file_for_dark_ground_is_the_same_drawing_in_the_other_colours(drawing: Drawing) -> None:
    light, dark = drawing.svg(), drawing.svg(dark=True)
    assert dark == re.sub("#[0-9a-f]{6}", lambda found: DARK.get(found[0], found[0]), light)
    assert f"fill: {GROUND.dark}" in dark
    assert not {colour.light for colour in NAMED.values()} & set(re.findall("#[0-9a-f]{6}", dark))


def test_a_pdf_file_has_its_fonts_and_no_date(drawing: Drawing) -> None:
    content = drawing.pdf()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


@pytest.mark.slow
def test_the_same_figure_is_the_same_files(drawing: Drawing) -> None:
    with mpl.rc_context({"font.size": 20, "svg.fonttype": "path"}):  # a user's own style
        again = Drawing(FIGURE)
        assert (again.svg(), again.pdf()) == (drawing.svg(), drawing.pdf())


def test_pieces_have_a_view_each_and_names_of_their_own(drawing: Drawing) -> None:
    pieces = [*drawing.keys(), *drawing.panels()]
    assert len(pieces) == 5
    roots = [ET.fromstring(piece) for piece in pieces]  # noqa: S314
    assert len({root.get("viewBox") for root in roots}) == 5
    names = [element.get("id") for root in roots for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names))
    for piece in pieces:
        defined = set(re.findall(r' id="([^"]+)"', piece))
        used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', piece))
        assert {one or other for one, other in used} == defined
    assert all("<use" in piece and "<pattern" in piece for piece in pieces)  # markers and hatches of its own


def test_pieces_have_the_colours_of_the_theme_alone(drawing: Drawing) -> None:
    pieces = "".join([*drawing.keys(), *drawing.panels()])
    assert not re.findall(r"#[0-9a-f]{6}\b", pieces)
    assert set(re.findall(r"var\(--(\w+)\)", pieces)) <= NAMED.keys()
    assert f"{INK.light}" in drawing.svg()


def test_a_legend_that_is_too_wide_goes_on_below() -> None:
    many = Drawing(replace(FIGURE, keys=[Key("a rather long name", draw)] * 7))
    rows = {round(axes.get_position().y0, 6) for axes in many.canvas.axes if str(axes.get_gid()).startswith("key")}
    assert len(rows) > 1


def test_letters_that_the_font_lacks_and_control_characters_do_no_harm() -> None:
    panel = Panel("日本語 \x0b", [], draw)
    assert "日本語" in Drawing(replace(FIGURE, panels=[panel])).svg()
    assert printable("a\x00b\n") == "a b "
