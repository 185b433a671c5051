"""What an experiment's numbers mean, made up: a figure draws what a test decides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, cast

from soft_labels.report.evidence import Evidence
from soft_labels.report.summary import ArmSummary, SetSummary, Summary
from soft_labels.report.views import Comparison
from soft_labels.trust.report import TrustReport
from soft_labels.trust.yardsticks import Yardsticks

# What no figure looks at.
YARDSTICKS = cast("Yardsticks", None)


def told(kl: float, constant: float = 0.6, floor: float = 0.1, over: float = 0.05, **known: float) -> TrustReport:
    """A report of one arm whose interval is a tenth wide; what a test does not say is not known."""
    values: dict[str, Any] = {
        "kl": kl, "kl_low": kl - 0.05, "kl_high": kl + 0.05, "overconfidence": over, "marginal": constant,
        "floor": floor, "floor_low": floor, "floor_high": floor,
        "share_of_achievable": (constant - kl) / (constant - floor),
        "ceiling_low": 0.8, "ceiling_high": 0.9, "entropy_corr": 0.3, "reliability_error": 0.02,
    }  # fmt: skip
    unknown = {one.name: math.nan for one in fields(TrustReport)}
    return TrustReport(**{**unknown, **values, **known})


def summary_of(
    evidence: Evidence,
    reports: Mapping[str, Mapping[str, TrustReport]],
    effects: Mapping[str, Sequence[Comparison]] | None = None,
) -> Summary:
    """A summary of the reports of each data set's arms, and of effects by view."""
    arms = {**evidence.arms, **evidence.added}
    sets = [
        SetSummary(
            one.name,
            YARDSTICKS,
            {
                name: ArmSummary(name, arms[name], name in evidence.added, reports[one.name][name], None)
                for name in arms
            },
            {view: [each for each in found if each.dataset == one.name] for view, found in (effects or {}).items()},
            {},
        )
        for one in evidence.sets
    ]
    shown = next(iter(evidence.compared), None)
    return Summary(evidence.name, evidence.baseline, shown, None, sets)
