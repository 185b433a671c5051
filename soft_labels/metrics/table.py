"""The one table of metrics: what each is called, which way is better, and how it is computed.

Curves, charts, the HParams tab, the tables of ``compare`` and of the report, and the torchmetrics collections are made
from it; a row that is added here shows everywhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torchmetrics
from torch import Tensor
from torchmetrics import MetricCollection

from soft_labels import distributions
from soft_labels.metrics.correlation import EntropyCorrelation, entropy_correlation
from soft_labels.metrics.inputs import STATE_DTYPE
from soft_labels.metrics.mean import MajorityAccuracy, MeanDivergence, TrueDivergence

Divergence = Callable[[Tensor, Tensor], Tensor]


class Judged(NamedTuple):
    """Predictions of some items beside what was observed of them.

    ``logits`` ``[..., N, C]``, ``label_dist`` ``[..., N, C]``, ``majority_label`` ``[..., N]`` and, where the
    generating distribution is known, ``true_dist`` ``[..., N, C]``; leading dimensions broadcast, as for many heads on
    one split.
    """

    logits: Tensor
    label_dist: Tensor
    majority_label: Tensor
    true_dist: Tensor | None = None

    def precise(self) -> "Judged":
        """The same in the dtype that metrics are computed in."""
        true = None if self.true_dist is None else self.true_dist.to(STATE_DTYPE)
        return Judged(self.logits.to(STATE_DTYPE), self.label_dist.to(STATE_DTYPE), self.majority_label, true)


@dataclass(frozen=True)
class Metric:
    """One metric: the mean of a value of each item, or the correlation of two.

    Args:
        label: What readers call it.
        unit: Its unit, empty where it has none.
        divergence: Mean of this function of distributions and logits, both ``[..., C]``.
        of_items: Mean of this function of predictions and observations, ``[..., N]``; where ``divergence`` will not do.
        correlates: Correlation of these two values of each item, ``[..., N]`` each.
        torchmetric: A new torchmetrics metric of it; needed where there is no ``divergence``.
        higher_is_better: Which way is better.
        core: Whether every epoch has it, and arms are tested by it; the others are taken when a head is judged.
        needs_order: Whether it is defined for ordered classes only.
        needs_truth: Whether it is defined only where the generating distribution is known, and counted against that.
    """

    label: str
    unit: str = ""
    divergence: Divergence | None = None
    of_items: Callable[[Judged], Tensor] | None = None
    correlates: Callable[[Judged], tuple[Tensor, Tensor]] | None = None
    torchmetric: Callable[[], torchmetrics.Metric] | None = None
    higher_is_better: bool = False
    core: bool = False
    needs_order: bool = False
    needs_truth: bool = False

    @property
    def title(self) -> str:
        """Label and unit.

        Example:
            >>> METRICS["kl"].title
            'KL to annotators, nats'
        """
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def items(self, judged: Judged) -> Tensor:
        """What the metric is the mean of, ``[..., N]``."""
        if self.of_items is not None:
            return self.of_items(judged)
        if self.divergence is None:
            raise ValueError(f"{self.label} is no mean over items")
        against = judged.true_dist if self.needs_truth else judged.label_dist
        if against is None:
            raise ValueError(f"{self.label} wants the generating distribution, got none")
        return self.divergence(against, judged.logits)

    def value(self, judged: Judged) -> Tensor:
        """One value a split, ``[...]``; nan where it is not defined."""
        if self.correlates is not None:
            return entropy_correlation(*self.correlates(judged))
        return self.items(judged).mean(-1, dtype=STATE_DTYPE)

    def new(self) -> torchmetrics.Metric:
        """A new torchmetrics metric of it."""
        if self.torchmetric is not None:
            return self.torchmetric()
        if self.divergence is None:
            raise ValueError(f"{self.label} has neither a divergence nor a torchmetrics metric")
        return (TrueDivergence if self.needs_truth else MeanDivergence)(self.divergence)


def _right(judged: Judged) -> Tensor:
    """Whether an item's highest logit is at its majority label; the lowest index of equal logits."""
    return judged.logits.argmax(-1) == judged.majority_label


