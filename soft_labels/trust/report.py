"""Everything that a reader needs beside a KL, from counts and predictions alone."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from soft_labels.errors import DataError
from soft_labels.trust.decomposition import decompose
from soft_labels.trust.inputs import Floats, Numbers, as_counts, as_log_pred, shares
from soft_labels.trust.intervals import Interval, correlation_values, ratio_values, seed_interval
from soft_labels.trust.peers import peer_metrics
from soft_labels.trust.prior import annotations_saved
from soft_labels.trust.reliability import reliability
from soft_labels.trust.sets import PredictionSets, fit_sets
from soft_labels.trust.worth import Reach, worth_interval
from soft_labels.trust.yardsticks import NAN, Yardsticks, yardsticks


@dataclass(frozen=True)
class TrustReport:
    """What a model's numbers mean. Information in nats; ``_low`` and ``_high`` are 95% intervals over seeds and items.

    Args:
        items: That judge.
        annotators: Mean number of annotators an item.
        seeds: Of the model, over which values are means.
        kl: Mean D_KL(label_dist || pred_dist), the sum of the next two.
        overconfidence: Above 0: surer than right.
        vagueness: How much less the model knows than the annotators say.
        uniform: KL of the uniform distribution.
        marginal: KL of the class marginal, the best constant.
        floor: KL of a perfect model, whose annotators are finite; its range is over mixtures, not an interval.
        share_of_achievable: 0 at the marginal, 1 at the floor.
        accuracy: Share of items whose likeliest class has the highest count; the lowest index of equal ones.
        entropy_corr: Pearson correlation of label_entropy and pred_entropy.
        ceiling_low: Lowest entropy correlation of a perfect model over mixtures of different sizes.
        ceiling_high: Highest.
        ceiling_split_half: The same from halves of the annotators, without a mixture.
        worth: As many annotators, shrunk to the class marginal, predict the others as well as the model does.
        worth_reach: ``below`` 0, ``within``, ``above`` the most annotators to draw (``worth`` is then that number), or
            ``mixed`` over seeds. Only ``within`` has an interval.
        prior_strength: Of the model as a prior, in annotators; mean over seeds.
        prior_annotators: Numbers of annotators beside the model.
        prior_equals: Annotators without the model that predict as well; the ladder's top where it is reached.
        prior_saved: Annotations an item that the model saves.
        set_level: Share of annotators' answers that prediction sets are to hold.
        set_share: Share that they hold.
        set_size: Mean number of classes in a set.
        set_share_majority: Share that sets hold which were fitted to majority labels at the same level.
        reliability_error: Mean gap of predicted probability and annotators' share over ten bins.
        dist_ce: DistCE, total variation distance.
        ent_ce: EntCE, mean absolute difference of entropies; at least ``vagueness``.
        ent_ce_constant: EntCE of one entropy for all items, the training items' median: often better than any model's.
        rank_cs: RankCS, share of items whose classes are ranked as the annotators do.
        manhattan: LeWiDi's Manhattan distance.
        wasserstein: LeWiDi's Wasserstein distance, in classes; nan unless the classes are ordered.
        po_jsd: PO-JSD, higher is better.
        soft_accuracy: Mass that both distributions share.
        notes: What could not be measured and why, and what stood in for what.
        prior_reach: ``above`` where annotators without the model do not suffice to measure ``prior_saved``, so that it
            saves at least that; ``below`` where it saves at most that; else ``within``, which alone has an interval.
    """

    items: int
    annotators: float
    seeds: int
    kl: float
    kl_low: float
    kl_high: float
    overconfidence: float
    overconfidence_low: float
    overconfidence_high: float
    vagueness: float
    vagueness_low: float
    vagueness_high: float
    uniform: float
    marginal: float
    floor: float
    floor_low: float
    floor_high: float
    share_of_achievable: float
    share_of_achievable_low: float
    share_of_achievable_high: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    entropy_corr: float
    entropy_corr_low: float
    entropy_corr_high: float
    ceiling_low: float
    ceiling_high: float
    ceiling_split_half: float
    worth: float
    worth_low: float
    worth_high: float
    worth_reach: Reach | Literal["mixed", "unknown"]
    prior_strength: float
    prior_annotators: tuple[int, ...]
    prior_equals: tuple[float, ...]
    prior_saved: tuple[float, ...]
    prior_saved_low: tuple[float, ...]
    prior_saved_high: tuple[float, ...]
    set_level: float
    set_share: float
    set_share_low: float
    set_share_high: float
    set_size: float
    set_size_low: float
    set_size_high: float
    set_share_majority: float
    reliability_error: float
    reliability_error_low: float
    reliability_error_high: float
    dist_ce: float
    dist_ce_low: float
    dist_ce_high: float
    ent_ce: float
    ent_ce_low: float
    ent_ce_high: float
    ent_ce_constant: float
    rank_cs: float
    rank_cs_low: float
    rank_cs_high: float
    manhattan: float
    manhattan_low: float
    manhattan_high: float
    wasserstein: float
    wasserstein_low: float
    wasserstein_high: float
    po_jsd: float
    po_jsd_low: float
    po_jsd_high: float
    soft_accuracy: float
    soft_accuracy_low: float
    soft_accuracy_high: float
    notes: tuple[str, ...]
    prior_reach: tuple[Reach, ...] = ()


def trust_report(
    counts: Numbers,
    predictions: Numbers,
    *,
    val_counts: Numbers | None = None,
    val_predictions: Numbers | None = None,
    train_counts: Numbers | None = None,
    measured: Yardsticks | None = None,
    ordinal: bool = False,
    set_level: float = 0.9,
) -> TrustReport:
    """Say what a model's KL and entropy correlation mean.

    Args:
        counts: ``[N, C]`` annotations that chose each class, of the test items.
        predictions: ``[N, C]`` pred_dist or log_pred, or ``[S, N, C]`` of several seeds.
        val_counts: ``[V, C]`` of validation items, which choose strengths and thresholds.
        val_predictions: ``[V, C]`` or ``[S, V, C]``.
        train_counts: ``[M, C]`` for the class marginal.
        measured: :func:`yardsticks` of the same counts, so that many models share them; ``val_counts`` and
            ``train_counts`` are then those that it was measured with.
        ordinal: Whether the classes are ordered.
        set_level: Share of annotators' answers that prediction sets are to hold.

    Raises:
        DataError: Counts or predictions are malformed, or belong to other items than the yardsticks.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> truth = generator.dirichlet([2.0, 1.0, 1.0], 600)
        >>> report = trust_report(generator.multinomial(20, truth), truth)
        >>> abs(report.share_of_achievable - 1) < 0.1
        True
    """
    yard = measured or yardsticks(counts, val_counts=val_counts, train_counts=train_counts)
    rows = yard.counts
    if not np.array_equal(rows, as_counts(counts)):
        raise DataError("counts: the yardsticks were measured on other counts; measure them on these")
    log_pred = _seeds(as_log_pred(predictions, rows.shape))
    val_pred = _val_predictions(yard, log_pred, val_predictions)
    notes = [*yard.notes, *_warnings(rows, log_pred, val_pred)]
    parts = decompose(rows, log_pred)
    return TrustReport(
        items=len(rows),
        annotators=float(rows.sum(1).mean()),
        seeds=len(log_pred),
        **_ends("kl", seed_interval(parts.kl)),
        **_ends("overconfidence", seed_interval(parts.overconfidence)),
        **_ends("vagueness", seed_interval(parts.vagueness)),
        uniform=yard.uniform,
        marginal=float(yard.marginal_kl.mean()),
        floor=float(yard.floors.mean()),
        floor_low=yard.floor_range[0],
        floor_high=yard.floor_range[1],
        **_ends("share_of_achievable", _share(yard, parts.kl)),
        **_ends("accuracy", seed_interval((log_pred.argmax(-1) == rows.argmax(-1)).astype(np.float64))),
        **_ends("entropy_corr", _over(correlation_values(parts.pred_entropy, parts.label_entropy))),
        ceiling_low=yard.ceiling_range[0],
        ceiling_high=yard.ceiling_range[1],
        ceiling_split_half=yard.split_half,
        **_worth(yard, log_pred),
        **_prior(yard, log_pred, val_pred),
        **_sets(yard, log_pred, val_pred, set_level),
        **_ends("reliability_error", seed_interval(np.stack([reliability(rows, each).values for each in log_pred]))),
        ent_ce_constant=float(np.abs(parts.label_entropy - yard.usual_entropy).mean()),
        **_peers(rows, log_pred, ordinal),
        notes=tuple(notes),
    )


def _seeds(log_pred: Floats) -> Floats:
    """``[S, N, C]``, also of one seed."""
    if log_pred.ndim > 3:
        raise DataError(f"predictions: wanted [N, C] or [S, N, C], got {log_pred.shape}; report one model at a time")
    return log_pred if log_pred.ndim == 3 else log_pred[None]


def _val_predictions(yard: Yardsticks, log_pred: Floats, val_predictions: Numbers | None) -> Floats | None:
    """``[S, V, C]`` of the items that choose, or nothing."""
    if len(yard.choosing):
        return log_pred[:, yard.choosing]
    if val_predictions is None:
        return None
    given = _seeds(as_log_pred(val_predictions, yard.val_counts.shape, "val_predictions"))
    if len(given) != len(log_pred):
        raise DataError(f"val_predictions: wanted {len(log_pred)} seeds as in predictions, got {len(given)}")
    return given


def _warnings(rows: Floats, log_pred: Floats, val_pred: Floats | None) -> list[str]:
    """What a reader of the report must know."""
    ruled_out = int(((rows > 0) & np.isneginf(log_pred)).any(-1).sum())
    return [
        *(["one seed: intervals are over items alone"] if len(log_pred) == 1 else []),
        *([f"{ruled_out} predictions rule out a class that annotators chose: kl is infinite"] if ruled_out else []),
        *(["no validation predictions given: no prior and no sets"] if val_pred is None else []),
    ]


def _ends(name: str, interval: Interval) -> dict[str, Any]:
    """The three fields of an interval."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _peers(rows: Floats, log_pred: Floats, ordinal: bool) -> dict[str, Any]:
    """Other authors' metrics."""
    found = {name: seed_interval(values) for name, values in peer_metrics(rows, log_pred).items()}
    if not ordinal:
        found["wasserstein"] = Interval(NAN, NAN, NAN)
    return {key: value for name, interval in found.items() for key, value in _ends(name, interval).items()}


