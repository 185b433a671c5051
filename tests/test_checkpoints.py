import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from soft_labels.checkpoints import save_checkpoint
from soft_labels.heads import MLPHead
from soft_labels.population import PopulationEngine
from soft_labels.runs import RunSpec
from tests.conftest import RunCli
from tests.toys import SeededData, SeededEncoder

SPEC = RunSpec(hidden_width=8, lr=1e-2, max_epochs=2, seed=4)


def test_predict_takes_the_checkpoint_of_a_head_that_the_population_trained(run_cli: RunCli, tmp_path: Path) -> None:
    data = SeededData(items=80, encoder=SeededEncoder(6), store=tmp_path / "store")
    (result,) = PopulationEngine(accelerator="cpu").train(data, [SPEC], keep_heads=True)
    save_checkpoint(data, result, tmp_path / "best.ckpt")
    done = run_cli(
        "predict", "--data=tests.toys.SeededData", "--data.items=80", "--data.encoder=tests.toys.SeededEncoder",
        "--data.encoder.width=6", f"--data.store={tmp_path / 'store'}", "--model.hidden_width=8",
        f"--ckpt_path={tmp_path / 'best.ckpt'}", f"--trainer.default_root_dir={tmp_path}", "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
    )  # fmt: skip
    assert done.code == 0, done.err
    (file,) = (tmp_path / "lightning_logs").rglob("predictions.csv")
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    head = MLPHead(6, 3, 8, 0.0, 0)
    assert result.state is not None
    head.load_state_dict(result.state)
    wanted = head(data.features[torch.arange(80)]).softmax(-1)
    assert [float(row["p_low"]) for row in rows] == pytest.approx(wanted[:, 0].tolist(), abs=1e-6)
    assert {row["split"] for row in rows} == {"train", "val", "test"}


def test_a_result_without_its_head_is_refused(tmp_path: Path) -> None:
    data = SeededData(items=80, encoder=SeededEncoder(6), store=tmp_path / "store")
    (result,) = PopulationEngine(accelerator="cpu").train(data, [replace(SPEC, max_epochs=1)])
    with pytest.raises(ValueError, match="got one without"):
        save_checkpoint(data, result, tmp_path / "best.ckpt")
    assert not (tmp_path / "best.ckpt").exists()
