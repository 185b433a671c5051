"""What a run leaves behind: its split, its figures and final metrics in TensorBoard, its predictions."""

import copy
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from soft_labels.datamodules import AnnotationDataModule
from soft_labels.distributions import entropy
from soft_labels.figures import entropy_scatter, items_figure
from soft_labels.files import write_text, written_whole
from soft_labels.module import SoftLabelModule
from soft_labels.splits import SPLIT_NAMES, SplitName

logger = logging.getLogger(__name__)


def _datamodule(trainer: Trainer) -> AnnotationDataModule:
    """The data module in use."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, AnnotationDataModule):
        raise TypeError(f"wanted an AnnotationDataModule, got {type(datamodule).__name__}")
    return datamodule


class CurveLogger(TensorBoardLogger):
    """A TensorBoard logger whose curves have the epochs of training as their points, and no others.

    What is evaluated after training would stand at the number of optimiser steps, far to the right of every epoch; it
    is printed and written to a file instead (see :class:`RunReport`).
    """

    closed = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add points to the curves, unless they are closed."""
        if not self.closed:
            super().log_metrics(metrics, step)


def charts() -> dict[str, dict[str, list[str | list[str]]]]:
    """TensorBoard's layout of custom scalars: one chart a quantity with a curve a split."""
    quantities = ("loss", "accuracy", "kl", "entropy_corr")
    return {
        "train, validation, test": {
            quantity: ["Multiline", [f"{split}/{quantity}" for split in SPLIT_NAMES]] for quantity in quantities
        }
    }


def _tensorboard(trainer: Trainer) -> TensorBoardLogger | None:
    """The run's TensorBoard logger, if it has one."""
    return next((one for one in trainer.loggers if isinstance(one, TensorBoardLogger)), None)


