"""What a data set allows, whatever the model: constants, floor, ceiling and how well annotators know one another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.trust.dirichlet import DirichletMixture, best, fit_mixtures
from soft_labels.trust.floor import ceiling_range, class_marginal, constant_kl, floor_range, kl_floor, split_half
from soft_labels.trust.inputs import Floats, Numbers, as_counts, entropies, shares
from soft_labels.trust.worth import AnnotatorCurve, annotator_curve

NAN = float("nan")
Measured = TypeVar("Measured")
_HALVES_SEED = 0


@dataclass(frozen=True)
class Yardsticks:
    """What a data set allows, whatever the model; measured once and handed to the reports of all models.

    Args:
        counts: ``[N, C]`` of the items that judge.
        marginal: ``[C]`` class marginal of the training items.
        usual_entropy: Median label_entropy of the training items, nats.
        marginal_kl: ``[N]`` KL of the class marginal, nats.
        floors: ``[N]`` KL of a perfect model, nats; nan where annotations do not tell.
        uniform: Mean KL of the uniform distribution, nats.
        floor_range: Lowest and highest mean floor over mixtures of different sizes, nats.
        ceiling_range: Lowest and highest ceiling of the entropy correlation over the same mixtures.
        split_half: Ceiling of the entropy correlation without a model of annotators: the root of Spearman-Brown.
        mixtures: Of the true distributions, of different sizes; none where annotations do not tell.
        curve: Annotators against annotators, on the items ``judging``; ``None`` where nobody can be left over.
        judging: Rows that judge worth, prior and sets: all, or half of them where no validation items were given.
        choosing: Rows that choose strengths and thresholds where no validation items were given, else none.
        val_counts: ``[V, C]`` of the items that choose.
        notes: What could not be measured, and why.
    """

    counts: Floats
    marginal: Floats
    usual_entropy: float
    marginal_kl: Floats
    floors: Floats
    uniform: float
    floor_range: tuple[float, float]
    ceiling_range: tuple[float, float]
    split_half: float
    mixtures: tuple[DirichletMixture, ...]
    curve: AnnotatorCurve | None
    judging: NDArray[np.int64]
    choosing: NDArray[np.int64]
    val_counts: Floats
    notes: tuple[str, ...]


def yardsticks(
    counts: Numbers,
    *,
    val_counts: Numbers | None = None,
    train_counts: Numbers | None = None,
    mixtures: Sequence[DirichletMixture] | None = None,
) -> Yardsticks:
    """Measure what a data set allows: constants, floor, ceiling and how well annotators know one another.

    Args:
        counts: ``[N, C]`` of the test items.
        val_counts: ``[V, C]`` of the items that choose; without them a half of the test items, drawn with a fixed
            seed, chooses and the other half judges whatever needs a choice.
        train_counts: ``[M, C]`` for the class marginal; without them it is that of the test items, which makes the
            constant a little better than it could be.
        mixtures: Of the true distributions, fitted to all these counts, so that redrawn splits of the same items share
            them; fitted here if not given.

    Raises:
        DataError: Counts are malformed.
    """
    rows = as_counts(counts)
    train = rows if train_counts is None else as_counts(train_counts, "train_counts")
    notes = [] if train_counts is not None else ["no training counts given: the class marginal is that of these items"]
    judging, choosing = np.arange(len(rows)), np.arange(0)
    if val_counts is None:
        order = np.random.default_rng(_HALVES_SEED).permutation(len(rows))
        choosing, judging = np.sort(order[: len(rows) // 2]), np.sort(order[len(rows) // 2 :])
        notes.append(
            f"no validation counts given: {len(choosing)} items drawn with seed {_HALVES_SEED} choose strengths and "
            f"thresholds, the other {len(judging)} judge worth, prior and sets"
        )
    val = rows[choosing] if val_counts is None else as_counts(val_counts, "val_counts")
    given = [rows] + [part for part, name in ((val, val_counts), (train, train_counts)) if name is not None]
    marginal, classes = class_marginal(train), rows.shape[1]
    mixtures = mixtures or _or_note(lambda: fit_mixtures(np.concatenate(given)), notes) or ()
    halves = _or_note(lambda: split_half(rows), notes)
    return Yardsticks(
        counts=rows,
        marginal=marginal,
        usual_entropy=float(np.median(entropies(shares(train)))),
        marginal_kl=constant_kl(rows, marginal),
        floors=kl_floor(rows, best(mixtures)) if mixtures else np.full(len(rows), NAN),
        uniform=float(constant_kl(rows, np.full(classes, 1 / classes)).mean()),
        floor_range=floor_range(rows, mixtures) if mixtures else (NAN, NAN),
        ceiling_range=ceiling_range(rows, mixtures) if mixtures else (NAN, NAN),
        split_half=halves.ceiling if halves else NAN,
        mixtures=tuple(mixtures),
        curve=_or_note(lambda: annotator_curve(rows[judging], val, marginal), notes),
        judging=judging,
        choosing=choosing,
        val_counts=val,
        notes=tuple(notes),
    )


def _or_note(measure: Callable[[], Measured], notes: list[str]) -> Measured | None:
    """A measurement, or a note why it cannot be made."""
    try:
        return measure()
    except DataError as error:
        notes.append(str(error))
        return None
