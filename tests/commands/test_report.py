"""The whole command on made-up records: the same bytes every time, and pages that a browser and a reader can use."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from soft_labels.experiment.index import ExperimentIndex
from tests.conftest import RunCli
from tests.report.toy_experiment import CALIBRATED, ToySet, write_experiment

POLITENESS = ("very impolite", "impolite", "neither", "polite", "very polite")
FIGURES = [
    "ladder", "effects", "entropy", "reliability", "training", "same_class", "median", "spread", "histogram",
]  # fmt: skip
VOID = {"meta"}


@pytest.fixture(scope="module")
def experiment(run_cli: RunCli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    sets = [ToySet(), ToySet("popquorn", POLITENESS, ordinal=True), ToySet("own <set>", ("a", "b|c"), text=None)]
    write_experiment(folder, [replace(toy, seeds=2, splits=2, items=30) for toy in sets], CALIBRATED)
    result = run_cli("report", folder)
    assert result.code == 0
    assert str(folder / "report" / "report.html") in result.out
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_the_command_writes_a_page_markdown_tables_and_figures(experiment: Path) -> None:
    written = files_of(experiment / "report")
    figures = {f"figures/{name}{kind}" for name in FIGURES for kind in (".csv", ".svg", ".pdf")}
    figures.add("figures/ladder-dark.svg")
    assert {name for name in written if name.startswith("figures/")} == figures
    assert {
        "report.html",
        "report.md",
        "summary.json",
        "tables/table1-datasets.csv",
        "tables/table3-redrawn.csv",
    } <= written.keys()


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(experiment: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "soft_labels", "report", str(experiment), f"--out={tmp_path}/again"]
    environment = {**os.environ, "PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    result = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    assert "again/report.html" in result.stdout
    assert files_of(tmp_path / "again") == files_of(experiment / "report")


@pytest.mark.slow
def test_what_an_earlier_report_had_and_this_one_has_not_is_removed_and_named(
    run_cli: RunCli, small: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kept = out / "figures" / "mine.txt"
    stale = [out / "figures" / "figure1.svg", out / "tables" / "old.csv"]
    for path in (kept, *stale):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("old", encoding="utf-8")
    result = run_cli("report", small, f"--out={out}")
    assert result.code == 0
    assert all(f"removed {path}" in result.out for path in stale)
    assert not any(path.exists() for path in stale)
    assert kept.exists()


class Page(HTMLParser):
    """What a page holds; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.words.setdefault(self.open[-1], []).append(data)


