import copy
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import scipy.stats
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from soft_labels.data import AnnotationDataModule
from soft_labels.data.batches import epoch_seed
from soft_labels.errors import ConfigError
from soft_labels.training.heads import MLPHead
from soft_labels.training.module import SoftLabelModule
from tests.toys import SeededData, SeededEncoder

WIDTH, CLASSES, BATCH = 16, 3, 8


class Curves(Callback):
    """Keeps every epoch's metrics and learning rate."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.last_epoch = trainer.current_epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning calls callbacks before the module, so the training split's values are those of the epoch before.
        values = {key: value.item() for key, value in trainer.callback_metrics.items() if not key.startswith("train")}
        self.epochs.append({**values, "lr": trainer.optimizers[0].param_groups[0]["lr"]})


@pytest.fixture
def datamodule(tmp_path: Path) -> AnnotationDataModule:
    return SeededData(encoder=SeededEncoder(WIDTH), store=tmp_path / "store", batch_size=BATCH, order_seed=3)


def module(**settings: Any) -> SoftLabelModule:
    return SoftLabelModule(CLASSES, WIDTH, ordinal=True, hidden_width=32, seed=3, **settings)


def fit(
    model: SoftLabelModule,
    data: AnnotationDataModule,
    tmp_path: Path,
    epochs: int,
    patience: int = 50,
    resume: Path | None = None,
) -> tuple[Trainer, Curves]:
    curves = Curves()
    stop = EarlyStopping("val/loss", patience=patience, min_delta=1e-4)
    trainer = Trainer(
        accelerator="cpu", max_epochs=epochs, logger=False, default_root_dir=tmp_path, num_sanity_val_steps=0,
        enable_progress_bar=False, enable_model_summary=False,
        callbacks=[curves, stop, ModelCheckpoint(tmp_path / "ckpt", monitor="val/loss", filename="best")],
    )  # fmt: skip
    trainer.fit(model, datamodule=data, ckpt_path=resume)
    return trainer, curves


def seeded(seed: int, epoch: int, draw: Literal["order", "dropout"]) -> torch.Generator:
    return torch.Generator().manual_seed(epoch_seed(seed, epoch, draw))


class PlainLoop:
    """The same rule by hand, in double precision where it can be: what one head alone must do."""

    def __init__(self, model: SoftLabelModule, data: AnnotationDataModule, seed: int) -> None:
        self.hparams, self.data, self.seed = model.hparams, data, seed
        head = cast("MLPHead", model.head)
        layers = copy.deepcopy([head.hidden, head.output])
        self.parameters = [part.detach().clone().requires_grad_() for layer in layers for part in layer.parameters()]
        everything = data.embedded.features[torch.arange(len(data.dataset.data))].numpy()
        scaler = StandardScaler().fit(everything[data.dataset.rows("train").numpy()])
        self.features = torch.from_numpy(scaler.transform(everything)).float()
        _, self.dist, self.label, _ = data.dataset.observed

    def logits(self, rows: Tensor, mask: Tensor | None = None) -> Tensor:
        w1, b1, w2, b2 = self.parameters
        hidden = F.gelu(self.features[rows] @ w1.T + b1)
        return (hidden if mask is None else hidden * mask) @ w2.T + b2

    def loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        if self.hparams["target"] == "soft":
            return F.cross_entropy(logits, self.dist[rows])
        return F.cross_entropy(logits, self.label[rows])

    def run(self, epochs: int, patience: int) -> list[tuple[float, float]]:
        """Validation loss and learning rate of each epoch."""
        hparams = self.hparams
        optimizer = torch.optim.Adam(self.parameters, lr=hparams["lr"], weight_decay=hparams["weight_decay"])
        keep, train, val = 1 - hparams["dropout"], self.data.dataset.rows("train"), self.data.dataset.rows("val")
        curve: list[tuple[float, float]] = []
        lowest, since_cut, reference, waited = float("inf"), 0, float("inf"), 0
        for epoch in range(epochs):
            order = torch.randperm(len(train), generator=seeded(self.seed, epoch, "order"))
            masks = seeded(self.seed, epoch, "dropout")
            for start in range(0, len(train), BATCH):
                rows = train[order][start : start + BATCH]
                mask = torch.empty(len(rows), len(self.parameters[1])).bernoulli_(keep, generator=masks) / keep
                optimizer.zero_grad()
                self.loss(self.logits(rows, mask), rows).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            with torch.no_grad():
                value = self.loss(self.logits(val), val).item()
            if value < lowest * (1 - 1e-4):
                lowest, since_cut = value, 0
            else:
                since_cut += 1
            if hparams["scheduler"] == "plateau" and since_cut > hparams["plateau_patience"]:
                optimizer.param_groups[0]["lr"] *= hparams["plateau_factor"]
                since_cut = 0
            curve.append((value, optimizer.param_groups[0]["lr"]))
            waited = 0 if value < reference - 1e-4 else waited + 1
            reference = min(reference, value) if waited == 0 else reference
            if waited >= patience:
                break
        return curve


@pytest.mark.slow
@pytest.mark.parametrize("target", ["soft", "hard"])
@pytest.mark.parametrize("scheduler", ["none", "plateau"])
def test_a_fit_follows_the_rule_written_out_by_hand(
    datamodule: AnnotationDataModule, tmp_path: Path, target: str, scheduler: Any
) -> None:
    model = module(target=target, scheduler=scheduler, plateau_patience=0, lr=1e-2, weight_decay=1e-4, dropout=0.3)
    by_hand = PlainLoop(model, datamodule, seed=3).run(epochs=30, patience=4)
    _, curves = fit(model, datamodule, tmp_path, epochs=30, patience=4)
    assert len(by_hand) < 30, "early stopping must be part of what is compared"
    np.testing.assert_allclose([epoch["val/loss"] for epoch in curves.epochs], [loss for loss, _ in by_hand], atol=2e-5)
    ours, theirs = [epoch["lr"] for epoch in curves.epochs], [lr for _, lr in by_hand]
    if scheduler == "plateau":
        assert len(set(theirs)) > 1, "a cut must be part of what is compared"
        # Lightning's plateau schedule acts after the callbacks of an epoch, so that they see the cut one epoch later.
        np.testing.assert_allclose(ours[1:], theirs[:-1])
    else:
        assert set(ours) == {1e-2}


def test_every_epoch_has_the_metrics_of_the_protocol(datamodule: AnnotationDataModule, tmp_path: Path) -> None:
    model = module(target="soft", lr=1e-3)
    trainer, curves = fit(model, datamodule, tmp_path, epochs=3)
    wanted = {f"{split}/{name}" for split in ("val", "test") for name in ("loss", "accuracy", "kl", "entropy_corr")}
    assert all(wanted <= epoch.keys() for epoch in curves.epochs)
    assert {f"train/{name}" for name in ("loss", "accuracy", "kl", "entropy_corr")} <= trainer.callback_metrics.keys()
    rows = datamodule.dataset.rows("val")
    label_dist = datamodule.dataset.observed.label_dist[rows].double().numpy()
    with torch.inference_mode():
        pred_dist = model(datamodule.embedded.features[rows]).double().softmax(dim=-1).numpy()
    kl = scipy.stats.entropy(label_dist, pred_dist, axis=1).mean()
    corr = scipy.stats.pearsonr(scipy.stats.entropy(label_dist, axis=1), scipy.stats.entropy(pred_dist, axis=1))[0]
    accuracy = (pred_dist.argmax(1) == datamodule.dataset.observed.majority_label[rows].numpy()).mean()
    last = curves.epochs[-1]
    assert last["val/kl"] == pytest.approx(kl, abs=1e-6)
    assert last["val/entropy_corr"] == pytest.approx(corr, abs=1e-6)
    assert last["val/accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_testing_reports_the_metrics_for_ordered_classes_and_the_generating_distribution(
    datamodule: AnnotationDataModule, tmp_path: Path
) -> None:
    model = module(lr=1e-3)
    trainer, _ = fit(model, datamodule, tmp_path, epochs=2)
    (metrics,) = trainer.test(model, ckpt_path="best", datamodule=datamodule, verbose=False)
    assert {"test/wasserstein", "test/rps", "test/js", "test/tv", "test/brier", "test/entropy_error"} <= metrics.keys()
    true_dist = datamodule.dataset.observed.true_dist
    assert true_dist is not None
    rows = datamodule.dataset.rows("test")
    with torch.inference_mode():
        pred_dist = model(datamodule.embedded.features[rows]).softmax(dim=-1)
    expected = scipy.stats.entropy(true_dist[rows].numpy(), pred_dist.numpy(), axis=1).mean()
    assert metrics["test/kl_to_true"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_the_test_split_decides_nothing(datamodule: AnnotationDataModule, tmp_path: Path) -> None:
    _, watched = fit(module(), datamodule, tmp_path / "watched", epochs=4)
    blind = SeededData(
        encoder=SeededEncoder(WIDTH), store=tmp_path / "store", batch_size=BATCH, order_seed=3, monitor_test=False
    )
    _, unwatched = fit(module(), blind, tmp_path / "unwatched", epochs=4)
    assert [epoch["val/loss"] for epoch in watched.epochs] == [epoch["val/loss"] for epoch in unwatched.epochs]
    assert "test/loss" in watched.epochs[0]
    assert "test/loss" not in unwatched.epochs[0]


@pytest.mark.slow
def test_the_seed_decides_weights_order_and_masks(datamodule: AnnotationDataModule, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first, _ = fit(module(dropout=0.5), datamodule, tmp_path / "1", epochs=2)
    torch.manual_seed(2)
    second, _ = fit(module(dropout=0.5), datamodule, tmp_path / "2", epochs=2)
    assert first.callback_metrics["val/loss"] == second.callback_metrics["val/loss"]
    other = SoftLabelModule(CLASSES, WIDTH, hidden_width=32, seed=4)
    drawn = [cast("MLPHead", one.head).hidden.weight for one in (other, module())]
    assert not torch.equal(*drawn)


def test_feature_statistics_travel_with_the_checkpoint(datamodule: AnnotationDataModule, tmp_path: Path) -> None:
    fit(module(), datamodule, tmp_path, epochs=1)
    loaded = SoftLabelModule.load_from_checkpoint(tmp_path / "ckpt" / "best.ckpt", weights_only=True)
    train = datamodule.embedded.features[datamodule.dataset.rows("train")].numpy()
    np.testing.assert_allclose(loaded.head.feature_mean, train.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(loaded.head.feature_scale, train.std(axis=0), rtol=1e-5)


def test_raw_features_are_left_alone_where_that_is_set(datamodule: AnnotationDataModule, tmp_path: Path) -> None:
    model = module(standardize=False)
    fit(model, datamodule, tmp_path, epochs=1)
    assert torch.equal(model.head.feature_scale, torch.ones(WIDTH))


@pytest.mark.slow
def test_a_resumed_run_goes_on_where_it_was(datamodule: AnnotationDataModule, tmp_path: Path) -> None:
    whole, _ = fit(module(lr=1e-3), datamodule, tmp_path / "whole", epochs=4)
    fit(module(lr=1e-3), datamodule, tmp_path / "part", epochs=2)
    last = tmp_path / "part" / "ckpt" / "best.ckpt"
    trainer, curves = fit(module(lr=1e-3), datamodule, tmp_path / "resumed", epochs=4, resume=last)
    assert len(curves.epochs) == 2
    assert trainer.callback_metrics["val/loss"] == whole.callback_metrics["val/loss"]


@pytest.mark.parametrize(
    ("change", "what"),
    [({"name": "others"}, "dataset"), ({"split_seed": 7}, "split"), ({"items": 190}, "inputs")],
)
def test_a_checkpoint_of_other_data_is_refused(
    datamodule: AnnotationDataModule, tmp_path: Path, change: dict[str, Any], what: str
) -> None:
    trainer, _ = fit(module(), datamodule, tmp_path, epochs=1)
    other = SeededData(encoder=SeededEncoder(WIDTH), store=tmp_path / "store", **change)
    with pytest.raises(ConfigError, match=f"trained on another {what}"):
        trainer.test(module(), ckpt_path=tmp_path / "ckpt" / "best.ckpt", datamodule=other, verbose=False)


def test_a_checkpoint_of_another_encoder_is_refused(datamodule: AnnotationDataModule, tmp_path: Path) -> None:
    trainer, _ = fit(module(), datamodule, tmp_path, epochs=1)
    other = SeededData(encoder=SeededEncoder(WIDTH + 1), store=tmp_path / "store")
    model = SoftLabelModule(CLASSES, WIDTH + 1)
    with pytest.raises(ConfigError, match="trained on another encoder"):
        trainer.test(model, ckpt_path=tmp_path / "ckpt" / "best.ckpt", datamodule=other, verbose=False)


def test_dropout_of_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"from 0 to below 1, got HeadSpec\(.*dropout=1,"):
        module(dropout=1)
