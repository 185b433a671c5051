"""What is registered in a table passes both engines, compare, reproduce and report, with no other file touched."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from soft_labels.data.batches import Observed
from soft_labels.metrics import METRICS, Metric
from soft_labels.training.calibration import CALIBRATIONS, Calibration
from soft_labels.training.objectives import LOSSES, TARGETS, Loss, Target
from tests.conftest import write_tiny_experiment

RunCli = Callable[..., Any]
ARMS = {
    "soft": {"model.target": "soft"},
    "hard": {"model.target": "hard"},
    "toy": {"model.target": "toy_target", "model.loss": "toy_loss"},
    "toyt": {"from": "hard", "calibration": "toy_step"},
}


class Halved(Calibration):
    """Halves logits; learns only how many items it saw."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def fit(self, logits: Tensor, observed: Observed) -> None:
        self.seen.fill_(float(len(logits)))

    def forward(self, logits: Tensor) -> Tensor:
        return logits / 2


def squared(target: Tensor, logits: Tensor) -> Tensor:
    return (logits.softmax(-1) - target).square().sum(-1)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target, a loss without a gradient of its own, and a calibration, each a row of its table."""
    monkeypatch.setitem(LOSSES, "toy_loss", Loss("squared differences", squared))
    monkeypatch.setitem(
        TARGETS, "toy_target", Target("shares, flattened", lambda seen, _: 0.9 * seen.label_dist + 0.1 / 3)
    )
    monkeypatch.setitem(CALIBRATIONS, "toy_step", Halved)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["population", "lightning"])
@pytest.mark.usefixtures("toys")
def test_an_experiment_trains_judges_and_reports_them(
    run_cli: RunCli, tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_tiny_experiment(tmp_path, arms=ARMS)
    out = tmp_path / "out"
    assert run_cli("reproduce", f"--config={config}", f"--out={out}", f"--engine={engine}").code == 0
    index = json.loads((out / "experiment.json").read_text(encoding="utf-8"))
    runs = index["datasets"][0]["arms"]
    assert list(runs) == ["hard", "soft", "toy", "toyt"]
    assert runs["toyt"]["seeds"] == runs["hard"]["seeds"], "nothing is trained again"
    assert len(set(runs["toy"]["seeds"]) & set(runs["soft"]["seeds"])) == 0
    lines = [line for path in (out / "records").glob("*.jsonl") for line in path.read_text().splitlines()]
    specs = [json.loads(line)["spec"] for line in lines]
    assert {spec["loss"] for spec in specs if spec["target"] == "toy_target"} == {"toy_loss"}
    page = (out / "report" / "report.md").read_text(encoding="utf-8")
    assert all(f"| {arm} " in page for arm in ARMS)

    # A metric that is written when all has ended shows in the report, which trains nothing.
    monkeypatch.setitem(METRICS, "toy_metric", Metric("toy distance", "", squared))
    before = {path: path.stat().st_mtime_ns for path in (out / "records").iterdir()}
    assert run_cli("report", out, f"--out={tmp_path / 'again'}").code == 0
    assert "toy distance" in (tmp_path / "again" / "report.md").read_text(encoding="utf-8")
    assert {path: path.stat().st_mtime_ns for path in (out / "records").iterdir()} == before


@pytest.mark.slow
@pytest.mark.usefixtures("toys")
def test_compare_and_fit_take_them(run_cli: RunCli, toy_options: tuple[str, ...], tmp_path: Path) -> None:
    place = (f"--trainer.default_root_dir={tmp_path}", "--trainer.max_epochs=2", "--trainer.enable_progress_bar=false")
    result = run_cli("compare", *toy_options, *place, f"--arms={json.dumps(ARMS)}", "--seeds=2")
    assert result.code == 0
    assert all(f"│ {arm} " in result.out for arm in ARMS)
    options = (
        *toy_options,
        *place,
        "--model.target=toy_target",
        "--model.loss=toy_loss",
        "--model.calibration=toy_step",
    )
    assert run_cli("fit", *options).code == 0
    checkpoint = max(tmp_path.rglob("best.ckpt"), key=lambda path: path.stat().st_mtime)
    assert torch.load(checkpoint, weights_only=True)["state_dict"]["calibration.seen"] > 0
    assert run_cli("test", *toy_options, *place, f"--ckpt_path={checkpoint}").code == 0


def test_what_is_registered_nowhere_is_refused_by_name(run_cli: RunCli, toy_options: tuple[str, ...]) -> None:
    result = run_cli("fit", *toy_options, "--model.loss=cross_entrpy")
    assert result.code == 2
    assert "wanted a loss of" in result.err
    assert "did you mean cross_entropy?" in result.err
