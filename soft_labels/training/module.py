"""One head under Lightning: the same training rule for every target and loss."""

from collections.abc import Sequence
from typing import Any, TypedDict, cast

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from soft_labels.data import EmbeddedDataModule
from soft_labels.data.batches import Batch, BatchLoader, epoch_seed
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SplitName
from soft_labels.embeddings import features_alike
from soft_labels.errors import ConfigError, TrainingError
from soft_labels.metrics import MeanLoss, all_metrics, core_metrics
from soft_labels.training.best import migrated
from soft_labels.training.calibration import make_calibration
from soft_labels.training.heads import Head
from soft_labels.training.objectives import Aim, Objective, item_losses
from soft_labels.training.solved import SolvedHead
from soft_labels.training.spec import HeadSpec, check_honoured

# Fields of a spec that the module trains with; a field that is new is refused until it is honoured and named here.
HONOURED = ("target", "hidden_width", "dropout", "lr", "weight_decay", "scheduler", "plateau_factor",
            "plateau_patience", "standardize", "seed", "loss", "head", "neighbours")  # fmt: skip
# Metrics of single batches cost more than the step; batches held for a whole epoch hold the whole data set.
_BATCHES_HELD = 64
_TO_CALIBRATE = "to_calibrate"


class Prediction(TypedDict):
    """What ``predict`` gives for a batch: ``rows`` int64 ``[B]`` in the data set and ``pred_dist`` ``[B, C]``."""

    rows: Tensor
    pred_dist: Tensor


