"""One training run: what it is told (its spec) and what it leaves (its result), whichever engine trains it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from torch import Tensor

from soft_labels.errors import ConfigError
from soft_labels.objectives import Target

if TYPE_CHECKING:
    from soft_labels.datamodules import AnnotationDataModule

Scheduler = Literal["none", "plateau"]
Ending = Literal["max_epochs", "early_stopping", "pruned"]
EpochHook = Callable[[int, int, float], bool]


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides how one head is trained on given features and targets.

    Args:
        target: Train on the annotation distribution (``soft``) or on its majority class (``hard``).
        hidden_width: Width of the hidden layer, W.
        dropout: Share of hidden units that training drops.
        lr: Adam's learning rate.
        weight_decay: Adam's L2 term.
        scheduler: ``plateau`` cuts the learning rate when the validation loss stagnates.
        plateau_factor: What a cut multiplies the learning rate by.
        plateau_patience: Epochs without improvement before a cut.
        standardize: Standardise features by the training split's statistics.
        seed: Seed of initial weights, order and dropout.
        batch_size: Items a training step, B.
        max_epochs: Most passes over the training split.
        patience: Epochs without improvement of the validation loss before training stops.
        min_delta: Least absolute decrease of the validation loss that counts as an improvement.

    Raises:
        ConfigError: A value is out of its range.
    """

    target: Target = "soft"
    hidden_width: int = 256
    dropout: float = 0.5
    lr: float = 1e-4
    weight_decay: float = 0.0
    scheduler: Scheduler = "none"
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    standardize: bool = True
    seed: int = 0
    batch_size: int = 16
    max_epochs: int = 20
    patience: int = 5
    min_delta: float = 1e-4

    def __post_init__(self) -> None:
        wanted = {
            "a target of soft or hard": self.target in ("soft", "hard"),
            "a scheduler of none or plateau": self.scheduler in ("none", "plateau"),
            "a dropout from 0 to below 1": 0 <= self.dropout < 1,
            "a plateau_factor above 0 and below 1": 0 < self.plateau_factor < 1,
            "an lr above 0": self.lr > 0,
            "a weight_decay and a min_delta of at least 0": min(self.weight_decay, self.min_delta) >= 0,
            "a hidden_width and a batch_size of at least 1": min(self.hidden_width, self.batch_size) >= 1,
            "max_epochs and patience of at least 1": min(self.max_epochs, self.patience) >= 1,
            "a plateau_patience and a seed of at least 0": min(self.plateau_patience, self.seed) >= 0,
        }
        for words, holds in wanted.items():
            if not holds:
                raise ConfigError(f"wanted {words}, got {self}")

    def settings(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)


# The command line's key of each field: what a search space names, and what the best configuration is written with.
CONFIG_KEYS = {
    "target": "model.target",
    "hidden_width": "model.hidden_width",
    "dropout": "model.dropout",
    "lr": "model.lr",
    "weight_decay": "model.weight_decay",
    "scheduler": "model.scheduler",
    "plateau_factor": "model.plateau_factor",
    "plateau_patience": "model.plateau_patience",
    "standardize": "model.standardize",
    "seed": "seed_everything",
    "batch_size": "data.init_args.batch_size",
    "max_epochs": "trainer.max_epochs",
    "patience": "early_stopping.patience",
    "min_delta": "early_stopping.min_delta",
}


@dataclass(frozen=True)
class RunResult:
    """What training one spec gave.

    Args:
        spec: What was trained.
        curve: By key, one value an epoch, ``[T]``: ``lr`` (during the epoch), ``train/loss``, ``train/accuracy``,
            ``train/kl``, ``train/entropy_corr``, the same of ``val``, and of ``test`` where it was monitored.
        best_epoch: The epoch of the lowest ``val/loss``, from 0; the first of equals.
        ending: Why training ended.
        state: ``state_dict`` of the :class:`~soft_labels.heads.MLPHead` at the best epoch, on the CPU; ``None``
            where heads were not asked for.
    """

    spec: RunSpec
    curve: dict[str, list[float]]
    best_epoch: int
    ending: Ending
    state: dict[str, Tensor] | None


class Engine(Protocol):
    """Trains specs on the data of one data module; every engine gives the same results to float tolerance."""

    name: str

    def parts(self, datamodule: "AnnotationDataModule", specs: Sequence[RunSpec]) -> list[list[int]]:
        """Positions of the specs that had better be trained by one call, so that work can be written down part by part.

        Args:
            datamodule: The data.
            specs: What to train.
        """
        ...

    def train(
        self,
        datamodule: "AnnotationDataModule",
        specs: Sequence[RunSpec],
        *,
        monitor_test: bool = False,
        keep_heads: bool = False,
        after_epoch: EpochHook | None = None,
    ) -> list[RunResult]:
        """Train every spec.

        Args:
            datamodule: The data; its own batch size and order seed are not read.
            specs: What to train; results come in the same order.
            monitor_test: Whether curves have the test split; nothing chooses by it.
            keep_heads: Whether results carry the best epoch's weights.
            after_epoch: Called with a spec's position, an epoch (from 0) and its ``val/loss``; a true answer ends that
                run as ``pruned``.
        """
        ...
