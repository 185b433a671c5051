"""How a space is searched: with which sampler and pruner, how many trials, how many at once."""

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from jsonargparse import ArgumentParser, Namespace
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler

from soft_labels.errors import SweepError
from soft_labels.sweep.space import Space, grid_points

_BATCH = 12
_ENUMERATE = ("GridSampler", "BruteForceSampler")
_UNPICKLE = ("CmaEsSampler",)  # what is stored in a study, and nobody knows by whom
_LEARN_NOTHING = ("grid", "RandomSampler", "QMCSampler")
_WANT_RANGES = ("CmaEsSampler", "QMCSampler")
_PACKAGES = {"CmaEsSampler": "cmaes"}  # which Optuna imports at the first trial that learns from others
_MOST_TRIALS = 1_000_000
# What a trial costs: 3 KiB in Optuna, 5 KiB as a record of 20 epochs; heads of a population on one CPU.
_KIBIBYTES_A_TRIAL, _TRIALS_A_SECOND = 8, 100


@dataclass(frozen=True)
class SweepForm:
    """A search as it is written in a file of ``configs/sweep``.

    Args:
        space: By key of fit, {categorical: [...]}, {int: [low, high]} or {float: [low, high]} with log and step.
        sampler: grid tries every point of a space of categories once; otherwise an Optuna sampler.
        pruner: An Optuna pruner, which ends trials early; none by default.
        trials: How many trials an arm; of a grid, all its points.
        batch: How many trials are asked for and trained together; 12 where left out, but a whole grid where nothing
            is pruned and no other worker can see it.
        seed: Seed of the sampler, for a study in memory; workers that share a storage draw independently.
        grace: Seconds after which the trials of a silent worker are given to others.
    """

    space: dict[str, dict[str, Any]]
    sampler: BaseSampler | Literal["grid"] = "grid"
    pruner: BasePruner | None = None
    trials: int | None = None
    batch: int | None = None
    seed: int = 0
    grace: float = 120.0


@dataclass(frozen=True)
class SweepSettings:
    """A search whose parts have been checked.

    Args:
        space: What may change.
        sampler: Class path and arguments of an Optuna sampler; ``None`` for a grid.
        pruner: Optuna's pruner.
        trials: How many trials an arm.
        batch: How many trials at once; ``None`` for the default.
        seed: Seed of the sampler.
        grace: Seconds after which the trials of a silent worker are given to others.

    Raises:
        SweepError: The parts do not fit together.
    """

    space: Space
    sampler: Namespace | None
    pruner: BasePruner
    trials: int
    batch: int | None = None
    seed: int = 0
    grace: float = 120.0

    def __post_init__(self) -> None:
        if not 0 < self.grace < math.inf:
            raise SweepError(f"wanted a grace above 0 seconds, got {self.grace:g}")
        if min(self.trials, 1 if self.batch is None else self.batch) < 1:
            raise SweepError(f"wanted trials and batch of at least 1, got {self.trials} and {self.batch}")
        if self.sampler is not None:
            self._check_sampler()

    def _check_sampler(self) -> None:
        """Refuse a sampler that cannot be made, that wants to stop the study itself, or that would draw at random."""
        if self.sampler_name in _ENUMERATE:
            raise SweepError(
                f"{self.sampler_name} cannot serve a batch; write sampler: grid, which tries every point once"
            )
        categories = [key for key, each in self.space.items() if isinstance(each, CategoricalDistribution)]
        if self.sampler_name in _WANT_RANGES and categories:
            raise SweepError(
                f"{self.sampler_name} wants int and float ranges and draws categories at random, got categories for "
                f"{', '.join(categories)}; choose another sampler, such as optuna.samplers.TPESampler"
            )
        self._check_package()
        self.new_sampler(shared=False)

    def _check_package(self) -> None:
        """Refuse a sampler that would stop after the first trials for want of a package."""
        package = _PACKAGES.get(self.sampler_name)
        if package is not None:
            try:
                importlib.import_module(package)
            except ImportError as error:
                raise SweepError(f"{self.sampler_name} wants the package {package}: pip install {package}") from error

    @property
    def sampler_name(self) -> str:
        """The sampler's class, or ``grid``."""
        return "grid" if self.sampler is None else self.sampler.class_path.rpartition(".")[2]

    @property
    def learns(self) -> bool:
        """Whether what comes of trials may decide which are asked for next."""
        return self.sampler_name not in _LEARN_NOTHING

    @property
    def prunes(self) -> bool:
        """Whether trials may end early."""
        return not isinstance(self.pruner, NopPruner)

    @cached_property
    def pruner_name(self) -> str:
        """The pruner's class and settings, as they were before it found some by itself."""
        return _described(self.pruner)

    def batch_size(self, shared: bool) -> int:
        """How many trials are asked for at once."""
        whole = self.sampler is None and not self.prunes and not shared
        return self.batch or (self.trials if whole else _BATCH)

    def new_sampler(self, shared: bool) -> BaseSampler:
        """A sampler for one study; seeded unless other workers would draw the same numbers.

        Raises:
            SweepError: It cannot be made, or not for a study that others may write to.
        """
        if self.sampler is None:
            return RandomSampler(self.seed)  # draws nothing: every trial of a grid has its values
        if shared and self.sampler_name in _UNPICKLE:
            raise SweepError(
                f"{self.sampler_name} unpickles what it finds in a storage, which others may have written; leave out "
                "--storage, or choose another sampler, such as optuna.samplers.TPESampler"
            )
        chosen = self.sampler.clone()
        if not shared and chosen.get("init_args.seed", self.seed) is None:
            chosen.init_args.seed = self.seed
        sampler: BaseSampler = _made(BaseSampler, chosen)
        return sampler


