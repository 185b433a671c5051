from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from soft_labels.metrics import core_names
from soft_labels.runs.record import RunRecord
from soft_labels.runs.runner import Runner
from soft_labels.runs.store import RecordStore
from soft_labels.runs.tensorboard import ArmResult, arm_charts, log_arms, log_curves, log_trials
from soft_labels.training.curves import QUANTITIES, Charts
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import RunSpec
from tests.boards import curves_of, line_of, runs_below, single_points
from tests.report.toy_summary import told
from tests.toys import SeededData, SeededEncoder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    folder = tmp_path_factory.mktemp("run")
    data = SeededData(items=80, encoder=SeededEncoder(6), store=folder / "store").embedded
    runner = Runner(RecordStore(folder / "records"), PopulationEngine(accelerator="cpu"))
    (found,) = runner.run(data, [RunSpec(hidden_width=8, lr=1e-2, max_epochs=3, seed=4)], judged=True)
    return found


def test_curves_hold_every_quantity_of_every_split_by_epoch(tmp_path: Path, run: RunRecord) -> None:
    log_curves(tmp_path, "soft", [run])
    found = curves_of(tmp_path / "tensorboard" / "curves" / "seeded" / f"soft-seed4-{run.id}")
    assert {f"{split}/kl" for split in ("train", "val", "test")} <= set(found)
    expected = {epoch: pytest.approx(value, abs=1e-5) for epoch, value in enumerate(run.curve["test/kl"])}
    assert found["test/kl"] == expected


def test_a_trial_is_one_line_of_settings_and_results_without_curves(tmp_path: Path, run: RunRecord) -> None:
    for _ in range(2):  # logging again must not add a second file
        log_trials(tmp_path, "any arm", [run])
    folder = tmp_path / "tensorboard" / "trials" / "seeded" / "any arm" / run.id
    assert len(list(folder.glob("events*"))) == 1
    drawn = curves_of(folder)
    assert drawn.keys() == {f"best/val/{name}" for name in QUANTITIES}
    steps = {0: run.curve["val/loss"][0], run.best_epoch: run.value, 2: run.value}
    assert drawn["best/val/loss"] == {step: pytest.approx(value, abs=1e-5) for step, value in steps.items()}
    shown = line_of(folder)
    assert (shown["hidden_width"], shown["target"]) == (8, "soft")
    assert shown["lr"] == pytest.approx(1e-2)
    assert [one.name for one in folder.parent.iterdir()] == [run.id], "nothing half-written stays"


def test_a_run_of_one_epoch_has_its_line_and_no_curves(tmp_path: Path, run: RunRecord) -> None:
    short = replace(run, curve={key: values[:1] for key, values in run.curve.items()}, best_epoch=0)
    log_trials(tmp_path, "logistic", [short])
    (trial,) = (tmp_path / "tensorboard" / "trials" / "seeded" / "logistic").iterdir()
    value = pytest.approx(run.curve["val/kl"][0], abs=1e-5)
    assert curves_of(trial)["best/val/kl"] == {0: value, 1: value}
    log_curves(tmp_path, "logistic", [short])
    (folder,) = (tmp_path / "tensorboard" / "curves" / "seeded").iterdir()
    assert curves_of(folder) == {}
    assert line_of(folder)["best/val/kl"] == pytest.approx(run.curve["val/kl"][0], abs=1e-5)


def curve(*values: float | None) -> dict[str, list[float | None]]:
    """What a seed has of each quantity."""
    return {f"{split}/{name}": [*values] for split in ("train", "val") for name in QUANTITIES}


def result(*curves: dict[str, list[float | None]], **trust: float) -> ArmResult:
    return ArmResult(
        curves, {**dict.fromkeys(core_names(), np.array([0.2])), "kl": np.array([0.5, 0.7])}, told(0.2, **trust)
    )


def test_an_arm_is_one_run_with_the_mean_and_range_of_its_seeds(tmp_path: Path) -> None:
    arms = {
        "soft": result(curve(0.5, 0.3, 0.2), curve(0.7, 0.5), curve(0.6, None), worth=3.5),
        "logistic": result(curve(0.4)),
        "soft_t": result(vagueness=0.2),
    }
    for _ in range(2):
        log_arms(tmp_path, arms)
    assert {path.name for path in runs_below(tmp_path)} == {"soft", "logistic", "soft_t"}
    drawn = {tag: list(points.values()) for tag, points in curves_of(tmp_path / "soft").items()}
    assert drawn["val/kl"] == pytest.approx([0.6, 0.4, 0.35]), (
        "a seed that stopped keeps its last value; one that broke down is left out"
    )
    assert drawn["within/least/val/kl"] == pytest.approx([0.5, 0.3, 0.2])
    assert drawn["within/greatest/val/kl"] == pytest.approx([0.7, 0.5, 0.5])
    assert drawn.keys() == {tag for chart in one_category(arm_charts()).values() for tag in chart[1]}
    level = curves_of(tmp_path / "logistic")["val/kl"]
    assert level == {epoch: pytest.approx(0.4) for epoch in range(3)}, "one epoch lies below the others"
    assert curves_of(tmp_path / "soft_t") == {}
    shown = line_of(tmp_path / "soft")
    assert shown.pop("arm") == "soft"
    assert shown == pytest.approx(
        {
            "test/kl": 0.6, "test/accuracy": 0.2, "test/entropy_corr": 0.2,
            "trust/floor": 0.1, "trust/worth": 3.5, "trust/share_of_achievable": 0.8, "trust/overconfidence": 0.05,
        }
    ), "vagueness is not known"  # fmt: skip
    assert line_of(tmp_path / "soft_t")["trust/vagueness"] == pytest.approx(0.2)
    assert single_points(tmp_path) == []


def test_arms_of_one_epoch_have_no_curves(tmp_path: Path) -> None:
    log_arms(tmp_path, {"logistic": result(curve(0.4)), "neighbours": result(curve(0.3))})
    assert [curves_of(run) for run in runs_below(tmp_path)] == [{}, {}]


def one_category(charts: Charts) -> dict[str, list[str | list[str]]]:
    (found,) = charts.values()
    return found


def test_the_charts_of_arms_name_what_is_drawn() -> None:
    kind, tags = one_category(arm_charts())["val/kl"]
    assert (kind, tags) == ("Margin", ["val/kl", "within/least/val/kl", "within/greatest/val/kl"])