class RunReport(Callback):
    """Writes a run's split and metrics as files, and its charts, best epoch and figures to TensorBoard.

    - ``split.json`` when training starts; ``val_metrics.json`` or ``test_metrics.json`` after an evaluation;
    - in TensorBoard one chart a quantity with a curve a split, and at the end of training the best epoch's metrics
      in the HParams tab and two figures of the best epoch's weights.
    """

    def __init__(self) -> None:
        self._best: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far, so that a resumed run remembers it."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best epoch from a checkpoint."""
        self._best = state_dict["best"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the uids of each part, and lay out the charts."""
        folder = trainer.log_dir  # asks all processes, so it must not stand below the next line
        if trainer.is_global_zero:
            self._start(trainer, folder)

    @staticmethod
    def _start(trainer: Trainer, folder: str | None) -> None:
        """What the first process writes at the start."""
        if folder is not None:
            datamodule = _datamodule(trainer)
            datamodule.split.save(Path(folder) / "split.json", datamodule.split_settings())
        tensorboard = _tensorboard(trainer)
        if tensorboard is not None:
            tensorboard.experiment.add_custom_scalars(charts())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the metrics of the epoch with the lowest validation loss; write those of ``validate``."""
        if trainer.state.fn == "validate":
            self._write_metrics(trainer, "val")
            return
        now = {key: value.item() for key, value in trainer.callback_metrics.items()}
        if now["val/loss"] < self._best.get("val/loss", float("inf")):
            self._best = {"epoch": float(trainer.current_epoch), **now}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Only training adds points to the curves."""
        for one in trainer.loggers:
            if isinstance(one, CurveLogger):
                one.closed = stage != "fit"

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the metrics of ``test``."""
        self._write_metrics(trainer, "test")

    @staticmethod
    def _write_metrics(trainer: Trainer, split: SplitName) -> None:
        """Every metric of a split with what it depends on."""
        folder = trainer.log_dir
        if folder is None or not trainer.is_global_zero:
            return
        metrics = {key: value.item() for key, value in trainer.callback_metrics.items() if key.startswith(split)}
        record = {"metrics": metrics, "data": _datamodule(trainer).identity()}
        write_text(Path(folder) / f"{split}_metrics.json", json.dumps(record, indent=1) + "\n")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say which epoch was best, and show it in TensorBoard."""
        if not (trainer.is_global_zero and self._best and isinstance(pl_module, SoftLabelModule)):
            return
        logger.info(
            "best epoch %d by val/loss %.4f; checkpoint %s",
            self._best["epoch"], self._best["val/loss"], getattr(trainer.checkpoint_callback, "best_model_path", ""),
        )  # fmt: skip
        tensorboard = _tensorboard(trainer)
        if tensorboard is not None:
            self._show_best(trainer, pl_module, tensorboard)

    def _show_best(self, trainer: Trainer, module: SoftLabelModule, tensorboard: TensorBoardLogger) -> None:
        """The best epoch's metrics beside the hyperparameters, and figures of its weights."""
        datamodule = _datamodule(trainer)
        params = {**module.hparams, **datamodule.hparams}
        metrics = {f"best/{key}": value for key, value in self._best.items() if key.startswith(("val", "test", "ep"))}
        tensorboard.log_hyperparams(params, metrics)
        split: SplitName = "test" if datamodule.monitor_test else "val"
        for tag, figure in best_figures(trainer, module, datamodule, split).items():
            tensorboard.experiment.add_figure(tag, figure, global_step=int(self._best["epoch"]))
        tensorboard.experiment.flush()


def best_figures(
    trainer: Trainer, module: SoftLabelModule, datamodule: AnnotationDataModule, split: SplitName
) -> dict[str, Any]:
    """Figures of a split under the best checkpoint's weights, by TensorBoard tag."""
    rows = datamodule.rows(split)
    label_dist = datamodule.targets.label_dist[rows]
    pred_dist = _best_predictions(trainer, module, datamodule, rows)
    uids = [datamodule.data.uids[row] for row in rows]
    return {
        f"{split}/items": items_figure(label_dist, pred_dist, datamodule.data.class_names, uids),
        f"{split}/entropy": entropy_scatter(entropy(label_dist), entropy(pred_dist)),
    }


@torch.inference_mode()
def _best_predictions(
    trainer: Trainer, module: SoftLabelModule, datamodule: AnnotationDataModule, rows: Tensor
) -> Tensor:
    """Predicted distributions of some rows under the best checkpoint, ``[n, C]``, on this process alone."""
    best = getattr(trainer.checkpoint_callback, "best_model_path", "")
    state = torch.load(best, map_location="cpu", weights_only=True)["state_dict"] if best else module.state_dict()
    head = copy.deepcopy(module.head).cpu()
    head.load_state_dict({key.removeprefix("head."): value.cpu() for key, value in state.items()})
    blocks = datamodule.features.batches(rows.numpy())
    return torch.cat([head(block).softmax(dim=-1) for block in blocks])


class PredictionFile(BasePredictionWriter):
    """Writes ``predictions.csv``: uid, split, probability of each class, entropy in nats; one file a process.

    The split is that of the checkpoint's training; an item that was not there is ``new``.
    """

    def __init__(self) -> None:
        super().__init__(write_interval="epoch")

    def write_on_epoch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        predictions: Sequence[Any],
        batch_indices: Sequence[Any],
    ) -> None:
        """Write this process's predictions."""
        import polars as pl

        datamodule = _datamodule(trainer)
        rows = torch.cat([prediction["rows"] for prediction in predictions]).tolist()
        pred_dist = torch.cat([prediction["pred_dist"] for prediction in predictions]).cpu()
        same_split = getattr(pl_module, "trained_split", {}) == datamodule.identity()["split"]
        split_of: Mapping[str, str] = datamodule.split_of() if same_split else {}
        uids = [datamodule.items_to_predict.uids[row] for row in rows]
        frame = pl.DataFrame(
            {
                "uid": uids,
                "split": [split_of.get(uid, "new") for uid in uids],
                **{
                    f"p_{name}": pred_dist[:, column].numpy() for column, name in enumerate(datamodule.data.class_names)
                },
                "entropy_nats": entropy(pred_dist).numpy().astype(np.float64),
            }
        )
        name = "predictions.csv" if trainer.world_size == 1 else f"predictions-{trainer.global_rank}.csv"
        path = Path(trainer.log_dir or ".") / name
        with written_whole(path) as partial:
            frame.write_csv(partial)
        print(f"{len(uids):,} predicted distributions in {path}")  # noqa: T201
