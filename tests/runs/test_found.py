"""What lies in a folder of runs is known by its files, of real runs and of ones that were stopped."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from soft_labels.files import PARTIAL_PREFIX
from soft_labels.runs.found import Found, find, size_of
from tests.conftest import REPOSITORY, Run, RunCli

STOPPED = "soft-seed3-20260102-030405-ab12"


@pytest.fixture(scope="session")
def dead() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def events(process: int, host: str | None = None) -> str:
    return f"events.out.tfevents.1767323045.{host or platform.node()}.{process}.0"


def stopped_run(folder: Path, name_of_events: str) -> Path:
    """What a fit that was killed in its first epoch leaves."""
    run = folder / "toys" / STOPPED
    run.mkdir(parents=True)
    for name in ("config.yaml", "hparams.yaml", "split.json", name_of_events):
        (run / name).write_text("{}")
        os.utime(run / name, (time.time() - 7200,) * 2)
    os.utime(run, (time.time() - 7200,) * 2)
    return run


def only(root: Path) -> Found:
    (found,) = find(root).found
    return found


def test_a_finished_fit_tells_its_data_target_seed_and_lowest_kl(trained: Run) -> None:
    one = only(trained.folder.parents[1])
    best = json.loads((trained.folder / "best.json").read_text())
    assert (one.kind, one.state, one.datasets, one.arms, one.seed) == ("fit", "finished", ("chaosnli",), "soft", 0)
    assert one.best == {"val/kl": best["best"]["val/kl"]}
    assert (best["epochs"], best["monitor"]) == (2, "val/loss")
    assert one.foreign == []
    assert one.size == sum(path.stat().st_size for path in trained.folder.rglob("*") if path.is_file())
    assert one.started.strftime("%Y%m%d-%H%M%S") in one.name
    assert one.started <= one.changed


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "best"), [("validate", "val/kl"), ("test", "test/kl"), ("predict", None)])
def test_what_takes_a_checkpoint_is_known_by_what_it_wrote(
    run_cli: RunCli, trained: Run, tmp_path: Path, kind: str, best: str | None
) -> None:
    options = (*trained.options, f"--ckpt_path={trained.checkpoint}", f"--trainer.default_root_dir={tmp_path}")
    assert run_cli(kind, *options).code == 0
    one = only(tmp_path / "lightning_logs")
    assert (one.kind, one.state, list(one.best)) == (kind, "finished", [best] if best else [])


@pytest.mark.slow
def test_a_sweep_and_an_experiment_are_one_entry_each_with_all_their_files(
    run_cli: RunCli, toy_options: tuple[str, ...], tiny_experiment: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    assert run_cli("reproduce", "--config", tiny_experiment, "--out", logs / "tiny").code == 0
    sweep = ("sweep", *toy_options, f"--sweep={tmp_path}/grid.yaml", "--out", logs / "seeded" / "sweep-grid")
    assert run_cli(*sweep).code == 0
    searched, experiment = find(logs).found
    assert (searched.kind, searched.state, searched.arms) == ("sweep", "finished", "hard, soft")
    assert (experiment.kind, experiment.state, experiment.arms) == ("experiment", "finished", "hard, soft")
    assert searched.datasets == experiment.datasets == ("seeded",)
    assert list(searched.best) == ["val/loss"]
    assert list(experiment.best) == ["test/kl"]
    assert not searched.foreign + experiment.foreign
    assert searched.size + experiment.size == size_of(logs)
    (logs / "tiny" / "experiment.json").unlink()
    assert [(one.kind, one.state) for one in find(logs).found][1] == ("search", "running")  # its last file is new


def test_the_committed_experiment_is_one(tmp_path: Path) -> None:
    paper = next(one for one in find(REPOSITORY / "lightning_logs").found if one.name == "paper")
    assert (paper.kind, paper.state, paper.arms) == ("experiment", "finished", "hard, soft")
    assert set(paper.datasets) == {"chaosnli", "popquorn", "cifar10h-hard"}
    assert 0.2 < paper.best["test/kl"] < 0.6


def test_a_run_is_stopped_where_its_process_is_no_more(tmp_path: Path, dead: int) -> None:
    stopped_run(tmp_path, events(dead))
    one = only(tmp_path)
    assert (one.kind, one.state, one.seed, one.best) == ("fit", "unfinished", 3, {})
    assert one.started.isoformat().startswith("2026-01-02T03:04:05")


@pytest.mark.parametrize("writer", [events(os.getpid()), events(1, "another-machine.example")], ids=["here", "there"])
def test_a_run_may_be_at_work_here_or_on_another_machine(tmp_path: Path, writer: str) -> None:
    stopped_run(tmp_path, writer)
    assert only(tmp_path).state == "running"


def test_a_search_whose_lock_is_held_is_at_work(tmp_path: Path) -> None:
    records = tmp_path / "mine" / "records"
    records.mkdir(parents=True)
    bundle, lock = records / "toys-0123456789ab.jsonl", records / ".toys-0123456789ab.lock"
    for path in (bundle, lock, records.parent):
        path.touch()
        os.utime(path, (time.time() - 7200,) * 2)
    assert (only(tmp_path).kind, only(tmp_path).state, only(tmp_path).datasets) == ("search", "unfinished", ("toys",))
    with FileLock(lock):
        os.utime(records.parent, (time.time() - 7200,) * 2)
        assert only(tmp_path).state == "running"


def test_what_no_command_left_is_named_and_no_link_is_followed(trained: Run, tmp_path: Path, dead: int) -> None:
    run = stopped_run(tmp_path, events(dead))
    (run / "notes.txt").write_text("mine")
    (run / "checkpoints").symlink_to(trained.folder / "checkpoints")
    (tmp_path / "elsewhere").symlink_to(trained.folder.parent)
    (tmp_path / "toys" / "version_0").mkdir()
    (tmp_path / "toys" / "version_0" / "metrics.csv").write_text("epoch\n0\n")
    lying = find(tmp_path)
    assert [one.name for one in lying.found] == [f"toys/{STOPPED}"]
    assert [path.name for path in lying.found[0].foreign] == ["checkpoints", "notes.txt"]
    assert [path.relative_to(tmp_path).as_posix() for path in lying.others] == ["toys/version_0", "elsewhere"]


def test_runs_below_an_experiment_of_the_same_name_are_their_own(tmp_path: Path, dead: int) -> None:
    shutil.copytree(REPOSITORY / "lightning_logs" / "paper", tmp_path / "toys")
    before = only(tmp_path).size
    stopped_run(tmp_path, events(dead))
    experiment, run = find(tmp_path).found
    assert (experiment.kind, run.kind, run.state) == ("experiment", "fit", "unfinished")
    assert (experiment.foreign, experiment.size) == ([], before)


def test_what_killed_processes_left_is_told_from_what_living_ones_write(tmp_path: Path, dead: int) -> None:
    for process in (dead, os.getpid()):
        (tmp_path / f"{PARTIAL_PREFIX}{platform.node()}.{process}-0123456789ab-best.ckpt").write_text("half")
    (tmp_path / f"{PARTIAL_PREFIX}another-machine.{dead}-0123456789ab-best.ckpt").touch()
    assert [path.read_text() for path in find(tmp_path).leftovers] == ["half"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"best": 3, "metrics": [1], "sets": {"a": {}}}', '{"best": null}'])
def test_a_file_that_was_changed_tells_nothing_and_stops_nothing(tmp_path: Path, dead: int, content: str) -> None:
    run = stopped_run(tmp_path, events(dead))
    for name in ("best.json", "test_metrics.json", "compare.json"):
        (run / name).write_text(content)
    assert only(tmp_path).best == {}
