"""What a head is trained towards (a target) and how far it is from it (a loss), each a row of one table.

Both engines read these tables and nothing else about objectives: a row that is added here trains, is searched, compared
and reported.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own short name)

from soft_labels.data.batches import Observed, epoch_seed
from soft_labels.distributions import (
    brier_score,
    jensen_shannon,
    label_distribution,
    ranked_probability_score,
    soft_cross_entropy,
)
from soft_labels.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from soft_labels.training.spec import HeadSpec


class Aim(NamedTuple):
    """What a head is trained towards.

    ``dist`` float32 ``[N, C]``, rows sum to 1; ``weight`` float32 ``[N]``, how much an item's loss counts, or ``None``
    where all count the same.
    """

    dist: Tensor
    weight: Tensor | None = None

    def take(self, rows: Tensor) -> "Aim":
        """That of the items at ``rows``."""
        return Aim(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Target:
    """One way to turn an item's annotations into what a head is trained towards.

    Args:
        text: What it is, in a few words.
        dist: Of what was observed of all items, and the spec: ``[N, C]``, rows sum to 1. Validation loss is counted
            against it, and so is the training loss unless ``train_dist`` is there.
        train_dist: The same for training alone, with a generator of the run's seed (and the epoch, where it is drawn
            anew).
        each_epoch: Whether ``train_dist`` is drawn anew in each epoch.
        weight: Of what was observed: ``[N]``, above 0, how much each item counts; only proportions matter.
        reads: Fields of the spec that it honours.
    """

    text: str
    dist: Callable[[Observed, "HeadSpec"], Tensor]
    train_dist: Callable[[Observed, "HeadSpec", torch.Generator], Tensor] | None = None
    each_epoch: bool = False
    weight: Callable[[Observed], Tensor] | None = None
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loss:
    """One way to count how far logits are from a target.

    Args:
        text: What it is, in a few words.
        of_items: Of targets ``[..., C]`` and logits ``[..., C]``: ``[...]``, differentiable, over any leading
            dimensions.
        gradient: Of the same: each item's gradient by its logits, ``[..., C]``; ``None`` to leave it to autograd.
        needs_order: Whether it is defined for ordered classes only.
    """

    text: str
    of_items: Callable[[Tensor, Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor] | None = None
    needs_order: bool = False

    def slope(self, target: Tensor, logits: Tensor) -> Tensor:
        """Each item's gradient by its logits, ``[..., C]``: written out, or autograd on these logits alone."""
        if self.gradient is not None:
            return self.gradient(target, logits)
        with torch.enable_grad():
            free = logits.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.of_items(target, free).sum(), free)
        return slope


def _soft(observed: Observed, spec: "HeadSpec") -> Tensor:  # noqa: ARG001 (every target is asked in one way)
    """The annotation distribution."""
    return observed.label_dist


def _hard(observed: Observed, spec: "HeadSpec") -> Tensor:  # noqa: ARG001
    """All of it on the majority class."""
    classes = observed.label_dist.shape[-1]
    return F.one_hot(observed.majority_label, classes).to(observed.label_dist.dtype)


