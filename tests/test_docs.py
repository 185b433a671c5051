"""The site builds without a warning, every block of its pages runs, and every table has all that the code has."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
import yaml
from mkdocs.exceptions import PluginError

from docs.figures import FIGURES, svg
from docs.render import rendered
from soft_labels.__main__ import COMMANDS
from soft_labels.annotations.table.guess import guess_table
from soft_labels.annotations.table.presets import PRESETS
from soft_labels.annotations.table.read import read_table
from soft_labels.annotations.table.settings import Form
from soft_labels.commands.fit import parse_datamodule
from soft_labels.metrics import METRICS
from soft_labels.training.calibration import CALIBRATIONS
from soft_labels.training.kinds import HEADS
from soft_labels.training.objectives import LOSSES, TARGETS
from tests.conftest import REPOSITORY, RunCli
from tests.pages import blocks, run_page, save, texts

PLACE = REPOSITORY / "docs" / "pages"
PAGES = sorted(PLACE.rglob("*.md"))
OVERVIEW, FIRST = PLACE / "index.md", PLACE / "start.md"
WITH_CODE = [path for path in PAGES if blocks(path) and path != OVERVIEW]
LAYOUTS = PLACE / "layouts.md"
KNOWN = "looks like an export of "
TOOLS = ("label_studio.json", "argilla.json", "prodigy.jsonl", "doccano", "potato.csv", "mturk.csv", "toloka.tsv",
         "lewidi_2023.json", "lewidi_2025.json", "crowdkit.csv", "answers.json", "goemotions.csv")  # fmt: skip
TABLES: dict[str, Any] = {
    "targets": TARGETS,
    "losses": LOSSES,
    "calibrations": CALIBRATIONS,
    "heads": HEADS,
    "metrics": METRICS,
}


def name_of(path: Path) -> str:
    return path.relative_to(PLACE).as_posix()


@pytest.fixture
def tables_stay() -> Iterator[None]:
    """What a page adds to a table is gone after it."""
    before = {name: dict(table) for name, table in TABLES.items()}
    yield
    for name, table in TABLES.items():
        table.clear()
        table.update(before[name])


@pytest.fixture
def workplace(tmp_path: Path, tiny_table: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a page: a table of ratings, and new items."""
    shutil.copy(tiny_table, tmp_path / "ratings.csv")
    (tmp_path / "new.csv").write_text("item,text\nnew-1,Could you turn that down?\nnew-2,Nobody is here.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("fetchable", "tables_stay", "workplace")
@pytest.mark.filterwarnings("ignore:entropy_corr is nan")
@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_every_block_of_a_page_runs(page: Path, run_cli: RunCli, quick: tuple[str, ...]) -> None:
    run_page(page, run_cli, quick)


def test_the_overview_shows_what_the_first_page_runs() -> None:
    assert texts("bash", OVERVIEW)
    assert set(texts("bash", OVERVIEW)) <= set(texts("bash", FIRST))


def test_every_form_of_a_table_has_an_example() -> None:
    shown = {yaml.safe_load(text)["data"]["init_args"].get("form") for text in texts("yaml", LAYOUTS)}
    assert set(get_args(Form)) <= shown


def save_layouts(folder: Path) -> None:
    for block in blocks(LAYOUTS):
        if block.title:
            save(block, folder)


@pytest.mark.slow
def test_every_tool_has_an_example_with_the_same_answers(tmp_path: Path) -> None:
    save_layouts(tmp_path)
    described = {"potato.csv": "potato_items.jsonl", "crowdkit.csv": "texts.csv", "answers.json": "texts.csv"}
    tools = set()
    for name in TOOLS:
        guess = guess_table(tmp_path / name, tmp_path / described[name] if name in described else None)
        tools |= {note.removeprefix(KNOWN) for note in guess.notes if note.startswith(KNOWN)}
        data = read_table(guess.path, guess.table_settings())
        assert data.label_counts.tolist() == [[2, 1], [0, 3], [1, 2]], name
    assert tools == {preset.tool for preset in PRESETS}


@pytest.mark.slow
def test_all_examples_of_tables_hold_the_same_answers(workplace: Path) -> None:
    save_layouts(workplace)
    read = {path.name: parse_datamodule([f"--config={path}"], "", "").read() for path in workplace.glob("*.yaml")}
    assert len(read) > len(get_args(Form))
    for name, data in read.items():
        assert data.label_counts.tolist() == [[2, 1], [0, 3], [1, 2]], name
        assert data.class_names == ("no", "yes"), name
        assert data.inputs == ["Thanks a lot", "Send it now", "Well then, go"], name


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_names_has_every_row(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", rendered(f"{{{{ {name} }}}}"), re.MULTILINE)
    assert rows == list(TABLES[name])


def test_a_mark_that_names_nothing_is_refused() -> None:
    with pytest.raises(PluginError, match="wanted one of targets"):
        rendered("{{ tragets }}")


@pytest.mark.parametrize("name", ["distribution", "kl"])
def test_a_picture_is_the_same_each_time_and_other_on_dark_ground(name: str) -> None:
    light = svg(FIGURES[name], "light")
    assert ElementTree.fromstring(light).tag.endswith("svg")  # noqa: S314 (our own picture)
    assert light == svg(FIGURES[name], "light")
    assert light != svg(FIGURES[name], "dark")


def test_every_page_stands_in_the_navigation() -> None:
    named = set(re.findall(r"[\w/]+\.md", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")))
    assert {name_of(path) for path in PAGES} - named - {f"commands/{name}.md" for name in COMMANDS} == set()


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=environment, check=False)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    for name in COMMANDS:
        assert "usage: soft-labels" in (tmp_path / "commands" / f"{name}.html").read_text(encoding="utf-8")
    for name in FIGURES:
        assert (tmp_path / "figures" / f"{name}-dark.svg").is_file()
    assert 'id="soft_labels.trust.report.trust_report"' in (tmp_path / "python.html").read_text(encoding="utf-8")
    left = [path.name for path in tmp_path.rglob("*.html") if re.search(r"<p>\{\{ \w+", path.read_text("utf-8"))]
    assert left == []
