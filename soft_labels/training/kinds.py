"""The kinds of head, each a row of one table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soft_labels.training.heads import Head, MLPHead
from soft_labels.training.solved import LogisticHead, NeighboursHead

if TYPE_CHECKING:
    from soft_labels.training.spec import HeadSpec


@dataclass(frozen=True)
class HeadKind:
    """One kind of head.

    Args:
        text: What it is, in a few words.
        make: Of the features' width, the number of classes and a spec: a new head.
        reads: Fields of a spec that it honours and that not every head does.
        solved: Whether it is solved at once: without epochs, and without a seed.
        keeps_items: Whether its weights hold the features and labels of the training items.
    """

    text: str
    make: Callable[[int, int, "HeadSpec"], Head]
    reads: tuple[str, ...]
    solved: bool = False
    keeps_items: bool = False


MLP = "mlp"
HEADS: dict[str, HeadKind] = {
    MLP: HeadKind(
        "two layers, trained epoch by epoch",
        lambda width, classes, spec: MLPHead(width, classes, spec.hidden_width, spec.dropout, spec.seed),
        ("hidden_width", "dropout", "lr", "weight_decay", "scheduler", "plateau_factor", "plateau_patience", "seed",
         "loss", "batch_size", "max_epochs", "patience", "min_delta"),
    ),
    "logistic": HeadKind(
        "multinomial logistic regression, solved to convergence",
        lambda width, classes, spec: LogisticHead(width, classes, spec.weight_decay),
        ("weight_decay",),
        solved=True,
    ),
    "neighbours": HeadKind(
        "the mean of the nearest training items",
        lambda width, classes, spec: NeighboursHead(width, classes, spec.neighbours),
        ("neighbours",),
        solved=True,
        keeps_items=True,
    ),
}  # fmt: skip


def unread(head: str) -> set[str]:
    """Fields that the usual head honours and this one does not.

    Args:
        head: A row of :data:`HEADS`.

    Example:
        >>> "lr" in unread("logistic"), "weight_decay" in unread("logistic"), unread("mlp")
        (True, False, set())
    """
    return set(HEADS[MLP].reads) - set(HEADS[head].reads)
