import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.runs.checkpoints import BestFiles, BestHeads, save_checkpoint
from soft_labels.runs.runner import Runner, Task
from soft_labels.runs.store import RecordStore
from soft_labels.training.calibration import Temperature
from soft_labels.training.heads import MLPHead
from soft_labels.training.module import SoftLabelModule
from soft_labels.training.population import PopulationEngine
from soft_labels.training.predict import predict
from soft_labels.training.spec import RunSpec
from tests.conftest import RunCli
from tests.toys import SeededData, SeededEncoder

SPEC = RunSpec(hidden_width=8, lr=1e-2, max_epochs=2, seed=4)


@pytest.fixture
def data(tmp_path: Path) -> EmbeddedDataset:
    return SeededData(items=80, encoder=SeededEncoder(6), store=tmp_path / "store").embedded


@pytest.mark.slow
@pytest.mark.parametrize("calibration", ["none", "temperature"])
def test_predict_takes_the_checkpoint_of_a_head_that_the_population_trained(
    run_cli: RunCli, data: EmbeddedDataset, tmp_path: Path, calibration: str
) -> None:
    (result,) = PopulationEngine(accelerator="cpu").train(data, [SPEC], keep_heads=True)
    save_checkpoint(data, result, tmp_path / "best.ckpt", calibration)
    done = run_cli(
        "predict", "--data=tests.toys.SeededData", "--data.items=80", "--data.encoder=tests.toys.SeededEncoder",
        "--data.encoder.width=6", f"--data.store={tmp_path / 'store'}", "--model.hidden_width=8",
        f"--model.calibration={calibration}",
        f"--ckpt_path={tmp_path / 'best.ckpt'}", f"--trainer.default_root_dir={tmp_path}", "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
    )  # fmt: skip
    assert done.code == 0, done.err
    (file,) = (tmp_path / "lightning_logs").rglob("predictions.csv")
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    head = MLPHead(6, 3, 8, 0.0, 0)
    assert result.state is not None
    head.load_state_dict(result.state)
    logits = head(data.features[torch.arange(80)]).detach()
    if calibration == "temperature":
        by_hand, val = Temperature(), data.dataset.rows("val")
        by_hand.fit(predict(head, data.features, val), data.dataset.observed.take(val))
        assert abs(float(by_hand.temperature) - 1) > 0.01
        logits = by_hand(logits)
    wanted = logits.softmax(-1)
    assert [float(row["p_low"]) for row in rows] == pytest.approx(wanted[:, 0].tolist(), abs=1e-6)
    assert {row["split"] for row in rows} == {"train", "val", "test"}


def test_a_result_without_its_head_is_refused(data: EmbeddedDataset, tmp_path: Path) -> None:
    (result,) = PopulationEngine(accelerator="cpu").train(data, [replace(SPEC, max_epochs=1)])
    with pytest.raises(ValueError, match="got one without"):
        save_checkpoint(data, result, tmp_path / "best.ckpt")
    assert not (tmp_path / "best.ckpt").exists()


def test_the_best_run_is_written_with_its_head_once(data: EmbeddedDataset, tmp_path: Path) -> None:
    engine = PopulationEngine(accelerator="cpu")
    (record,) = Runner(RecordStore(tmp_path / "records"), engine).run(data, [SPEC])
    path, derived = tmp_path / "best-soft.yaml", tmp_path / "best-soft_t.yaml"
    files = [BestFiles(path, "# this run\n"), BestFiles(derived, "# this run\n", "temperature")]
    asked = engine.work.asked
    BestHeads([(record, files)], data).train(engine)
    assert path.read_text() == "# this run\n"
    (once,) = [engine.work.asked - asked]
    loaded = SoftLabelModule.load_from_checkpoint(derived.with_suffix(".ckpt"), weights_only=True)
    plain = SoftLabelModule.load_from_checkpoint(path.with_suffix(".ckpt"), weights_only=True)
    (result,) = engine.train(data, [SPEC], keep_heads=True)
    assert result.state is not None
    assert all(torch.equal(value, result.state[name]) for name, value in loaded.head.state_dict().items())
    assert (loaded.hparams["calibration"], plain.hparams["calibration"]) == ("temperature", "none")
    assert engine.work.asked - asked == 2 * once, "both files from one training, and the training above"
    written, asked = path.with_suffix(".ckpt").stat().st_mtime_ns, engine.work.asked
    BestHeads([(record, files)], data).train(engine)
    assert (path.with_suffix(".ckpt").stat().st_mtime_ns, engine.work.asked) == (written, asked)
    BestHeads([(record, [BestFiles(path, "# another\n"), files[1]])], data).train(engine)
    assert path.read_text() == "# another\n"
    assert path.with_suffix(".ckpt").stat().st_mtime_ns > written


def test_the_best_head_is_taken_from_a_run_that_trains_anyhow(data: EmbeddedDataset, tmp_path: Path) -> None:
    engine = PopulationEngine(accelerator="cpu")
    runner = Runner(RecordStore(tmp_path / "records"), engine)
    (record,) = runner.run(data, [SPEC])
    heads = BestHeads([(record, [BestFiles(tmp_path / "best-soft.yaml", "# this run\n")])], data)
    runner.run_all([Task(data, [replace(SPEC, seed=seed) for seed in (SPEC.seed, 9)], trained=heads.take)], judged=True)
    assert (tmp_path / "best-soft.yaml").read_text() == "# this run\n"
    loaded = SoftLabelModule.load_from_checkpoint(tmp_path / "best-soft.ckpt", weights_only=True)
    (result,) = PopulationEngine(accelerator="cpu").train(data, [SPEC], keep_heads=True)
    assert result.state is not None
    for name, value in loaded.head.state_dict().items():
        torch.testing.assert_close(value, result.state[name])
    asked = engine.work.asked
    heads.train(engine)
    assert engine.work.asked == asked, "both files are there"
