"""A report as one self-contained HTML page, as Markdown, and its figures as SVG files."""

import re
from collections.abc import Sequence
from html import escape

from soft_labels.report.content import Column, Figure, Report, Section, Table
from soft_labels.report.style import FIGURES, PAGE, THEMES

_MARGIN = 12
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]<>|#])")


def html_page(report: Report) -> str:
    """The report as a page that loads nothing and runs nothing."""
    links = "".join(
        f'<li><a href="#section{place}">{escape(section.title)}</a></li>'
        for place, section in enumerate(report.sections)
    )
    sections = "".join(_html_section(place, section) for place, section in enumerate(report.sections))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(report.title)}</title>\n<style>\n{THEMES}{FIGURES}{PAGE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(report.title)}</h1>\n<nav><ul>{links}</ul></nav>\n{sections}</body>\n</html>\n"
    )


def _html_section(place: int, section: Section) -> str:
    """One section."""
    paragraphs = "".join(f"<p>{escape(paragraph, quote=False)}</p>\n" for paragraph in section.paragraphs)
    parts = "".join(_html_table(part) if isinstance(part, Table) else _html_figure(part) for part in section.parts)
    title = escape(section.title, quote=False)
    return f'<section>\n<h2 id="section{place}">{title}</h2>\n{paragraphs}{parts}</section>\n'


def _html_table(table: Table) -> str:
    """A table with its notes."""
    heads = "".join(f'<th scope="col"{_css(column)}>{escape(_heading(column))}</th>' for column in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td{_css(column)}>{_html_cell(column.cell(row))}</td>' for column in table.columns)}</tr>\n"
        for row in table.rows
    )
    notes = "".join(f'<p class="note">{escape(note, quote=False)}</p>\n' for note in table.notes)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(table.title)}">\n<table>\n'
        f"<caption>{escape(table.title, quote=False)}</caption>\n<thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{rows}</tbody>\n</table>\n</div>\n{notes}"
    )


def _heading(column: Column) -> str:
    """A column's heading; that it holds the paper's numbers is said in words, not by its colour alone."""
    return f"Paper: {column.title}" if column.paper else column.title


def _css(column: Column) -> str:
    """How a column is set."""
    names = [name for name, holds in (("number", column.numeric), ("paper", column.paper)) if holds]
    return f' class="{" ".join(names)}"' if names else ""


def _html_cell(content: str) -> str:
    """A cell, bold where it says so."""
    return _BOLD.sub(r"<strong>\1</strong>", escape(content, quote=False))


def _html_figure(figure: Figure) -> str:
    """A figure with its caption above the drawing."""
    words = f"<strong>{escape(figure.title, quote=False)}.</strong> {escape(figure.caption, quote=False)}"
    return f"<figure>\n<figcaption>{words}</figcaption>\n{_drawing(figure)}</figure>\n"


def _drawing(figure: Figure, margin: int = 0, attributes: str = "", before: str = "") -> str:
    """The figure as an ``svg`` element."""
    name, title = figure.name, escape(figure.title, quote=False)
    box = f"{-margin} {-margin} {figure.width + 2 * margin} {figure.height + 2 * margin}"
    return (
        f'<svg{attributes} viewBox="{box}" role="img" aria-labelledby="{name}-title {name}-words">\n'
        f'<title id="{name}-title">{title}</title>\n'
        f'<desc id="{name}-words">{escape(figure.description, quote=False)}</desc>\n'
        f"{before}{figure.body}\n</svg>\n"
    )


def svg_file(figure: Figure) -> str:
    """A figure as a file of its own, with its colours and a margin."""
    size = f'width="{figure.width + 2 * _MARGIN}" height="{figure.height + 2 * _MARGIN}"'
    ground = f'<rect class="ground" x="{-_MARGIN}" y="{-_MARGIN}" {size}/>\n'
    attributes = f' xmlns="http://www.w3.org/2000/svg" {size}'
    return _drawing(figure, _MARGIN, attributes, f"<style>\n{THEMES}{FIGURES}</style>\n{ground}")


def markdown(report: Report) -> str:
    """The report as Markdown that shows the figures' files."""
    return "\n\n".join([f"# {_plain(report.title)}", *map(_markdown_section, report.sections)]) + "\n"


def _markdown_section(section: Section) -> str:
    """One section."""
    parts = [_markdown_table(part) if isinstance(part, Table) else _markdown_figure(part) for part in section.parts]
    return "\n\n".join([f"## {_plain(section.title)}", *map(_plain, section.paragraphs), *parts])


def _markdown_table(table: Table) -> str:
    """A table with its notes."""
    rules = ["---:" if column.numeric else "---" for column in table.columns]
    rows = [[_markdown_cell(column.cell(row)) for column in table.columns] for row in table.rows]
    lines = [_markdown_row([_plain(_heading(column)) for column in table.columns]), _markdown_row(rules)]
    body = "\n".join([*lines, *map(_markdown_row, rows)])
    return "\n\n".join([f"**{_plain(table.title)}**", body, *map(_plain, table.notes)])


def _markdown_row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def _markdown_cell(content: str) -> str:
    """A cell, bold where it says so."""
    bold = _BOLD.fullmatch(content)
    return f"**{_plain(bold[1])}**" if bold else _plain(content)


def _markdown_figure(figure: Figure) -> str:
    """A figure's file with its caption."""
    title = _plain(figure.title)
    return f"**{title}.** {_plain(figure.caption)}\n\n![{title}](figures/{figure.name}.svg)"


def _plain(content: str) -> str:
    """Words in which Markdown sees no signs of its own."""
    return _MARKDOWN_SIGNS.sub(r"\\\1", content)
