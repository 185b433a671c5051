import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from soft_labels.errors import DataError
from soft_labels.trust import TrustReport, Yardsticks, trust_report, yardsticks
from soft_labels.trust.decomposition import decompose
from tests.trust.simulation import Floats, annotate, fuzzed, mixture


@pytest.fixture(scope="module")
def case() -> dict[str, Floats]:
    generator = np.random.default_rng(0)
    truth = mixture(generator, 1600, 4)
    heads = np.stack([fuzzed(generator, truth, 3) for _ in range(3)])
    counts = annotate(generator, truth, 20)
    test, val, train = slice(0, 600), slice(600, 1000), slice(1000, None)
    return {
        "truth": truth[test],
        "counts": counts[test],
        "val_counts": counts[val],
        "train_counts": counts[train],
        "predictions": heads[:, test],
        "val_predictions": heads[:, val],
    }


@pytest.fixture(scope="module")
def measured(case: dict[str, Floats]) -> Yardsticks:
    return yardsticks(case["counts"], val_counts=case["val_counts"], train_counts=case["train_counts"])


@pytest.fixture(scope="module")
def report(case: dict[str, Floats]) -> TrustReport:
    return trust_report(
        case["counts"],
        case["predictions"],
        val_counts=case["val_counts"],
        val_predictions=case["val_predictions"],
        train_counts=case["train_counts"],
    )


@pytest.mark.slow
def test_every_number_is_there(report: TrustReport) -> None:
    values = asdict(report)
    missing = {name for name, value in values.items() if isinstance(value, float) and not np.isfinite(value)}
    assert missing == {"wasserstein", "wasserstein_low", "wasserstein_high"}
    assert report.notes == ()
    assert (report.items, report.annotators, report.seeds) == (600, 20, 3)


def test_numbers_fit_together(report: TrustReport, case: dict[str, Floats]) -> None:
    assert report.kl == pytest.approx(report.overconfidence + report.vagueness, abs=1e-9)
    assert report.kl == pytest.approx(decompose(case["counts"], case["predictions"]).kl.mean())
    assert report.floor_low <= report.floor <= report.floor_high < report.kl < report.marginal < report.uniform
    assert report.share_of_achievable == pytest.approx((report.marginal - report.kl) / (report.marginal - report.floor))
    assert report.ent_ce >= report.vagueness
    assert report.worth_low < report.worth < report.worth_high
    assert report.prior_saved[0] == pytest.approx(report.prior_equals[0] - 1)
    assert report.set_share == pytest.approx(0.9, abs=0.03)
    for name in ("kl", "overconfidence", "vagueness", "share_of_achievable", "entropy_corr"):
        assert getattr(report, f"{name}_low") < getattr(report, name) < getattr(report, f"{name}_high")


def test_the_truth_reaches_what_is_achievable(case: dict[str, Floats], measured: Yardsticks) -> None:
    perfect = trust_report(case["counts"], case["truth"], measured=measured)
    assert perfect.share_of_achievable == pytest.approx(1, abs=0.03)
    assert perfect.ceiling_low - 0.03 < perfect.entropy_corr < perfect.ceiling_high + 0.03
    assert abs(perfect.overconfidence) < 0.02
    assert perfect.worth_reach == "above"


def test_yardsticks_serve_many_models(case: dict[str, Floats], report: TrustReport, measured: Yardsticks) -> None:
    again = trust_report(
        case["counts"], case["predictions"], val_predictions=case["val_predictions"], measured=measured
    )
    assert replace(again, wasserstein=0.0) == replace(report, wasserstein=0.0)
    with pytest.raises(DataError, match="other counts"):
        trust_report(case["counts"][::-1], case["predictions"], measured=measured)


@pytest.mark.slow
def test_counts_and_predictions_are_enough(case: dict[str, Floats]) -> None:
    alone = trust_report(torch.tensor(case["counts"]), torch.tensor(case["predictions"][0]).log(), ordinal=True)
    assert [note.split(":")[0] for note in alone.notes] == [
        "no training counts given",
        "no validation counts given",
        "one seed",
    ]
    assert all(np.isfinite(value) for value in asdict(alone).values() if isinstance(value, float))


def test_validation_counts_without_predictions_leave_worth(case: dict[str, Floats], measured: Yardsticks) -> None:
    some = trust_report(case["counts"], case["predictions"], measured=measured)
    assert some.worth_reach == "within"
    assert some.prior_annotators == ()
    assert np.isnan([some.prior_strength, some.set_share]).all()
    assert any("no prior and no sets" in note for note in some.notes)


def test_weighted_counts_keep_what_draws_no_annotator(case: dict[str, Floats]) -> None:
    weighted = trust_report(case["counts"] * 0.7, case["predictions"])
    assert weighted.floor > 0
    assert weighted.worth_reach == "unknown"
    assert np.isnan([weighted.worth, weighted.ceiling_split_half]).all()
    assert sum("not whole numbers" in note for note in weighted.notes) == 2


def test_one_annotation_an_item_leaves_what_can_be_said(case: dict[str, Floats]) -> None:
    single = trust_report(np.eye(4)[case["counts"].argmax(1)], case["predictions"])
    assert np.isnan([single.floor, single.share_of_achievable, single.entropy_corr, single.worth]).all()
    assert single.kl == pytest.approx(single.overconfidence + single.vagueness)
    assert any("more than one annotation" in note for note in single.notes)


def test_a_class_that_is_ruled_out_is_said(case: dict[str, Floats], measured: Yardsticks) -> None:
    hard = np.eye(4)[case["predictions"][0].argmax(1)]
    certain = trust_report(case["counts"], hard, measured=measured)
    assert (certain.kl, certain.share_of_achievable) == (np.inf, -np.inf)
    assert certain.worth_reach == "below"
    assert any("rule out a class" in note for note in certain.notes)


def test_seeds_of_validation_and_test_must_match(case: dict[str, Floats], measured: Yardsticks) -> None:
    two = case["val_predictions"][:2]
    with pytest.raises(DataError, match="3 seeds as in predictions, got 2"):
        trust_report(case["counts"], case["predictions"], val_predictions=two, measured=measured)


@pytest.mark.slow
def test_twenty_heads_of_4000_items_take_seconds() -> None:
    generator = np.random.default_rng(0)
    truth = mixture(generator, 4000, 5)
    counts, heads = annotate(generator, truth, 30), np.stack([fuzzed(generator, truth, 8) for _ in range(20)])
    start = time.process_time()
    trust_report(counts, heads)
    assert time.process_time() - start < 20
