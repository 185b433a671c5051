"""``soft-labels report``: the records of an experiment to a page, Markdown, tables and figures."""

from pathlib import Path

from soft_labels.files import write_text
from soft_labels.report.build import build_report
from soft_labels.report.content import Report
from soft_labels.report.evidence import load_evidence
from soft_labels.report.page import html_page, markdown, svg_file


def report(folder: Path, out: Path | None = None) -> None:
    """Write the report of an experiment; the same records give the same bytes.

    Args:
        folder: Folder that soft-labels reproduce wrote: experiment.json and records.
        out: Where report.html, report.md, tables and figures go; FOLDER/report by default.
    """
    out = out or folder / "report"
    write_report(build_report(load_evidence(folder)), out)
    print(f"report written: open {out / 'report.html'}; the same as {out / 'report.md'}")  # noqa: T201


def write_report(built: Report, out: Path) -> None:
    """Write every file of a report.

    Args:
        built: The report.
        out: Folder; what an earlier report wrote under the same names is replaced.
    """
    for table in built.tables():
        write_text(out / "tables" / f"{table.name}.csv", table.csv())
    for figure in built.figures():
        write_text(out / "figures" / f"{figure.name}.svg", svg_file(figure))
    write_text(out / "report.md", markdown(built))
    write_text(out / "report.html", html_page(built))


def run_report(arguments: list[str]) -> None:
    """``soft-labels report FOLDER [--out DIR]``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="soft-labels report", description="Write the report of an experiment.", exit_on_error=False
    )
    parser.add_function_arguments(report, as_group=False, as_positional=True)
    report(**parser.parse_args(arguments[1:]).as_dict())
