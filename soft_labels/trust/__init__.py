"""What a number means: everything that stands beside a KL and an entropy correlation, from counts and predictions.

Pure functions over arrays of NumPy or torch: counts ``[N, C]`` and predictions ``[..., N, C]`` (pred_dist or log_pred).
They need nothing else of this project. :func:`trust_report` gives all of it at once.
"""

from soft_labels.trust.report import TrustReport, trust_report
from soft_labels.trust.yardsticks import Yardsticks, yardsticks

__all__ = ["TrustReport", "Yardsticks", "trust_report", "yardsticks"]