def _over(values: Floats) -> Interval:
    """Interval over seeds and items, or nan where there are no values."""
    return seed_interval(values) if np.isfinite(values).any() else Interval(NAN, NAN, NAN)


def _share(yard: Yardsticks, kl: Floats) -> Interval:
    """Share of the achievable; nan where the constant is no higher than the floor, -inf where KL is infinite."""
    achievable = yard.marginal_kl - yard.floors
    if not achievable.mean() > 0:
        return Interval(NAN, NAN, NAN)
    if not np.isfinite(kl).all():
        return Interval(-np.inf, NAN, NAN)
    return seed_interval(ratio_values(yard.marginal_kl - kl, achievable))


def _worth(yard: Yardsticks, log_pred: Floats) -> dict[str, Any]:
    """Worth in annotators."""
    if yard.curve is None:
        return {**_ends("worth", Interval(NAN, NAN, NAN)), "worth_reach": "unknown"}
    each = [yard.curve.worth(log_pred[seed, yard.judging]) for seed in range(len(log_pred))]
    reaches = {worth.reach for worth in each}
    return {**_ends("worth", worth_interval(each)), "worth_reach": "mixed" if len(reaches) > 1 else reaches.pop()}


def _prior(yard: Yardsticks, log_pred: Floats, val_pred: Floats | None) -> dict[str, Any]:
    """The model as a prior."""
    if yard.curve is None or val_pred is None:
        nothing: dict[str, Any] = dict.fromkeys(("annotators", "equals", "saved", "saved_low", "saved_high"), ())
        return {"prior_strength": NAN, **{f"prior_{name}": none for name, none in nothing.items()}}
    found = annotations_saved(
        yard.counts[yard.judging], log_pred[:, yard.judging], yard.val_counts, val_pred,
        marginal=yard.marginal, curve=yard.curve,
    )  # fmt: skip
    equals = tuple(zip(found.equals, found.annotators, strict=True))
    return {
        "prior_strength": found.strength,
        "prior_annotators": found.annotators,
        "prior_equals": tuple(one.value for one in found.equals),
        "prior_saved": found.saved,
        "prior_reach": found.reach,
        "prior_saved_low": tuple(one.low - k for one, k in equals),
        "prior_saved_high": tuple(one.high - k for one, k in equals),
    }


