import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from soft_labels.experiment.index import ExperimentIndex
from soft_labels.files import NamedLock
from soft_labels.runs.store import RecordStore
from tests.boards import curves_of, line_of, single_points
from tests.conftest import RunCli, started, write_tiny_experiment
from tests.toys import SeededData


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
    bundles = folder.glob("records/*.jsonl")
    return Counter(json.loads(line)["id"] for one in bundles for line in one.read_text(encoding="utf-8").splitlines())


@pytest.mark.slow
def test_an_experiment_ends_in_records_an_index_the_best_configurations_and_a_report(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    done = run_cli("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'out'}")
    assert done.code == 0, done.err
    index = ExperimentIndex.load(tmp_path / "out")
    (found,) = index.datasets
    records = RecordStore(tmp_path / "out" / "records").read()
    assert found.description["items"] == 120 == sum(found.entropy_histogram)
    assert (index.baseline, list(found.arms)) == ("hard", ["hard", "soft"])
    for target, arm in found.arms.items():
        assert (len(arm.trials["grid"]), len(arm.trials["random"]), len(arm.seeds), len(arm.splits)) == (8, 3, 3, 3)
        assert {records[run].spec["target"] for run in arm.trials["grid"]} == {target}
        assert records[arm.best].value == min(records[run].value for run in arm.trials["grid"])
        assert [records[run].spec["seed"] for run in arm.seeds] == [0, 1, 2]
        assert [records[run].data["split"]["seed"] for run in arm.splits] == [1, 2, 3]
        assert all(records[run].predictions is None for run in arm.trials["grid"])
        assert all(records[run].predictions is not None for run in (*arm.seeds, *arm.splits))
    soft, hard = found.arms["soft"], found.arms["hard"]
    same_splits = [records[run].data["split"]["digest"] for run in soft.splits]
    assert same_splits == [records[run].data["split"]["digest"] for run in hard.splits]
    assert len(set(same_splits)) == 3
    assert (tmp_path / "out" / "report" / "report.html").is_file()
    shown = tmp_path / "out" / "tensorboard" / "arms"
    assert f"Next: tensorboard --logdir {shown}" in done.out
    said = json.loads((tmp_path / "out" / "report" / "summary.json").read_text(encoding="utf-8"))["sets"]["seeded"]
    for name in ("hard", "soft"):
        line = line_of(shown / "seeded" / name)
        for number in ("overconfidence", "share_of_achievable", "worth"):
            assert line[f"trust/{number}"] == pytest.approx(said["arms"][name]["fixed"][number]["value"], rel=1e-3)
        assert line["trust/floor"] == pytest.approx(said["fixed"]["floor"]["value"], rel=1e-3)
        assert 0 < float(str(line["test/kl"])) < 1
        assert set(curves_of(shown / "seeded" / name)) >= {"val/kl", "val/loss", "val/entropy_corr"}
    assert single_points(tmp_path / "out") == []

    fit = run_cli(
        "fit", f"--config={tmp_path / 'out' / 'best-seeded-soft.yaml'}", f"--trainer.default_root_dir={tmp_path}"
    )
    assert fit.code == 0, fit.err
    (again,) = (tmp_path / "lightning_logs" / "seeded").glob("soft-*")
    saved = yaml.safe_load((again / "config.yaml").read_text(encoding="utf-8"))
    assert saved["model"]["lr"] == records[soft.best].spec["lr"]


@pytest.mark.slow
def test_a_finished_experiment_trains_nothing_again(run_cli: RunCli, tiny_experiment: Path, tmp_path: Path) -> None:
    options = ("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'out'}")
    assert run_cli(*options).code == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "records").iterdir()}
    assert run_cli(*options).code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "records").iterdir()} == before