def _described(value: object) -> str:
    """A pruner with its settings, which may be pruners too; equal in every process."""
    if not isinstance(value, BasePruner):
        return repr(value)
    settings = ", ".join(f"{name.lstrip('_')}={_described(own)}" for name, own in sorted(vars(value).items()))
    return f"{type(value).__name__}({settings})"


def check_size(form: Namespace, space: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a search that would not end or not fit into memory, before its values are read one by one.

    Args:
        form: The parsed :class:`SweepForm`.
        space: The search space as it was written.

    Raises:
        SweepError: With the time and the memory that it would take.
    """
    lists = [values for each in space.values() if isinstance(values := each.get("categorical"), list)]
    trials = math.prod(map(len, lists)) if form.sampler == "grid" else form.trials or 1
    if trials > _MOST_TRIALS:
        what = f"a grid of {trials:,} points" if form.sampler == "grid" else f"{trials:,} trials"
        raise SweepError(
            f"{what} for each arm would take some {trials / _TRIALS_A_SECOND / 3600:,.0f} hours and "
            f"{trials * _KIBIBYTES_A_TRIAL / 2**20:,.0f} GiB of memory; wanted at most {_MOST_TRIALS:,}: list fewer "
            "values, or choose a sampler and fewer --sweep.trials"
        )


def sweep_settings(form: Namespace, space: Mapping[str, BaseDistribution]) -> SweepSettings:
    """The settings that a parsed form stands for.

    Args:
        form: The parsed :class:`SweepForm`; sampler and pruner are still class paths with arguments.
        space: What its search space was read as.

    Raises:
        SweepError: The parts do not fit together.
    """
    pruner: BasePruner = NopPruner() if form.pruner is None else _made(BasePruner, form.pruner)
    if form.sampler != "grid":
        if form.trials is None:
            raise SweepError("wanted the number of trials for each arm, got none; give --sweep.trials")
        return SweepSettings(space, form.sampler, pruner, form.trials, form.batch, form.seed, form.grace)
    points = len(grid_points(space))
    if form.trials not in (None, points):
        raise SweepError(f"a grid of {points} points has as many trials, not {form.trials}; leave trials out")
    return SweepSettings(space, None, pruner, points, form.batch, form.seed, form.grace)


def _made(kind: type, chosen: Namespace) -> Any:
    """The object that a class path and its arguments, which may hold further ones, stand for."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--made", type=kind)
    try:
        return parser.instantiate_classes(Namespace(made=chosen)).made  # type: ignore[no-untyped-call]
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        raise SweepError(f"cannot make {chosen.class_path}: {error}") from error
