from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from soft_labels.curves import log_curves, log_trials
from soft_labels.population import PopulationEngine
from soft_labels.records import RecordStore, RunRecord
from soft_labels.runner import Runner
from soft_labels.runs import RunSpec
from tests.toys import SeededData, SeededEncoder


def record(tmp_path: Path) -> RunRecord:
    data = SeededData(items=80, encoder=SeededEncoder(6), store=tmp_path / "store")
    runner = Runner(RecordStore(tmp_path / "records"), PopulationEngine(accelerator="cpu"))
    (found,) = runner.run(data, [RunSpec(hidden_width=8, lr=1e-2, max_epochs=3, seed=4)], judged=True)
    return found


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def test_curves_hold_every_quantity_of_every_split_by_epoch(tmp_path: Path) -> None:
    run = record(tmp_path)
    log_curves(tmp_path, [run])
    found = events(tmp_path / "tensorboard" / "curves" / "seeded" / f"soft-seed4-{run.id}")
    assert {f"{split}/kl" for split in ("train", "val", "test")} <= set(found.Tags()["scalars"])
    points = found.Scalars("test/kl")
    assert [(point.step, round(point.value, 5)) for point in points] == [
        (epoch, round(value or 0, 5)) for epoch, value in enumerate(run.curve["test/kl"])
    ]


def test_a_trial_is_one_line_of_settings_and_results_without_curves(tmp_path: Path) -> None:
    run = record(tmp_path)
    for _ in range(2):  # logging again must not add a second file
        log_trials(tmp_path, [run])
    folder = tmp_path / "tensorboard" / "trials" / "seeded" / "soft" / run.id
    assert len(list(folder.glob("events*"))) == 1
    found = events(folder)
    assert not [tag for tag in found.Tags()["scalars"] if tag.startswith("val/")]
    assert round(found.Scalars("best/val/loss")[0].value, 5) == round(run.value, 5)
