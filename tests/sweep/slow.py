"""A pruner that ends nothing but takes its time, so that trials last without using the processor."""

import os
import time
from pathlib import Path

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial

HOLD = "hold"  # while a file of this name is there, workers wait


class SlowPruner(BasePruner):
    """Waits at each epoch, and for as long as workers are held; a held worker leaves a file with its process id.

    Args:
        folder: Where the files are; a held worker's has the worker's name.
        seconds: How long each epoch takes.
    """

    def __init__(self, folder: str, seconds: float = 0.04) -> None:
        self._folder = Path(folder)
        self._seconds = seconds

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        time.sleep(self._seconds)
        while (self._folder / HOLD).exists():
            (self._folder / trial.user_attrs["worker"]).write_text(f"{os.getpid()}\n", encoding="utf-8")
            time.sleep(0.05)
        return False
