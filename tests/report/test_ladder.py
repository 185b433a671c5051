"""The ladder's rungs are as long as their KL, in every panel alike."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from soft_labels.palette import RULE
from soft_labels.report.content import Figure
from soft_labels.report.drawing import Drawing
from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.ladder import CONSTANT, PERFECT, ladder_figure
from soft_labels.report.looks import looks
from soft_labels.trust.report import TrustReport
from tests.report.toy_experiment import PAIR, ToySet, many_arms, write_experiment
from tests.report.toy_summary import summary_of, told

HARD, SOFT = told(0.5, over=0.2), told(0.3, over=-0.01)
REPORTS = {"hard": HARD, "soft": SOFT, "hard_t": told(0.4), "soft_t": told(0.29)}


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("ladder")
    write_experiment(folder, [ToySet(seeds=1, splits=0), ToySet("mine", seeds=1, splits=0)], PAIR)
    return load_evidence(folder)


def figure_of(evidence: Evidence, reports: Mapping[str, TrustReport] = REPORTS) -> Figure:
    return ladder_figure(evidence, summary_of(evidence, {"chaosnli": reports, "mine": reports}))


def bars(figure: Figure, panel: int = 0) -> list[tuple[float, float, str | None]]:
    """Start, end and hatch of what is drawn in a panel, rung by rung."""
    axes = next(one for one in Drawing(figure).canvas.axes if one.get_gid() == f"panel{panel}")
    found = [one for one in axes.patches if isinstance(one, Rectangle)]
    return [(round(one.get_x(), 9), round(one.get_x() + one.get_width(), 9), one.get_hatch()) for one in found]


def test_the_data_goes_from_the_constant_over_the_arms_to_the_floor(evidence: Evidence) -> None:
    rows = figure_of(evidence).rows[:6]
    assert [row["rung"] for row in rows] == [CONSTANT, "hard", "hard_t", "soft", "soft_t", PERFECT]
    assert [row["kl"] for row in rows] == [0.6, 0.5, 0.4, 0.3, 0.29, 0.1]
    assert [row["share_of_way"] for row in rows] == pytest.approx([0, 0.2, 0.4, 0.6, 0.62, 1])
    assert (rows[1]["kl_low"], rows[1]["kl_high"], rows[1]["overconfidence"]) == (0.45, 0.55, 0.2)


def test_bars_are_as_long_as_kl_and_hatched_where_it_is_overconfidence(evidence: Evidence) -> None:
    drawn = bars(figure_of(evidence))
    ends = {end for start, end, _ in drawn if start == 0}
    assert ends == {0.6, 0.5, 0.4, 0.3, 0.29, 0.1}
    hatched = [(start, end) for start, end, hatch in drawn if hatch]
    assert hatched == [(0.3, 0.5), (0.35, 0.4), (0.24, 0.29)]


def test_the_constant_stands_at_the_same_place_in_every_panel(evidence: Evidence) -> None:
    small = {arm: replace(one, marginal=6.0, kl=10 * one.kl, kl_high=10 * one.kl_high) for arm, one in REPORTS.items()}
    figure = ladder_figure(evidence, summary_of(evidence, {"chaosnli": REPORTS, "mine": small}))
    one, other = Drawing(figure).canvas.axes[1:]
    assert 0.6 / one.get_xlim()[1] == pytest.approx(6.0 / other.get_xlim()[1])


def test_arms_have_the_colours_that_they_have_everywhere(evidence: Evidence) -> None:
    axes = Drawing(figure_of(evidence)).canvas.axes[1]
    colours = [to_hex(one.get_facecolor()) for one in axes.patches]
    assert colours[0] == RULE.light
    assert colours[1] == colours[2] == looks(evidence)["hard"].colour.light


def test_the_numbers_stand_in_words(evidence: Evidence) -> None:
    words = figure_of(evidence).description
    assert "chaosnli: average answer 0.600; hard 0.500 (0.450 to 0.550), 20% of the way, overconfidence 0.200;" in words
    assert words.count("perfect model 0.100") == 2


def test_what_is_not_known_is_left_out_and_what_is_not_finite_ends_at_the_edge(evidence: Evidence) -> None:
    broken = replace(
        told(math.inf, over=math.inf), kl_low=math.nan, kl_high=math.nan, share_of_achievable=-math.inf, floor=math.nan
    )
    unknown = {arm: replace(one, floor=math.nan, share_of_achievable=math.nan) for arm, one in REPORTS.items()}
    figure = figure_of(evidence, {**unknown, "hard": broken})
    assert PERFECT not in [row["rung"] for row in figure.rows]
    axes = Drawing(figure).canvas.axes[1]
    assert max(one.get_width() for one in axes.patches if isinstance(one, Rectangle)) == pytest.approx(
        axes.get_xlim()[1]
    )
    assert "hard –" in figure.description  # noqa: RUF001


@pytest.mark.parametrize(("sets", "arms"), [(1, 1), pytest.param(5, 14, marks=pytest.mark.slow)])
def test_one_arm_or_many_stand_below_one_another(evidence: Evidence, sets: int, arms: int) -> None:
    names = ["chaosnli", "popquorn", "mine", "yours", "a name that is much longer than a panel is wide, by far"][:sets]
    one = evidence.sets[0]
    renamed = [replace(one, index=replace(one.index, dataset=name)) for name in names]
    many = replace(evidence, arms=many_arms(arms), added={}, baseline="arm-0", sets=renamed)
    reports = {arm: told(0.5 - place / 50) for place, arm in enumerate(many.arms)}
    drawing = Drawing(ladder_figure(many, summary_of(many, dict.fromkeys(names, reports))))
    assert len(drawing.panels()) == sets
    shown = [label.get_text() for label in drawing.canvas.axes[1].get_yticklabels()]
    assert shown == [CONSTANT, *many.arms, PERFECT]
