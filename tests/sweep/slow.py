"""A pruner that ends nothing but takes its time, so that trials last without using the processor."""

import time

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial


class SlowPruner(BasePruner):
    """Waits at each epoch.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float = 0.1) -> None:
        self._seconds = seconds

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        time.sleep(self._seconds)
        return False
