"""What a run leaves behind: its split, its figures and final metrics in TensorBoard, its predictions."""

import copy
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn

from soft_labels.data import EmbeddedDataModule
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SplitName
from soft_labels.distributions import entropy
from soft_labels.files import naming, write_text
from soft_labels.training.best import BestCheckpoint, best_of, read_checkpoint
from soft_labels.training.calibration import CalibratedHead
from soft_labels.training.curves import CurveLogger, charts, log_reached
from soft_labels.training.figures import entropy_scatter, items_figure
from soft_labels.training.module import SoftLabelModule
from soft_labels.training.predict import predict
from soft_labels.training.prediction_table import TableFormat, prediction_columns, table_writer
from soft_labels.training.projector import PART, ProjectorSettings, item_map

results = logging.getLogger("soft_labels.results")
"""What is said also where notes are not wanted."""
BEST = "best.json"
"""What tells a run that ended from one that was stopped."""


def _datamodule(trainer: Trainer) -> EmbeddedDataModule:
    """The data module in use."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, EmbeddedDataModule):
        raise TypeError(f"wanted an EmbeddedDataModule, got {type(datamodule).__name__}")
    return datamodule


def _tensorboard(trainer: Trainer) -> TensorBoardLogger | None:
    """The run's TensorBoard logger, if it has one."""
    return next((one for one in trainer.loggers if isinstance(one, TensorBoardLogger)), None)


class RunReport(Callback):
    """Writes a run's split and metrics as files, and its charts, best epoch and figures to TensorBoard.

    - ``split.json`` when training starts, ``best.json`` when it ends; ``val_metrics.json`` or ``test_metrics.json``
      after an evaluation;
    - in TensorBoard one chart a quantity with a curve a split, and at the end of training the best epoch's metrics
      beside the settings in the HParams tab and two figures of the best epoch's weights.
    """

    def __init__(self) -> None:
        self.evaluated: dict[str, Any] | None = None
        """What the first process wrote of the last evaluation, with the folder that it lies in."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the uids of each part, and lay out the charts."""
        folder = trainer.log_dir  # asks all processes, so it must not stand below the next line
        if trainer.is_global_zero:
            self._start(trainer, folder, cast("SoftLabelModule", pl_module).spec.kind.solved)

    @staticmethod
    def _start(trainer: Trainer, folder: str | None, solved: bool) -> None:
        """What the first process writes at the start."""
        if folder is not None:
            (Path(folder) / BEST).unlink(missing_ok=True)  # of a run that goes on
            dataset = _datamodule(trainer).embedded.dataset
            drawn_with = {**dataset.split_settings(), "tie": dataset.tie}
            dataset.split.save(Path(folder) / "split.json", drawn_with)
        tensorboard = _tensorboard(trainer)
        if tensorboard is not None and not solved:
            with naming(Path(tensorboard.log_dir)):
                tensorboard.experiment.add_custom_scalars(charts())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the metrics of ``validate``."""
        if trainer.state.fn == "validate":
            self._write_metrics(trainer, "val")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Only training adds points to the curves."""
        for one in trainer.loggers:
            if isinstance(one, CurveLogger):
                one.closed = stage != "fit"

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the metrics of ``test``."""
        self._write_metrics(trainer, "test")

    def _write_metrics(self, trainer: Trainer, split: SplitName) -> None:
        """Every metric of a split with what it depends on."""
        folder = trainer.log_dir
        if folder is None or not trainer.is_global_zero:
            return
        values = {key: value.item() for key, value in trainer.callback_metrics.items() if key.startswith(split)}
        metrics = {key: value if math.isfinite(value) else None for key, value in values.items()}
        record = {"metrics": metrics, "data": _datamodule(trainer).embedded.identity()}
        write_text(Path(folder) / f"{split}_metrics.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
        self.evaluated = {"folder": folder, **record}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say which epoch was best, and show it in TensorBoard."""
        if not (trainer.is_global_zero and isinstance(pl_module, SoftLabelModule)):
            return
        best = best_of(trainer)
        if not best.best:
            return
        results.info(
            "best epoch %d by %s %.4f; checkpoint %s", best.epoch, best.monitor, best.best[best.monitor], best.path
        )
        if best.path is not None:
            values = {key: value if math.isfinite(value) else None for key, value in best.best.items()}
            record = {"epochs": trainer.current_epoch, "monitor": best.monitor, "best": values}
            write_text(best.path.parents[1] / BEST, json.dumps(record, indent=1, allow_nan=False) + "\n")
        tensorboard = _tensorboard(trainer)
        if tensorboard is not None:
            with naming(Path(tensorboard.log_dir)):
                self._show_best(trainer, pl_module, best, tensorboard)

    @staticmethod
    def _show_best(
        trainer: Trainer, module: SoftLabelModule, best: BestCheckpoint, tensorboard: TensorBoardLogger
    ) -> None:
        """The best epoch's metrics beside the hyperparameters, and figures of its weights."""
        datamodule = _datamodule(trainer)
        params = {**module.hparams, **datamodule.hparams}
        metrics = {f"best/{key}": value for key, value in best.best.items() if key.startswith(("val", "test", "ep"))}
        tensorboard.log_hyperparams(params)  # what encoding cost is known by now
        log_reached(Path(tensorboard.log_dir), params, metrics)
        split: SplitName = "test" if datamodule.monitors_test else "val"
        for tag, figure in best_figures(trainer, module, datamodule.embedded, split).items():
            tensorboard.experiment.add_figure(tag, figure, global_step=best.epoch)
        tensorboard.experiment.flush()


