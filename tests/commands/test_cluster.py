import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.fabric.utilities.warnings import PossibleUserWarning

from tests.conftest import REPOSITORY, Result, RunCli
from tests.fake_slurm import FakeSlurm

CONFIG = REPOSITORY / "configs" / "cluster" / "slurm.yaml"
STORAGE = "postgresql://anna:sentinel-0123@database/studies"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A cluster whose commands are on the PATH, for a person who works in ``tmp_path / "work"``."""
    (tmp_path / "slurm").mkdir()
    (tmp_path / "work").mkdir()
    cluster = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{cluster.commands}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("SOFT_LABELS_STORAGE", STORAGE)
    monkeypatch.chdir(tmp_path / "work")
    return cluster


def call(run_cli: RunCli, *jobs: dict[str, Any], submit: bool = True, **settings: Any) -> Result:
    """The command on a configuration in the working folder."""
    Path("jobs.yaml").write_text(yaml.safe_dump({"jobs": list(jobs), **settings}), encoding="utf-8")
    return run_cli("cluster", "slurm", "--config=jobs.yaml", *(["--submit"] if submit else []))


def log(job: str, task: int = 0) -> str:
    (path,) = Path("lightning_logs/slurm").glob(f"{job}-*_{task}.log")
    return path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_committed_configuration_is_printed_and_handed_in_as_the_same_scripts(
    run_cli: RunCli, slurm: FakeSlurm
) -> None:
    printed = run_cli("cluster", "slurm", f"--config={CONFIG}")
    assert (printed.code, printed.err) == (0, "")
    assert list(Path().iterdir()) == []
    submitted = run_cli("cluster", "slurm", f"--config={CONFIG}", "--submit")
    assert submitted.out.split()[:8] == ["embed", "101", "sweep", "102", "seeds", "103", "report", "104"]
    assert "scancel 101 102 103 104" in submitted.out
    jobs = slurm.jobs()
    assert all(job["script"] in printed.out for job in jobs)
    assert [job["options"].get("dependency") for job in jobs] == [None, "afterany:101", "afterany:102", "afterany:103"]
    sweep, report = jobs[1]["options"], jobs[-1]["options"]
    assert [sweep[key] for key in ("nodes", "ntasks", "ntasks-per-node")] == ["1", "1", "1"]
    assert {key: sweep[key] for key in ("array", "time", "gres", "cpus-per-task", "mem", "partition")} == {
        "array": "0-7", "time": "04:00:00", "gres": "gpu:1", "cpus-per-task": "8", "mem": "32G", "partition": "gpu",
    }  # fmt: skip
    assert (report["array"], report["cpus-per-task"], report["partition"]) == ("0-0", "1", "gpu")
    assert "gres" not in report
    assert "account" not in sweep


@pytest.mark.parametrize("checker", [["bash", "-n"], ["shellcheck"]], ids=" ".join)
def test_the_scripts_are_sound_shell(run_cli: RunCli, slurm: FakeSlurm, checker: list[str]) -> None:
    program = shutil.which(checker[0], path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"{checker[0]} is not installed")
    assert run_cli("cluster", "slurm", f"--config={CONFIG}", "--submit").code == 0
    scripts = sorted(Path("lightning_logs/slurm").glob("*.sh"))
    assert [path.name for path in scripts] == ["embed.sh", "report.sh", "seeds.sh", "sweep.sh"]
    for path in scripts:
        done = subprocess.run([program, *checker[1:], str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_committed_commands_are_commands(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    jobs = {job["name"]: job for job in yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["jobs"]}
    options = {"embed": "--print_config", "sweep": "--print_config", "seeds": "--print_config", "report": "--help"}
    for name, option in options.items():
        program, *arguments = shlex.split(jobs[name]["command"].replace("\\\n", ""))
        done = run_cli(*arguments, option)
        assert (program, done.code) == ("soft-labels", 0), done.err


def test_lightning_takes_no_worker_for_a_rank_of_a_larger_job(
    run_cli: RunCli, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert (SLURMEnvironment.detect(), _get_rank()) == (True, 3)  # what the script is there to prevent
    code = "import json, os, sys; print(json.dumps([dict(os.environ), sys.warnoptions]))"
    assert call(run_cli, {"name": "worker", "command": f"{sys.executable} -c '{code}'"}).code == 0
    assert slurm.run() == {"worker": [0]}
    environment, (option,) = json.loads(log("worker").splitlines()[-1])
    for name in {*os.environ} - {*environment}:
        monkeypatch.delenv(name)
    with pytest.warns(PossibleUserWarning) as recommended:
        assert (SLURMEnvironment.detect(), _get_rank()) == (False, None)
    (action, _, beginning), text = option.partition(":"), str(recommended[0].message)
    assert action == "ignore"
    assert text.startswith(beginning)  # srun is there, and is not recommended


def test_a_storage_is_read_when_the_worker_runs_and_written_nowhere(run_cli: RunCli, slurm: FakeSlurm) -> None:
    command = 'soft_labels() { test "$2" = "$PASSED"; }; soft_labels --storage "${SOFT_LABELS_STORAGE:?}"'
    done = call(run_cli, {"name": "sweep", "command": command}, environment=['PASSED="$SOFT_LABELS_STORAGE"'])
    assert slurm.run() == {"sweep": [0]}
    written = "".join(path.read_text(encoding="utf-8") for path in Path().rglob("*") if path.is_file())
    assert "sentinel" not in done.out + done.err + written


@pytest.mark.parametrize(
    "line",
    [
        "soft-labels sweep --storage postgresql://anna:sentinel-0123@database/studies",
        "export OPENAI_API_KEY=sentinel-0123",
        "PGPASSWORD='sentinel-0123' soft-labels sweep",
        "soft-labels sweep --storage postgresql://anna@database/studies?password=sentinel-0123",
        "curl -H 'Authorization: Bearer sentinel-0123' http://database",
    ],
)
def test_a_password_or_key_in_a_script_is_refused(run_cli: RunCli, slurm: FakeSlurm, line: str) -> None:
    for settings in ({"command": line}, {"command": "ls", "resources": {"extra": [f"--export={line}"]}}):
        done = call(run_cli, {"name": "sweep", **settings})
        assert (done.code, done.out) == (2, "")
        assert "job sweep: its script would hold a password or a key" in done.err
        assert "sentinel" not in done.err
    assert slurm.jobs() == []


@pytest.mark.parametrize("mark", ["\n", "\r", "\x1b", "\u2028"])
@pytest.mark.parametrize(
    "settings",
    [
        {"resources": {"partition": "gpu{}touch made"}},
        {"resources": {"extra": ["--constraint=a100{}touch made"]}},
        {"folder": "logs{}touch made"},
    ],
    ids=["option", "extra", "folder"],
)
def test_a_value_with_a_line_break_never_becomes_a_line_of_the_script(
    run_cli: RunCli, slurm: FakeSlurm, settings: dict[str, Any], mark: str
) -> None:
    broken = json.loads(json.dumps(settings).replace("{}", json.dumps(mark)[1:-1]))
    for submit in (False, True):
        done = call(run_cli, {"name": "sweep", "command": "true"}, submit=submit, **broken)
        assert (done.code, done.out) == (2, "")
        assert "job sweep: wanted each option of sbatch on one line, without control characters, got " in done.err
    assert slurm.jobs() == []
    assert [path.name for path in Path().iterdir()] == ["jobs.yaml"]


@pytest.mark.parametrize(
    "line",
    [
        'export PGPASSWORD="$(cat ~/password)" OPENAI_API_KEY=$KEY',
        "postgresql://anna:$PGPASSWORD@database/studies",
        "soft-labels sweep --storage postgresql://anna@database:5432/studies --key=value",
    ],
)
def test_a_secret_that_the_worker_looks_up_is_none(run_cli: RunCli, slurm: FakeSlurm, line: str) -> None:
    assert line in call(run_cli, {"name": "sweep", "command": line}, submit=False).out


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([], "wanted at least one job"),
        ([{"name": "a", "after": "z"}, {"name": "b"}], "job a is after z, which is none of a, b"),
        ([{"name": "a", "after": "b"}, {"name": "b", "after": "a"}], "jobs wait for each other, change one's after"),
        ([{"name": "a"}, {"name": "a"}], "wanted a name of its own for each job, got a, a"),
        ([{"name": "../a"}], "wanted a job's name of letters, digits"),
        ([{"name": "a", "workers": 0}], "job a: wanted at least 1 worker, got 0"),
        ([{"name": "a", "at_once": 0}], "job a: wanted at least 1 worker, got 1, at once 0"),
        ([{"name": "a", "resources": {"gpu": 1}}], "resources of job a: Option 'gpu' is not accepted"),
        ([{"name": "a", "resources": {"gpus": -1}}], "wanted gpus from 0 up for each worker, got -1"),
        ([{"name": "a", "resources": {"nodes": 0}}], "wanted nodes from 1 up for each worker, got 0"),
        ([{"name": "a", "resources": {"gpus": "all"}}], 'resources of job a: Parser key "gpus"'),
    ],
)
def test_a_mistake_is_told_before_anything_is_written(
    run_cli: RunCli, slurm: FakeSlurm, jobs: list[dict[str, Any]], message: str
) -> None:
    done = call(run_cli, *({"command": "ls", **job} for job in jobs))
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert [path.name for path in Path().iterdir()] == ["jobs.yaml"]


def test_without_sbatch_the_scripts_can_still_be_printed(
    run_cli: RunCli, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = call(run_cli, {"name": "a", "command": "ls"})
    assert done.code == 2
    assert "no sbatch on the PATH" in done.err
    assert not Path("lightning_logs").exists()
    assert "\nls\n" in call(run_cli, {"name": "a", "command": "ls"}, submit=False).out
