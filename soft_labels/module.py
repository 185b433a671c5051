"""One head under Lightning: the same training rule for a soft and for a hard target."""

from typing import Any, TypedDict, cast

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import MetricCollection

from soft_labels.batches import Batch, BatchLoader, epoch_seed
from soft_labels.errors import ConfigError
from soft_labels.heads import MLPHead
from soft_labels.metrics import KLDivergence, MeanLoss, all_metrics, core_metrics
from soft_labels.objectives import Target, item_losses
from soft_labels.runs import Scheduler
from soft_labels.splits import SplitName

# Metrics of single batches cost more than the step; batches held for a whole epoch hold the whole data set.
_BATCHES_HELD = 64


class Prediction(TypedDict):
    """What ``predict`` gives for a batch: ``rows`` int64 ``[B]`` in the data set and ``pred_dist`` ``[B, C]``."""

    rows: Tensor
    pred_dist: Tensor


class SoftLabelModule(LightningModule):
    """A frozen encoder's features in, a distribution over classes out.

    Metrics of the training split are those of the training pass itself (dropout on, weights moving); those of the
    validation and test splits are taken after each epoch. Only ``val/loss`` is ever used to choose.

    Args:
        num_classes: Number of classes, C (linked from the data by the command line).
        embedding_dim: Width of the features, D (linked from the data by the command line).
        ordinal: Whether the classes are ordered; adds the metrics for ordered classes (linked from the data).
        target: Train on the annotation distribution (``soft``) or on its majority class (``hard``).
        hidden_width: Width of the hidden layer, W.
        dropout: Share of hidden units that training drops.
        lr: Adam's learning rate.
        weight_decay: Adam's L2 term (not decoupled as in AdamW).
        scheduler: ``plateau`` cuts the learning rate when the validation loss stagnates.
        plateau_factor: What a cut multiplies the learning rate by.
        plateau_patience: Epochs without improvement before a cut; a value near early stopping's patience never fires.
        standardize: Standardise features by the training split's mean and deviation, kept in the checkpoint.
        seed: Seed of initial weights and dropout (linked from ``seed_everything`` by the command line).

    Source: the paper's sections 3.2 and 3.3; width, dropout and plateau patience are not given there, and every default
    is this project's own.
    """

    head: MLPHead

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int,
        ordinal: bool = False,
        target: Target = "soft",
        hidden_width: int = 256,
        dropout: float = 0.5,
        lr: float = 1e-4,
        weight_decay: float = 0.0,
        scheduler: Scheduler = "none",
        plateau_factor: float = 0.5,
        plateau_patience: int = 2,
        standardize: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"model.dropout must be from 0 to below 1, got {dropout}")
        if hidden_width < 1 or lr <= 0 or weight_decay < 0:
            raise ConfigError(
                "wanted model.hidden_width of at least 1, model.lr above 0 and model.weight_decay of at least 0, "
                f"got {hidden_width}, {lr} and {weight_decay}"
            )
        self.save_hyperparameters()
        self.target: Target = target
        self.head = MLPHead(embedding_dim, num_classes, hidden_width, dropout, seed)
        self.split_metrics = nn.ModuleDict()
        self._train_outputs: list[tuple[Tensor, Tensor, Tensor]] = []
        self._mask_generator = torch.Generator()
        self._processes = 1
        self.trained_split: dict[str, Any] = {}  # of the loaded checkpoint

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``[B, C]`` of features ``[B, D]``, without dropout."""
        return cast("Tensor", self.head(features))

    def setup(self, stage: str) -> None:
        """Build the metrics of the stage; before training, take the training split's feature statistics."""
        datamodule = self._datamodule()
        make = core_metrics if stage == "fit" else lambda prefix: all_metrics(self.hparams["ordinal"], prefix)
        parts: dict[str, tuple[SplitName, ...]] = {
            "fit": ("train", "val", "test"),
            "validate": ("val",),
            "test": ("test",),
        }
        self.split_metrics = nn.ModuleDict(
            {f"on_{split}": _SplitMetrics(split, make) for split in parts.get(stage, ())}
        )
        if stage == "fit" and self.hparams["standardize"]:
            self.head.set_feature_statistics(*datamodule.feature_statistics())

    def _datamodule(self) -> Any:
        """The data module in use."""
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        if datamodule is None:
            raise ConfigError("wanted trainer.fit(module, datamodule=...) with a data module of this package, got none")
        return datamodule

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, and the plateau schedule if chosen."""
        hparams = self.hparams
        optimizer = torch.optim.Adam(
            self.head.parameters(), lr=hparams["lr"], weight_decay=hparams["weight_decay"], fused=True
        )
        if hparams["scheduler"] == "none":
            return optimizer
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=hparams["plateau_factor"], patience=hparams["plateau_patience"]
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val/loss"}}

    def on_train_epoch_start(self) -> None:
        """Start the epoch's order and dropout draws, pure functions of seed and epoch."""
        self._processes = self.trainer.world_size
        cast("BatchLoader", self.trainer.train_dataloader).set_epoch(self.current_epoch)
        if self._mask_generator.device.type != self.device.type:
            self._mask_generator = torch.Generator(self.device)
        self._mask_generator.manual_seed(epoch_seed(self.hparams["seed"], self.current_epoch, "dropout"))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of this process's share; averaged over processes it is the mean over the whole mini-batch."""
        processes = self._processes
        mask = self.head.dropout_mask(batch.global_size, self._mask_generator)
        if mask is not None and processes > 1:
            mask = mask[self.global_rank :: processes]
        logits = self.head(batch.features, mask)
        self._train_outputs.append((logits.detach(), batch.label_dist, batch.majority_label))
        if len(self._train_outputs) == _BATCHES_HELD:
            self._count_train_outputs()
        losses = item_losses(self.target, logits, batch.label_dist, batch.majority_label)
        return losses.sum() * (processes / batch.global_size)

    def on_train_epoch_end(self) -> None:
        """Log the training split's curves."""
        self._count_train_outputs()
        self._log_split("train")

    def _count_train_outputs(self) -> None:
        """Count the batches held so far into the training split's metrics, many at once, and let them go."""
        if not self._train_outputs:
            return
        logits, label_dist, label = (torch.cat(parts) for parts in zip(*self._train_outputs, strict=True))
        self._train_outputs.clear()
        self._update("train", logits, label_dist, label)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Metrics of the validation split and, while fitting, of the monitored test split."""
        split: SplitName = "test" if dataloader_idx else "val"
        self._update(split, self(batch.features), batch.label_dist, batch.majority_label, batch.true_dist)

    def on_validation_epoch_end(self) -> None:
        """Log the evaluated splits."""
        self._log_split("val")
        if self.trainer.state.fn == "fit" and len(self.trainer.num_val_batches) > 1:
            self._log_split("test")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Every metric on the test split."""
        self._update("test", self(batch.features), batch.label_dist, batch.majority_label, batch.true_dist)

    def on_test_epoch_end(self) -> None:
        """Log the test split."""
        self._log_split("test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Predicted distributions."""
        return {"rows": batch.rows, "pred_dist": self(batch.features).softmax(dim=-1)}

    def _update(
        self, split: SplitName, logits: Tensor, label_dist: Tensor, label: Tensor, true_dist: Tensor | None = None
    ) -> None:
        """Count a batch into a split's metrics."""
        losses = item_losses(self.target, logits, label_dist, label)
        self._metrics_of(split).update(losses, logits, label_dist, label, true_dist)

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
        checkpoint["data_identity"] = self._datamodule().identity()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other data or other features.

        Raises:
            ConfigError: The data set, its classes or the encoder differ from those that the head was trained on.
        """
        trainer = self._trainer
        if trainer is None:
            return
        trained = checkpoint.get("data_identity", {})
        self.trained_split = trained.get("split", {})
        check_identity(trained, self._datamodule().identity(), predicting=trainer.state.fn == "predict")


def check_identity(trained: dict[str, Any], here: dict[str, Any], predicting: bool) -> None:
    """Refuse a checkpoint of other data or other features; predicting may meet other items of the same kind.

    Args:
        trained: The ``identity`` of the data module that the head was trained with.
        here: The ``identity`` of the present one.
        predicting: Whether the head is only asked for predictions.

    Raises:
        ConfigError: The classes or the features differ or, unless predicting, the data set or its split.
    """
    free = {"dataset", "split"} if predicting else set()
    for key, present in here.items():
        if trained.get(key) != present and key not in free:
            raise ConfigError(
                f"the checkpoint was trained on another {key}: wanted {present} as in the present data, "
                f"got {trained.get(key)}; choose the data settings that the checkpoint was trained with"
            )


class _SplitMetrics(nn.Module):
    """The loss and the metrics of one split, named ``split/metric``."""

    def __init__(self, split: SplitName, make: Any) -> None:
        super().__init__()
        self.split = split
        self.loss = MeanLoss()
        self.metrics: MetricCollection = make(prefix=f"{split}/")
        self.to_true = KLDivergence()

    def update(
        self, losses: Tensor, logits: Tensor, label_dist: Tensor, label: Tensor, true_dist: Tensor | None
    ) -> None:
        """Count a batch."""
        self.loss.update(losses)
        self.metrics.update(logits=logits, label_dist=label_dist, majority_label=label)
        if true_dist is not None:
            self.to_true.update(logits, true_dist)

    def finish(self) -> dict[str, Tensor]:
        """The values over all processes; afterwards the split starts anew."""
        values = {f"{self.split}/loss": self.loss.compute(), **self.metrics.compute()}
        if self.to_true.update_called:
            values[f"{self.split}/kl_to_true"] = self.to_true.compute()
        for metric in (self.loss, self.metrics, self.to_true):
            metric.reset()
        return values