class ItemProjector(Callback):
    """Shows the validation items in TensorBoard's projector when training ends.

    Args:
        items: The most items that are shown; of more, so many are drawn with seed 0. With 0 none are shown.
        inputs: Keep texts, shortened, or thumbnails of images beside them; otherwise uids and numbers alone.
    """

    def __init__(self, items: int = ProjectorSettings.items, inputs: bool = ProjectorSettings.inputs) -> None:
        self.settings = ProjectorSettings(items, inputs)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them under the best epoch's weights."""
        tensorboard = _tensorboard(trainer)
        if tensorboard is None or not trainer.is_global_zero or not best_of(trainer).best:
            return
        data, head = _datamodule(trainer).embedded, best_head(trainer, cast("SoftLabelModule", pl_module))
        pred_dist = predict(head, data.features, data.dataset.rows(PART)).softmax(-1)
        found = item_map(data, {"the head": pred_dist}, self.settings)
        if found is not None:
            found.write(tensorboard.experiment)


def best_figures(trainer: Trainer, module: SoftLabelModule, data: EmbeddedDataset, split: SplitName) -> dict[str, Any]:
    """Figures of a split under the best checkpoint's weights, by TensorBoard tag."""
    dataset = data.dataset
    rows = dataset.rows(split)
    label_dist = dataset.observed.label_dist[rows]
    pred_dist = predict(best_head(trainer, module), data.features, rows).softmax(-1)
    uids = [dataset.data.uids[row] for row in rows]
    return {
        f"{split}/items": items_figure(label_dist, pred_dist, dataset.data.class_names, uids),
        f"{split}/entropy": entropy_scatter(entropy(label_dist), entropy(pred_dist)),
    }


def best_head(trainer: Trainer, module: SoftLabelModule) -> nn.Module:
    """The head with the best checkpoint's weights and calibration, on the CPU.

    Args:
        trainer: Has trained it.
        module: Of the same settings.
    """
    best = best_of(trainer).path
    other = copy.deepcopy(CalibratedHead(module.head, module.calibration)).cpu()
    if best is not None:
        other.load_own(read_checkpoint(best)["state_dict"])
    return other.float()


class PredictionFile(BasePredictionWriter):
    """Writes ``predictions.csv``: the columns of :func:`prediction_columns` with the split; one file a process.

    The split is that of the checkpoint's training; an item that was not there is ``new``.

    Args:
        form: The format, which is the file's suffix too.
    """

    def __init__(self, form: TableFormat = "csv") -> None:
        super().__init__(write_interval="epoch")
        self.form: TableFormat = form

    def write_on_epoch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        predictions: Sequence[Any],
        batch_indices: Sequence[Any],
    ) -> None:
        """Write this process's predictions."""
        datamodule = _datamodule(trainer)
        rows = torch.cat([prediction["rows"] for prediction in predictions]).tolist()
        pred_dist = torch.cat([prediction["pred_dist"] for prediction in predictions]).cpu()
        dataset = datamodule.embedded.dataset
        same_split = getattr(pl_module, "trained_split", {}) == datamodule.embedded.identity()["split"]
        part_of: Mapping[str, str] = dataset.part_of() if same_split else {}
        uids = [datamodule.items_to_predict.uids[row] for row in rows]
        split = [part_of.get(uid, "new") for uid in uids]
        name = "predictions" if trainer.world_size == 1 else f"predictions-{trainer.global_rank}"
        path = Path(trainer.log_dir or ".") / f"{name}.{self.form}"
        with table_writer(path, self.form) as add:
            add(prediction_columns(uids, pred_dist, dataset.data.class_names, split=split))
        print(f"{len(uids):,} predicted distributions in {path}")  # noqa: T201
