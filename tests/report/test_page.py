"""The same report as HTML, as Markdown and as files of figures."""

import xml.etree.ElementTree as ET

import pytest

from soft_labels.report.content import Column, Figure, Report, Section, Table
from soft_labels.report.page import html_page, markdown, svg_file

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
FIGURE = Figure("figure1", "A figure", "What it <shows>", 100, 50, '<rect class="ground"/>', "Below it")


@pytest.fixture
def report() -> Report:
    return Report("Title & more", [Section("First", ["Words <here>."], [TABLE, FIGURE]), Section("Second")])


def test_html_escapes_words_and_marks_what_is_bold(report: Report) -> None:
    page = html_page(report)
    assert "<title>Title &amp; more</title>" in page
    assert "<p>Words &lt;here&gt;.</p>" in page
    assert '<td class="number paper"><strong>1.0</strong></td>' in page
    assert '<th scope="col" class="number paper">Paper: KL</th>' in page
    assert '<a href="#section1">Second</a>' in page


def test_markdown_says_the_same(report: Report) -> None:
    text = markdown(report)
    assert "| Name | Paper: KL |\n| --- | ---: |\n| a\\|b | **1.0** |" in text
    assert "![A figure](figures/figure1.svg)" in text
    assert "Words \\<here\\>." in text


def test_a_figures_file_stands_alone() -> None:
    root = ET.fromstring(svg_file(FIGURE))  # noqa: S314
    assert root.get("viewBox") == "-12 -12 124 74"
    assert [element.text for element in root][:2] == ["A figure", "What it <shows>"]
    assert "--annotators:" in svg_file(FIGURE)
