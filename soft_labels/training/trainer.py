"""The Trainer as this project sets it: defaults, a profiler that costs nothing, and what nobody need read."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.profilers import PassThroughProfiler

from soft_labels.errors import ConfigError
from soft_labels.training.spec import RunSpec

TRAINER_DEFAULTS = {
    "max_epochs": RunSpec.max_epochs,
    "devices": 1,  # a head is small: more devices are for those who ask
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 0,  # curves have a point an epoch, nothing is logged at steps
    "use_distributed_sampler": False,  # our loaders deal out the rows themselves
}
_NOTHING_TO_MEND = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # lightning 2.6.6 itself, on torch 2.14
    "The dirpath has changed from",  # an old checkpoint is tested in a new run's folder
    "Checkpoint directory .* exists and is not empty",  # a run that goes on does so in its folder
    "Couldn't infer the batch indices",  # a prediction carries its rows
    "The `srun` command is available",  # workers of a cluster are jobs of their own
)
_LIGHTNING_LOGGERS = ("lightning.pytorch", "lightning.fabric")
_IDLE = nullcontext()
_WRITER = "tensorboard.summary.writer.event_file_writer"
_print_failure = threading.excepthook


class IdleProfiler(PassThroughProfiler):
    """Profiles nothing at no cost: Lightning's own makes a generator for each of some fifty hooks a step."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override] # noqa: ARG002
        """A context that does nothing."""
        return _IDLE


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """What Lightning refuses in the block is a mistake in some settings, or a package that they want.

    Args:
        what: The settings.

    Raises:
        ConfigError: With Lightning's own words.
    """
    try:
        yield
    except (ImportError, MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"{what} cannot be used here: {error}") from error


def device_of(accelerator: str, **settings: Any) -> torch.device:
    """The device that an accelerator's name stands for; asks nothing but whether it and the settings are there.

    Args:
        accelerator: Lightning's name.
        settings: Of Fabric: ``devices``, 1 by default, and ``precision``.

    Raises:
        ConfigError: There is no such device here, or it cannot do this.
    """
    told = {"accelerator": accelerator, **settings}
    with in_words(", ".join(f"trainer.{name} {value}" for name, value in told.items())), quiet():
        warnings.simplefilter("ignore")  # the trainer that trains says it
        return Fabric(**{"devices": 1, **told}).device


def leave_out_idle_warnings() -> None:
    """Leave out what nobody who trains a head can mend."""
    for message in _NOTHING_TO_MEND:
        warnings.filterwarnings("ignore", message)


def leave_out_writers() -> None:
    """Leave out the traceback of TensorBoard's thread when the disk is full: the next write raises it for everyone."""
    threading.excepthook = _unless_refused


def _unless_refused(failed: threading.ExceptHookArgs) -> None:
    """Print what ended a thread, unless the system refused a write to TensorBoard's."""
    if not (issubclass(failed.exc_type, OSError) and type(failed.thread).__module__ == _WRITER):
        _print_failure(failed)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what Lightning says at every start."""
    loggers = [logging.getLogger(name) for name in _LIGHTNING_LOGGERS]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            leave_out_idle_warnings()
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
