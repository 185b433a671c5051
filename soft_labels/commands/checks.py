"""Settings of ``fit`` that would leave nothing to choose or to judge, refused before anything is read or encoded."""

import math
from typing import Any

from jsonargparse import Namespace

from soft_labels.errors import ConfigError
from soft_labels.metrics import METRICS, core_names
from soft_labels.training.best import check_monitor
from soft_labels.training.heads import check_memory
from soft_labels.training.trainer import device_of

# Settings of the trainer that only some values can serve: those, and why no other.
_ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "fast_dev_run": ((False, 0), "it trains without curves and keeps no checkpoint; use trainer.max_epochs=1"),
    "enable_checkpointing": ((None, True), "the best epoch is kept as a checkpoint, which every judgement reads"),
    "max_steps": ((-1, None), "training ends by epochs, so that every epoch is judged; set trainer.max_epochs"),
    "val_check_interval": ((None, 1.0), "validation is taken after each epoch, which curves and rules count in"),
}
_NEEDED = ("limit_train_batches", "limit_val_batches")


def check_device(settings: Namespace) -> None:
    """Refuse an accelerator, devices or a precision that this machine does not have.

    Args:
        settings: A configuration of ``fit`` or of what takes its checkpoints.

    Raises:
        ConfigError: With the names of what was asked for.
    """
    given = {name: settings.trainer.get(name) for name in ("accelerator", "devices", "precision")}
    named: dict[str, Any] = {name: value for name, value in given.items() if isinstance(value, str | int | list)}
    if isinstance(named.get("accelerator"), str):  # a class of a user's own makes itself
        device_of(**named)


def check_settings(settings: Namespace) -> None:
    """Refuse what would end, hours later, with nothing to judge.

    Args:
        settings: A configuration of ``fit``.

    Raises:
        ConfigError: Names the setting, and what to do.
    """
    trainer = settings.trainer
    for name, (served, reason) in _ONLY.items():
        if trainer.get(name) not in served:
            raise ConfigError(f"trainer.{name}={trainer.get(name)} cannot be used: {reason}")
    for name in _NEEDED:
        if trainer.get(name) == 0:
            raise ConfigError(f"trainer.{name}=0 leaves nothing to learn from or to choose by; leave it out")
    epochs = trainer.max_epochs
    if epochs is None or epochs < 1:
        raise ConfigError(f"wanted trainer.max_epochs of at least 1, got {epochs}; early stopping ends training sooner")
    every = trainer.get("check_val_every_n_epoch") or 1
    if every > epochs:
        raise ConfigError(
            f"trainer.check_val_every_n_epoch={every} never validates within {epochs} epochs: nothing could be chosen"
        )
    if every > 1 and settings.model.scheduler == "plateau":
        raise ConfigError("the plateau scheduler wants the validation loss of every epoch; leave out "
                          f"trainer.check_val_every_n_epoch={every}")  # fmt: skip
    if (trainer.get("gradient_clip_val") or 0) < 0 or trainer.get("accumulate_grad_batches") == 0:
        raise ConfigError(
            "wanted a trainer.gradient_clip_val of at least 0 and trainer.accumulate_grad_batches of at least 1, got "
            f"{trainer.get('gradient_clip_val')} and {trainer.get('accumulate_grad_batches')}"
        )
    _check_stopping(settings.early_stopping)
    check_monitor(settings.checkpoint.monitor)
    check_memory(settings.model.hidden_width)


def _check_stopping(stopping: Namespace) -> None:
    """Early stopping watches what there is, and not the test split, and waits for something."""
    if not (stopping.patience or 0) >= 1 or not 0 <= (stopping.min_delta or 0.0) < math.inf:
        raise ConfigError(
            "wanted an early_stopping.patience of at least 1 and a finite min_delta of at least 0, got "
            f"{stopping.patience} and {stopping.min_delta}"
        )
    monitor = stopping.monitor
    names = [f"{split}/{name}" for split in ("val", "train") for name in ("loss", *core_names())]
    if monitor not in names:
        why = "no choice may look at the test split" if monitor.startswith("test/") else "there is no such metric"
        raise ConfigError(f"early_stopping.monitor {monitor}: {why}; choose one of {', '.join(names)}")
    metric = METRICS.get(monitor.partition("/")[2])
    better = "max" if metric is not None and metric.higher_is_better else "min"
    if stopping.mode != better:
        raise ConfigError(
            f"early_stopping.mode {stopping.mode} would stop where {monitor} is best; set early_stopping.mode={better}"
        )