def _entropies(judged: Judged) -> tuple[Tensor, Tensor]:
    """Label entropy and predicted entropy of each item."""
    return distributions.entropy(judged.label_dist), distributions.entropy_from_logits(judged.logits)


METRICS: dict[str, Metric] = {
    "accuracy": Metric("accuracy", of_items=_right, torchmetric=MajorityAccuracy, higher_is_better=True, core=True),
    "kl": Metric("KL to annotators", "nats", distributions.kl_divergence, core=True),
    "entropy_corr": Metric(
        "entropy correlation",
        correlates=_entropies,
        torchmetric=EntropyCorrelation,
        higher_is_better=True,
        core=True,
    ),
    "js": Metric("Jensen-Shannon", "nats", distributions.jensen_shannon),
    "tv": Metric("total variation", "", distributions.total_variation),
    "soft_ce": Metric("soft cross-entropy", "nats", distributions.soft_cross_entropy),
    "brier": Metric("Brier score", "", distributions.brier_score),
    "entropy_error": Metric("entropy error", "nats", distributions.entropy_error),
    "wasserstein": Metric("Wasserstein", "classes", distributions.wasserstein, needs_order=True),
    "rps": Metric("ranked probability score", "", distributions.ranked_probability_score, needs_order=True),
    "kl_to_true": Metric("KL to generator", "nats", distributions.kl_divergence, needs_truth=True),
}


def core_names() -> tuple[str, ...]:
    """Names of the metrics that every epoch has.

    Example:
        >>> core_names()
        ('accuracy', 'kl', 'entropy_corr')
    """
    return tuple(name for name, metric in METRICS.items() if metric.core)


def defined_for(ordinal: bool, true_dist: bool) -> Mapping[str, Metric]:
    """The metrics that are defined for some data.

    Args:
        ordinal: Whether the classes are ordered.
        true_dist: Whether the generating distribution is known.
    """
    return {
        name: metric
        for name, metric in METRICS.items()
        if (ordinal or not metric.needs_order) and (true_dist or not metric.needs_truth)
    }


def values_of(judged: Judged, ordinal: bool) -> dict[str, Tensor]:
    """Every metric that is defined, each ``[...]`` float64.

    Args:
        judged: Predictions and observations.
        ordinal: Whether the classes are ordered.
    """
    precise = judged.precise()
    return {name: row.value(precise) for name, row in defined_for(ordinal, judged.true_dist is not None).items()}


def core_values(judged: Judged) -> dict[str, Tensor]:
    """The metrics that every epoch has, each ``[...]`` float64."""
    precise = judged.precise()
    return {name: METRICS[name].value(precise) for name in core_names()}


def core_metrics(prefix: str | None = None) -> MetricCollection:
    """The metrics that every epoch has, as torchmetrics.

    Args:
        prefix: Stands before every key, as ``"val/"``.

    Example:
        >>> sorted(core_metrics(prefix="val/"))
        ['val/accuracy', 'val/entropy_corr', 'val/kl']
    """
    return _collect({name: METRICS[name] for name in core_names()}, prefix)


def all_metrics(ordinal: bool, true_dist: bool = False, prefix: str | None = None) -> MetricCollection:
    """Every metric that is defined for some data, as torchmetrics.

    Args:
        ordinal: Whether the classes are ordered.
        true_dist: Whether the generating distribution is known; ``update`` then takes ``true_dist`` too.
        prefix: Stands before every key, as ``"test/"``.
    """
    return _collect(defined_for(ordinal, true_dist), prefix)


def _collect(metrics: Mapping[str, Metric], prefix: str | None) -> MetricCollection:
    """One new metric for each key, each with its own state."""
    # Compute groups share a state between metrics whose states agree after the first batch. One batch without any
    # disagreement makes kl and soft_ce agree, and every later batch would then count for kl only.
    return MetricCollection({key: row.new() for key, row in metrics.items()}, prefix=prefix, compute_groups=False)
