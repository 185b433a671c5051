from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from scipy.optimize import minimize
from sklearn.metrics import log_loss
from torch import Tensor

from soft_labels.data.batches import Observed
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.errors import ConfigError
from soft_labels.training.calibration import CALIBRATIONS, Temperature, calibrated, make_calibration
from soft_labels.training.lightning_engine import loaders_of, module_of
from soft_labels.training.module import SoftLabelModule
from soft_labels.training.predict import predict
from soft_labels.training.spec import RunSpec
from tests.toys import SeededData, SeededEncoder

SPEC = RunSpec(hidden_width=32, lr=3e-2, batch_size=8, max_epochs=6, dropout=0.0)


def simulated(temperature: float, items: int = 20_000, annotators: int = 5) -> tuple[Tensor, Observed]:
    """Logits that are overconfident by a known factor, and annotations drawn from the honest ones."""
    generator = torch.Generator().manual_seed(0)
    honest = 1.5 * torch.randn(items, 4, generator=generator, dtype=torch.float64)
    draws = honest.softmax(-1).multinomial(annotators, replacement=True, generator=generator)
    counts = torch.nn.functional.one_hot(draws, 4).sum(1).double()
    return temperature * honest, Observed(counts, counts / annotators, counts.argmax(-1))


def fitted(name: str, logits: Tensor, observed: Observed) -> float:
    calibration = make_calibration(name)
    calibration.fit(logits, observed)
    assert isinstance(calibration, Temperature)
    return float(calibration.temperature)


@pytest.mark.parametrize("truth", [0.5, 1.0, 3.0])
def test_the_temperature_is_the_factor_of_overconfidence(truth: float) -> None:
    assert fitted("temperature", *simulated(truth)) == pytest.approx(truth, rel=0.02)


@pytest.mark.slow
def test_the_temperature_is_the_one_that_scipy_finds_for_the_log_loss_of_scikit_learn() -> None:
    logits, observed = simulated(2.5, items=400)
    item, label = (observed.label_dist > 0).nonzero(as_tuple=True)
    weight = observed.label_dist[item, label].numpy()

    def soft(at: float) -> float:
        pred = (logits / np.exp(at)).softmax(-1)[item].numpy()
        return float(log_loss(label.numpy(), pred, labels=range(4), sample_weight=weight))

    def hard(at: float) -> float:
        return float(log_loss(observed.majority_label, (logits / np.exp(at)).softmax(-1).numpy(), labels=range(4)))

    losses: dict[str, Callable[[float], float]] = {"temperature": soft, "temperature_majority": hard}
    found = {name: fitted(name, logits, observed) for name in losses}
    for name, loss in losses.items():
        theirs = minimize(lambda at, loss=loss: loss(float(at[0])), [0.0], method="Nelder-Mead", tol=1e-10).x[0]
        assert found[name] == pytest.approx(np.exp(theirs), rel=1e-5)
    assert found["temperature_majority"] < 0.9 * found["temperature"], "a majority says nothing of disagreement"


def test_calibrated_logits_are_the_logits_over_the_temperature_fitted_on_validation_items_alone() -> None:
    logits, observed = simulated(2.0, items=300)
    rows = torch.arange(100)
    found = calibrated("temperature", logits[rows], observed.take(rows), logits[100:])
    by_hand = logits[100:] / fitted("temperature", logits[rows], observed.take(rows))
    torch.testing.assert_close(found, by_hand)
    spoilt = logits[100:].clone()
    spoilt[:50] = 0
    torch.testing.assert_close(calibrated("temperature", logits[rows], observed.take(rows), spoilt)[50:], found[50:])


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_every_calibration_takes_leading_dimensions_and_keeps_its_fit(name: str) -> None:
    logits, observed = simulated(2.0, items=200)
    calibration, fresh = make_calibration(name), make_calibration(name)
    calibration.fit(logits.float(), observed)
    many = torch.randn(2, 7, 4)
    assert calibration(many).shape == many.shape
    assert calibration(many).dtype == torch.float32
    torch.testing.assert_close(calibration(many)[1, 3], calibration(many[1, 3]))
    assert torch.equal(calibration(many).argmax(-1), many.argmax(-1))
    fresh.load_state_dict(calibration.state_dict())
    assert torch.equal(fresh(many), calibration(many))


