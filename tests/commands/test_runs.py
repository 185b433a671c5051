"""``runs list`` and ``runs clean`` through the command line."""

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Run, RunCli
from tests.runs.test_found import STOPPED, dead, events, stopped_run

__all__ = ["dead"]


@pytest.fixture
def logs(tmp_path: Path, dead: int) -> Path:
    stopped_run(tmp_path / "logs", events(dead))
    return tmp_path / "logs"


def test_a_line_each_with_what_the_files_tell(run_cli: RunCli, trained: Run) -> None:
    done = run_cli("runs", "list", "--logs", trained.folder.parents[1])
    assert (done.code, done.err) == (0, "")
    headings, line, last = done.out.splitlines()
    assert headings.split() == ["folder", "kind", "data", "set", "arms", "seed", "started", "size", "state", "lowest"]
    assert line.split()[:5] == [f"chaosnli/{trained.folder.name}", "fit", "chaosnli", "soft", "0"]
    assert "finished  val/kl 0." in line
    assert last.startswith(f"1 in {trained.folder.parents[1]}, ")


def test_json_has_the_same(run_cli: RunCli, logs: Path) -> None:
    (logs / "mine.txt").touch()
    for switch in (("--json",), ("--json", "true")):
        told = json.loads(run_cli("runs", "list", "--logs", logs, *switch).out)
        (one,) = told["found"]
        assert (one["folder"], one["kind"], one["state"], one["size"]) == (f"toys/{STOPPED}", "fit", "unfinished", 8)
        assert (told["others"], told["leftovers"]) == (["mine.txt"], [])


def test_by_data_set_and_in_order(run_cli: RunCli) -> None:
    paper = ("runs", "list", "--logs", REPOSITORY / "lightning_logs")
    done = run_cli(*paper, "--dataset", "popquorm")
    assert done.code == 2
    assert done.err.endswith("; did you mean popquorn?\n")
    found = [json.loads(run_cli(*paper, "--json", "--sort", order).out)["found"] for order in ("size", "kl", "folder")]
    assert [one["size"] for one in found[0]] == sorted((one["size"] for one in found[0]), reverse=True)
    lowest = [next(iter(one["best"].values()), float("inf")) for one in found[1]]
    assert lowest == sorted(lowest)
    assert len(found[2]) >= 1


def test_nothing_is_removed_without_a_yes(run_cli: RunCli, logs: Path) -> None:
    done = run_cli("runs", "clean", "--logs", logs)
    assert done.code == 0
    assert done.out.splitlines() == [
        f"      8 B  {logs}/toys/{STOPPED}  (fit, unfinished)",
        "nothing was removed; with --yes 8 B would be free again",
    ]
    assert len(list((logs / "toys" / STOPPED).iterdir())) == 4
    done = run_cli("runs", "clean", "--logs", logs, "--yes")
    assert done.out.endswith("removed: 8 B are free again\n")
    assert list(logs.iterdir()) == []
    assert run_cli("runs", "clean", "--logs", logs, "--yes").out == "nothing to remove\n"


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "left"), [("n\n", True), ("\n", True), ("y\n", False)])
def test_a_person_at_a_terminal_is_asked(logs: Path, answer: str, left: bool) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "soft_labels", "runs", "clean", "--logs", logs]
    with subprocess.Popen([*map(str, command)], stdin=theirs, stdout=theirs, stderr=theirs, cwd=REPOSITORY) as process:
        os.close(theirs)
        said = ""
        while "[y/N]" not in said:
            assert select.select([ours], [], [], 30)[0]
            said += os.read(ours, 4096).decode()
        os.write(ours, answer.encode())
        assert process.wait(timeout=30) == 0
    os.close(ours)
    assert (logs / "toys" / STOPPED).is_dir() == left


def test_a_folder_that_is_not_there_and_a_wrong_name(run_cli: RunCli, logs: Path) -> None:
    done = run_cli("runs", "list", "--logs", logs / "none")
    assert (done.code, done.out) == (2, "")
    assert "give --logs the folder that runs were written to" in done.err
    done = run_cli("runs", "clean", f"toys/{STOPPED[:-1]}", "--logs", logs)
    assert done.code == 2
    assert done.err.endswith(f"; did you mean toys/{STOPPED}?\n")


def test_nothing_that_trains_is_imported(logs: Path) -> None:
    code = (
        "import sys; sys.argv = ['soft-labels', 'runs', 'list', '--logs', sys.argv[1]]\n"
        "from soft_labels.__main__ import main\n"
        "try: main()\nfinally: assert not {'torch', 'lightning', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, logs], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
