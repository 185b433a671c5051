"""Histograms and curves."""

from dataclasses import replace
from pathlib import Path

import pytest

from soft_labels.report.chart_figures import entropy_figure, loss_figure
from soft_labels.report.evidence import Evidence, load_evidence
from tests.report.toy_experiment import CALIBRATED, PAIR, ToySet, write_experiment


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0)])
    return load_evidence(tmp_path)


def with_curve(evidence: Evidence, curve: list[float | None], best: int) -> Evidence:
    """The same runs with another curve of the soft head."""
    (one,) = evidence.sets
    record = replace(one.fixed.records["soft"][0], curve={"val/loss": curve}, best_epoch=best)
    fixed = replace(one.fixed, records={**one.fixed.records, "soft": [record]})
    return replace(evidence, sets=[replace(one, fixed=fixed)])


def test_the_histogram_has_a_bar_a_bin_and_the_mean(evidence: Evidence) -> None:
    figure = entropy_figure(evidence)
    assert figure.body.count("url(#figure3-annotators)") == 20
    assert f"mean {evidence.sets[0].index.description['normalized_entropy_mean']:.2f}" in figure.body


def test_both_curves_are_drawn_by_line_and_marker_with_the_kept_epoch_ringed(evidence: Evidence) -> None:
    body = loss_figure(evidence).body
    assert body.count("<polyline") == 4
    assert body.count('class="line0"') == body.count('class="line1"') == 2  # legend and curve
    assert body.count("<circle") == body.count("<rect") == 21  # an epoch each, and the legend
    assert body.count("ringed") == 2


def test_epochs_whose_loss_broke_down_are_left_out_of_the_curve_and_named(evidence: Evidence) -> None:
    figure = loss_figure(with_curve(evidence, [1.2, 1.0, None], best=1))
    assert figure.body.count("<circle") == 1 + 2
    assert "soft: 1.200, 1.000, not finite; lowest at epoch 2." in figure.description


def test_a_single_epoch_and_equal_losses_can_be_drawn(evidence: Evidence) -> None:
    assert loss_figure(with_curve(evidence, [1.0], best=0)).body.count("<circle") == 2


def test_a_derived_arm_has_no_curve_and_leaves_the_others_their_looks(tmp_path: Path) -> None:
    arms = {"hard_t": CALIBRATED["hard_t"], **PAIR}
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0)], arms)
    figure = loss_figure(load_evidence(tmp_path))
    assert "hard_t" not in figure.description + figure.body
    assert figure.body.count('class="line1"') == figure.body.count('class="line2"') == 2
    assert 'class="line0"' not in figure.body