class SoftLabelModule(LightningModule):
    """A frozen encoder's features in, a distribution over classes out.

    Metrics of the training split are those of the training pass itself (dropout on, weights moving); those of the
    validation and test splits are taken after each epoch, before any calibration. Only ``val/loss`` is ever used to
    choose.

    Args:
        num_classes: Number of classes, C (linked from the data by the command line).
        embedding_dim: Width of the features, D (linked from the data by the command line).
        ordinal: Whether the classes are ordered; adds the metrics for ordered classes (linked from the data).
        calibration: A row of ``soft_labels.training.calibration.CALIBRATIONS``: fitted on the validation items after
            each epoch, kept in the checkpoint, applied by ``test`` and ``predict``.
        settings: See :class:`~soft_labels.training.spec.HeadSpec`.

    Raises:
        ConfigError: A setting is out of its range or no row of its table, or the classes do not define the loss.
    """

    head: Head

    def __init__(
        self, num_classes: int, embedding_dim: int, ordinal: bool = False, calibration: str = "none", **settings: Any
    ) -> None:
        super().__init__()
        self.spec = HeadSpec(**settings)
        check_honoured("fit", HONOURED, self.spec)
        self._objective = Objective(self.spec)
        self._objective.check(ordinal)
        self.calibration = make_calibration(calibration)
        self.save_hyperparameters(
            {
                "num_classes": num_classes,
                "embedding_dim": embedding_dim,
                "ordinal": ordinal,
                "calibration": calibration,
                **self.spec.settings(),
            }
        )
        self.head = self.spec.kind.make(embedding_dim, num_classes, self.spec)
        self.automatic_optimization = not self.spec.kind.solved
        self.split_metrics = nn.ModuleDict()
        self._judged_by: Aim | None = None
        self._trained_by: Aim | None = None
        self._train_outputs: list[tuple[Tensor, Batch, Aim]] = []
        self._mask_generator = torch.Generator()
        self._processes = 1
        self.trained_split: dict[str, Any] = {}  # of the loaded checkpoint

    def forward(self, features: Tensor) -> Tensor:
        """Calibrated logits ``[B, C]`` of features ``[B, D]``, without dropout."""
        return cast("Tensor", self.calibration(self.head(features)))

    def setup(self, stage: str) -> None:
        """Build the metrics of the stage; before training, take the training split's feature statistics."""
        if stage == "predict":
            return
        data = self._data()
        ordinal, known = self.hparams["ordinal"], data.dataset.observed.true_dist is not None
        make = core_metrics if stage == "fit" else lambda prefix: all_metrics(ordinal, known, prefix)
        parts: dict[str, tuple[SplitName, ...]] = {
            "fit": ("train", "val", "test"),
            "validate": ("val",),
            "test": ("test",),
        }
        self.split_metrics = nn.ModuleDict({f"on_{split}": _SplitMetrics(split, make) for split in parts[stage]})
        if stage == "fit" and self.hparams["calibration"] != "none":
            self.split_metrics[_TO_CALIBRATE] = _Held()
        self._judged_by = self._objective.judged_by(data.dataset.observed)
        if stage == "fit" and self.spec.standardize:
            self.head.set_feature_statistics(*data.feature_statistics)
        if stage == "fit" and isinstance(self.head, SolvedHead):
            self._solve(self.head, data)

    def _solve(self, head: SolvedHead, data: EmbeddedDataset) -> None:
        """Solve the head before the one epoch that judges it.

        Raises:
            ConfigError: Several processes would each solve it.
        """
        if self.trainer.world_size > 1:
            raise ConfigError(f"head {self.spec.head} is solved by one process, got {self.trainer.world_size}; "
                              "set trainer.devices=1")  # fmt: skip
        rows = data.dataset.rows("train")
        aim = self._objective.trained_by(data.dataset.observed, self.spec.seed, 0).take(rows)
        head.solve(torch.cat(list(data.features.batches(rows.numpy()))), aim)

    def _data(self) -> EmbeddedDataset:
        """The data in use."""
        return self._datamodule().embedded

    def _datamodule(self) -> EmbeddedDataModule:
        """The data module in use."""
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(datamodule, EmbeddedDataModule):
            raise ConfigError("wanted trainer.fit(module, datamodule=...) with a data module of this package, got none")
        return datamodule

    def _aim(self, whole: Aim | None, rows: Tensor) -> Aim:
        """What some items are trained towards or judged by."""
        assert whole is not None  # noqa: S101 (set before the first batch)
        return whole.take(rows)

    def _here(self, aim: Aim) -> Aim:
        """The aim on the device."""
        return Aim(*(None if part is None else part.to(self.device) for part in aim))  # type: ignore[arg-type]

    def _judge_here(self) -> None:
        """Before an evaluation: what losses are counted against, on the device."""
        assert self._judged_by is not None  # noqa: S101 (set up before)
        self._judged_by = self._here(self._judged_by)

    def on_validation_start(self) -> None:
        """Have what losses are counted against on the device."""
        self._judge_here()

    def on_test_start(self) -> None:
        """Have what losses are counted against on the device."""
        self._judge_here()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, and the plateau schedule if chosen; nothing for a head that is solved."""
        spec = self.spec
        if spec.kind.solved:
            return []
        optimizer = torch.optim.Adam(self.head.parameters(), lr=spec.lr, weight_decay=spec.weight_decay, fused=True)
        if spec.scheduler == "none":
            return optimizer
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=spec.plateau_factor, patience=spec.plateau_patience
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val/loss"}}

    def on_train_epoch_start(self) -> None:
        """Start the epoch's order, dropout and target draws, pure functions of seed and epoch."""
        self._processes = self.trainer.world_size
        cast("BatchLoader", self.trainer.train_dataloader).set_epoch(self.current_epoch)
        observed = self._data().dataset.observed
        self._trained_by = self._here(self._objective.trained_by(observed, self.spec.seed, self.current_epoch))
        if self._mask_generator.device.type != self.device.type:
            self._mask_generator = torch.Generator(self.device)
        self._mask_generator.manual_seed(epoch_seed(self.spec.seed, self.current_epoch, "dropout"))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Loss of this process's share; averaged over processes it is the mean over the whole mini-batch.

        A head that is solved has none: its training items are only counted.
        """
        processes = self._processes
        mask = self.head.dropout_mask(batch.global_size, self._mask_generator)
        if mask is not None and processes > 1:
            mask = mask[self.global_rank :: processes]
        logits = self.head(batch.features, mask)
        aim = self._aim(self._trained_by, batch.rows)
        self._train_outputs.append((logits.detach(), batch, aim))
        if len(self._train_outputs) == _BATCHES_HELD:
            self._count_train_outputs()
        if self.spec.kind.solved:
            return None
        return item_losses(self._objective.loss, aim, logits).sum() * (processes / batch.global_size)

    def on_train_epoch_end(self) -> None:
        """Log the training split's curves; a head that is solved has no other epoch."""
        self._count_train_outputs()
        self._log_split("train")
        self.trainer.should_stop |= self.spec.kind.solved

    def _count_train_outputs(self) -> None:
        """Count the batches held so far into the training split's metrics, many at once, and let them go."""
        if not self._train_outputs:
            return
        outputs, batches, aims = zip(*self._train_outputs, strict=True)
        self._train_outputs.clear()
        logits = torch.cat(outputs)
        weights = [aim.weight for aim in aims if aim.weight is not None]
        aim = Aim(torch.cat([aim.dist for aim in aims]), torch.cat(weights) if weights else None)
        losses = item_losses(self._objective.loss, aim, logits)
        self._metrics_of("train").update(losses, logits, *_labels_of(batches))

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Metrics of the validation split and, while fitting, of the monitored test split."""
        split: SplitName = "test" if dataloader_idx else "val"
        fitting = self.trainer.state.fn == "fit"
        logits = self.head(batch.features) if fitting else self(batch.features)
        self._update(split, logits, batch)
        if fitting and split == "val" and _TO_CALIBRATE in self.split_metrics:
            cast("_Held", self.split_metrics[_TO_CALIBRATE]).update(logits, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the evaluated splits, and fit the calibration that the epoch's checkpoint will hold."""
        self._log_split("val")
        if _TO_CALIBRATE in self.split_metrics:
            held = cast("_Held", self.split_metrics[_TO_CALIBRATE])
            logits, rows = held.compute()
            held.reset()
            if torch.isfinite(logits).all():  # training that breaks down is told by the checkpoint's own rule
                self.calibration.fit(logits, self._data().dataset.observed.take(rows.cpu()))
        if self.trainer.state.fn == "fit" and len(self.trainer.num_val_batches) > 1:
            self._log_split("test")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Every metric on the test split."""
        self._update("test", self(batch.features), batch)

    def on_test_epoch_end(self) -> None:
        """Log the test split."""
        self._log_split("test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Predicted distributions."""
        return {"rows": batch.rows, "pred_dist": self._finite(self(batch.features)).float().softmax(dim=-1)}

    @staticmethod
    def _finite(logits: Tensor) -> Tensor:
        """The logits, if all of them are numbers.

        Raises:
            TrainingError: One is not finite.
        """
        if not torch.isfinite(logits).all():
            raise TrainingError(
                "wanted finite predictions, got others: the features or the head are too large for trainer.precision; "
                "use 32-true"
            )
        return logits

    def _update(self, split: SplitName, logits: Tensor, batch: Batch) -> None:
        """Count a batch of evaluation into a split's metrics."""
        losses = item_losses(self._objective.loss, self._aim(self._judged_by, batch.rows), logits)
        self._metrics_of(split).update(losses, logits, *_labels_of([batch]))

    def _metrics_of(self, split: SplitName) -> "_SplitMetrics":
        """A split's metrics; the prefix keeps the name ``train`` free for torch."""
        return cast("_SplitMetrics", self.split_metrics[f"on_{split}"])

    def _log_split(self, split: SplitName) -> None:
        """Log a split's metrics, while fitting over the epoch as the horizontal axis."""
        values = self._metrics_of(split).finish()
        self.log_dict(values, sync_dist=True)
        if self.trainer.state.fn == "fit":
            self.log("step", float(self.current_epoch), sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note which data and features the head was trained on."""
        checkpoint["data_identity"] = self._data().identity()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other data or other features.

        Raises:
            ConfigError: The data set, its classes or the encoder differ from those that the head was trained on.
        """
        trainer = self._trainer
        if trainer is None:
            return
        now = migrated(dict(checkpoint))
        checkpoint.clear()
        checkpoint.update(now)
        trained = checkpoint.get("data_identity", {})
        self.trained_split = trained.get("split", {})
        check_identity(trained, self._data().identity(), predicting=trainer.state.fn == "predict")


def check_identity(trained: dict[str, Any], here: dict[str, Any], predicting: bool) -> None:
    """Refuse a checkpoint of other data or other features; predicting may meet other items of the same kind.

    Args:
        trained: The ``identity`` of the data module that the head was trained with.
        here: The ``identity`` of the present one.
        predicting: Whether the head is only asked for predictions.

    Raises:
        ConfigError: The classes or the features differ or, unless predicting, the data set or its split.
    """
    free = {"dataset", "split", "inputs", "tie"} if predicting else set()
    for key, present in here.items():
        if _comparable(trained.get(key), predicting) != _comparable(present, predicting) and key not in free:
            what = "inputs (texts or images changed under the same uids)" if key == "inputs" else key
            raise ConfigError(
                f"the checkpoint was trained on another {what}: wanted {present} as in the present data, "
                f"got {trained.get(key)}; choose the data settings that the checkpoint was trained with"
            )


def _comparable(value: Any, predicting: bool) -> Any:
    """A part of an identity; new items have their vectors in a new file, which is then not compared."""
    return features_alike(value) if predicting and isinstance(value, dict) else value


def _labels_of(batches: Sequence[Batch]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Label distributions, majority classes and, where they are known, generating distributions of some batches."""
    true = [batch.true_dist for batch in batches if batch.true_dist is not None]
    return (
        torch.cat([batch.label_dist for batch in batches]),
        torch.cat([batch.majority_label for batch in batches]),
        torch.cat(true) if true else None,
    )


class _SplitMetrics(nn.Module):
    """The loss and the metrics of one split, named ``split/metric``."""

    def __init__(self, split: SplitName, make: Any) -> None:
        super().__init__()
        self.split = split
        self.loss = MeanLoss()
        self.metrics: MetricCollection = make(prefix=f"{split}/")

    def update(
        self, losses: Tensor, logits: Tensor, label_dist: Tensor, label: Tensor, true_dist: Tensor | None
    ) -> None:
        """Count a batch."""
        self.loss.update(losses)
        self.metrics.update(logits=logits, label_dist=label_dist, majority_label=label, true_dist=true_dist)

    def finish(self) -> dict[str, Tensor]:
        """The values over all processes; afterwards the split starts anew."""
        values = {f"{self.split}/loss": self.loss.compute(), **self.metrics.compute()}
        for metric in (self.loss, self.metrics):
            metric.reset()
        return values


class _Held(Metric):
    """The validation items of an epoch, of all processes, for a calibration to be fitted on."""

    full_state_update = False
    logits: list[Tensor] | Tensor
    rows: list[Tensor] | Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("logits", "rows"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, logits: Tensor, batch: Batch) -> None:
        """Keep a batch."""
        self.logits = [*self.logits, logits.detach()]
        self.rows = [*self.rows, batch.rows]

    def compute(self) -> tuple[Tensor, Tensor]:
        """Logits ``[N, C]`` and the positions of their items, int64 ``[N]``."""
        logits, rows = (state if isinstance(state, Tensor) else torch.cat(state) for state in (self.logits, self.rows))
        return logits, rows
