"""Every class that a figure uses has a rule, and every colour a value on light and on dark ground."""

import re
from pathlib import Path

from soft_labels.palette import ARMS
from soft_labels.report.chart_figures import entropy_figure, loss_figure
from soft_labels.report.evidence import load_evidence
from soft_labels.report.item_figures import same_class_figure, spread_figure
from soft_labels.report.style import FIGURES, PAGE, THEMES
from tests.report.toy_experiment import ToySet, many_arms, write_experiment


def test_every_class_of_a_figure_has_a_rule(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0)], many_arms(13))
    evidence = load_evidence(tmp_path)
    figures = [make(evidence) for make in (spread_figure, same_class_figure, entropy_figure, loss_figure)]
    used = {name for figure in figures for css in re.findall(r'class="([^"]*)"', figure.body) for name in css.split()}
    assert used >= {f"arm{place}" for place in range(len(ARMS))}
    assert {name for name in used if f".{name}{{" not in FIGURES and f".{name}," not in FIGURES} == set()


def test_every_colour_that_is_used_is_set_for_each_theme() -> None:
    used = set(re.findall(r"var\((--\w+)\)", FIGURES + PAGE))
    light, dark, paper = re.findall(r":root\{([^}]*)\}", THEMES)
    for theme in (light, dark, paper):
        assert used <= set(re.findall(r"(--\w+):", theme))
    own = [dict(re.findall(r"(--\w+):([^;]*)", theme)) for theme in (light, dark, paper)]
    assert own[0] != own[1]
    assert own[0] == own[2]
