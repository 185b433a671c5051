"""How well a model knows the annotators: torchmetrics classes around the functions of ``soft_labels.distributions``.

Every ``update`` takes ``logits`` and ``label_dist`` (``MajorityAccuracy``: ``logits`` and ``majority_label``) under
these names, so that one collection can be given all three as keyword arguments. All computing is done in float64,
or in float32 on machines with MPS, which has no float64.
"""

from soft_labels.metrics.collection import CORE, FURTHER, ORDINAL, all_metrics, core_metrics
from soft_labels.metrics.correlation import EntropyCorrelation, entropy_correlation
from soft_labels.metrics.mean import (
    BrierScore,
    EntropyError,
    JensenShannonDivergence,
    KLDivergence,
    MajorityAccuracy,
    MeanLoss,
    RankedProbabilityScore,
    SoftCrossEntropy,
    TotalVariation,
    WassersteinDistance,
)

__all__ = [
    "CORE",
    "FURTHER",
    "ORDINAL",
    "BrierScore",
    "EntropyCorrelation",
    "EntropyError",
    "JensenShannonDivergence",
    "KLDivergence",
    "MajorityAccuracy",
    "MeanLoss",
    "RankedProbabilityScore",
    "SoftCrossEntropy",
    "TotalVariation",
    "WassersteinDistance",
    "all_metrics",
    "core_metrics",
    "entropy_correlation",
]
