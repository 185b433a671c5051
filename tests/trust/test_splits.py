"""Means over splits, with intervals that allow for what they share."""

from dataclasses import replace

import numpy as np
import pytest

from soft_labels.errors import DataError
from soft_labels.trust.intervals import split_interval
from soft_labels.trust.report import TrustReport, trust_report
from soft_labels.trust.splits import over_splits
from tests.trust.simulation import annotate, dirichlet, fuzzed


@pytest.fixture(scope="module")
def reports() -> list[TrustReport]:
    generator = np.random.default_rng(0)
    found = []
    for _ in range(3):
        truth = dirichlet(generator, 60, 3)
        found.append(trust_report(annotate(generator, truth, 9), fuzzed(generator, truth, 3)))
    return found


def test_numbers_are_means_with_corrected_intervals(reports: list[TrustReport]) -> None:
    found = over_splits(reports, overlap=0.25)
    for name in ("kl", "accuracy", "share_of_achievable", "dist_ce"):
        values = np.array([getattr(one, name) for one in reports])
        expected = split_interval(values, 0.25)
        assert getattr(found, name) == pytest.approx(expected.value)
        assert (getattr(found, f"{name}_low"), getattr(found, f"{name}_high")) == (
            pytest.approx(expected.low), pytest.approx(expected.high),
        )  # fmt: skip
    assert found.seeds == 3
    assert found.kl == pytest.approx(found.overconfidence + found.vagueness)


def test_yardsticks_are_averaged_and_their_ranges_too(reports: list[TrustReport]) -> None:
    found = over_splits(reports, overlap=0.25)
    for name in ("floor", "floor_low", "floor_high", "ceiling_high", "marginal"):
        assert getattr(found, name) == pytest.approx(np.mean([getattr(one, name) for one in reports]))
    assert not any(note.startswith("one seed") for note in found.notes)


def test_saved_annotations_stand_place_by_place(reports: list[TrustReport]) -> None:
    found = over_splits(reports, overlap=0.25)
    assert found.prior_annotators == reports[0].prior_annotators
    assert found.prior_saved[1] == pytest.approx(np.mean([one.prior_saved[1] for one in reports]))
    assert len(found.prior_saved_low) == len(found.prior_saved)


def test_what_stands_at_an_end_of_its_ladder_in_one_split_has_no_interval(reports: list[TrustReport]) -> None:
    inside = [replace(one, worth_reach="within", prior_reach=("within",) * 3) for one in reports]
    within = over_splits(inside, overlap=0.25)
    assert within.prior_reach == ("within",) * 3
    assert np.isfinite([within.worth_low, *within.prior_saved_low, *within.prior_saved_high]).all()
    ended = replace(inside[1], worth_reach="above", prior_reach=("above", "within", "within"))
    found = over_splits([inside[0], ended, inside[2]], overlap=0.25)
    assert (found.worth_reach, found.prior_reach) == ("mixed", ("above", "within", "within"))
    assert np.isnan([found.worth_low, found.worth_high, found.prior_saved_low[0], found.prior_saved_high[0]]).all()
    assert found.prior_saved_low[1] == within.prior_saved_low[1]


def test_no_split_is_refused() -> None:
    with pytest.raises(DataError, match="at least one split"):
        over_splits([], 0.2)
