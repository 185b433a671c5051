"""``soft-labels report``: the records of an experiment to a page, Markdown, tables and figures."""

from pathlib import Path

from soft_labels.experiment.budget import read_budgets
from soft_labels.files import write_text, written_whole
from soft_labels.report.build import build_report
from soft_labels.report.content import Report
from soft_labels.report.drawing import Drawing
from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.page import html_page, markdown
from soft_labels.report.summary import Summary, summarise
from soft_labels.report.views import make_views


def report(folder: Path, out: Path | None = None) -> None:
    """Write the report of an experiment; the same records give the same tables, text and data of figures.

    Args:
        folder: Folder that soft-labels reproduce wrote: experiment.json and records.
        out: Where report.html, report.md, tables and figures go; FOLDER/report by default.
    """
    report_of(load_evidence(folder), folder, out or folder / "report")


def report_of(evidence: Evidence, folder: Path, out: Path) -> Summary:
    """The same of evidence that was read.

    Args:
        evidence: The records that the experiment names.
        folder: Of the experiment.
        out: Where the report goes.

    Returns:
        What the numbers mean.
    """
    views = make_views(evidence)
    summary = summarise(evidence, views)
    write_report(build_report(evidence, views, summary, read_budgets(folder)), out)
    print(f"report written: open {out / 'report.html'}; the same as {out / 'report.md'}")  # noqa: T201
    return summary


def write_report(built: Report, out: Path) -> None:
    """Write every file of a report.

    Args:
        built: The report.
        out: Folder; tables and figures there that this report does not have are removed and named.
    """
    drawings = {figure.name: Drawing(figure) for figure in built.figures()}
    tables = {out / "tables" / f"{table.name}.csv": table.csv() for table in built.tables()}
    data = {out / "figures" / f"{figure.name}.csv": figure.csv() for figure in built.figures()}
    figures = {out / "figures" / f"{name}.svg": drawing.svg() for name, drawing in drawings.items()}
    figures[out / "figures" / f"{built.picture.name}-dark.svg"] = drawings[built.picture.name].svg(dark=True)
    text = {
        out / "summary.json": built.summary,
        out / "report.md": markdown(built),
        out / "report.html": html_page(built, drawings),
    }
    for path, content in {**tables, **data, **figures, **text}.items():
        write_text(path, content)
    papers = {out / "figures" / f"{name}.pdf": drawing.pdf() for name, drawing in drawings.items()}
    for path, printed in papers.items():
        with written_whole(path) as partial:
            partial.write_bytes(printed)
    _remove_stale(out, {*tables, *data, *figures, *papers})


def _remove_stale(out: Path, written: set[Path]) -> None:
    """Remove the tables and figures of an earlier report that this one does not have, and name them."""
    kinds = {"tables": {".csv"}, "figures": {".csv", ".svg", ".pdf"}}
    there = {path for folder, kind in kinds.items() for path in (out / folder).iterdir() if path.suffix in kind}
    for path in sorted(there - written):
        path.unlink()
        print(f"removed {path}: this report has no such table or figure")  # noqa: T201


def run_report(arguments: list[str]) -> None:
    """``soft-labels report FOLDER [--out DIR]``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="soft-labels report", description="Write the report of an experiment.", exit_on_error=False
    )
    parser.add_function_arguments(report, as_group=False, as_positional=True)
    report(**parser.parse_args(arguments[1:]).as_dict())
