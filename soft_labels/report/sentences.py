"""What an experiment found on each data set, for a reader who has never heard of KL; made by rules from the numbers."""

import math
from collections.abc import Sequence

from soft_labels.report.claims import Claim
from soft_labels.report.formats import listed, number, p_value
from soft_labels.report.summary import SetSummary, Summary
from soft_labels.report.views import Comparison
from soft_labels.trust.report import TrustReport

_MOST = 0.5


def set_sentence(summary: Summary, one: SetSummary) -> str:
    """What the pair that matters reaches on one data set, and why they differ.

    Args:
        summary: The whole.
        one: The data set.
    """
    names = [name for name in (summary.shown, summary.baseline) if name is not None]
    told = {name: one.arms[name].fixed for name in names}
    if not all(math.isfinite(trust.share_of_achievable) for trust in told.values()):
        parts = [f"{_head(name)} {number(trust.kl)}" for name, trust in told.items()]
        words = f"how far a perfect model could go is not known; KL to the annotators, lower is better: {listed(parts)}"
    else:
        words = ", ".join(f"{_head(name)} {_way(told[name], brief=name != names[0])}" for name in names)
    return " ".join([f"{one.name}: {words}.", *_why(summary, one)])


def _head(name: str) -> str:
    """An arm as a thing that one can point at."""
    return f"the {name} head"


def _way(trust: TrustReport, brief: bool) -> str:
    """How far a head goes; a share that cannot be told from nothing is said so."""
    value, ends = _share_reached(trust)
    if trust.share_of_achievable_high < 0:
        return f"is worse than the average answer, which looks at no item ({value}, {ends})"
    if trust.share_of_achievable_low <= 0:
        return f"is not told apart from the average answer, which looks at no item ({value}, {ends})"
    way = "" if brief else " of the way from the average answer to a perfect model"
    return f"{'' if brief else 'goes '}{value} ({ends}){way}"


def _share_reached(trust: TrustReport) -> tuple[str, str]:
    """The share of the achievable, and the ends of its interval."""
    low, high = trust.share_of_achievable_low, trust.share_of_achievable_high
    return _percent(trust.share_of_achievable), f"{_percent(low)} to {_percent(high)}"


def _percent(share: float) -> str:
    """A share in percent."""
    return f"{number(100 * share, 0)}%"


def _why(summary: Summary, one: SetSummary) -> list[str]:
    """Whether the pair differs, what of it is overconfidence, and what a temperature leaves."""
    against = None if summary.shown is None else one.effect("fixed", summary.shown, "kl")
    if summary.shown is None or against is None:
        return []
    if against.verdict == "open":
        return [f"The two are not told apart{_about(against)}."]
    if against.verdict == "worse":
        return [f"{_capital(_head(summary.shown))} is the worse one{_about(against)}."]
    shown, base = one.arms[summary.shown].fixed, one.arms[summary.baseline].fixed
    share = (base.overconfidence - shown.overconfidence) / (base.kl - shown.kl)
    return [f"{_reason(_head(summary.baseline), base, share)}{_after(summary, one)}."]


def _reason(head: str, base: TrustReport, share: float) -> str:
    """What the baseline's overconfidence has to do with the difference; surer only where its interval says so."""
    if not share > _MOST:
        return "Little of the difference is overconfidence"
    if base.overconfidence_low > 0:
        return f"{_capital(head)} is surer than it is right"
    return f"Whether {head} is surer than it is right is not told"


def _capital(words: str) -> str:
    """Words that begin a sentence."""
    return words[:1].upper() + words[1:]


def _after(summary: Summary, one: SetSummary) -> str:
    """What one temperature does to the baseline, and which head is ahead then."""
    claims = [claim.tempered for claim in one.claims.get("fixed", []) if claim.metric == "kl"]
    if summary.tempered is None or not claims or summary.shown is None:
        return ""
    after = one.arms[summary.tempered].fixed
    value, ends = _share_reached(after)
    reached = f"brings it to {value} ({ends})" if math.isfinite(after.share_of_achievable) else "follows it"
    words = {
        "better": f"{_head(summary.shown)} stays ahead",
        "worse": f"{_head(summary.shown)} falls behind",
        "open": "the two are no longer told apart",
    }
    return f": one temperature, fitted afterwards, {reached}, and {words[claims[0].verdict]}"


def _about(against: Comparison | None) -> str:
    """The difference of a pair that is not told apart."""
    if against is None or not math.isfinite(against.interval[0]):
        return ""
    low, high = (number(end, signed=True) for end in against.interval)
    return f" (KL {number(against.test.mean_difference, signed=True)}, {low} to {high})"


def claim_sentences(summary: Summary) -> list[str]:
    """What is left of each of the paper's claims, data set by data set, over redrawn splits where there are any."""
    view = "redrawn" if any("redrawn" in one.claims for one in summary.sets) else "fixed"
    found = [claim for one in summary.sets for claim in one.claims.get(view, [])]
    metrics = dict.fromkeys(claim.metric for claim in found)
    return [_claim_sentence([claim for claim in found if claim.metric == metric], view) for metric in metrics]


def _claim_sentence(claims: Sequence[Claim], view: str) -> str:
    """One claim on every data set."""
    soft, hard, after = claims[0].plain.arm, claims[0].plain.baseline, claims[0].tempered.baseline
    words = {
        "kl": f"lower KL of {soft} than of {hard}",
        "entropy_corr": f"higher entropy correlation of {soft} than of {hard}",
        "accuracy": f"accuracy of {soft} no worse than that of {hard}",
    }[claims[0].metric]
    where = "over redrawn splits" if view == "redrawn" else "on the fixed split"
    groups = {outcome: [one for one in claims if one.outcome == outcome] for outcome in _OUTCOMES}
    told = [
        f"{_OUTCOMES[outcome]} {listed([_with_ends(one) for one in those])}"
        for outcome, those in groups.items()
        if those
    ]
    return f"Claim: {words}. Beside {hard} with one temperature ({after}), {where}: {'; '.join(told)}."


_OUTCOMES = {
    "survives": "it survives on",
    "does not survive": "it does not survive on",
    "was not there": "it was not there to begin with on",
    "holds": "it holds (no loss was found) on",
    "fails": "it fails on",
}


def _with_ends(claim: Claim) -> str:
    """The data set with the difference that is left and its interval."""
    one, points = claim.tempered, claim.metric == "accuracy"
    scale, digits, unit = (100, 1, " points") if points else (1, 3, "")
    if claim.outcome in ("was not there", "fails"):
        one = claim.plain if claim.plain.verdict != "better" else one
    value, low, high = (number(scale * x, digits, signed=True) for x in (one.test.mean_difference, *one.interval))
    p = "" if points else f", Holm p {p_value(one.holm_p)}"
    return f"{claim.dataset} ({value}{unit}, {low} to {high}{p})"
