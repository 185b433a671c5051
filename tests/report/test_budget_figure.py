"""Budget curves are drawn as they were measured."""

import math
from dataclasses import replace

import numpy as np
import pytest

from soft_labels.experiment.budget import Budget, BudgetCurve
from soft_labels.report.budget_figure import budget_figure
from soft_labels.report.drawing import Drawing
from soft_labels.report.evidence import Evidence, load_evidence
from tests.report.toy_experiment import ToySet, write_experiment

CURVES = tuple(
    BudgetCurve(arm, None, metric, (0.5, 0.4, math.nan), (0.4, 0.3, math.nan), (0.6, 0.5, math.nan), ((),) * 3)
    for arm in ("hard", "soft")
    for metric in ("accuracy", "kl", "entropy_corr")
)
BUDGET = Budget(
    "chaosnli", "toy", "hard", ("hard", "soft"), (1, 3, 10), (100, 300, 1000), (0, 0, 4), (0.1, 0.1, 0.1), 2, 3,
    0.05, 100, 60, 50.0, CURVES,
)  # fmt: skip


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("budget")
    write_experiment(folder, [ToySet(seeds=1, splits=0, items=20), ToySet("mine", seeds=1, splits=0, items=20)])
    return load_evidence(folder)


def test_curves_and_bands_are_drawn_for_each_metric(evidence: Evidence) -> None:
    figure = budget_figure(evidence, {"chaosnli": BUDGET})
    assert figure is not None
    assert [panel.told[0] for panel in figure.panels] == [
        "KL to annotators: lower is better",
        "entropy correlation: higher is better",
    ]
    soft = [row for row in figure.rows if row["arm"] == "soft" and row["metric"] == "kl"]
    assert [(row["annotators"], row["annotations"], row["money"]) for row in soft] == [
        (1, 100, 5),
        (3, 300, 15),
        (10, 1000, 50),
    ]
    axes = next(one for one in Drawing(figure).canvas.axes if one.get_gid() == "panel0")
    assert np.asarray(axes.lines[1].get_ydata())[:2].tolist() == [0.5, 0.4]
    assert len(axes.collections) == 2
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "3", "10"]
    assert "chaosnli, soft: KL to annotators 0.500 with 1, 0.400 with 3" in figure.description


def test_money_is_empty_where_nobody_gave_a_price(evidence: Evidence) -> None:
    figure = budget_figure(evidence, {"chaosnli": replace(BUDGET, price=None)})
    assert figure is not None
    assert figure.csv().splitlines()[1] == "chaosnli,hard,kl,1,100,,0.5,0.4,0.6"


def test_there_is_no_figure_where_no_budget_was_made(evidence: Evidence) -> None:
    assert budget_figure(evidence, {}) is None
