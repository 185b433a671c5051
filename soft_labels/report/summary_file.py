"""``summary.json``: every number of an experiment with its interval, for machines."""

import json
import math
from dataclasses import asdict
from typing import Any

from soft_labels.report.sentences import claim_sentences, set_sentence
from soft_labels.report.summary import ArmSummary, SetSummary, Summary
from soft_labels.report.views import Comparison
from soft_labels.trust.report import TrustReport

SCHEMA = 1
_DIGITS, _LEAST = 4, 1e-9
WITH_INTERVALS = (
    "kl", "overconfidence", "vagueness", "share_of_achievable", "entropy_corr", "accuracy", "worth", "set_share",
    "set_size", "reliability_error", "dist_ce", "ent_ce", "rank_cs", "manhattan", "wasserstein", "po_jsd",
    "soft_accuracy",
)  # fmt: skip


def kept(value: float) -> float | None:
    """A number with four significant digits, lest another machine's last bits change a byte; none where not finite.

    Example:
        >>> kept(0.123456), kept(float("nan")), kept(1e-17)
        (0.1235, None, 0.0)
    """
    if not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}") if abs(value) > _LEAST else 0.0


def trust_values(trust: TrustReport) -> dict[str, Any]:
    """A model's numbers, each with its interval; ``null`` where something is not known.

    Args:
        trust: Of one arm.
    """
    found = {
        name: _interval(*(getattr(trust, f"{name}{end}") for end in ("", "_low", "_high"))) for name in WITH_INTERVALS
    }
    ends = (trust.prior_saved, trust.prior_saved_low, trust.prior_saved_high)
    saved = zip(trust.prior_annotators, trust.prior_reach, *ends, strict=True)
    return {
        "seeds": trust.seeds,
        **found,
        "worth_reach": trust.worth_reach,
        "prior_strength": kept(trust.prior_strength),
        "prior_saved": {str(number): {**_interval(*told), "reach": reach} for number, reach, *told in saved},
        "set_level": kept(trust.set_level),
        "set_share_majority": kept(trust.set_share_majority),
    }


def set_values(trust: TrustReport) -> dict[str, Any]:
    """What a data set allows, whatever the model.

    Args:
        trust: Of any arm on it.
    """
    return {
        "items": trust.items,
        "annotators": kept(trust.annotators),
        "uniform": kept(trust.uniform),
        "marginal": kept(trust.marginal),
        "floor": _interval(trust.floor, trust.floor_low, trust.floor_high),
        "ceiling": {
            "low": kept(trust.ceiling_low),
            "high": kept(trust.ceiling_high),
            "split_half": kept(trust.ceiling_split_half),
        },
        "constant_entropy_error": kept(trust.ent_ce_constant),
        "notes": list(trust.notes),
    }


def effect_values(one: Comparison) -> dict[str, Any]:
    """An arm against another by one metric.

    Args:
        one: The comparison.
    """
    test = one.test
    return {
        "arm": one.arm,
        "against": one.baseline,
        "metric": one.metric,
        "difference": _interval(test.mean_difference, *one.interval),
        "p": kept_p(test.corrected_t_p),
        "p_holm": kept_p(one.holm_p),
        "d_z": kept(test.cohens_dz),
        "ahead": one.pairs_better,
        "pairs": len(one.values),
        "verdict": one.verdict,
    }


def ends(name: str, value: float, low: float, high: float) -> dict[str, float | None]:
    """A value and its interval, as a table's row has them.

    Example:
        >>> ends("kl", 0.31234, 0.3, float("nan"))
        {'kl': 0.3123, 'kl_low': 0.3, 'kl_high': None}
    """
    return {name: kept(value), f"{name}_low": kept(low), f"{name}_high": kept(high)}


def kept_p(value: float) -> float | None:
    """A p-value with three significant digits."""
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _interval(value: float, low: float, high: float) -> dict[str, float | None]:
    """A value and both ends."""
    return {"value": kept(value), "low": kept(low), "high": kept(high)}


def summary_json(summary: Summary) -> str:
    """The whole summary as JSON; the same records give the same bytes.

    Args:
        summary: What is told.
    """
    values = {
        "schema": SCHEMA,
        "experiment": summary.name,
        "level": 0.95,
        "baseline": summary.baseline,
        "sentences": {one.name: set_sentence(summary, one) for one in summary.sets},
        "claims": claim_sentences(summary),
        "sets": {one.name: _set(one) for one in summary.sets},
    }
    return json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _set(one: SetSummary) -> dict[str, Any]:
    """One data set."""
    first = next(iter(one.arms.values()))
    return {
        "fixed": set_values(first.fixed),
        "redrawn": None if first.redrawn is None else set_values(first.redrawn),
        "arms": {name: _arm(arm) for name, arm in one.arms.items()},
        "effects": {view: [effect_values(each) for each in found] for view, found in one.effects.items()},
        "claims": {
            view: [
                {"metric": claim.metric, "outcome": claim.outcome, "plain": effect_values(claim.plain),
                 "tempered": effect_values(claim.tempered)}
                for claim in found
            ]
            for view, found in one.claims.items()
        },
    }  # fmt: skip


def _arm(arm: ArmSummary) -> dict[str, Any]:
    """One arm."""
    return {
        **asdict(arm.form),
        "added": arm.added,
        "fixed": trust_values(arm.fixed),
        "redrawn": None if arm.redrawn is None else trust_values(arm.redrawn),
    }
