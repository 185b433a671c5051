import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from soft_labels.annotations.sources import LICENCES, SOURCES

RunCli = Callable[..., Any]


def rows(out: str) -> dict[str, list[str]]:
    """The printed table's rows by data set; the first one counts, the next table has the majority shares."""
    found: dict[str, list[str]] = {}
    for name, *cells in (line.split() for line in out.splitlines() if re.match(r" \S+ +\d", line)):
        found.setdefault(name, cells)
    return found


@pytest.mark.parametrize(
    ("name", "fixture", "items"),
    [("chaosnli", "tiny_chaosnli_root", 48), ("popquorn", "tiny_popquorn_root", 40)],
)
def test_stats_describe_what_lies_below_the_root(
    run_cli: RunCli, request: pytest.FixtureRequest, tmp_path: Path, name: str, fixture: str, items: int
) -> None:
    figure = tmp_path / "deep" / "entropy.png"
    result = run_cli("data", "stats", f"--root={request.getfixturevalue(fixture)}", f"--figure={figure}")
    assert (result.code, result.err) == (0, "")
    assert list(rows(result.out)) == [name]
    assert rows(result.out)[name][1] == str(items)
    assert str(figure) in result.out
    with Image.open(figure) as image:
        assert image.format == "PNG"


@pytest.mark.slow
def test_stats_of_the_real_data_are_the_papers_table_1(run_cli: RunCli, shared_data: Path, tmp_path: Path) -> None:
    result = run_cli("data", "stats", f"--root={shared_data}", f"--figure={tmp_path}/entropy.png")
    found = {name: (cells[1], cells[3]) for name, cells in rows(result.out).items() if name == "chaosnli"}
    found |= {name: (cells[1], cells[4]) for name, cells in rows(result.out).items() if name != "chaosnli"}
    assert result.code == 0
    assert found == {
        "chaosnli": ("3,113", "0.592"),
        "popquorn": ("3,718", "0.601"),
        "cifar10h-hard": ("1,103", "0.243"),
    }


@pytest.mark.slow
def test_stats_of_a_configuration_need_no_encoder(run_cli: RunCli, tiny_table: Path, tmp_path: Path) -> None:
    config = tmp_path / "table.yaml"
    shutil.copy(Path(__file__).parents[2] / "configs" / "data" / "table.yaml", config)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"data:\n  init_args:\n    path: {tiny_table}\n", encoding="utf-8")
    options = (f"--config={config}", f"--config={overlay}", f"--figure={tmp_path}/entropy.svg")
    result = run_cli("data", "stats", *options)
    assert (result.code, result.err) == (0, "")
    assert rows(result.out)["comments"][:2] == ["3", "45"]
    assert (tmp_path / "entropy.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_stats_without_data_say_how_to_get_some(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("data", "stats", f"--root={tmp_path}")
    assert (result.code, result.out) == (2, "")
    assert 'run "soft-labels data fetch NAME --root DIR"' in result.err


def test_fetch_verifies_files_that_are_there(run_cli: RunCli, shared_data: Path, tmp_path: Path) -> None:
    shutil.copytree(shared_data / "chaosnli", tmp_path / "chaosnli", copy_function=shutil.copyfile)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")}
    result = run_cli("data", "fetch", "chaosnli", f"--root={tmp_path}")
    assert result.code == 0
    assert result.out.splitlines() == [
        LICENCES["chaosnli"], *(f"ready: {tmp_path / file.path}" for file in SOURCES["chaosnli"]),
    ]  # fmt: skip
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")} == before


def test_fetch_refuses_another_file_of_the_name(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / SOURCES["popquorn"][0].path
    path.parent.mkdir(parents=True)
    path.write_text("mine\n", encoding="utf-8")
    result = run_cli("data", "fetch", "popquorn", f"--root={tmp_path}")
    assert result.code == 2
    assert result.out.splitlines() == [LICENCES["popquorn"]]
    assert result.err.startswith("soft-labels: error: ")
    assert str(path) in result.err
    assert path.read_text(encoding="utf-8") == "mine\n"
