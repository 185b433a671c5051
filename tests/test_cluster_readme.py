"""Every command of configs/cluster/README.md is run, in a folder whose configurations are toys of the same names."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY, RunCli
from tests.fake_slurm import FakeSlurm
from tests.pages import texts
from tests.postgres import Postgres, answers, free_port

pytestmark = pytest.mark.slow
CLUSTER = Path("configs/cluster")
README = REPOSITORY / CLUSTER / "README.md"
QUICK = {"0 1 2 3": "0 1", "devices 8": "devices 1", "tasks: 8": "tasks: 1", "gpus: 8": "gpus: 0"}
TOYS: dict[str, Any] = {
    "data/chaosnli": {
        "data": {"class_path": "tests.toys.SeededData", "init_args": {"items": 60}},
        "trainer": {"max_epochs": 2, "accelerator": "cpu"},
    },
    "encoder/minilm": {"data": {"init_args": {"encoder": {"class_path": "tests.toys.SeededEncoder"}}}},
    "sweep/paper_grid": {"space": {"model.lr": {"categorical": [1.0e-2, 1.0e-3]}}, "sampler": "grid"},
    "paper": {
        "experiment": {
            "name": "paper",
            "datasets": [["configs/data/chaosnli.yaml", "configs/encoder/minilm.yaml"]],
            "sweeps": {"grid": "configs/sweep/paper_grid.yaml"},
            "seeds": 2,
        }
    },
}


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder; what a person typed is on the PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.copytree(REPOSITORY / CLUSTER, CLUSTER)
    for name, content in TOYS.items():
        path = Path("configs", f"{name}.yaml")
        assert (REPOSITORY / path).is_file()
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(content), encoding="utf-8")


def quick_form(block: str) -> str:
    for shown, quick in QUICK.items():
        block = block.replace(shown, quick)
    return block


def block_with(word: str, language: str = "bash") -> str:
    (block,) = (block for block in texts(language, README) if word in block)
    return block


def start(block: str) -> subprocess.Popen[str]:
    command = ["/bin/bash", "-euc", quick_form(block)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    """What a block that worked prints."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def checksum(out: str) -> str:
    (line,) = (line for line in out.splitlines() if line.startswith("checksum "))
    return line


def test_no_command_is_left_out() -> None:
    words = ["cluster slurm", "for gpu in", "devices 8 --trainer.strategy", "NODE_RANK", "STORAGE", "optuna-dashboard"]
    assert list(map(block_with, words)) == texts("bash", README)
    assert texts("yaml", README) == [block_with("srun", "yaml")]


def test_the_scripts_for_slurm_are_printed() -> None:
    assert "#SBATCH --array=0-7" in finish(start(block_with("cluster slurm")))


def test_workers_that_a_shell_starts_do_an_experiment() -> None:
    finish(start(block_with("for gpu in")))
    assert sorted(Path().glob("worker-*.log")) == [Path("worker-0.log"), Path("worker-1.log")]
    assert Path("lightning_logs/paper/report/report.md").is_file()


def test_embeddings_of_one_machine_of_two_and_of_slurm_are_the_same(run_cli: RunCli, tmp_path: Path) -> None:
    alone = checksum(finish(start(block_with("devices 8 --trainer.strategy"))))
    shutil.rmtree("embeddings")
    first = block_with("NODE_RANK").replace("first-machine", "127.0.0.1").replace("29500", str(free_port()))
    machines = [start(first), start(first.replace("NODE_RANK=0", "NODE_RANK=1"))]
    assert [checksum(finish(machines[0])), finish(machines[1])] == [alone, ""]
    shutil.rmtree("embeddings")
    assert checksum(slurm_job(run_cli, FakeSlurm(tmp_path))) == alone


def slurm_job(run_cli: RunCli, slurm: FakeSlurm) -> str:
    """The log of the job that runs on two nodes."""
    settings = yaml.safe_load((CLUSTER / "slurm.yaml").read_text(encoding="utf-8"))
    jobs = yaml.safe_load(quick_form(block_with("srun", "yaml")))
    assert [job["name"] for job in jobs] == [settings["jobs"][0]["name"]]
    Path("jobs.yaml").write_text(yaml.safe_dump({**settings, "environment": [], "jobs": jobs}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{slurm.commands}:{os.environ['PATH']}")
        assert run_cli("cluster", "slurm", "--config=jobs.yaml", "--submit").code == 0
        assert slurm.run() == {"embed": [0]}
    (log,) = Path("lightning_logs/slurm").glob("embed-*.log")
    return log.read_text(encoding="utf-8")


def test_a_sweep_on_each_storage_is_seen_in_its_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    with Postgres() as server:
        for storage in (server.url, "journal:studies.journal"):
            monkeypatch.setenv("SOFT_LABELS_STORAGE", storage)
            finish(start(block_with("STORAGE")))
        commands = block_with("optuna-dashboard").replace("postgresql://USER@HOST/DATABASE", server.url).splitlines()
        assert [seen(command) for command in commands] == [{"seeded-grid-soft": 2, "seeded-grid-hard": 2}] * 2


def seen(command: str) -> dict[str, int]:
    """The studies that a dashboard shows, with their numbers of trials."""
    port = free_port()
    with subprocess.Popen([*shlex.split(command), f"--port={port}", "--quiet"]) as dashboard:
        try:
            answers(port)
            address = f"http://127.0.0.1:{port}/api/studies"
            summaries = fetched(address)["study_summaries"]
            return {
                each["study_name"]: len(fetched(f"{address}/{each['study_id']}?after=0")["trials"])
                for each in summaries
            }
        finally:
            dashboard.terminate()


def fetched(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)
