"""A report as one self-contained HTML page and as Markdown, from templates."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from soft_labels.palette import NAMED
from soft_labels.report.content import Column, Figure, Report
from soft_labels.report.drawing import Drawing

_BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]<>|#])")


def html_page(report: Report, drawings: dict[str, Drawing]) -> str:
    """The report as a page that loads nothing and runs nothing.

    Args:
        report: The report.
        drawings: Its figures, by name.
    """
    light, dark = ("".join(f"--{name}:{colour[ground]};" for name, colour in NAMED.items()) for ground in (0, 1))
    environment = _environment(escaping=True)
    style = environment.get_template("page.css.j2").render(light=light, dark=dark)
    return environment.get_template("report.html.j2").render(
        report=report, drawings=drawings, style=style, numbers=_numbers(report)
    )


def markdown(report: Report) -> str:
    """The report as Markdown that shows the figures' files.

    Args:
        report: The report.
    """
    template = _environment(escaping=False).get_template("report.md.j2")
    return re.sub(r"\n{3,}", "\n\n", template.render(report=report, numbers=_numbers(report))).strip() + "\n"


def _environment(*, escaping: bool) -> Environment:
    """Our templates with what they ask of tables and figures; a name that they do not know is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=escaping,  # noqa: S701, Markdown has escapes of its own
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"heading": _heading, "emphasis": _emphasis, "plain": _plain}
    environment.tests["figure"] = lambda part: isinstance(part, Figure)
    return environment


def _numbers(report: Report) -> dict[str, int]:
    """Figures by name, numbered in the order they come."""
    return {figure.name: place for place, figure in enumerate(report.figures(), start=1)}


def _heading(column: Column) -> str:
    """A column's heading; that it holds the paper's numbers is said in words, not by its colour alone."""
    return f"Paper: {column.title}" if column.paper else column.title


def _emphasis(content: str) -> tuple[str, bool]:
    """A cell's words, and whether they are bold."""
    bold = _BOLD.fullmatch(content)
    return (bold[1], True) if bold else (content, False)


def _plain(content: str) -> str:
    """Words in which Markdown sees no signs of its own, in one line."""
    return _MARKDOWN_SIGNS.sub(r"\\\1", " ".join(content.split()))
