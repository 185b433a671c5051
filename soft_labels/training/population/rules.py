"""Early stopping, plateau schedule and best epoch of many runs, as vectors over the runs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soft_labels.training.spec import RunSpec

_PLATEAU_THRESHOLD = 1e-4
_LEAST_CUT = 1e-8


class TrainingRules:
    """What ``EarlyStopping``, ``ModelCheckpoint`` and ``ReduceLROnPlateau`` would do to each run.

    Args:
        specs: The runs, S.

    Source: these classes of lightning 2.6 and torch 2.14 with the arguments that the command line gives them: an
        improvement is absolute for early stopping (in float32, as metrics are logged) and relative for the schedule; a
        loss that is not finite ends a run.
    """

    def __init__(self, specs: Sequence[RunSpec]) -> None:
        count = len(specs)
        self.lr = np.array([spec.lr for spec in specs])
        self.best_epoch = np.zeros(count, dtype=int)
        self.stopped = np.zeros(count, dtype=bool)
        self._best = np.full(count, np.inf)
        self._patience = np.array([spec.patience for spec in specs])
        self._min_delta = np.array([spec.min_delta for spec in specs], dtype=np.float32)
        self._reference = np.full(count, np.inf, dtype=np.float32)
        self._waited = np.zeros(count, dtype=int)
        self._on_plateau = np.array([spec.scheduler == "plateau" for spec in specs])
        self._plateau_factor = np.array([spec.plateau_factor for spec in specs])
        self._plateau_patience = np.array([spec.plateau_patience for spec in specs])
        self._plateau_best = np.full(count, np.inf)
        self._stagnant = np.zeros(count, dtype=int)

    def step(self, epoch: int, val_loss: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Take in an epoch's validation losses ``[S]``.

        Sets ``stopped``, ``best_epoch`` and the next epoch's ``lr``, each ``[S]``; what becomes of a run that has
        ended means nothing.

        Returns:
            ``[S]`` whether this epoch is a run's best so far.
        """
        best = val_loss < self._best
        self._best = np.where(best, val_loss, self._best)
        self.best_epoch = np.where(best, epoch, self.best_epoch)
        self._stop_early(val_loss)
        self._cut(val_loss.astype(float))
        return best

    def _stop_early(self, val_loss: NDArray[np.float32]) -> None:
        """Count epochs without improvement."""
        improved = val_loss + self._min_delta < self._reference
        self._reference = np.where(improved, val_loss, self._reference)
        self._waited = np.where(improved, 0, self._waited + 1)
        self.stopped |= (self._waited >= self._patience) | ~np.isfinite(val_loss)

    def _cut(self, val_loss: NDArray[np.float64]) -> None:
        """Cut the learning rates of runs that have stagnated for longer than their patience."""
        better = val_loss < self._plateau_best * (1 - _PLATEAU_THRESHOLD)
        self._plateau_best = np.where(better, val_loss, self._plateau_best)
        self._stagnant = np.where(better, 0, self._stagnant + 1)
        due = self._on_plateau & (self._stagnant > self._plateau_patience)
        self._stagnant[due] = 0
        cut = self.lr * self._plateau_factor
        self.lr = np.where(due & (self.lr - cut > _LEAST_CUT), cut, self.lr)
