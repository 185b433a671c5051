"""An engine that trains each spec as an ordinary Lightning fit, one after another."""

import math
from collections.abc import Sequence
from typing import Any, cast

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor

from soft_labels.data import EmbeddedDataModule
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.metrics import core_names
from soft_labels.training import module
from soft_labels.training.module import SoftLabelModule
from soft_labels.training.objectives import Objective
from soft_labels.training.spec import Ending, Engine, EpochHook, Job, RunResult, RunSpec, check_honoured
from soft_labels.training.trainer import TRAINER_DEFAULTS, IdleProfiler, device_of, quiet

# Fields of a spec that this engine trains with beside the module's.
HONOURED = (*module.HONOURED, "batch_size", "max_epochs", "patience", "min_delta")


class LightningEngine(Engine):
    """Trains specs by ``Trainer.fit``, with the callbacks and the rule of ``soft-labels fit``.

    Args:
        accelerator: Lightning's name of the device to train on.

    Raises:
        ConfigError: There is no such device.
    """

    name = "lightning"

    def __init__(self, accelerator: str = "auto") -> None:
        device_of(accelerator)
        self.accelerator = accelerator

    def together(self, jobs: Sequence[Job]) -> list[list[list[int]]]:
        """Each by itself, since a fit takes seconds."""
        return [[[position]] for position in range(len(jobs))]

    def train(
        self,
        data: EmbeddedDataset,
        specs: Sequence[RunSpec],
        *,
        monitor_test: bool = False,
        keep_heads: bool = False,
        after_epoch: EpochHook | None = None,
    ) -> list[RunResult]:
        """Train every spec; see :class:`~soft_labels.training.spec.Engine`."""
        for spec in specs:
            check_honoured("the lightning engine", HONOURED, spec)
            Objective(spec).check(data.ordinal)
        results = []
        for position, spec in enumerate(specs):
            recorder = _Recorder(position, after_epoch, keep_heads)
            with quiet():
                self._fit(loaders_of(data, spec, monitor_test), spec, recorder)
            results.append(recorder.result(spec))
        return results

    def _fit(self, datamodule: EmbeddedDataModule, spec: RunSpec, recorder: "_Recorder") -> None:
        """One ordinary fit."""
        settings: dict[str, Any] = {**TRAINER_DEFAULTS, "max_epochs": spec.max_epochs}
        trainer = Trainer(
            **settings,
            accelerator=self.accelerator,
            callbacks=[recorder, EarlyStopping("val/loss", patience=spec.patience, min_delta=spec.min_delta)],
            logger=False,
            profiler=IdleProfiler(),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module_of(datamodule.embedded, spec), datamodule=datamodule)


def module_of(data: EmbeddedDataset, spec: RunSpec, calibration: str = "none") -> SoftLabelModule:
    """The one-head module that a spec describes.

    Args:
        data: What it is for.
        spec: The spec.
        calibration: A row of ``soft_labels.training.calibration.CALIBRATIONS``.
    """
    return SoftLabelModule(data.num_classes, data.embedding_dim, data.ordinal, calibration, **spec.of_module())


def loaders_of(data: EmbeddedDataset, spec: RunSpec, monitor_test: bool) -> EmbeddedDataModule:
    """The data in the spec's mini-batches and order.

    Args:
        data: The data.
        spec: The spec.
        monitor_test: Whether training looks at the test split as well.
    """
    return EmbeddedDataModule(data, spec.batch_size, monitor_test=monitor_test, order_seed=spec.seed)


class _Recorder(Callback):
    """Keeps each epoch's values and the best epoch's head, and asks after each epoch whether to go on.

    Lightning calls callbacks before the module ends its epoch, so the training split's values are taken when the next
    epoch starts, or training ends.
    """

    def __init__(self, position: int, after_epoch: EpochHook | None, keep_head: bool) -> None:
        self._position = position
        self._after_epoch = after_epoch
        self._keep_head = keep_head
        self._curve: dict[str, list[float]] = {"lr": []}
        self._lowest = math.inf
        self._best_epoch = 0
        self._pruned = False
        self._state: dict[str, Tensor] | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Take the training values of the epoch before, and this epoch's learning rate."""
        if trainer.current_epoch:
            self._take(trainer, "train/")
        self._curve["lr"].append(trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else math.nan)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Take the last epoch's training values."""
        self._take(trainer, "train/")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the epoch's values; keep its head if it is the best so far, the first of equals."""
        epoch, loss = trainer.current_epoch, trainer.callback_metrics["val/loss"].item()
        self._take(trainer, "val/", "test/")
        if epoch == 0 or loss < self._lowest:
            self._lowest, self._best_epoch = (math.inf if math.isnan(loss) else loss), epoch
            if self._keep_head:
                state = cast("SoftLabelModule", pl_module).head.state_dict()
                self._state = {key: value.detach().cpu().clone() for key, value in state.items()}
        if self._after_epoch is not None and self._after_epoch(self._position, epoch, loss):
            self._pruned = trainer.should_stop = True

    def _take(self, trainer: Trainer, *prefixes: str) -> None:
        """Add an epoch's metrics to the curve."""
        for prefix in prefixes:
            for key in (f"{prefix}{metric}" for metric in ("loss", *core_names())):
                if key in trainer.callback_metrics:
                    self._curve.setdefault(key, []).append(trainer.callback_metrics[key].item())

    def result(self, spec: RunSpec) -> RunResult:
        """What the fit gave."""
        return RunResult(spec, self._curve, self._best_epoch, self._ending(spec), self._state)

    def _ending(self, spec: RunSpec) -> Ending:
        """Why training ended."""
        if self._pruned:
            return "pruned"
        if spec.kind.solved:
            return "solved"
        return "max_epochs" if len(self._curve["lr"]) == spec.max_epochs else "early_stopping"
