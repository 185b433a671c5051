"""What every number of an experiment means: a set's yardsticks, and each arm between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soft_labels.experiment.index import ArmForm
from soft_labels.metrics import Judged
from soft_labels.report.claims import Claim, make_claims, tempered
from soft_labels.report.evidence import Evidence, PartCounts, Repeats, SetEvidence
from soft_labels.report.paired import Floats
from soft_labels.report.views import Comparison, View, compare_pairs, make_views
from soft_labels.trust.dirichlet import DirichletMixture
from soft_labels.trust.report import TrustReport, trust_report
from soft_labels.trust.splits import over_splits
from soft_labels.trust.yardsticks import Yardsticks, yardsticks


@dataclass(frozen=True)
class ArmSummary:
    """One arm on one data set.

    Args:
        name: The arm's name.
        form: What it is.
        added: Whether the report added it, since it costs nothing: the experiment itself has no such arm.
        fixed: What its numbers mean on the fixed split, over all seeds.
        redrawn: The same over redrawn splits, yardsticks averaged; ``None`` where it has none.
    """

    name: str
    form: ArmForm
    added: bool
    fixed: TrustReport
    redrawn: TrustReport | None


@dataclass(frozen=True)
class SetSummary:
    """One data set.

    Args:
        name: The data set's name.
        measured: What the fixed split allows, whatever the model.
        arms: By name, the baseline first; those that the report added come last.
        effects: By view, every arm against the baseline. The p-values of arms that the report added are adjusted
            among themselves, so that they cost the experiment's own arms nothing.
        claims: By view, what is left of the paper's claims beside a temperature; empty where they do not apply.
    """

    name: str
    measured: Yardsticks
    arms: Mapping[str, ArmSummary]
    effects: Mapping[str, Sequence[Comparison]]
    claims: Mapping[str, Sequence[Claim]]

    def effect(self, view: str, arm: str, metric: str) -> Comparison | None:
        """One arm against the baseline; ``None`` where the view does not have it."""
        found = (one for one in self.effects.get(view, []) if (one.arm, one.metric) == (arm, metric))
        return next(found, None)


@dataclass(frozen=True)
class Summary:
    """A whole experiment.

    Args:
        name: The experiment's name.
        baseline: The arm that all others are compared with.
        shown: The arm that a sentence sets beside the baseline: the paper's soft one, else the first; if there is one.
        tempered: The baseline with one temperature, if there is such an arm.
        sets: In the order of the report.
    """

    name: str
    baseline: str
    shown: str | None
    tempered: str | None
    sets: Sequence[SetSummary]


def summarise(evidence: Evidence, views: Sequence[View] | None = None) -> Summary:
    """What the numbers of an experiment mean; a function of its records.

    Args:
        evidence: The records that an experiment names.
        views: Of the evidence, where they are made already.
    """
    views = make_views(evidence) if views is None else views
    effects = {view.name: [*view.comparisons, *_added_effects(evidence, view)] for view in views}
    claims = make_claims(evidence, views)
    sets = [
        SetSummary(
            one.name,
            *_measured(evidence, one),
            effects={view: [each for each in found if each.dataset == one.name] for view, found in effects.items()},
            claims={view: [each for each in found if each.dataset == one.name] for view, found in claims.items()},
        )
        for one in evidence.sets
    ]
    return Summary(evidence.name, evidence.baseline, evidence.shown, tempered(evidence, evidence.baseline), sets)


def _added_effects(evidence: Evidence, view: View) -> list[Comparison]:
    """The arms that the report added, against the baseline."""
    pairs = [(data, arm, view.baseline) for data in view.repeats for arm in evidence.added]
    return compare_pairs(view.repeats, pairs)


def _measured(evidence: Evidence, one: SetEvidence) -> tuple[Yardsticks, dict[str, ArmSummary]]:
    """The yardsticks of the fixed split, and every arm."""
    fixed, ordinal = _yardsticks(one.fixed.counts[0]), one.index.ordinal
    redrawn = one.redrawn
    each = [] if redrawn is None else [_yardsticks(counts, fixed.mixtures) for counts in redrawn.counts]
    arms = {
        name: ArmSummary(
            name,
            form,
            added=name in evidence.added,
            fixed=_trust(one.fixed, name, fixed, ordinal),
            redrawn=None if redrawn is None or name not in redrawn.judged else _over(redrawn, name, each, ordinal),
        )
        for name, form in {**evidence.arms, **evidence.added}.items()
    }
    return fixed, arms


def _yardsticks(counts: PartCounts, mixtures: Sequence[DirichletMixture] | None = None) -> Yardsticks:
    """Of one split; every split has the same items, hence the same mixtures."""
    return yardsticks(counts.test, val_counts=counts.val, train_counts=counts.train, mixtures=mixtures)


def _trust(repeats: Repeats, arm: str, measured: Yardsticks, ordinal: bool) -> TrustReport:
    """One arm over all seeds of one split; once where it is one model."""
    places = range(1 if arm in repeats.single else len(repeats))
    val, test = (np.stack([_log_pred(side[arm], place) for place in places]) for side in (repeats.val, repeats.judged))
    return trust_report(measured.counts, test, val_predictions=val, measured=measured, ordinal=ordinal)


def _over(repeats: Repeats, arm: str, each: Sequence[Yardsticks], ordinal: bool) -> TrustReport:
    """One arm over redrawn splits."""
    reports = [
        trust_report(
            measured.counts,
            _log_pred(repeats.judged[arm], place),
            val_predictions=_log_pred(repeats.val[arm], place),
            measured=measured,
            ordinal=ordinal,
        )
        for place, measured in enumerate(each)
    ]
    return over_splits(reports, repeats.overlap)


def _log_pred(judged: Sequence[Judged], place: int) -> Floats:
    """``[N, C]`` of one run."""
    return judged[place].logits.log_softmax(-1).numpy()
