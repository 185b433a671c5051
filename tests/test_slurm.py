"""What ``cluster slurm`` prints and hands in, on a real SLURM of this machine."""

import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from soft_labels.experiment.index import ExperimentIndex
from soft_labels.runs.store import RecordStore
from tests import slurm as real
from tests.conftest import REPOSITORY, Result, RunCli, write_tiny_experiment
from tests.slurm import Slurm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(real.missing() is not None, reason=f"no SLURM: {real.missing()}"),
]
CPU = {"partition": "gpu", "gpus": 0, "cpus": 1}
SOFT_LABELS = f"{sys.executable} -m soft_labels"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    with real.running(cpus=2) as slurm:
        yield slurm


@pytest.fixture
def slurm(cluster: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """The cluster, for a person who works in ``tmp_path``; nothing of a test is left in its queue."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster.environment[name])
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    yield cluster
    cluster.ask("scancel", "--user", str(os.getuid()))
    cluster.wait(lambda: not cluster.ask("squeue", "--noheader"))


def call(run_cli: RunCli, *jobs: dict[str, Any], submit: bool = True, **settings: Any) -> Result:
    """The command on a configuration in the working folder."""
    content = {"jobs": list(jobs), "resources": CPU, **settings}
    Path("jobs.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return run_cli("cluster", "slurm", "--config=jobs.yaml", *(["--submit"] if submit else []))


def ids_of(done: Result) -> dict[str, str]:
    """SLURM's id of each job that was handed in."""
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines() if not line.startswith("Next")]
    return {name: number for name, number in lines}  # noqa: C416 # mypy knows no pairs in lists


def log(job: str, task: int = 0) -> str:
    (path,) = Path("lightning_logs/slurm").glob(f"{job}-*_{task}.log")
    return path.read_text(encoding="utf-8")


def test_the_printed_chain_runs_to_its_report_though_a_worker_is_preempted(run_cli: RunCli, slurm: Slurm) -> None:
    write_tiny_experiment(Path().absolute())
    rates = [0.001 * number for number in range(1, 25)]
    grid = {"space": {"model.lr": {"categorical": rates}}, "sampler": "grid", "batch": 1, "grace": 5.0}
    Path("points.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    shared = "--config data.yaml --sweep points.yaml --study points --storage journal:studies --out searched"
    jobs = (
        {"name": "embed", "command": f"{SOFT_LABELS} embed --config data.yaml"},
        {"name": "sweep", "after": "embed", "workers": 2, "command": f"{SOFT_LABELS} sweep {shared}"},
        {"name": "seeds", "after": "sweep", "workers": 2,
         "command": f"{SOFT_LABELS} reproduce --config experiment.yaml --out out"},
        {"name": "report", "after": "seeds", "command": f"{SOFT_LABELS} report out --out report"},
    )  # fmt: skip
    printed = call(run_cli, *jobs, submit=False)
    assert slurm.ask("squeue", "--noheader") == ""
    ids = ids_of(call(run_cli, *jobs))
    for name, number in ids.items():
        assert slurm.ask("scontrol", "write", "batch_script", f"{number}_0", "-").rstrip() in printed.out, name
    slurm.wait(lambda: len(list(Path("searched/records").glob("[!.]*.jsonl"))) > 2)
    urgent = slurm.ask("sbatch", "--parsable", "--partition=high", "--wrap=sleep 1", "--output=/dev/null")
    slurm.wait(lambda: slurm.state(urgent) == "COMPLETED")
    (again,) = [task for task in (0, 1) if slurm.state(f"{ids['sweep']}_{task}") == "PENDING"]
    slurm.ask("scontrol", "update", f"JobId={ids['sweep']}_{again}", "StartTime=now")  # else it waits two minutes
    slurm.wait(lambda: slurm.state(ids["report"]) == "COMPLETED", 600)
    assert {name: slurm.state(number) for name, number in ids.items()} == dict.fromkeys(ids, "COMPLETED")
    starts = [line for line in log("sweep", again).splitlines() if line.startswith(f"worker {again} of sweep")]
    assert [line.rpartition("requeued ")[2] for line in starts] == ["0 times", "1 times"]
    for arm in ("soft", "hard"):
        with Path(f"searched/trials-{arm}.csv").open(encoding="utf-8") as file:
            points = [float(row["model.lr"]) for row in csv.DictReader(file)]
        assert sorted(points) == pytest.approx(rates), "every point once"
    assert len(RecordStore(Path("searched/records")).read()) == 2 * len(rates)
    (found,) = ExperimentIndex.load(Path("out")).datasets
    assert [len(arm.seeds) for arm in found.arms.values()] == [3, 3]
    assert Path("report/report.md").read_bytes() == Path("out/report/report.md").read_bytes()


def test_a_worker_that_failed_does_not_hold_up_the_chain_and_those_beyond_at_once_wait(
    run_cli: RunCli, slurm: Slurm
) -> None:
    work = 'mkdir only-one && touch "began-$SLURM_ARRAY_TASK_ID" && rmdir only-one && [ "$SLURM_ARRAY_TASK_ID" != 1 ]'
    first = {"name": "first", "workers": 3, "at_once": 1, "command": work}
    last = {"name": "last", "after": "first", "command": "ls"}
    ids = ids_of(call(run_cli, last, first, environment=["echo beginning"]))
    slurm.wait(lambda: slurm.state(ids["last"]) == "COMPLETED")
    assert [slurm.state(f"{ids['first']}_{task}") for task in range(3)] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert [line for line in log("last").splitlines() if line.startswith("began")] == ["began-0", "began-1", "began-2"]
    assert all(log("first", task).splitlines()[1] == "beginning" for task in range(3))


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"partition": "closed"}, "invalid partition specified: closed"),
        ({"extra": ["--constraint=a100"]}, "Invalid feature specification"),
        ({"extra": ["--no-such-option"]}, "unrecognized option '--no-such-option'"),
        ({"time": "soon"}, "Invalid --time specification"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_job_that_sbatch_refuses_says_what_was_handed_in_before_it(
    run_cli: RunCli, slurm: Slurm, resources: dict[str, Any], said: str
) -> None:
    refused = {"name": "last", "after": "first", "command": "ls", "resources": resources}
    done = call(run_cli, {"name": "first", "command": "sleep 60"}, refused)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("error: sbatch refused job last: ") == 1
    assert said in done.err
    number = done.err.rpartition("scancel ")[2].strip()
    assert slurm.state(number) in {"PENDING", "RUNNING"}
    slurm.ask("scancel", number)
    slurm.wait(lambda: slurm.state(number) == "CANCELLED")


def test_jobs_can_be_ended_as_the_last_line_says(run_cli: RunCli, slurm: Slurm) -> None:
    done = call(run_cli, {"name": "one", "command": "sleep 60"}, {"name": "two", "after": "one", "command": "ls"})
    slurm.ask(*done.out.rpartition("to end all: ")[2].split())
    slurm.wait(lambda: {slurm.state(number) for number in ids_of(done).values()} == {"CANCELLED"})
