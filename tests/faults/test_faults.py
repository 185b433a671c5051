"""Every bad input and fault ends well: in one message with exit code 2, or with the right value."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.faults import sound
from tests.faults.__main__ import table
from tests.faults.case import ENDINGS, Case, Forks, Outcome, tried
from tests.faults.cases import CASES

# What wants nothing but data, and takes no time in this process.
QUICK = (
    "configurations: Latin-1",
    "configurations: alias bomb",
    "configurations: no such command",
    "annotation tables: a label that is none",
    "annotation tables: a damaged gz",
    "annotation tables: counts of 1e308",
    "annotation tables: quoted throughout",
    "jobs of a cluster: a partition with a line break",
    "jobs of a cluster: GPUs below zero",
)


class InProcess:
    """Runs command lines in this process; the quick stand-in of :class:`Forks`."""

    def __init__(self, scratch: Path, run_cli: RunCli, patch: pytest.MonkeyPatch) -> None:
        self.scratch, self._run_cli, self._patch = scratch, run_cli, patch

    def run(self, folder: Path, *arguments: object, **options: object) -> Outcome:
        self._patch.chdir(folder)
        done = self._run_cli(*arguments)
        return Outcome(done.code, done.out, done.err, 0.0)


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks(tmp_path_factory.mktemp("forks")) as forks:
        yield forks


@pytest.fixture(scope="module")
def folder(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound.make(tmp_path_factory.mktemp("sound"), forks)


@pytest.mark.parametrize("case", [case for case in CASES if str(case) in QUICK], ids=str)
def test_a_quick_fault_ends_well(case: Case, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    sound.write(folder)
    ending, shown = tried(case, folder, InProcess(tmp_path, run_cli, monkeypatch))
    assert ending == ENDINGS[0], shown


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES if os.environ.get("SOFT_LABELS_FULL") else CASES[::2], ids=str)
def test_a_fault_ends_well(case: Case, folder: Path, forks: Forks) -> None:
    ending, shown = tried(case, folder, forks)
    assert ending == ENDINGS[0], shown


def test_there_are_at_least_300_and_each_has_a_name_of_its_own() -> None:
    assert len(CASES[::2]) >= 300
    assert {*QUICK} <= {*map(str, CASES)}
    assert Counter(map(str, CASES)).most_common(1)[0][1] == 1


def test_the_table_counts_each_ending() -> None:
    lines = table({"a": Counter({"ended well": 2, "hung": 1}), "b": Counter({"traceback": 4})}).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["a", "|", "3", "|", "2", "|", "0", "|", "1", "|", "0", "|", "0"],
        ["b", "|", "4", "|", "0", "|", "4", "|", "0", "|", "0", "|", "0"],
        ["all", "|", "7", "|", "2", "|", "4", "|", "1", "|", "0", "|", "0"],
    ]
