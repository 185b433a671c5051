"""What is left of a claim follows from two comparisons."""

from dataclasses import replace
from pathlib import Path

import pytest

from soft_labels.experiment.index import ArmForm
from soft_labels.report.claims import Claim, make_claims, tempered
from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.views import Comparison, make_views
from tests.report.toy_experiment import CALIBRATED, PAIR, ToySet, many_arms, write_experiment


def evidence_of(folder: Path, arms: dict[str, ArmForm], splits: int = 0) -> Evidence:
    write_experiment(folder, [ToySet(seeds=3, splits=splits)], arms)
    return load_evidence(folder)


def test_soft_stands_beside_hard_without_and_with_a_temperature(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, PAIR, splits=2)
    found = make_claims(evidence, make_views(evidence))
    assert list(found) == ["fixed", "redrawn"]
    for claims in found.values():
        assert [claim.metric for claim in claims] == ["kl", "entropy_corr", "accuracy"]
        assert {claim.plain.baseline for claim in claims} == {"hard"}
        assert {claim.tempered.baseline for claim in claims} == {"hard_t"}
    kl = found["fixed"][0]
    means = {arm: evidence.sets[0].fixed.metric(arm, "kl").mean() for arm in ("soft", "hard", "hard_t")}
    assert kl.plain.test.mean_difference == pytest.approx(means["soft"] - means["hard"])
    assert kl.tempered.test.mean_difference == pytest.approx(means["soft"] - means["hard_t"])
    assert kl.tempered.holm_p > kl.tempered.test.corrected_t_p


def test_the_experiments_own_tempered_arm_comes_before_one_that_the_report_adds(tmp_path: Path) -> None:
    arms = {**PAIR, "mine": CALIBRATED["hard_t"]}
    evidence = evidence_of(tmp_path, arms)
    assert tempered(evidence, "hard") == "mine"
    assert "hard_t" not in evidence.added


def test_arms_that_are_not_the_papers_make_no_claim(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, many_arms(2))
    assert make_claims(evidence, make_views(evidence)) == {}


@pytest.mark.parametrize(
    ("metric", "plain", "after", "outcome"),
    [
        ("kl", "better", "better", "survives"),
        ("kl", "better", "open", "does not survive"),
        ("kl", "better", "worse", "does not survive"),
        ("kl", "open", "better", "was not there"),
        ("accuracy", "open", "open", "holds"),
        ("accuracy", "better", "open", "holds"),
        ("accuracy", "open", "worse", "fails"),
    ],
)
def test_outcomes(tmp_path: Path, metric: str, plain: str, after: str, outcome: str) -> None:
    evidence = evidence_of(tmp_path, PAIR)
    (one,) = [each for each in make_views(evidence)[0].comparisons if each.metric == metric]
    better = -1 if metric == "kl" else 1

    def settled(verdict: str) -> Comparison:
        sign = {"better": better, "worse": -better, "open": 0}[verdict]
        mean = replace(one.test, mean_difference=0.2 * sign)
        return replace(one, test=mean, interval=(0.2 * sign - 0.1, 0.2 * sign + 0.1), holm_p=0.01)

    assert Claim("chaosnli", metric, settled(plain), settled(after)).outcome == outcome
