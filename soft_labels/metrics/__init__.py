"""How well a model knows the annotators: one table of metrics around the functions of ``soft_labels.distributions``.

Every ``update`` takes ``logits`` and ``label_dist`` (``MajorityAccuracy``: ``logits`` and ``majority_label``) under
these names, so that one collection can be given all of them as keyword arguments. All computing is done in float64,
or in float32 on machines with MPS, which has no float64.
"""

from soft_labels.metrics.correlation import EntropyCorrelation, entropy_correlation
from soft_labels.metrics.mean import KLDivergence, MajorityAccuracy, MeanDivergence, MeanLoss
from soft_labels.metrics.table import METRICS, Judged, Metric, all_metrics, core_metrics, core_names, values_of

__all__ = [
    "METRICS",
    "EntropyCorrelation",
    "Judged",
    "KLDivergence",
    "MajorityAccuracy",
    "MeanDivergence",
    "MeanLoss",
    "Metric",
    "all_metrics",
    "core_metrics",
    "core_names",
    "entropy_correlation",
    "values_of",
]