def _sets(yard: Yardsticks, log_pred: Floats, val_pred: Floats | None, level: float) -> dict[str, Any]:
    """Prediction sets."""
    unknown = Interval(NAN, NAN, NAN)
    if val_pred is None:
        ends = {**_ends("set_share", unknown), **_ends("set_size", unknown)}
        return {"set_level": level, **ends, "set_share_majority": NAN}
    test, majority = log_pred[:, yard.judging], np.eye(yard.counts.shape[1])[yard.val_counts.argmax(1)]
    share, size = _held(yard, test, [fit_sets(yard.val_counts, val, level) for val in val_pred])
    hard, _ = _held(yard, test, [fit_sets(majority, val, level) for val in val_pred])
    return {
        "set_level": level,
        **_ends("set_share", seed_interval(share)),
        **_ends("set_size", seed_interval(size)),
        "set_share_majority": float(hard.mean()),
    }


def _held(yard: Yardsticks, test: Floats, fitted: list[PredictionSets]) -> tuple[Floats, Floats]:
    """Share of each item's answers that its set holds, and the set's size, ``[S, N]``."""
    members = np.stack([sets.members(each) for sets, each in zip(fitted, test, strict=True)])
    held = (shares(yard.counts[yard.judging]) * members).sum(-1)
    return held, members.sum(-1).astype(np.float64)
