"""The metrics by the keys under which they are logged."""

from collections.abc import Mapping

from torchmetrics import Metric, MetricCollection

from soft_labels.metrics.correlation import EntropyCorrelation
from soft_labels.metrics.mean import (
    BrierScore,
    EntropyError,
    JensenShannonDivergence,
    KLDivergence,
    MajorityAccuracy,
    RankedProbabilityScore,
    SoftCrossEntropy,
    TotalVariation,
    WassersteinDistance,
)

CORE: Mapping[str, type[Metric]] = {
    "accuracy": MajorityAccuracy,
    "kl": KLDivergence,
    "entropy_corr": EntropyCorrelation,
}
FURTHER: Mapping[str, type[Metric]] = {
    "soft_ce": SoftCrossEntropy,
    "js": JensenShannonDivergence,
    "tv": TotalVariation,
    "brier": BrierScore,
    "entropy_error": EntropyError,
}
ORDINAL: Mapping[str, type[Metric]] = {
    "wasserstein": WassersteinDistance,
    "rps": RankedProbabilityScore,
}


def core_metrics(prefix: str | None = None) -> MetricCollection:
    """The three metrics of the paper: ``accuracy``, ``kl``, ``entropy_corr``.

    Args:
        prefix: Stands before every key, as ``"val/"``.

    Example:
        >>> sorted(core_metrics(prefix="val/"))
        ['val/accuracy', 'val/entropy_corr', 'val/kl']
    """
    return _collect(CORE, prefix)


def all_metrics(ordinal: bool, prefix: str | None = None) -> MetricCollection:
    """Every metric that is defined for the classes.

    Args:
        ordinal: Whether the classes are ordered; only then are ``wasserstein`` and ``rps`` defined.
        prefix: Stands before every key, as ``"test/"``.
    """
    return _collect({**CORE, **FURTHER, **(ORDINAL if ordinal else {})}, prefix)


def _collect(metrics: Mapping[str, type[Metric]], prefix: str | None) -> MetricCollection:
    """One new metric for each key, each with its own state."""
    # Compute groups share a state between metrics whose states agree after the first batch. One batch without any
    # disagreement makes kl and soft_ce agree, and every later batch would then count for kl only.
    return MetricCollection({key: metric() for key, metric in metrics.items()}, prefix=prefix, compute_groups=False)
