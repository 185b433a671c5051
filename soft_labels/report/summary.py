"""What every number of an experiment means: a set's yardsticks, and each arm between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soft_labels.experiment.index import ArmForm
from soft_labels.report.evidence import Evidence, Repeats, SetEvidence
from soft_labels.trust.report import TrustReport, Yardsticks, trust_report, yardsticks


@dataclass(frozen=True)
class ArmSummary:
    """One arm on one data set.

    Args:
        name: The arm's name.
        form: What it is.
        added: Whether the report added it, since it costs nothing: the experiment itself has no such arm.
        fixed: What its numbers mean on the fixed split, over all seeds.
    """

    name: str
    form: ArmForm
    added: bool
    fixed: TrustReport


@dataclass(frozen=True)
class SetSummary:
    """One data set.

    Args:
        name: The data set's name.
        measured: What the fixed split allows, whatever the model.
        arms: By name, the baseline first; those that the report added come last.
    """

    name: str
    measured: Yardsticks
    arms: Mapping[str, ArmSummary]


@dataclass(frozen=True)
class Summary:
    """A whole experiment.

    Args:
        baseline: The arm that all others are compared with.
        sets: In the order of the report.
    """

    baseline: str
    sets: Sequence[SetSummary]


def summarise(evidence: Evidence) -> Summary:
    """What the numbers of an experiment mean; a function of its records.

    Args:
        evidence: The records that an experiment names.
    """
    return Summary(evidence.baseline, [_set_summary(evidence, one) for one in evidence.sets])


def _set_summary(evidence: Evidence, one: SetEvidence) -> SetSummary:
    """One data set."""
    counts = one.fixed.counts[0]
    measured = yardsticks(counts.test, val_counts=counts.val, train_counts=counts.train)
    arms = {
        name: ArmSummary(name, form, name in evidence.added, _trust(one.fixed, name, measured, one.index.ordinal))
        for name, form in {**evidence.arms, **evidence.added}.items()
    }
    return SetSummary(one.name, measured, arms)


def _trust(repeats: Repeats, arm: str, measured: Yardsticks, ordinal: bool) -> TrustReport:
    """One arm over all seeds of one split."""
    val, test = (
        np.stack([judged.logits.log_softmax(-1).numpy() for judged in side[arm]])
        for side in (repeats.val, repeats.judged)
    )
    return trust_report(measured.counts, test, val_predictions=val, measured=measured, ordinal=ordinal)