@pytest.fixture(scope="module")
def page(experiment: Path) -> Page:
    return Page((experiment / "report" / "report.html").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_page_loads_nothing_and_runs_nothing(experiment: Path, page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "image"} & {tag for tag, _ in page.tags}
    targets = [value for _, attributes in page.tags for key, value in attributes.items() if key in {"href", "src"}]
    assert targets
    assert all(target and target.startswith("#") for target in targets)
    text = (experiment / "report" / "report.html").read_text(encoding="utf-8")
    assert "http" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_names_on_the_page_are_used_once_and_lead_somewhere(page: Page) -> None:
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    targets = {attributes["href"] for tag, attributes in page.tags if "href" in attributes}
    targets |= {
        found
        for _, attributes in page.tags
        for value in attributes.values()
        for found in re.findall(r"url\((#[^)]+)", value or "")
    }
    assert targets <= {f"#{name}" for name in names}


def test_every_figure_says_what_it_shows_to_those_who_cannot_see_it(page: Page) -> None:
    drawings = [attributes for tag, attributes in page.tags if attributes.get("role") == "img"]
    assert {drawing["aria-describedby"] for drawing in drawings} == {f"{name}-words" for name in FIGURES}
    described = [attributes["id"] for tag, attributes in page.tags if attributes.get("class") == "hidden"]
    assert described == [f"{name}-words" for name in FIGURES]
    assert all(len(words.strip()) > 20 for words in page.words["div"] if words.strip())


def test_headings_come_in_order_and_cells_have_their_heads(page: Page) -> None:
    headings = [tag for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert headings[0] == "h1"
    assert set(headings[1:]) == {"h2"}
    assert {attributes.get("scope") for tag, attributes in page.tags if tag == "th"} == {"col", "row"}


def test_the_page_has_colours_for_light_dark_and_print(experiment: Path) -> None:
    text = (experiment / "report" / "report.html").read_text(encoding="utf-8")
    assert "@media (prefers-color-scheme:dark)" in text
    assert "@media print" in text
    assert not re.findall(r'="[^"]*#[0-9a-f]{6}\b', text)  # what is drawn has the theme's colours


def test_names_from_data_stay_words(experiment: Path, page: Page) -> None:
    assert "own <set>" in page.words["th"]
    markdown = (experiment / "report" / "report.md").read_text(encoding="utf-8")
    assert "own \\<set\\>" in markdown
    assert "<set>" not in markdown


def test_rows_of_markdown_tables_have_as_many_cells_as_their_heads(experiment: Path) -> None:
    lines = (experiment / "report" / "report.md").read_text(encoding="utf-8").splitlines()
    widths = [line.replace("\\|", "").count("|") if line.startswith("|") else 0 for line in lines]
    pairs = [(one, other) for one, other in pairwise(widths) if one and other]
    assert len(pairs) > 40
    assert all(one == other for one, other in pairs)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_files_can_be_opened_and_markdown_shows_them(experiment: Path, name: str) -> None:
    folder = experiment / "report" / "figures"
    root = ET.parse(folder / f"{name}.svg").getroot()  # noqa: S314
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF-")
    assert len((folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()) > 1
    assert f"(figures/{name}.svg)" in (experiment / "report" / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_paper_stands_beside_its_own_data_sets_only(run_cli: RunCli, tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet("mine", seeds=2, splits=0, items=20)])
    assert run_cli("report", tmp_path, f"--out={tmp_path}/out").code == 0
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "Paper:" not in text
    assert "Beside the paper" not in text
    assert not (tmp_path / "report").exists()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_experiment(tmp_path, [ToySet(seeds=2, splits=0)])
    return tmp_path


def refusal(run_cli: RunCli, folder: Path) -> str:
    """What the command line says of a folder that it refuses."""
    result = run_cli("report", folder)
    assert result.code == 2
    return result.err


def test_a_folder_without_an_experiment_is_named(run_cli: RunCli, tmp_path: Path) -> None:
    assert f"no experiment.json in {tmp_path}" in refusal(run_cli, tmp_path)


def test_an_experiment_without_data_sets_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    write_experiment(tmp_path, [])
    assert "at least one data set, got none" in refusal(run_cli, tmp_path)


def test_records_of_another_version_are_refused(run_cli: RunCli, small: Path) -> None:
    bundle = small / "records" / "chaosnli-soft-seed0.jsonl"
    bundle.write_text(bundle.read_text(encoding="utf-8").replace('"schema": 2', '"schema": 99'), encoding="utf-8")
    assert "schema 2, got 99" in refusal(run_cli, small)


def test_an_experiment_of_the_first_schema_is_refused_in_one_sentence(run_cli: RunCli, small: Path) -> None:
    old = {"name": "old", "datasets": [], "schema": 1}
    (small / "experiment.json").write_text(json.dumps(old), encoding="utf-8")
    assert "run soft-labels reproduce again" in refusal(run_cli, small)


@pytest.mark.parametrize("gone", ["chaosnli-soft-search.jsonl", "chaosnli-soft-seed1.jsonl"])
def test_a_missing_record_is_named_by_its_run(run_cli: RunCli, small: Path, gone: str) -> None:
    (small / "records" / gone).unlink()
    assert re.search(r"has no record of run [0-9a-f]{16} that .*copy the missing", refusal(run_cli, small))


def test_missing_predictions_are_named_by_their_file(run_cli: RunCli, small: Path) -> None:
    (small / "records" / "chaosnli-hard-seed1.parquet").unlink()
    assert "chaosnli-hard-seed1.parquet cannot be read" in refusal(run_cli, small)


def test_runs_that_do_not_pair_are_refused(run_cli: RunCli, small: Path) -> None:
    index = ExperimentIndex.load(small)
    index.datasets[0].arms["soft"].seeds.pop()
    index.save(small)
    assert re.search(
        "chaosnli: wanted runs of every arm with the same .* 2 of hard, 1 of soft", refusal(run_cli, small)
    )
