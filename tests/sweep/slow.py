"""A pruner that takes its time, so that trials last without using the processor, and then asks another one."""

import os
import time
from pathlib import Path

from optuna.pruners import BasePruner, NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial

HOLD = "hold"  # while a file of this name is there, workers wait
FREE = ".free"  # but for one whose own file says so


class SlowPruner(BasePruner):
    """Waits at each epoch, and for as long as workers are held; a held worker leaves a file with its process id.

    Args:
        folder: Where the files are; a held worker's has the worker's name.
        seconds: How long each epoch takes.
        rule: What ends trials; nothing by default.
    """

    def __init__(self, folder: str, seconds: float = 0.04, rule: BasePruner | None = None) -> None:
        self._folder = Path(folder)
        self._seconds = seconds
        self._rule = rule or NopPruner()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        time.sleep(self._seconds)
        own = self._folder / trial.user_attrs["worker"]
        while (self._folder / HOLD).exists() and not own.with_suffix(FREE).exists():
            if not own.exists():
                own.write_text(f"{os.getpid()}\n", encoding="utf-8")
            time.sleep(0.05)
        return self._rule.prune(study, trial)
