"""Effects, entropies and reliability: what is drawn is what the data says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from soft_labels.palette import GROUND
from soft_labels.report.arm_figures import effect_figure, entropy_scatter, reliability_figure
from soft_labels.report.content import Figure
from soft_labels.report.drawing import Drawing
from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.summary import Summary
from soft_labels.report.views import Comparison, View, make_views
from soft_labels.trust.reliability import reliability
from tests.report.toy_experiment import PAIR, ToySet, write_experiment
from tests.report.toy_summary import summary_of, told


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("arms")
    write_experiment(folder, [ToySet(seeds=3, splits=3)], PAIR)
    return load_evidence(folder)


@pytest.fixture(scope="module")
def views(evidence: Evidence) -> list[View]:
    return make_views(evidence)


@pytest.fixture(scope="module")
def summary(evidence: Evidence) -> Summary:
    return with_effects(evidence, {})


def with_effects(evidence: Evidence, effects: Mapping[str, Sequence[Comparison]]) -> Summary:
    """A summary in which every arm is told the same."""
    arms = {**evidence.arms, **evidence.added}
    return summary_of(evidence, {"chaosnli": {arm: told(0.3, entropy_corr=0.25) for arm in arms}}, effects)


def drawn(figure: Figure, panel: int = 0) -> list[tuple[list[float], list[float], str]]:
    """Ends and marker of every line of a panel."""
    axes = next(one for one in Drawing(figure).canvas.axes if one.get_gid() == f"panel{panel}")
    return [
        (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist(), str(line.get_marker()))
        for line in axes.lines
    ]


def test_every_difference_is_drawn_with_its_interval(evidence: Evidence, views: list[View]) -> None:
    figure = effect_figure(evidence, with_effects(evidence, {view.name: view.comparisons for view in views}))
    assert figure is not None
    assert len(figure.panels) == 3
    tested = {(one.arm, str(view.name)): one for view in views for one in view.comparisons if one.metric == "accuracy"}
    rows = [row for row in figure.rows if row["metric"] == "accuracy"]
    assert len(rows) == len(tested) == 2 * len(views[0].compared)
    for row in rows:
        one = tested[str(row["arm"]), str(row["repeats"])]
        assert row["difference"] == 100 * one.test.mean_difference
        assert (row["low"], row["high"]) == (100 * one.interval[0], 100 * one.interval[1])
    lines = drawn(figure, 2)
    assert [line[0] for line in lines[:-1:2]] == [[row["low"], row["high"]] for row in rows]
    assert [line[0] for line in lines[1:-1:2]] == [[row["difference"]] for row in rows]
    assert [line[2] for line in lines[1:-1:2]] == ["o" if row["repeats"] == "fixed" else "D" for row in rows]


def test_what_cannot_be_tested_is_named_as_such(evidence: Evidence, views: list[View]) -> None:
    comparisons = views[0].comparisons
    untested = [replace(one, holm_p=math.nan) for one in comparisons]
    for given, words in ((comparisons, ""), (untested, " On one split hollow since it cannot be tested: soft.")):
        figure = effect_figure(evidence, with_effects(evidence, {"fixed": given}))
        assert figure is not None
        assert figure.caption.endswith(f"Accuracy in percentage points.{words}")


def test_what_is_not_told_apart_is_hollow(evidence: Evidence, views: list[View]) -> None:
    cases = []
    for p_value in (0.001, 0.9):
        comparisons = [replace(one, holm_p=p_value, interval=(0.1, 0.2)) for one in views[0].comparisons]
        figure = effect_figure(evidence, with_effects(evidence, {"fixed": comparisons}))
        assert figure is not None
        axes = next(one for one in Drawing(figure).canvas.axes if one.get_gid() == "panel0")
        cases.append(axes.lines[1].get_markerfacecolor())
        assert ("not told apart" in figure.description) == (p_value == 0.9)
    assert cases[0] != GROUND.light
    assert cases[1] == GROUND.light


def test_where_nothing_is_compared_there_are_no_effects(evidence: Evidence, summary: Summary) -> None:
    assert effect_figure(evidence, summary) is None


def test_points_of_the_scatter_are_items_and_its_lines_means(evidence: Evidence, summary: Summary) -> None:
    figure = entropy_scatter(evidence, summary)
    rows = [row for row in figure.rows if row["arm"] == "soft"]
    items, tenths = ([row for row in rows if row["of"] == what] for what in ("item", "tenth"))
    assert (len(items), len(tenths)) == (60, 10)
    label = evidence.sets[0].fixed.judged["soft"][0].label_dist.numpy()
    entropy = -(label * np.log(np.where(label > 0, label, 1))).sum(1)
    assert [row["label_entropy"] for row in items] == pytest.approx(sorted(entropy), abs=1e-4)
    assert np.mean([row["label_entropy"] for row in tenths]) == pytest.approx(entropy.mean(), abs=1e-3)
    lines = drawn(figure)
    assert [row["pred_entropy"] for row in items] in [line[1] for line in lines]
    assert [row["pred_entropy"] for row in tenths] in [line[1] for line in lines]
    assert "chaosnli: correlation: hard 0.25" in figure.description
    assert "perfect model 0.80 to 0.90" in figure.description


def test_a_reliability_diagram_has_the_bins_of_every_arm(evidence: Evidence, summary: Summary) -> None:
    figure = reliability_figure(evidence, summary)
    fixed = evidence.sets[0].fixed
    wanted = reliability(fixed.counts[0].test, fixed.judged["hard"][0].logits.log_softmax(-1).numpy())
    rows = [row for row in figure.rows if row["arm"] == "hard"]
    assert [row["share"] for row in rows] == pytest.approx(wanted.observed.tolist(), abs=1e-5)
    assert [row["pairs"] for row in rows] == wanted.pairs.tolist()
    assert [row["share"] for row in rows] in [line[1] for line in drawn(figure)]
    assert "gap: hard 0.020" in figure.description


def test_a_head_that_says_nothing_finite_leaves_no_points(evidence: Evidence, summary: Summary) -> None:
    one = evidence.sets[0]
    judged = [two._replace(logits=two.logits * math.nan) for two in one.fixed.judged["hard"]]
    broken = replace(one, fixed=replace(one.fixed, judged={**one.fixed.judged, "hard": judged}))
    assert {row["arm"] for row in reliability_figure(replace(evidence, sets=[broken]), summary).rows} >= {"soft"}
    figure = entropy_scatter(replace(evidence, sets=[broken]), summary)
    assert all(math.isnan(float(str(row["pred_entropy"]))) for row in figure.rows if row["arm"] == "hard")
    assert len(Drawing(figure).panels()) == 1
