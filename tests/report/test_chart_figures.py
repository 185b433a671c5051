"""Histograms and curves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from soft_labels.report.chart_figures import entropy_figure, loss_figure
from soft_labels.report.content import Figure
from soft_labels.report.drawing import Drawing
from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.looks import looks
from tests.report.toy_experiment import CALIBRATED, PAIR, ToySet, write_experiment


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("charts")
    write_experiment(folder, [ToySet(seeds=1, splits=0)])
    return load_evidence(folder)


def with_curve(evidence: Evidence, curve: list[float | None], best: int) -> Evidence:
    """The same runs with another curve of the soft head."""
    (one,) = evidence.sets
    record = replace(one.fixed.records["soft"][0], curve={"val/loss": curve}, best_epoch=best)
    fixed = replace(one.fixed, records={**one.fixed.records, "soft": [record]})
    return replace(evidence, sets=[replace(one, fixed=fixed)])


def plane(figure: Figure) -> Axes:
    return next(one for one in Drawing(figure).canvas.axes if one.get_gid() == "panel0")


def test_the_histogram_has_a_bar_a_bin_and_the_mean(evidence: Evidence) -> None:
    figure, told = entropy_figure(evidence), evidence.sets[0].index
    assert [row["items"] for row in figure.rows] == told.entropy_histogram
    assert (figure.rows[0]["from"], figure.rows[-1]["to"]) == (0, 1)
    axes = plane(figure)
    assert [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)] == told.entropy_histogram
    assert axes.lines[0].get_xdata() == [told.description["normalized_entropy_mean"]] * 2


def test_both_curves_are_drawn_with_the_kept_epoch_ringed(evidence: Evidence) -> None:
    figure, record = loss_figure(evidence), evidence.sets[0].fixed.records["soft"][0]
    rows = [row for row in figure.rows if row["arm"] == "soft"]
    assert [row["loss"] for row in rows] == record.curve["val/loss"]
    assert [row["epoch"] for row in rows if row["kept"]] == [record.best_epoch + 1]
    hard, ring, soft, other = plane(figure).lines
    assert np.asarray(soft.get_ydata()).tolist() == record.curve["val/loss"]
    assert np.asarray(other.get_xdata()).tolist() == [record.best_epoch + 1]
    assert [line.get_color() for line in (hard, soft)] == [looks(evidence)[arm].colour.light for arm in PAIR]
    assert ring.get_markerfacecolor() == "none"


def test_epochs_whose_loss_broke_down_are_left_out_of_the_curve_and_named(evidence: Evidence) -> None:
    figure = loss_figure(with_curve(evidence, [1.2, 1.0, None], best=1))
    assert np.isfinite(np.asarray(plane(figure).lines[2].get_ydata())).sum() == 2
    assert "soft: 1.200, 1.000, not finite; lowest at epoch 2." in figure.description
    assert figure.csv().splitlines()[-1] == "chaosnli,soft,3,,0"


def test_a_single_epoch_and_equal_losses_can_be_drawn(evidence: Evidence) -> None:
    figure = loss_figure(with_curve(evidence, [1.0], best=0))
    assert len([row for row in figure.rows if row["arm"] == "soft"]) == 1
    assert len(Drawing(figure).panels()) == 1


def test_a_derived_arm_has_no_curve_and_leaves_the_others_their_looks(tmp_path: Path) -> None:
    arms = {"hard_t": CALIBRATED["hard_t"], **PAIR}
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0)], arms)
    evidence = load_evidence(tmp_path)
    figure = loss_figure(evidence)
    assert [key.label for key in figure.keys] == ["hard", "soft"]
    assert "hard_t" not in figure.csv() + figure.description
    assert [line.get_color() for line in plane(figure).lines[::2]] == [
        looks(evidence)[arm].colour.light for arm in ("hard", "soft")
    ]
