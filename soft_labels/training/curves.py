"""TensorBoard as this project writes it: curves over epochs, the charts they share, and a line of final numbers."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.fabric.utilities.logger import _flatten_dict
from lightning.pytorch.loggers import TensorBoardLogger

from soft_labels.data.split import SPLIT_NAMES
from soft_labels.files import naming
from soft_labels.metrics import core_names

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import FileWriter

Charts = dict[str, dict[str, list[str | list[str]]]]
QUANTITIES = ("loss", *core_names())
"""What every epoch of every split has; of custom charts TensorBoard shows the last first."""
_EPOCH = "epoch"  # Lightning adds it; it is the step already
_REACHED = ".reached"  # how the event file of final numbers ends


class CurveLogger(TensorBoardLogger):
    """A TensorBoard logger whose curves have the epochs of training as their points, and no others.

    The first epoch waits for the second: no card has a single point, and a head that is solved at once has no curves.
    What is evaluated after training would stand at the number of optimiser steps, far to the right of every epoch; it
    is printed and written to a file instead (see :class:`~soft_labels.training.callbacks.RunReport`).
    """

    closed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.curves: dict[str, list[float]] = {}
        """What was measured so far, by quantity."""
        self.first: dict[str, float] = {}
        """What waits for the second epoch, by quantity."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add points to the curves, unless they are closed."""
        if self.closed:
            return
        now = {key: float(value) for key, value in metrics.items() if key != _EPOCH}
        for key, value in now.items():
            self.curves.setdefault(key, []).append(value)
        if step == 0:
            self.first |= now
            return
        with naming(Path(self.log_dir)):
            super().log_metrics({key: self.first.pop(key) for key in now if key in self.first}, 0)
            super().log_metrics(now, step)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Note the settings for their file; the HParams tab has them when a run is done, see :func:`log_reached`."""
        with naming(Path(self.log_dir)):
            super().log_hyperparams(*args, **kwargs)

    def save(self) -> None:
        """Write the hyperparameters as a file too."""
        with naming(Path(self.log_dir) / self.NAME_HPARAMS_FILE):
            super().save()

    def finalize(self, status: str) -> None:
        """Write what is left."""
        with naming(Path(self.log_dir)):
            super().finalize(status)


def log_reached(folder: Path, settings: Mapping[str, Any], reached: Mapping[str, float]) -> None:
    """Write a run's line of the HParams tab: its settings, and what they led to.

    The numbers are columns beside the settings: what the tab calls metrics would be scalars, each a card with a single
    point. The line has an event file of its own, since of several lines of a run TensorBoard shows the first; an older
    one is replaced.

    Args:
        folder: Of the run.
        settings: What was trained with.
        reached: Final numbers, by name; those that are not finite are left out.
    """
    from torch.utils.tensorboard.writer import FileWriter

    with naming(folder):
        for old in folder.glob(f"*{_REACHED}"):
            old.unlink()
        writer = FileWriter(str(folder), filename_suffix=_REACHED)
        add_line(writer, {**settings, **{key: value for key, value in reached.items() if math.isfinite(value)}})
        writer.close()


def add_line(writer: "FileWriter", columns: Mapping[str, Any]) -> None:
    """Add a run's line to the HParams tab.

    No run says which columns or metrics there are: TensorBoard would take the word of the first one for all.

    Args:
        writer: Of the run.
        columns: By heading.
    """
    from torch.utils.tensorboard.summary import hparams

    plain = TensorBoardLogger._sanitize_params(_flatten_dict(dict(columns)))
    _, start, end = hparams(plain, {})  # type: ignore[no-untyped-call]
    writer.add_summary(start)
    writer.add_summary(end)


def charts() -> Charts:
    """TensorBoard's layout of custom scalars: one chart a quantity with a curve a split."""
    return {
        "train, validation, test": {
            quantity: ["Multiline", [f"{split}/{quantity}" for split in SPLIT_NAMES]] for quantity in QUANTITIES
        }
    }
