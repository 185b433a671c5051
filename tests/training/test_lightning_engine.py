from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.training.lightning_engine import LightningEngine, loaders_of, module_of
from soft_labels.training.spec import CONFIG_KEYS, RunResult, RunSpec
from tests.toys import SeededData, SeededEncoder

RunCli = Callable[..., Any]
ENGINE = LightningEngine(accelerator="cpu")
QUICK = RunSpec(hidden_width=8, lr=1e-3, max_epochs=3)
OVERFITTING = RunSpec(
    "hard", hidden_width=32, dropout=0.3, lr=3e-2, weight_decay=1e-4, scheduler="plateau", plateau_patience=0,
    seed=4, batch_size=8, max_epochs=12, patience=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "store"


@pytest.fixture(scope="module")
def data(store: Path) -> EmbeddedDataset:
    return SeededData(100, encoder=SeededEncoder(), store=store).embedded


def train(data: EmbeddedDataset, spec: RunSpec, **settings: Any) -> RunResult:
    (result,) = ENGINE.train(data, [spec], **settings)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("spec", [QUICK, OVERFITTING], ids=["all epochs", "early stopping and cuts"])
def test_a_spec_gives_the_curves_and_the_head_of_an_ordinary_fit(
    run_cli: RunCli, data: EmbeddedDataset, store: Path, tmp_path: Path, spec: RunSpec
) -> None:
    options = [f"--{CONFIG_KEYS[field]}={value}" for field, value in spec.settings().items()]
    run_cli(
        "fit", "--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", "--data.items=100",
        f"--data.store={store}", f"--trainer.default_root_dir={tmp_path}",
        "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", *options,
    )  # fmt: skip
    (folder,) = (tmp_path / "lightning_logs" / "seeded").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    result = train(data, spec, monitor_test=True, keep_heads=True)
    for split in ("train", "val", "test"):
        for name in ("loss", "accuracy", "kl", "entropy_corr"):
            logged = [point.value for point in events.Scalars(f"{split}/{name}")]
            assert result.curve[f"{split}/{name}"] == pytest.approx(logged, abs=1e-6)
    assert result.best_epoch == checkpoint["epoch"]
    assert result.state is not None
    for key, value in result.state.items():
        assert torch.equal(value, checkpoint["state_dict"][f"head.{key}"])


def test_training_ends_after_all_epochs_or_early_and_says_so(data: EmbeddedDataset) -> None:
    all_of_them, early = ENGINE.train(data, [QUICK, OVERFITTING])
    assert (all_of_them.ending, len(all_of_them.curve["val/loss"])) == ("max_epochs", 3)
    assert early.ending == "early_stopping"
    assert len(early.curve["val/loss"]) == early.best_epoch + 1 + OVERFITTING.patience < 12
    assert early.curve["lr"][0] == 3e-2
    assert early.curve["lr"][-1] < 3e-2, "cuts are part of the curve"


def test_curves_hold_the_values_of_their_own_epoch(data: EmbeddedDataset) -> None:
    short, long = (train(data, RunSpec(lr=1e-3, max_epochs=epochs)).curve for epochs in (1, 3))
    assert all(values[:1] == short[key] for key, values in long.items())
    assert {len(values) for values in long.values()} == {3}
    assert set(long) == {
        "lr", *(f"{split}/{name}" for split in ("train", "val") for name in ("loss", "accuracy", "kl", "entropy_corr"))
    }  # fmt: skip


def test_a_true_answer_ends_that_run_alone(data: EmbeddedDataset) -> None:
    seen: list[tuple[int, int, float]] = []

    def prune(position: int, epoch: int, loss: float) -> bool:
        seen.append((position, epoch, loss))
        return (position, epoch) == (1, 1)

    free, pruned = ENGINE.train(data, [QUICK, QUICK], after_epoch=prune)
    assert (free.ending, pruned.ending) == ("max_epochs", "pruned")
    assert pruned.curve == {key: values[:2] for key, values in free.curve.items()}
    assert seen == [
        (position, epoch, loss)
        for position, result in enumerate((free, pruned))
        for epoch, loss in enumerate(result.curve["val/loss"])
    ]


@pytest.mark.slow
def test_standardising_is_the_specs_choice(data: EmbeddedDataset) -> None:
    on, off = ENGINE.train(data, [QUICK, RunSpec(hidden_width=8, standardize=False)], keep_heads=True)
    assert on.state is not None
    assert off.state is not None
    assert torch.equal(on.state["feature_mean"], data.feature_statistics[0])
    assert torch.equal(off.state["feature_mean"], torch.zeros(data.embedding_dim))


def test_the_callers_data_stay_as_they_are(data: EmbeddedDataset) -> None:
    before = data.record(), data.features.checksum, data.dataset.split
    train(data, RunSpec(batch_size=32, seed=9, max_epochs=1))
    assert (data.record(), data.features.checksum, data.dataset.split) == before


def test_loaders_have_the_specs_mini_batches_and_order(data: EmbeddedDataset) -> None:
    spec = RunSpec(batch_size=7, seed=9)
    loaders, same, other = (loaders_of(data, replace(spec, seed=seed), monitor_test=False) for seed in (9, 9, 10))
    batches = [batch.rows.tolist() for batch in loaders.train_dataloader()]
    assert [len(rows) for rows in batches] == [7] * 9 + [6]
    assert sorted(row for rows in batches for row in rows) == sorted(data.dataset.rows("train").tolist())
    assert batches == [batch.rows.tolist() for batch in same.train_dataloader()]
    assert batches != [batch.rows.tolist() for batch in other.train_dataloader()]


def test_the_module_of_a_spec_holds_its_settings(data: EmbeddedDataset) -> None:
    module = module_of(data, OVERFITTING, "temperature")
    assert dict(module.hparams) == {
        "num_classes": 3, "embedding_dim": 16, "ordinal": True, "calibration": "temperature", **OVERFITTING.of_module()
    }  # fmt: skip


def test_training_that_breaks_down_keeps_its_curve(data: EmbeddedDataset) -> None:
    result = train(data, RunSpec(lr=1e30, hidden_width=8))
    assert result.ending == "early_stopping"
    assert result.best_epoch == 0
    assert not torch.isfinite(torch.tensor(result.curve["val/loss"][-1]))
