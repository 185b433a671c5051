"""The one best checkpoint of a fit: which epoch it holds, its metrics, and what is checked when it is read."""

import hashlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from soft_labels.errors import ConfigError, TrainingError
from soft_labels.files import written_whole
from soft_labels.metrics import METRICS, core_names

logger = logging.getLogger(__name__)
SCHEMA = 2
FILE = "best.ckpt"
# How a checkpoint of an older schema becomes one of the next: from this schema on, a change of the form adds its step.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
_DIGEST = "digest"


def check_monitor(monitor: str) -> None:
    """Refuse to choose by anything but a metric of the validation split.

    Raises:
        ConfigError: With the metrics that there are.
    """
    names = [f"val/{name}" for name in ("loss", *core_names())]
    if monitor not in names:
        raise ConfigError(
            f"wanted a checkpoint.monitor of {', '.join(names)}, got {monitor}; no choice may look at another split"
        )


class BestCheckpoint(Checkpoint):
    """Keeps the best epoch as ``best.ckpt``, and what is said of it: file, closing line, HParams and judgements agree.

    Args:
        monitor: The metric of the validation split that chooses; its direction is the metric's own.

    Raises:
        ConfigError: The metric is not one of the validation split.
    """

    def __init__(self, monitor: str = "val/loss") -> None:
        super().__init__()
        check_monitor(monitor)
        self.monitor = monitor
        self.best: dict[str, float] = {}
        self.path: Path | None = None
        self._judged: dict[str, float] | None = None
        self._folder = Path()

    @property
    def epoch(self) -> int:
        """The best epoch, from 0."""
        return int(self.best["epoch"])

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far, so that a resumed run remembers it."""
        return {"best": self.best, "monitor": self.monitor}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best epoch from a checkpoint, if it was chosen in the same way."""
        if state_dict["monitor"] == self.monitor:
            self.best = state_dict["best"]
        else:
            logger.warning(
                "the best epoch was chosen by %s so far, from here on by %s: the epochs before are forgotten",
                state_dict["monitor"],
                self.monitor,
            )

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Find out where the run lies."""
        if stage == "fit":
            self._folder = Path(trainer.log_dir or trainer.default_root_dir) / "checkpoints"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """A run that goes on has its best epoch in its folder already."""
        if self.best:
            self.path = self._folder / FILE
            if not self.path.is_file():
                raise ConfigError(
                    f"wanted the best epoch so far at {self.path}, found none; continue in the folder of the run"
                )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Note the epoch's metrics; the checkpoint is written when the epoch is complete.

        Raises:
            TrainingError: The loss is not finite and no epoch before was.
        """
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._judged = {key: value.item() for key, value in trainer.callback_metrics.items()}
        broken = [key for key in (self.monitor, "val/loss") if not math.isfinite(self._judged[key])]
        if broken and not self.best:
            raise TrainingError(_broken(trainer, broken[0], self._judged[broken[0]]))
        if broken:
            logger.warning("%s; the best epoch before, %d, is kept",
                           _broken(trainer, broken[0], self._judged[broken[0]]), self.epoch)  # fmt: skip
            self._judged = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Keep the epoch if it is the best so far, the first of equals."""
        if self._judged is None:
            return
        now, self._judged = self._judged, None
        if not self.best or self._is_better(now[self.monitor], self.best[self.monitor]):
            self.best = {"epoch": float(trainer.current_epoch), **now}
            self.path = self._folder / FILE
            trainer.save_checkpoint(self.path, weights_only=False)

    def _is_better(self, value: float, best: float) -> bool:
        """Whether a value of the monitored metric is better than another."""
        metric = METRICS.get(self.monitor.removeprefix("val/"))
        return value > best if metric is not None and metric.higher_is_better else value < best


def _broken(trainer: Trainer, key: str, value: float) -> str:
    """What to say of a loss that is not finite."""
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    return (
        f"training broke down in epoch {trainer.current_epoch}: {key} is {value}; lower model.lr ({rate:g}), or "
        f"train with trainer.precision 32-true (now {trainer.precision})"
    )


def best_of(trainer: Trainer) -> BestCheckpoint:
    """The callback that keeps a trainer's best epoch, whatever other checkpoints a user keeps.

    Raises:
        ConfigError: The trainer has none.
    """
    found = [callback for callback in trainer.callbacks if isinstance(callback, BestCheckpoint)]  # type: ignore[attr-defined]
    if not found:
        raise ConfigError("wanted a trainer with BestCheckpoint among its callbacks, got one without")
    return found[0]


class WholeFileIO(TorchCheckpointIO):
    """Checkpoints appear whole or not at all, with a digest of their content: written beside the target, then renamed.

    Lightning's own writes to the temporary folder and moves, which across file systems is a copy onto the target.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: What Lightning keeps.
            path: The file.
            storage_options: None are known.
        """
        if storage_options is not None:
            raise ConfigError(f"wanted no storage options for a checkpoint on disk, got {storage_options}")
        checkpoint = {**checkpoint, "schema": SCHEMA}
        checkpoint[_DIGEST] = content_digest(checkpoint)
        # given a path, torch writes by itself and keeps what the system refused for itself
        with written_whole(Path(path)) as partial, partial.open("wb") as file:
            torch.save(checkpoint, file)


def content_digest(checkpoint: Mapping[str, Any]) -> str:
    """16 hex digits that change with any weight, moment of the optimiser or setting.

    Args:
        checkpoint: What is written, plain values and tensors; its own digest is left out.
    """
    hasher = hashlib.sha256()
    for part in _parts({key: value for key, value in checkpoint.items() if key != _DIGEST}):
        hasher.update(part)
    return hasher.hexdigest()[:16]


def _parts(value: Any) -> Iterator[bytes]:
    """A value as bytes, containers by what they hold."""
    if isinstance(value, Tensor):
        yield f"{value.dtype} {list(value.shape)} ".encode()
        yield value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    elif isinstance(value, Mapping):
        yield f"{{{len(value)} ".encode()
        for key, each in value.items():
            yield f"{key!r}: ".encode()
            yield from _parts(each)
    elif isinstance(value, list | tuple):
        yield f"[{len(value)} ".encode()
        for each in value:
            yield from _parts(each)
    else:
        yield f"{value!r} ".encode()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of this package; whatever the file holds, none of its code is run.

    Args:
        path: A ``.ckpt`` file.

    Raises:
        ConfigError: There is no such file, it is no checkpoint of this package and schema, it is damaged, or its
            weights are not finite.
    """
    if not path.is_file():
        raise ConfigError(f"no checkpoint at {path}; give the path of a .ckpt file below lightning_logs/")
    try:
        with warnings.catch_warnings(action="ignore"):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file of another kind makes the unpickler raise anything
        raise ConfigError(
            f"{path} is not a readable checkpoint of plain tensors and values; it is damaged, or no file to be trusted"
        ) from error
    _check(path, checkpoint)
    return migrated(cast("dict[str, Any]", checkpoint))


def migrated(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of any schema that is known, in the form of today.

    Args:
        checkpoint: As it was read.
    """
    while checkpoint.get("schema") in MIGRATIONS:
        checkpoint = MIGRATIONS[checkpoint["schema"]](checkpoint)
    return checkpoint


def _check(path: Path, checkpoint: Any) -> None:
    """Refuse what is not a whole, sound checkpoint of this package."""
    wanted = ("data_identity", "hyper_parameters", "state_dict")
    if not isinstance(checkpoint, dict) or not all(isinstance(checkpoint.get(key), dict) for key in wanted):
        raise ConfigError(f"{path} is not a checkpoint of soft-labels fit; give a .ckpt file below lightning_logs/")
    if checkpoint.get("schema") not in {SCHEMA, *MIGRATIONS}:
        found = checkpoint.get("schema", "none")
        raise ConfigError(f"{path}: wanted a checkpoint of schema {SCHEMA}, got {found}; train again with this version")
    state = checkpoint["state_dict"]
    if checkpoint.get(_DIGEST) != content_digest(checkpoint):
        raise ConfigError(f"{path} is damaged: it does not hold what was written; copy it anew or train again")
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ConfigError(
            f"{path} holds weights that are not finite ({broken[0]}); its training broke down: train again"
        )
