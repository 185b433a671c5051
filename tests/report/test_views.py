"""Comparisons with the baseline, whatever the arms are called and however many there are."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from soft_labels.experiment.index import ArmForm
from soft_labels.metrics import core_names
from soft_labels.report.evidence import item_values, load_evidence
from soft_labels.report.paired import holm
from soft_labels.report.views import View, make_views
from soft_labels.trust.intervals import seed_interval, split_interval
from tests.report.toy_experiment import CALIBRATED, PAIR, ToySet, many_arms, write_experiment


def views_of(folder: Path, toy: ToySet, arms: Mapping[str, ArmForm] = PAIR) -> list[View]:
    write_experiment(folder, [toy], arms)
    return make_views(load_evidence(folder))


def test_every_arm_but_the_baseline_is_compared_by_every_core_metric(tmp_path: Path) -> None:
    (view,) = views_of(tmp_path, ToySet(seeds=2, splits=0), many_arms(4))
    cases = [(one.arm, one.metric) for one in view.comparisons]
    assert cases == [(f"arm-{place}", metric) for place in (1, 2, 3) for metric in core_names()]
    assert {one.baseline for one in view.comparisons} == {"arm-0"}


def test_the_family_of_tests_is_the_whole_view(tmp_path: Path) -> None:
    (view,) = views_of(tmp_path, ToySet(splits=0), CALIBRATED)
    raw = np.array([one.test.corrected_t_p for one in view.comparisons])
    assert [one.holm_p for one in view.comparisons] == pytest.approx(holm(raw), nan_ok=True)


def test_a_swapped_baseline_turns_every_difference_around(tmp_path: Path) -> None:
    (one,) = views_of(tmp_path / "one", ToySet(splits=0))
    (other,) = views_of(tmp_path / "other", ToySet(splits=0), dict(reversed(PAIR.items())))
    for metric in core_names():
        ours, theirs = one.of(metric, "soft")[0], other.of(metric, "hard")[0]
        assert ours.verdict in {"better", "worse", "open"}
        assert (ours.baseline, theirs.baseline) == ("hard", "soft")
    assert one.of("kl", "soft")[0].verdict == "better"
    assert other.of("kl", "hard")[0].verdict == "worse"
    assert one.best("chaosnli", "kl") == other.best("chaosnli", "kl") == "soft"


def test_no_arm_is_best_where_two_are_level(tmp_path: Path) -> None:
    """A temperature changes no class, so its arm and the one that it comes from have the same accuracy."""
    arms = {"hard": PAIR["hard"], "hard_t": CALIBRATED["hard_t"]}
    (view,) = views_of(tmp_path, ToySet(seeds=2, splits=0), arms)
    assert view.best("chaosnli", "accuracy") is None
    assert view.at("chaosnli", "accuracy")["hard_t"].ahead is None


def test_what_is_not_defined_is_ahead_of_nothing(tmp_path: Path) -> None:
    (view,) = views_of(tmp_path, ToySet(constant="soft", splits=0))
    (comparison,) = view.of("entropy_corr", "soft")
    assert np.isnan(comparison.better_by)
    assert (comparison.ahead, comparison.verdict, view.best("chaosnli", "entropy_corr")) == (None, "open", None)


def test_intervals_hold_their_mean_difference(tmp_path: Path) -> None:
    for view in views_of(tmp_path, ToySet()):
        assert all(low < one.test.mean_difference < high for one in view.comparisons for low, high in [one.interval])


def test_a_verdict_needs_both_the_test_and_an_interval_without_0(tmp_path: Path) -> None:
    (view,) = views_of(tmp_path, ToySet(splits=0))
    (one,) = view.of("kl", "soft")
    assert one.verdict == "better"
    assert one.interval[1] < 0
    assert replace(one, interval=(-0.3, 0.01)).verdict == "open"
    assert replace(one, interval=(np.nan, np.nan)).verdict == "open"
    assert replace(one, holm_p=0.06).verdict == "open"
    assert replace(one, holm_p=np.nan).verdict == "open"


def test_intervals_are_those_of_seeds_and_items_and_over_splits_corrected(tmp_path: Path) -> None:
    fixed, redrawn = views_of(tmp_path, ToySet())
    repeats = fixed.repeats["chaosnli"]
    items = [np.stack([item_values("kl", one)[0] for one in repeats.judged[arm]]) for arm in ("soft", "hard")]
    expected = seed_interval(items[0] - items[1])
    assert fixed.of("kl", "soft")[0].interval == pytest.approx((expected.low, expected.high))
    values = redrawn.repeats["chaosnli"].metric("soft", "kl") - redrawn.repeats["chaosnli"].metric("hard", "kl")
    over = split_interval(values, redrawn.repeats["chaosnli"].overlap)
    assert redrawn.of("kl", "soft")[0].interval == pytest.approx((over.low, over.high))


def test_one_model_for_all_seeds_has_an_interval_and_no_test(tmp_path: Path) -> None:
    arms = {**PAIR, "both": ArmForm({}, "soft", "none", ensemble=True)}
    (view,) = views_of(tmp_path, ToySet(splits=0), arms)
    (alone,), (paired,) = view.of("kl", "both"), view.of("kl", "soft")
    assert np.isnan([alone.holm_p, alone.test.t_p, alone.test.cohens_dz]).all()
    assert alone.verdict == "open"
    assert alone.interval[0] < alone.test.mean_difference < alone.interval[1]
    assert not np.isnan(paired.holm_p)
    assert view.repeats["chaosnli"].single == {"both"}
