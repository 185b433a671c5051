"""What the runs of a program are trained towards: each different aim once, side by side."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from soft_labels.data.batches import Observed
from soft_labels.training.objectives import Objective
from soft_labels.training.spec import HeadSpec, RunSpec

_Key = tuple[object, ...]


class Aims:
    """The aims of some runs, K of them; the first is the annotation distribution, which metrics are counted against.

    Args:
        specs: The runs.
        observed: What was observed of all items.
        device: Where programs run.

    Attributes:
        judging: ``[N, K, C]`` what losses of validation and test are counted against.
        weights: ``[N, K]`` how much each item counts; ``None`` where all count the same for everyone.
        each_epoch: Whether any aim is drawn anew in each epoch.
    """

    OBSERVED = 0

    def __init__(self, specs: Sequence[RunSpec], observed: Observed, device: torch.device) -> None:
        distinct = {_key(spec): Objective(spec) for spec in specs}
        distinct.pop(_key(RunSpec()), None)
        self._objectives = [Objective(RunSpec()), *distinct.values()]
        self._place = {_key(objective.spec): place for place, objective in enumerate(self._objectives)}
        self._observed = observed
        self._device = device
        aims = [objective.judged_by(observed) for objective in self._objectives]
        self.judging = torch.stack([aim.dist for aim in aims], dim=1).to(device)
        weights = [aim.weight for aim in aims]
        same = torch.ones(len(self.judging))
        self.weights: Tensor | None = None
        if any(weight is not None for weight in weights):
            self.weights = torch.stack([same if one is None else one for one in weights], dim=1).to(device)
        self.each_epoch = any(objective.target.each_epoch for objective in self._objectives)

    def of(self, specs: Iterable[RunSpec]) -> Tensor:
        """Which aim each run has, int64 ``[P]``."""
        return torch.tensor([self._place[_key(spec)] for spec in specs], device=self._device)

    def training(self, seed: int, epoch: int) -> Tensor:
        """What training losses of a seed are counted against in an epoch, ``[N, K, C]``."""
        if all(objective.target.train_dist is None for objective in self._objectives):
            return self.judging
        aims = [objective.trained_by(self._observed, seed, epoch) for objective in self._objectives]
        return torch.stack([aim.dist for aim in aims], dim=1).to(self._device)


def _key(spec: HeadSpec) -> _Key:
    """What decides an aim."""
    return (spec.target, *(getattr(spec, field) for field in Objective(spec).target.reads))
