import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from soft_labels.experiment_index import ExperimentIndex
from soft_labels.records import RecordStore
from tests.conftest import RunCli


def command(config: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "soft_labels", "reproduce", f"--config={config}", f"--out={out}", *options]


def what_was_found(folder: Path) -> dict[str, Any]:
    """Everything in the records but when and where they were made, and the index."""
    records = {key: record.__dict__.copy() for key, record in RecordStore(folder / "records").read().items()}
    for record in records.values():
        del record["finished_at"], record["environment"]
    return {"records": records, "index": json.loads((folder / "experiment.json").read_text(encoding="utf-8"))}


def lines(folder: Path) -> Counter[str]:
    """How often each run was recorded."""
    parts = [part for part in folder.glob("records/*.jsonl") if not part.name.endswith(".items.jsonl")]
    return Counter(json.loads(line)["id"] for part in parts for line in part.read_text(encoding="utf-8").splitlines())


def test_an_experiment_ends_in_records_an_index_the_best_configurations_and_a_report(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    done = run_cli("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'out'}")
    assert done.code == 0, done.err
    index = ExperimentIndex.load(tmp_path / "out")
    (part,) = index.datasets
    records = RecordStore(tmp_path / "out" / "records").read()
    assert part.description["items"] == 120 == sum(part.entropy_histogram)
    for target, arm in part.arms.items():
        assert (len(arm.trials["grid"]), len(arm.trials["random"]), len(arm.seeds), len(arm.splits)) == (8, 3, 3, 3)
        assert {records[run].spec["target"] for run in arm.trials["grid"]} == {target}
        assert records[arm.best].value == min(records[run].value for run in arm.trials["grid"])
        assert [records[run].spec["seed"] for run in arm.seeds] == [0, 1, 2]
        assert [records[run].data["split"]["seed"] for run in arm.splits] == [1, 2, 3]
        assert all(records[run].test is None for run in arm.trials["grid"])
        assert all(records[run].test is not None for run in (*arm.seeds, *arm.splits))
    soft, hard = part.arms["soft"], part.arms["hard"]
    same_splits = [records[run].data["split"]["digest"] for run in soft.splits]
    assert same_splits == [records[run].data["split"]["digest"] for run in hard.splits]
    assert len(set(same_splits)) == 3
    assert (tmp_path / "out" / "report" / "report.html").is_file()

    fit = run_cli(
        "fit", f"--config={tmp_path / 'out' / 'best-seeded-soft.yaml'}", f"--trainer.default_root_dir={tmp_path}"
    )
    assert fit.code == 0, fit.err
    (again,) = (tmp_path / "lightning_logs" / "seeded").glob("soft-*")
    saved = yaml.safe_load((again / "config.yaml").read_text(encoding="utf-8"))
    assert saved["model"]["lr"] == records[soft.best].spec["lr"]


def test_a_finished_experiment_trains_nothing_again(run_cli: RunCli, tiny_experiment: Path, tmp_path: Path) -> None:
    options = ("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'out'}")
    assert run_cli(*options).code == 0
    before = {part: part.stat().st_mtime_ns for part in (tmp_path / "out" / "records").iterdir()}
    assert run_cli(*options).code == 0
    assert {part: part.stat().st_mtime_ns for part in (tmp_path / "out" / "records").iterdir()} == before


def test_an_experiment_that_is_killed_at_random_moments_ends_with_the_same_records(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    assert run_cli("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'whole'}").code == 0
    moments = random.Random(0)  # noqa: S311 # no secret
    for parts in (0, 2, 5):
        process = subprocess.Popen(command(tiny_experiment, tmp_path / "killed"), stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list((tmp_path / "killed").glob("records/*.jsonl"))) < parts:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        assert process.wait() == -9, "the experiment must not be done before it is killed"
    assert run_cli("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'killed'}").code == 0
    assert what_was_found(tmp_path / "killed") == what_was_found(tmp_path / "whole")


def test_two_processes_share_an_experiment_and_train_nothing_twice(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    workers = [
        subprocess.Popen(
            command(tiny_experiment, tmp_path / "shared", "--data.items=1200"), stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [worker.communicate()[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert set(lines(tmp_path / "shared").values()) == {1}
    assert "another process trains this part" in "".join(said), "they must have been at work at the same time"
    options = (f"--config={tiny_experiment}", f"--out={tmp_path / 'alone'}", "--data.items=1200")
    assert run_cli("reproduce", *options).code == 0
    assert what_was_found(tmp_path / "shared") == what_was_found(tmp_path / "alone")


def test_another_search_in_the_same_folder_leaves_nothing_stale(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run_cli("reproduce", f"--config={tiny_experiment}", f"--out={out}").code == 0
    grid = yaml.safe_load((tmp_path / "grid.yaml").read_text(encoding="utf-8"))
    grid["space"]["model.lr"] = {"categorical": [3e-2]}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    assert run_cli("reproduce", f"--config={tiny_experiment}", f"--out={out}").code == 0
    (part,) = ExperimentIndex.load(out).datasets
    for target, arm in part.arms.items():
        head = torch.load(out / f"best-seeded-{target}.ckpt", weights_only=True)["hyper_parameters"]
        config = yaml.safe_load((out / f"best-seeded-{target}.yaml").read_text(encoding="utf-8"))
        assert head["lr"] == config["model"]["lr"] == 3e-2
        for run in arm.seeds:
            (curves,) = (out / "tensorboard" / "curves" / "seeded").glob(f"{target}-seed*-{run}")
            rates = [point.value for point in EventAccumulator(str(curves)).Reload().Scalars("lr")]
            assert rates == pytest.approx([3e-2] * len(rates))


def test_both_engines_leave_the_same_records_but_for_the_engines_name(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    for engine in ("population", "lightning"):
        options = (f"--config={tiny_experiment}", f"--out={tmp_path / engine}", f"--engine={engine}")
        assert run_cli("reproduce", *options).code == 0
    ours, theirs = (what_was_found(tmp_path / engine)["records"] for engine in ("population", "lightning"))
    assert ours.keys() == theirs.keys()
    for key, one in ours.items():
        other = theirs[key]
        assert {one.pop("engine"), other.pop("engine")} == {"population", "lightning"}
        for part in ("curve", "test"):
            assert_close(one.pop(part), other.pop(part))
        assert one == other


def assert_close(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_close(value, other[key])
    elif one is not None:
        assert one == pytest.approx(other, abs=2e-5)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--experiment.seeds=1", "wanted at least 2 seeds"),
        ("--experiment.datasets=[]", "at least one data set"),
        ("--data.split_seed", "wanted --data.split_seed=VALUE"),
        ("--data.no_such_key=1", "no_such_key"),
        ('--experiment.sweeps={"grid": "no/such/file.yaml"}', "no/such/file.yaml"),
        ('--experiment.sweeps={"grid": "TMP/encoder.yaml"}', "name the other features as a data set of its own"),
        ('--experiment.datasets=[["TMP/data.yaml"], ["TMP/data.yaml"]]', "got seeded more than once"),
        ("--trainer.accelerator=cuda", "trainer.accelerator cuda cannot be used here"),
        ("--trainer.max_epochs=null", "wanted a value of trainer.max_epochs"),
    ],
)
def test_a_mistake_is_one_message(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path, option: str, message: str
) -> None:
    encoder = {"space": {"data.encoder.init_args.width": {"categorical": [4, 8]}}, "sampler": "grid"}
    (tmp_path / "encoder.yaml").write_text(yaml.safe_dump(encoder), encoding="utf-8")
    option = option.replace("TMP", str(tmp_path))
    done = run_cli("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'out'}", option)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "out").exists()
