"""Only what may go is removed: known files of what was stopped, or of what was named."""

import os
import platform
import shutil
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from soft_labels.errors import ConfigError
from soft_labels.files import PARTIAL_PREFIX
from soft_labels.runs.cleaning import Choice, days_ago, plan, remove
from soft_labels.runs.found import find, size_of
from tests.conftest import REPOSITORY, Run
from tests.runs.test_found import STOPPED, dead, events, stopped_run

__all__ = ["dead"]
YESTERDAY = datetime.now().astimezone() - timedelta(days=1)


@pytest.fixture
def logs(tmp_path: Path, dead: int, trained: Run) -> Path:
    """A finished run, one that was stopped, an experiment, and what a killed process left."""
    root = tmp_path / "logs"
    stopped_run(root, events(dead))
    shutil.copytree(trained.folder, root / "chaosnli" / trained.folder.name)
    not_committed = shutil.ignore_patterns("tensorboard", "*.ckpt", ".*.lock")
    shutil.copytree(REPOSITORY / "lightning_logs" / "paper", root / "paper", ignore=not_committed)
    (root / f"{PARTIAL_PREFIX}{platform.node()}.{dead}-0123456789ab-x.json").write_text("half")
    return root


def names(root: Path, choice: Choice) -> list[str]:
    removals, _ = plan(find(root), choice)
    return [one.name for one in removals]


def test_what_was_stopped_goes_and_nothing_else(logs: Path) -> None:
    before = size_of(logs)
    removals, kept = plan(find(logs), Choice())
    assert [one.name.partition("-")[0] for one in removals] == ["toys/soft", ".partial"]
    assert kept == []
    freed = remove(removals, logs)
    assert freed == 4 * 2 + 4  # four files of two bytes, and one of four
    assert size_of(logs) == before - freed
    assert sorted(path.name for path in logs.iterdir()) == ["chaosnli", "paper"]
    assert plan(find(logs), Choice()) == ([], [])


def test_finished_runs_go_by_age_and_experiments_do_not(logs: Path, trained: Run) -> None:
    run = logs / "chaosnli" / trained.folder.name
    assert names(logs, Choice(before=YESTERDAY)) == []
    for path in (*run.rglob("*"), run):
        os.utime(path, (time.time() - 9 * 86_400,) * 2)
    assert names(logs, Choice(before=YESTERDAY)) == [f"chaosnli/{run.name}"]
    assert names(logs, Choice(before=days_ago(10))) == []
    assert names(logs, Choice(before=days_ago(0))) == [f"chaosnli/{run.name}", f"toys/{STOPPED}"] + [
        path.name for path in logs.glob(".partial*")
    ]


@pytest.mark.parametrize("given", ["paper", "{logs}/paper"])
def test_an_experiment_goes_by_name(logs: Path, given: str) -> None:
    (removal,), kept = plan(find(logs), Choice((given.format(logs=logs),)))
    assert (removal.name, removal.why, kept) == ("paper", "experiment, finished, named", [])
    remove([removal], logs)
    assert not (logs / "paper").exists()
    with pytest.raises(ConfigError, match=r"pape is nothing that soft-labels runs list shows"):
        plan(find(logs), Choice(("pape",)))


def test_what_is_committed_goes_only_by_name(logs: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", logs, *arguments], check=True, capture_output=True)  # noqa: S607

    git("init")
    git("add", f"toys/{STOPPED}/config.yaml")
    removals, kept = plan(find(logs), Choice())
    assert [one.name[:8] for one in removals] == [".partial"]
    assert kept == [f"toys/{STOPPED}: is committed to git; name it to remove it"]
    assert names(logs, Choice((f"toys/{STOPPED}",))) == [f"toys/{STOPPED}"]


def test_a_folder_with_a_file_of_somebody_else_stays_even_where_it_is_named(logs: Path) -> None:
    (logs / "toys" / STOPPED / "notes.txt").write_text("mine")
    for choice in (Choice(), Choice((f"toys/{STOPPED}",))):
        removals, kept = plan(find(logs), choice)
        assert all(one.name.startswith(".partial") for one in removals)
        (line,) = kept
        assert line.startswith(f"toys/{STOPPED}: holds notes.txt, which soft-labels did not write there; move it")


def test_nothing_behind_a_link_goes(logs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (logs / "toys" / STOPPED).rename(outside)
    (logs / "toys" / STOPPED).symlink_to(outside)
    content = sorted(path.name for path in outside.iterdir())
    assert [name[:8] for name in names(logs, Choice())] == [".partial"]
    (logs / "toys" / STOPPED).unlink()
    outside.rename(logs / "toys" / STOPPED)
    (logs / "toys" / STOPPED / "checkpoints").symlink_to(logs / "chaosnli")
    removals, kept = plan(find(logs), Choice())
    assert len(removals) == len(kept) == 1
    remove(removals, logs)
    assert len(list((logs / "toys" / STOPPED).iterdir())) == len(content) + 1


def test_what_is_at_work_stays(logs: Path) -> None:
    (logs / "toys" / STOPPED / events(os.getpid())).touch()
    removals, kept = plan(find(logs), Choice((f"toys/{STOPPED}",)))
    assert (removals, kept) == ([], [f"toys/{STOPPED}: may still be at work"])


def test_event_files_alone(logs: Path, trained: Run) -> None:
    (removal,), kept = plan(find(logs), Choice(events=True))
    assert kept == []
    assert removal.why == "event files of fit"
    remove([removal], logs)
    left = {path.name for path in (logs / "chaosnli" / trained.folder.name).iterdir()}
    assert left == {"best.json", "checkpoints", "config.yaml", "hparams.yaml", "split.json"}


def test_of_one_data_set_alone(logs: Path) -> None:
    assert names(logs, Choice(dataset="toys")) == [f"toys/{STOPPED}"]
    assert names(logs, Choice(dataset="chaosnli")) == []


@pytest.mark.parametrize("days", [-1, float("nan"), 1e9])
def test_days_are_days(days: float) -> None:
    with pytest.raises(ConfigError, match="wanted --older_than days from 0 up"):
        days_ago(days)
