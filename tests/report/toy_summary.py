"""What an experiment's numbers mean, made up: a figure draws what a test decides."""

import math
from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from soft_labels.report.evidence import Evidence
from soft_labels.report.summary import ArmSummary, SetSummary, Summary
from soft_labels.trust.report import TrustReport, Yardsticks

NAN = math.nan
NOTHING = np.empty(0)
YARDSTICKS = Yardsticks(
    NOTHING, NOTHING, NAN, NOTHING, NOTHING, NAN, (NAN, NAN), (NAN, NAN), NAN, None, None,
    np.empty(0, np.int64), np.empty(0, np.int64), NOTHING, (),
)  # fmt: skip


def told(kl: float, constant: float = 0.6, floor: float = 0.1, over: float = 0.05, **known: float) -> TrustReport:
    """A report of one arm whose interval is a tenth wide; what a test does not say is not known."""
    values = {
        "kl": kl, "kl_low": kl - 0.05, "kl_high": kl + 0.05, "overconfidence": over, "marginal": constant,
        "floor": floor, "floor_low": floor, "floor_high": floor,
        "share_of_achievable": (constant - kl) / (constant - floor),
        "ceiling_low": 0.8, "ceiling_high": 0.9, "entropy_corr": 0.3, "reliability_error": 0.02,
    }  # fmt: skip
    unknown = {one.name: NAN for one in fields(TrustReport)}
    return TrustReport(**{**unknown, **values, **known})  # type: ignore[arg-type]


def summary_of(evidence: Evidence, reports: Mapping[str, Mapping[str, TrustReport]]) -> Summary:
    """A summary of the reports of each data set's arms."""
    arms = {**evidence.arms, **evidence.added}
    sets = [
        SetSummary(
            one.name,
            YARDSTICKS,
            {name: ArmSummary(name, arms[name], name in evidence.added, reports[one.name][name]) for name in arms},
        )
        for one in evidence.sets
    ]
    return Summary(evidence.baseline, sets)
