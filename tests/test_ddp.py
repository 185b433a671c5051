"""Two processes give the numbers of one: the real CLI, the plain ``ddp`` strategy, gloo on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OPTIONS = [
    "--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", "--data.items=203",
    "--data.batch_size=10", "--model.calibration=temperature",
    "--model.hidden_width=32", "--model.dropout=0.3", "--model.scheduler=plateau",
    "--trainer.accelerator=cpu", "--trainer.max_epochs=6", "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]  # fmt: skip


def fit_and_test(folder: Path, processes: int) -> dict[str, float]:
    """Fit and test in fresh processes; the metrics that ``test`` wrote."""
    places = [f"--data.store={folder / 'store'}", f"--trainer.default_root_dir={folder}"]
    devices = [f"--trainer.devices={processes}", "--trainer.strategy=" + ("ddp" if processes > 1 else "auto")]
    run_command(["fit", *OPTIONS, *places, *devices])
    (checkpoint,) = folder.glob("lightning_logs/seeded/*/checkpoints/best.ckpt")
    run_command(["test", *OPTIONS, *places, *devices, f"--ckpt_path={checkpoint}"])
    (written,) = folder.glob("lightning_logs/seeded/*/test_metrics.json")
    metrics: dict[str, float] = json.loads(written.read_text())["metrics"]
    return metrics


def run_command(arguments: list[str]) -> None:
    """Run the command line to its end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "soft_labels", *arguments]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_give_the_test_metrics_of_one(tmp_path: Path) -> None:
    one = fit_and_test(tmp_path / "one", 1)
    two = fit_and_test(tmp_path / "two", 2)
    assert one.keys() == two.keys()
    assert {"test/kl", "test/entropy_corr", "test/accuracy", "test/loss", "test/rps"} <= one.keys()
    assert two == pytest.approx(one, abs=1e-5)