@pytest.mark.slow
def test_an_experiment_that_is_killed_at_random_moments_ends_with_the_same_records(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    assert run_cli("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'whole'}").code == 0
    moments = random.Random(0)  # noqa: S311 # no secret
    for bundles in (0, 2, 5):
        process = subprocess.Popen(command(tiny_experiment, tmp_path / "killed"), stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list((tmp_path / "killed").glob("records/*.jsonl"))) < bundles:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        assert process.wait() == -9, "the experiment must not be done before it is killed"
    assert run_cli("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'killed'}").code == 0
    assert what_was_found(tmp_path / "killed") == what_was_found(tmp_path / "whole")


def stopped_at_work(worker: "subprocess.Popen[Any]", records: Path) -> bool:
    """Stop a worker; let it go on unless it is training a bundle."""
    assert worker.poll() is None
    worker.send_signal(signal.SIGSTOP)
    os.waitpid(worker.pid, os.WUNTRACED)
    at_work = any(is_held(path) for path in records.glob(".seeded-*.lock"))
    if not at_work:
        worker.send_signal(signal.SIGCONT)
    return at_work


def is_held(path: Path) -> bool:
    try:
        with NamedLock(path, blocking=False):
            return False
    except TimeoutError:
        return True


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_two_processes_share_an_experiment_and_train_nothing_twice(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    worker = command(tiny_experiment, tmp_path / "shared", "--data.items=1200")
    with (tmp_path / "log").open("w", encoding="utf-8") as log, started(*worker, stderr=log) as first:
        wait_for(lambda: stopped_at_work(first, tmp_path / "shared" / "records"))
        with started(*worker, stderr=log) as second:
            wait_for(lambda: "another process trains these runs" in (tmp_path / "log").read_text(encoding="utf-8"))
            first.send_signal(signal.SIGCONT)
            assert [first.wait(timeout=300), second.wait(timeout=300)] == [0, 0]
    assert set(lines(tmp_path / "shared").values()) == {1}
    options = (f"--config={tiny_experiment}", f"--out={tmp_path / 'alone'}", "--data.items=1200")
    assert run_cli("reproduce", *options).code == 0
    assert what_was_found(tmp_path / "shared") == what_was_found(tmp_path / "alone")


@pytest.mark.slow
def test_another_search_in_the_same_folder_leaves_nothing_stale(
    run_cli: RunCli, tiny_experiment: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run_cli("reproduce", f"--config={tiny_experiment}", f"--out={out}").code == 0
    grid = yaml.safe_load((tmp_path / "grid.yaml").read_text(encoding="utf-8"))
    grid["space"]["model.lr"] = {"categorical": [3e-2]}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    assert run_cli("reproduce", f"--config={tiny_experiment}", f"--out={out}").code == 0
    (found,) = ExperimentIndex.load(out).datasets
    for target, arm in found.arms.items():
        head = torch.load(out / f"best-seeded-{target}.ckpt", weights_only=True)["hyper_parameters"]
        config = yaml.safe_load((out / f"best-seeded-{target}.yaml").read_text(encoding="utf-8"))
        assert head["lr"] == config["model"]["lr"] == 3e-2
        for run in arm.seeds:
            (curves,) = (out / "tensorboard" / "curves" / "seeded").glob(f"{target}-seed*-{run}")
            rates = [*curves_of(curves)["lr"].values()]
            assert rates == pytest.approx([3e-2] * len(rates))


@pytest.mark.slow
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
        assert_close(one.pop("curve"), other.pop("curve"))
        assert (one.pop("predictions") is None) == (other.pop("predictions") is None)
        assert one == other
    assert_same_predictions(tmp_path)


def assert_same_predictions(folder: Path) -> None:
    """What heads of both engines say of each item, and what was observed of it."""
    stores = [RecordStore(folder / engine / "records") for engine in ("population", "lightning")]
    ours, theirs = (store.read() for store in stores)
    judged = [key for key, record in ours.items() if record.predictions is not None]
    assert len(judged) == 2 * (3 + 3)
    for key in judged:
        one, other = stores[0].judged(ours[key]), stores[1].judged(theirs[key])
        for split in ("val", "test"):
            torch.testing.assert_close(one[split].logits, other[split].logits, atol=2e-4, rtol=0)
            assert torch.equal(one[split].label_dist, other[split].label_dist)


def assert_close(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_close(value, other[key])
    elif one is not None:
        assert one == pytest.approx(other, abs=2e-5)


@pytest.mark.slow
def test_a_derived_arm_is_part_of_an_experiment(run_cli: RunCli, tiny_experiment: Path, tmp_path: Path) -> None:
    arms = {"soft": {"model.target": "soft"}, "soft_t": {"from": "soft", "calibration": "temperature"}}
    options = (f"--experiment.arms={json.dumps(arms)}", "--experiment.baseline=soft", "--experiment.seeds=2")
    done = run_cli("reproduce", f"--config={tiny_experiment}", f"--out={tmp_path / 'out'}", *options)
    assert done.code == 0, done.err
    (found,) = ExperimentIndex.load(tmp_path / "out").datasets
    assert found.arms["soft_t"].seeds == found.arms["soft"].seeds
    report = (tmp_path / "out" / "report" / "report.md").read_text(encoding="utf-8")
    assert "soft\\_t" in report


@pytest.mark.slow
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
        ("--trainer.accelerator=cuda", "trainer.accelerator cuda, trainer.devices 1 cannot be used here"),
        ("--trainer.max_epochs=null", "wanted trainer.max_epochs of at least 1, got None"),
        ("--model.calibration=temperature", "model.calibration can be set for fit only"),
        ("--experiment.baseline=medium", "wanted a baseline of soft, hard, got medium"),
        ('--experiment.arms={"hard": {"from": "soft"}}', "arm hard: wanted from with calibration, ensemble or both"),
        (
            '--experiment.arms={"hard": {}, "drop": {"space": {"model.dropout": {"categorical": [0, 0.5]}}}}',
            "wanted the same number of trials for every arm, got 8 of hard, 16 of drop",
        ),
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


@pytest.mark.slow
def test_an_experiment_walks_through_folds_and_refuses_to_redraw_or_judge_what_it_cannot(
    run_cli: RunCli, tmp_path: Path
) -> None:
    config = write_tiny_experiment(tmp_path)
    path = tmp_path / "data.yaml"
    plain = yaml.safe_load(path.read_text(encoding="utf-8"))

    def run(**settings: Any) -> Any:
        plain["data"]["init_args"] |= settings
        path.write_text(yaml.safe_dump(plain), encoding="utf-8")
        return run_cli("reproduce", f"--config={config}", f"--out={tmp_path / 'out'}")

    assert run(folds=3, fold=1).code == 0
    (found,) = ExperimentIndex.load(tmp_path / "out").datasets
    records = RecordStore(tmp_path / "out" / "records").read()
    splits = [records[run].data["split"] for run in found.arms["soft"].splits]
    assert [(one["number"], one["seed"]) for one in splits] == [(0, 0), (1, 0), (2, 0)]
    without = run(folds=None, fold=0, split_ratios=[0.8, 0.2, 0.0])
    assert (without.code, "no test part, by which heads are judged" in without.err) == (2, True)
    SeededData(items=120).dataset.split.save(tmp_path / "split.json", {})
    given = run(split_ratios=[0.7, 0.15, 0.15], split_file=str(tmp_path / "split.json"))
    assert (given.code, "a given split, which is not redrawn; leave it out to draw one" in given.err) == (2, True)
