"""What is read is what the records say; calibrated arms train nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from soft_labels.distributions import kl_divergence
from soft_labels.errors import RecordError
from soft_labels.experiment.index import ExperimentIndex
from soft_labels.report.evidence import item_values, load_evidence
from soft_labels.runs.record import rounded
from tests.report.toy_experiment import CALIBRATED, ToySet, write_experiment


def test_metrics_are_those_of_the_predictions_with_six_digits(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=2, splits=0)])
    (one,) = load_evidence(tmp_path).sets
    judged = one.fixed.judged["soft"][1]
    kl = kl_divergence(judged.label_dist, judged.logits).mean().item()
    assert one.fixed.metric("soft", "kl")[1] == rounded(kl) != kl
    right = (judged.logits.argmax(-1) == judged.majority_label).sum().item()
    assert one.fixed.metric("soft", "accuracy")[1] == right / 60  # an exact share, so that equal shares tie


@pytest.mark.parametrize("ordinal", [True, False])
def test_metrics_of_ordered_classes_need_ordered_classes(tmp_path: Path, ordinal: bool) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0, ordinal=ordinal)])
    names = load_evidence(tmp_path).sets[0].fixed.metrics()
    assert ("rps" in names) is ordinal
    assert "kl_to_true" not in names


def test_a_derived_arm_has_the_runs_of_its_source_and_other_predictions(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=2, splits=2)], CALIBRATED)
    evidence = load_evidence(tmp_path)
    (one,) = evidence.sets
    assert evidence.trained == list(one.best) == list(one.trials) == ["hard", "soft"]
    assert evidence.compared == ["soft", "hard_t"]
    assert one.redrawn is not None
    for repeats in (one.fixed, one.redrawn):
        assert repeats.records["hard_t"] == repeats.records["hard"]
        ratios = [(theirs.logits / ours.logits)[ours.logits < -0.1] for ours, theirs in
                  zip(repeats.judged["hard"], repeats.judged["hard_t"], strict=True)]  # fmt: skip
        assert all(torch.allclose(ratio, ratio[0].expand_as(ratio), rtol=1e-3) for ratio in ratios)
        assert ratios[0][0] != 1


def test_splits_that_share_items_have_their_overlap(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=2)])
    (one,) = load_evidence(tmp_path).sets
    assert one.redrawn is not None
    assert (one.fixed.overlap, one.redrawn.overlap) == (0, 0.5)
    assert (one.fixed.same_items, one.redrawn.same_items) == (True, False)


def test_items_have_six_decimals_and_pairs_of_values_where_they_are_correlated(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0)])
    judged = load_evidence(tmp_path).sets[0].fixed.judged["hard"][0]
    kl = item_values("kl", judged)
    assert kl.shape == (1, 60)
    assert np.array_equal(kl, kl.round(6))
    assert np.allclose(kl[0], kl_divergence(judged.label_dist, judged.logits).numpy(), atol=5e-7)
    assert item_values("entropy_corr", judged).shape == (2, 60)
    assert set(item_values("accuracy", judged)[0]) <= {0.0, 1.0}


def test_runs_on_other_items_do_not_pair(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=2, splits=2)])
    index = ExperimentIndex.load(tmp_path)
    index.datasets[0].arms["soft"].splits.reverse()
    index.save(tmp_path)
    with pytest.raises(RecordError, match="same seeds and test items, got 2 of hard, 2 of soft that do not pair"):
        load_evidence(tmp_path)