def test_no_calibration_leaves_logits_as_they_are() -> None:
    logits, observed = simulated(2.0, items=20)
    assert calibrated("none", logits, observed, logits) is logits


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    logits, observed = simulated(1.0, items=10)
    logits[3, 2] = value
    with pytest.raises(ConfigError, match="wanted finite logits to fit a temperature to, got others"):
        make_calibration("temperature").fit(logits, observed)


def test_a_name_that_is_no_row_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"wanted a calibration of none, .*, got temprature; did you mean temperat"):
        make_calibration("temprature")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedDataset:
    return SeededData(items=120, encoder=SeededEncoder(16), store=tmp_path_factory.mktemp("store")).embedded


def fit(data: EmbeddedDataset, calibration: str, folder: Path) -> tuple[Trainer, Path]:
    keep = ModelCheckpoint(folder, monitor="val/loss", filename="best")
    trainer = Trainer(
        accelerator="cpu", max_epochs=SPEC.max_epochs, logger=False, num_sanity_val_steps=0, callbacks=[keep],
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loaders = loaders_of(data, SPEC, monitor_test=True)
    loaders.eval_batch_size = 7  # several batches of validation items
    trainer.fit(module_of(data, SPEC, calibration), datamodule=loaders)
    return trainer, Path(keep.best_model_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["temperature", "temperature_majority"])
def test_the_checkpoint_carries_the_temperature_of_its_own_epoch_and_test_and_predict_use_it(
    data: EmbeddedDataset, tmp_path: Path, name: str
) -> None:
    trainer, checkpoint = fit(data, name, tmp_path)
    loaded = SoftLabelModule.load_from_checkpoint(checkpoint, weights_only=True)
    assert torch.load(checkpoint, weights_only=True)["epoch"] + 1 < SPEC.max_epochs, "not the last epoch's"
    rows = data.dataset.rows("val")
    by_hand = fitted(name, predict(loaded.head, data.features, rows), data.dataset.observed.take(rows))
    assert isinstance(loaded.calibration, Temperature)
    assert float(loaded.calibration.temperature) == pytest.approx(by_hand, rel=1e-5)
    assert abs(by_hand - 1) > 0.05, "there must be something to calibrate"

    module, loaders = module_of(data, SPEC, name), loaders_of(data, SPEC, monitor_test=True)
    (tested,) = trainer.test(module, ckpt_path=str(checkpoint), datamodule=loaders, verbose=False)
    rows = data.dataset.rows("test")
    pred = predict(loaded.head, data.features, rows) / by_hand
    expected = torch.nn.functional.cross_entropy(pred, data.dataset.observed.label_dist[rows])
    assert tested["test/loss"] == pytest.approx(expected.item(), abs=1e-5)
    (batch,) = trainer.predict(module, ckpt_path=str(checkpoint), datamodule=loaders)  # type: ignore[misc]
    torch.testing.assert_close(batch["pred_dist"][rows], pred.softmax(-1), atol=1e-6, rtol=0)  # type: ignore[call-overload]


@pytest.mark.slow
def test_a_calibration_changes_nothing_of_training(data: EmbeddedDataset, tmp_path: Path) -> None:
    plain, warm = (fit(data, name, tmp_path / name) for name in ("none", "temperature"))
    for key, value in plain[0].callback_metrics.items():
        assert value == warm[0].callback_metrics[key], key
    states = [torch.load(path, weights_only=True)["state_dict"] for _, path in (plain, warm)]
    assert states[1].keys() - states[0].keys() == {"calibration.temperature"}
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_checkpoint_of_another_calibration_is_not_taken_silently(data: EmbeddedDataset, tmp_path: Path) -> None:
    trainer, checkpoint = fit(data, "temperature", tmp_path)
    loaders = loaders_of(data, SPEC, monitor_test=False)
    with pytest.raises(RuntimeError, match=r"Unexpected key\(s\) in state_dict: \"calibration\.temperature\""):
        trainer.test(module_of(data, replace(SPEC), "none"), ckpt_path=str(checkpoint), datamodule=loaders)
