"""Which of the paper's claims about soft labels are left when the hard head gets one temperature, which is free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from soft_labels.report.evidence import TEMPERATURE, Evidence
from soft_labels.report.views import Comparison, View, compare_pairs

Outcome = Literal["survives", "does not survive", "was not there", "holds", "fails"]

_CLAIMED = ("kl", "entropy_corr", "accuracy")  # of the paper, in its order


@dataclass(frozen=True)
class Claim:
    """One claim of the paper on one data set.

    Args:
        dataset: The data set.
        metric: ``kl`` (lower), ``entropy_corr`` (higher) or ``accuracy`` (no worse).
        plain: Soft against hard.
        tempered: Soft against hard with a temperature fitted to annotators.
    """

    dataset: str
    metric: str
    plain: Comparison
    tempered: Comparison

    @property
    def outcome(self) -> Outcome:
        """What is left of it. No worse holds where soft is not found worse; that is no proof that both are equal."""
        if self.metric == "accuracy":
            return "fails" if "worse" in (self.plain.verdict, self.tempered.verdict) else "holds"
        if self.plain.verdict != "better":
            return "was not there"
        return "survives" if self.tempered.verdict == "better" else "does not survive"


def tempered(evidence: Evidence, arm: str) -> str | None:
    """The arm that is another's heads with a temperature fitted to annotators, if there is one."""
    forms = {**evidence.arms, **evidence.added}
    found = [
        name
        for name, form in forms.items()
        if form.derived_from == arm and form.calibration == TEMPERATURE and not form.ensemble
    ]
    return found[0] if found else None


def make_claims(evidence: Evidence, views: Sequence[View]) -> Mapping[str, list[Claim]]:
    """The paper's three claims on every data set, by view; none where no arms are the paper's.

    Args:
        evidence: The records.
        views: Fixed and, if there is one, redrawn.
    """
    arms = {target: arm for arm, target in evidence.paper_arms.items()}
    if arms.keys() != {"hard", "soft"}:
        return {}
    soft, hard, after = arms["soft"], arms["hard"], tempered(evidence, arms["hard"])
    if after is None:
        return {}
    return {view.name: _claims(view, soft, hard, after) for view in views}


def _claims(view: View, soft: str, hard: str, after: str) -> list[Claim]:
    """The claims of one view; all their tests are one family."""
    pairs = [(data, soft, other) for data in view.repeats for other in (hard, after)]
    found = {(one.dataset, one.baseline, one.metric): one for one in compare_pairs(view.repeats, pairs)}
    return [
        Claim(data, metric, found[data, hard, metric], found[data, after, metric])
        for data in view.repeats
        for metric in _CLAIMED
    ]
