from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from soft_labels.runs.record import RunRecord
from soft_labels.runs.runner import Runner
from soft_labels.runs.store import RecordStore
from soft_labels.runs.tensorboard import arm_charts, log_arm, log_curves, log_trials
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import RunSpec
from tests.toys import SeededData, SeededEncoder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    folder = tmp_path_factory.mktemp("run")
    data = SeededData(items=80, encoder=SeededEncoder(6), store=folder / "store").embedded
    runner = Runner(RecordStore(folder / "records"), PopulationEngine(accelerator="cpu"))
    (found,) = runner.run(data, [RunSpec(hidden_width=8, lr=1e-2, max_epochs=3, seed=4)], judged=True)
    return found


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def test_curves_hold_every_quantity_of_every_split_by_epoch(tmp_path: Path, run: RunRecord) -> None:
    log_curves(tmp_path, "soft", [run])
    found = events(tmp_path / "tensorboard" / "curves" / "seeded" / f"soft-seed4-{run.id}")
    assert {f"{split}/kl" for split in ("train", "val", "test")} <= set(found.Tags()["scalars"])
    points = found.Scalars("test/kl")
    assert [(point.step, round(point.value, 5)) for point in points] == [
        (epoch, round(value or 0, 5)) for epoch, value in enumerate(run.curve["test/kl"])
    ]


def test_a_trial_is_one_line_of_settings_and_results_without_curves(tmp_path: Path, run: RunRecord) -> None:
    for _ in range(2):  # logging again must not add a second file
        log_trials(tmp_path, "any arm", [run])
    folder = tmp_path / "tensorboard" / "trials" / "seeded" / "any arm" / run.id
    assert len(list(folder.glob("events*"))) == 1
    found = events(folder)
    assert not [tag for tag in found.Tags()["scalars"] if tag.startswith("val/")]
    assert round(found.Scalars("best/val/loss")[0].value, 5) == round(run.value, 5)
    assert [one.name for one in folder.parent.iterdir()] == [run.id], "nothing half-written stays"


def test_an_arm_is_one_run_with_the_mean_and_range_of_its_seeds(tmp_path: Path) -> None:
    curves: list[dict[str, list[float | None]]] = [
        {"val/kl": [0.5, 0.3, 0.2], "lr": [0.1] * 3, "best/val/kl": [0.2]},
        {"val/kl": [0.7, 0.5], "lr": [0.1] * 2, "best/val/kl": [0.5]},
        {"val/kl": [0.6, None], "lr": [0.1] * 2, "best/val/kl": [0.6]},
    ]
    for _ in range(2):
        log_arm(tmp_path, "soft", curves, {"trust/floor": 0.1})
    assert len(list((tmp_path / "soft").glob("events*"))) == 1
    found = events(tmp_path / "soft")
    drawn = {tag: [round(point.value, 5) for point in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    assert drawn["val/kl"] == [0.6, 0.4, 0.35], (
        "a seed that stopped keeps its last value; one that broke down is left out"
    )
    assert drawn["within/least/val/kl"] == [0.5, 0.3, 0.2]
    assert drawn["within/greatest/val/kl"] == [0.7, 0.5, 0.5]
    assert drawn.keys() == {"val/kl", "within/least/val/kl", "within/greatest/val/kl", "trust/floor"}


def test_the_charts_of_arms_name_what_is_drawn() -> None:
    (charts,) = arm_charts().values()
    kind, tags = charts["val/kl"]
    assert (kind, tags) == ("Margin", ["val/kl", "within/least/val/kl", "within/greatest/val/kl"])