def _smoothed(observed: Observed, spec: "HeadSpec", generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """The majority class, but for a share that is spread evenly over all classes."""
    hard = _hard(observed, spec)
    return (1 - spec.smoothing) * hard + spec.smoothing / hard.shape[-1]


def _sampled(observed: Observed, spec: "HeadSpec", generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """All of it on the class that one annotator chose, who is drawn."""
    drawn = observed.label_dist.multinomial(1, generator=generator)[:, 0]
    return F.one_hot(drawn, observed.label_dist.shape[-1]).to(observed.label_dist.dtype)


def _shrunk(observed: Observed, spec: "HeadSpec", generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Shares of the annotations and of further ones that are spread evenly over all classes."""
    further = spec.shrinkage / observed.label_counts.shape[-1]
    return label_distribution(observed.label_counts + further).to(observed.label_dist.dtype)


def _annotations(observed: Observed) -> Tensor:
    """How many annotations each item has."""
    return observed.label_counts.sum(-1)


def _softmax_less_target(target: Tensor, logits: Tensor) -> Tensor:
    """The gradient of cross-entropy by the logits."""
    return logits.softmax(-1) - target


# Where a target has a strength, validation loss is counted against plain labels, so that strengths compare.
# Sources: soft and hard the paper's section 3.3; smoothed Szegedy et al., "Rethinking the Inception architecture for
# computer vision", 2016, section 7; shrunk is the posterior mean under a symmetric Dirichlet prior.
TARGETS: dict[str, Target] = {
    "soft": Target("the annotation distribution", _soft),
    "hard": Target("the majority class", _hard),
    "smoothed": Target("the majority class, smoothed", _hard, train_dist=_smoothed, reads=("smoothing",)),
    "repeated": Target("every annotation, so that much annotated items weigh more", _soft, weight=_annotations),
    "sampled": Target("one annotation of each item, drawn anew in each epoch", _soft, train_dist=_sampled,
                      each_epoch=True),
    "shrunk": Target("the annotation distribution, drawn towards uniform", _soft, train_dist=_shrunk,
                     reads=("shrinkage",)),
}  # fmt: skip
LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss("cross-entropy, nats", soft_cross_entropy, gradient=_softmax_less_target),
    "jensen_shannon": Loss("Jensen-Shannon divergence, nats", jensen_shannon),
    "brier": Loss("Brier score", brier_score),
    "rps": Loss("ranked probability score, ordered classes", ranked_probability_score, needs_order=True),
}


def known(kind: str, name: str, table: Collection[str]) -> str:
    """The name, if it is a row of a table.

    Args:
        kind: What the table lists, as ``target``.
        name: What was asked for.
        table: The names that there are.

    Raises:
        ConfigError: There is no such row.

    Example:
        >>> known("target", "soft", TARGETS)
        'soft'
    """
    if not isinstance(name, str) or name not in table:  # a configuration may hold anything
        article = "an" if kind[0] in "aeiou" else "a"
        hint = did_you_mean(str(name), table)
        raise ConfigError(f"wanted {article} {kind} of {', '.join(table)}, got {name}{hint}")
    return name


@dataclass(frozen=True)
class Objective:
    """A spec's target and loss.

    Args:
        spec: Names both, and holds what they read.
    """

    spec: "HeadSpec"

    @property
    def target(self) -> Target:
        """The row of :data:`TARGETS`."""
        return TARGETS[known("target", self.spec.target, TARGETS)]

    @property
    def loss(self) -> Loss:
        """The row of :data:`LOSSES`."""
        return LOSSES[known("loss", self.spec.loss, LOSSES)]

    def check(self, ordinal: bool) -> None:
        """Refuse a loss that the classes do not define.

        Raises:
            ConfigError: The loss is for ordered classes and these are not.
        """
        if self.loss.needs_order and not ordinal:
            raise ConfigError(
                f"loss {self.spec.loss} is defined for ordered classes only; choose another, or say ordinal: true"
            )

    def judged_by(self, observed: Observed) -> Aim:
        """What losses of validation and test are counted against."""
        return Aim(self.target.dist(observed, self.spec), self._weight(observed))

    def trained_by(self, observed: Observed, seed: int, epoch: int) -> Aim:
        """What training losses are counted against.

        Args:
            observed: What was observed of all items.
            seed: The run's.
            epoch: From 0; a pure function of both, whatever trains.
        """
        if self.target.train_dist is None:
            return self.judged_by(observed)
        drawn_in = epoch if self.target.each_epoch else 0
        generator = torch.Generator().manual_seed(epoch_seed(seed, drawn_in, "target"))
        return Aim(self.target.train_dist(observed, self.spec, generator), self._weight(observed))

    def _weight(self, observed: Observed) -> Tensor | None:
        """How much each item counts; 1 on average."""
        if self.target.weight is None:
            return None
        weight = self.target.weight(observed).float()
        return weight / weight.mean()


def item_losses(loss: Loss, aim: Aim, logits: Tensor) -> Tensor:
    """The loss of each item, times its weight.

    Args:
        loss: A row of :data:`LOSSES`.
        aim: What the items are trained towards: ``[..., B, C]`` and, where there are weights, ``[..., B]``.
        logits: ``[..., B, C]``.

    Returns:
        ``[..., B]``.
    """
    losses = loss.of_items(aim.dist, logits)
    return losses if aim.weight is None else losses * aim.weight


def fields_read(target: str) -> tuple[str, ...]:
    """Fields of a spec that a target honours, beside those that every engine does."""
    return TARGETS[known("target", target, TARGETS)].reads
