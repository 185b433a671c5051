"""One training run: what it is told (its spec) and what it leaves (its result), whichever engine trains it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from itertools import chain, groupby
from typing import Any, Literal, NamedTuple, get_args

from torch import Tensor

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.errors import ConfigError
from soft_labels.training.heads import Head
from soft_labels.training.kinds import HEADS, MLP, HeadKind
from soft_labels.training.objectives import LOSSES, TARGETS, fields_read, known

Scheduler = Literal["none", "plateau"]
Ending = Literal["max_epochs", "early_stopping", "pruned", "solved"]
EpochHook = Callable[[int, int, float], bool]


@dataclass(frozen=True)
class HeadSpec:
    """Everything about a head that is the module's own: the source of its settings, their defaults and checks.

    Args:
        target: What it is trained towards: the annotation distribution (soft), its majority class (hard), or another
            row of ``soft_labels.training.objectives.TARGETS``.
        hidden_width: Width of the hidden layer, W.
        dropout: Share of hidden units that training drops.
        lr: Adam's learning rate.
        weight_decay: Adam's L2 term (not decoupled as in AdamW).
        scheduler: ``plateau`` cuts the learning rate when the validation loss stagnates.
        plateau_factor: What a cut multiplies the learning rate by.
        plateau_patience: Epochs without improvement before a cut; a value near early stopping's patience never fires.
        standardize: Standardise features by the training split's mean and deviation, kept in the checkpoint.
        seed: Seed of initial weights, order and dropout (linked from ``seed_everything`` by the command line).
        loss: How far it is from the target: a row of ``soft_labels.training.objectives.LOSSES``.
        smoothing: Share of each training label that target smoothed spreads evenly over all classes; 0 leaves the
            majority class alone, as target hard has it.
        shrinkage: Annotations, spread evenly over all classes, that target shrunk adds to each training item; 0 leaves
            the annotation distribution as it is.
        head: What kind of head it is: a row of ``soft_labels.training.kinds.HEADS``, which says what it reads of these
            settings.
        neighbours: Training items whose labels head neighbours averages.

    Raises:
        ConfigError: A value is out of its range, or no row of its table.

    Source: the paper's sections 3.2 and 3.3; width, dropout and plateau patience are not given there, and every default
        is this project's own.
    """

    target: str = "soft"
    hidden_width: int = 256
    dropout: float = 0.5
    lr: float = 1e-4
    weight_decay: float = 0.0
    scheduler: Scheduler = "none"
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    standardize: bool = True
    seed: int = 0
    loss: str = "cross_entropy"
    smoothing: float = 0.0
    shrinkage: float = 0.0
    head: str = MLP
    neighbours: int = 20

    def __post_init__(self) -> None:
        """Check every value."""
        self._check({f"a value of {field.name}": getattr(self, field.name) is not None for field in fields(self)})
        known("target", self.target, TARGETS)
        known("loss", self.loss, LOSSES)
        known("head", self.head, HEADS)
        known("scheduler", self.scheduler, get_args(Scheduler))
        self._check(
            {
                "a dropout from 0 to below 1": 0 <= self.dropout < 1,
                "a plateau_factor above 0 and below 1": 0 < self.plateau_factor < 1,
                "a finite lr above 0": 0 < self.lr < math.inf,
                "a finite weight_decay of at least 0": 0 <= self.weight_decay < math.inf,
                "a hidden_width of at least 1": self.hidden_width >= 1,
                "a smoothing from 0 to below 1": 0 <= self.smoothing < 1,
                "a shrinkage of at least 0": 0 <= self.shrinkage < math.inf,
                "neighbours of at least 1": self.neighbours >= 1,
                "a plateau_patience and a seed of at least 0": min(self.plateau_patience, self.seed) >= 0,
            }
        )

    def _check(self, wanted: dict[str, bool]) -> None:
        """Refuse what does not hold."""
        for words, holds in wanted.items():
            if not holds:
                raise ConfigError(f"wanted {words}, got {self}")

    @property
    def kind(self) -> HeadKind:
        """The row of ``soft_labels.training.kinds.HEADS``."""
        return HEADS[self.head]

    @property
    def plain_target(self) -> str | None:
        """``hard`` or ``soft`` where head and loss are the defaults, as in the paper; else ``None``."""
        plain = self.loss == HeadSpec.loss and self.head == HeadSpec.head
        return self.target if plain and self.target in ("hard", "soft") else None

    def settings(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class RunSpec(HeadSpec):
    """Everything that decides how one head is trained on given features and annotations.

    Args:
        batch_size: Items a training step, B.
        max_epochs: Most passes over the training split.
        patience: Epochs without improvement of the validation loss before training stops.
        min_delta: Least absolute decrease of the validation loss that counts as an improvement.

    The other fields are those of :class:`HeadSpec`.

    Raises:
        ConfigError: A value is out of its range, or no row of its table.
    """

    batch_size: int = 16
    max_epochs: int = 20
    patience: int = 5
    min_delta: float = 1e-4

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        self._check(
            {
                "a batch_size of at least 1": self.batch_size >= 1,
                "max_epochs and patience of at least 1": min(self.max_epochs, self.patience) >= 1,
                "a finite min_delta of at least 0": 0 <= self.min_delta < math.inf,
            }
        )

    def of_module(self) -> dict[str, Any]:
        """The settings of the module alone."""
        return {field.name: getattr(self, field.name) for field in fields(HeadSpec)}


# The command line's key of each field: what a search space names, and what the best configuration is written with.
CONFIG_KEYS = {
    **{field.name: f"model.{field.name}" for field in fields(HeadSpec)},
    "seed": "seed_everything",
    "batch_size": "data.init_args.batch_size",
    "max_epochs": "trainer.max_epochs",
    "patience": "early_stopping.patience",
    "min_delta": "early_stopping.min_delta",
}
_OF_HEADS = {name for kind in HEADS.values() for name in kind.reads}


def check_honoured(who: str, honoured: Collection[str], spec: HeadSpec, searched: Collection[str] = ()) -> None:
    """Refuse a spec with a field that its trainer would record and not train with.

    Args:
        who: The trainer or the arm, for the message.
        honoured: Fields that are trained with, whatever the target.
        spec: What it was given.
        searched: Fields that a search will change.

    Raises:
        ConfigError: A field that neither the trainer nor the head nor the target reads differs from its default, or is
            searched; or the target needs epochs, and the head has none.
    """
    chosen = f"target {spec.target}" if spec.head == MLP else f"head {spec.head} and target {spec.target}"
    read = {name for name in honoured if name in spec.kind.reads or name not in _OF_HEADS}
    read.update(fields_read(spec.target))
    for field in fields(spec):
        value = getattr(spec, field.name)
        if field.name not in read and (value != field.default or field.name in searched):
            raise ConfigError(
                f"{who} with {chosen} does not honour {field.name}: wanted its default {field.default}, got "
                f"{'a search' if field.name in searched else value}; leave it out, or choose a target or a head that "
                "reads it"
            )
    if spec.kind.solved and TARGETS[spec.target].each_epoch:
        raise ConfigError(
            f"target {spec.target} is drawn anew in each epoch, and head {spec.head} has none; choose another target, "
            "such as soft or repeated"
        )


@dataclass(frozen=True)
class RunResult:
    """What training one spec gave.

    Args:
        spec: What was trained.
        curve: By key, one value an epoch, ``[T]``: ``lr`` (during the epoch; nan of a head that is solved, which has
            one), ``train/loss``, ``train/accuracy``, ``train/kl``, ``train/entropy_corr``, the same of ``val``, and of
            ``test`` where it was monitored.
        best_epoch: The epoch of the lowest ``val/loss``, from 0; the first of equals.
        ending: Why training ended.
        state: ``state_dict`` of the :class:`~soft_labels.training.heads.Head` at the best epoch, on the CPU;
            ``None`` where heads were not asked for.
    """

    spec: RunSpec
    curve: dict[str, list[float]]
    best_epoch: int
    ending: Ending
    state: dict[str, Tensor] | None


def head_of(data: EmbeddedDataset, result: RunResult) -> Head:
    """The head of a result, on the CPU.

    Args:
        data: What it was trained on.
        result: A result with its head.

    Raises:
        ValueError: The result has no head.
    """
    if result.state is None:
        raise ValueError("wanted a result with its head, got one without")
    head = result.spec.kind.make(data.embedding_dim, data.num_classes, result.spec)
    head.load_state_dict(result.state)
    return head


class Job(NamedTuple):
    """A spec to train on some data."""

    data: EmbeddedDataset
    spec: RunSpec


# Begins to train some groups of jobs, and gives each result with the place of its job among all, as it comes.
Start = Callable[..., Iterator[tuple[int, RunResult]]]


class Engine(ABC):
    """Trains specs on data sets; every engine gives the same results to float tolerance."""

    name: str

    @abstractmethod
    def together(self, jobs: Sequence[Job]) -> list[list[list[int]]]:
        """How to divide jobs, so that work can be written down bit by bit.

        Args:
            jobs: What to train, on any number of data sets.

        Returns:
            Bundles that are started by one call each, and in each the positions of the jobs of its groups; a group
            trains side by side.
        """

    @abstractmethod
    def train(
        self,
        data: EmbeddedDataset,
        specs: Sequence[RunSpec],
        *,
        monitor_test: bool = False,
        keep_heads: bool = False,
        after_epoch: EpochHook | None = None,
    ) -> list[RunResult]:
        """Train every spec.

        Args:
            data: The data.
            specs: What to train; results come in the same order.
            monitor_test: Whether curves have the test split; nothing chooses by it.
            keep_heads: Whether results carry the best epoch's weights.
            after_epoch: Called with a spec's position, an epoch (from 0) and its ``val/loss``; a true answer ends that
                run as ``pruned``.

        Raises:
            ConfigError: A spec has a field that the engine does not honour, or a loss that the classes do not define.
        """

    @contextmanager
    def at_work(self) -> Iterator[Start]:
        """Within it, what has been started trains on while the results of something else are seen to.

        Returns:
            What starts a training: it takes groups of jobs, as :meth:`together` has them, and what :meth:`train` takes
            by name. Here each begins when its results are asked for; what has not ended with the block is given up.
        """
        yield self._one_by_one

    def _one_by_one(
        self, groups: Sequence[Sequence[Job]], *, after_epoch: EpochHook | None = None, **settings: bool
    ) -> Iterator[tuple[int, RunResult]]:
        """Train the jobs, those that follow each other on the same data by one call."""
        for _, same in groupby(enumerate(chain.from_iterable(groups)), key=lambda one: id(one[1].data)):
            places, own = zip(*same, strict=True)
            specs, hook = [job.spec for job in own], at_places(after_epoch, places)
            yield from zip(places, self.train(own[0].data, specs, after_epoch=hook, **settings), strict=True)


def at_places(after_epoch: EpochHook | None, places: Sequence[int]) -> EpochHook | None:
    """A hook for some of the runs that another one knows.

    Args:
        after_epoch: The other one, if there is any.
        places: By which it knows each of them.
    """
    return None if after_epoch is None else lambda run, epoch, loss: after_epoch(places[run], epoch, loss)
