"""What an experiment's numbers mean, from its records alone."""

from pathlib import Path

import numpy as np
import pytest

from soft_labels.report.evidence import load_evidence
from soft_labels.report.summary import Summary, summarise
from soft_labels.trust.report import trust_report
from tests.report.toy_experiment import CALIBRATED, ToySet, write_experiment

REFERENCE = Path(__file__).parents[2] / "lightning_logs" / "paper"


def test_an_arm_has_the_report_of_its_counts_and_predictions(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=2, splits=0)], CALIBRATED)
    evidence = load_evidence(tmp_path)
    (one,) = summarise(evidence).sets
    repeats = evidence.sets[0].fixed
    test, val = (
        np.stack([each.logits.softmax(-1).numpy() for each in side["soft"]]) for side in (repeats.judged, repeats.val)
    )
    counts = repeats.counts[0]
    expected = trust_report(counts.test, test, val_counts=counts.val, val_predictions=val, train_counts=counts.train)
    found = one.arms["soft"].fixed
    assert (found.kl, found.floor) == pytest.approx((expected.kl, expected.floor))
    assert found.overconfidence + found.vagueness == pytest.approx(found.kl, abs=1e-12)
    assert found.prior_saved == pytest.approx(expected.prior_saved)
    assert found.kl == pytest.approx(repeats.metric("soft", "kl").mean(), rel=1e-5)


def test_what_one_temperature_would_do_is_added_where_the_experiment_does_not_say(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=2, splits=0)], CALIBRATED)
    evidence = load_evidence(tmp_path)
    assert list(evidence.added) == ["soft_t"]  # hard_t is an arm of its own
    arms = summarise(evidence).sets[0].arms
    assert list(arms) == ["hard", "soft", "hard_t", "soft_t"]
    assert [arm.added for arm in arms.values()] == [False, False, False, True]


@pytest.fixture(scope="module")
def reference() -> Summary:
    return summarise(load_evidence(REFERENCE))


@pytest.mark.slow
def test_the_reference_run_as_it_lies_shows_floor_ceiling_overconfidence_temperature_and_worth(
    reference: Summary,
) -> None:
    chaos, pop, cifar = reference.sets
    for one in reference.sets:
        assert list(one.arms) == ["hard", "soft", "hard_t", "soft_t"]
        for arm in one.arms.values():
            told = arm.fixed
            values = (told.floor, told.ceiling_low, told.overconfidence, told.worth, told.share_of_achievable)
            assert np.isfinite(values).all()
        assert one.arms["hard_t"].fixed.kl < one.arms["hard"].fixed.kl
        assert abs(one.arms["hard_t"].fixed.overconfidence) < one.arms["hard"].fixed.overconfidence / 3
    assert [round(one.arms["soft"].fixed.overconfidence, 3) for one in (pop, chaos, cifar)] == [0.006, 0.026, 0.021]
    assert [round(one.arms["hard"].fixed.overconfidence, 3) for one in (pop, chaos, cifar)] == [0.246, 0.109, 0.371]
