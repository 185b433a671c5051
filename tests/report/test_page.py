"""The same report as HTML and as Markdown."""

import pytest
from matplotlib.axes import Axes

from soft_labels.palette import INK, NAMED
from soft_labels.report.content import Column, Figure, Key, Layout, Panel, Report, Section, Table
from soft_labels.report.drawing import Drawing
from soft_labels.report.page import html_page, markdown


def draw(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=INK.light)


TABLE = Table(
    "t",
    "A <table>",
    [{"name": "a|b", "value": "**1.0**"}],
    [
        Column("Name", lambda row: str(row["name"]), numeric=False),
        Column("KL", lambda row: str(row["value"]), paper=True),
    ],
    ["Read & understand."],
)
FIGURE = Figure(
    "one", "A <figure>", "Below *it*", "What it <shows>", [{"x": 0}], [Panel("a <b>", [], draw)], Layout(1.0),
    [Key("<key>", draw)],
)  # fmt: skip
PICTURE = Figure("first", "First", "Look", "All of it", [{"x": 0}], [Panel("p", [], draw)], Layout(1.0))


@pytest.fixture(scope="module")
def report() -> Report:
    sections = [Section("First", ["Words <here>."], [FIGURE, TABLE]), Section("Second")]
    return Report("Title & more", ["Half <of> the way."], PICTURE, sections, "{}")


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return html_page(report, {figure.name: Drawing(figure) for figure in report.figures()})


def test_html_escapes_words_and_marks_what_is_bold(page: str) -> None:
    assert "<title>Title &amp; more</title>" in page
    assert "<li>Half &lt;of&gt; the way.</li>" in page
    assert "<p>Words &lt;here&gt;.</p>" in page
    assert '<th scope="row">a|b</th>' in page
    assert '<td class="number paper"><strong>1.0</strong></td>' in page
    assert '<th scope="col" class="number paper">Paper: KL</th>' in page
    assert '<a href="#section2">Second</a>' in page


def test_names_that_are_drawn_stay_words(page: str) -> None:
    assert ">a &lt;b&gt;</text>" in page
    assert ">&lt;key&gt;</text>" in page
    assert "What it &lt;shows&gt;" in page


def test_figures_are_numbered_in_the_order_they_come(page: str, report: Report) -> None:
    for text in (page, markdown(report)):
        assert text.index("Figure 1. First") < text.index("Figure 2. A ") < text.index("Read ")


def test_every_colour_is_set_for_light_dark_and_print(page: str) -> None:
    for name, colour in NAMED.items():
        assert page.count(f"--{name}:{colour.light};") == 2
        assert page.count(f"--{name}:{colour.dark};") == 1


def test_markdown_says_the_same(report: Report) -> None:
    text = markdown(report)
    assert "| Name | Paper: KL |\n| --- | ---: |\n| a\\|b | **1.0** |" in text
    assert "![A \\<figure\\>](figures/one.svg)\n\nBelow \\*it\\*\n" in text
    assert "- Half \\<of\\> the way.\n" in text
    assert "Words \\<here\\>." in text
    assert "\n\n\n" not in text
