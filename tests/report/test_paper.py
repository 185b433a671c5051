"""What is said of the paper's numbers follows from the numbers."""

import math

import numpy as np
import pytest

from soft_labels.report.paper import DISAGREEMENTS, PAPER, paper_arm, paper_pair, paper_target
from soft_labels.training.spec import RunSpec


def changes(metric: str) -> list[float]:
    means = [[one.arms[arm].mean(metric) or math.nan for arm in ("hard", "soft")] for one in PAPER.values()]
    return [100 * (soft - hard) / hard for hard, soft in means]


@pytest.mark.parametrize(("metric", "place"), [("kl", 0), ("entropy_corr", 1)])
def test_the_changes_that_are_named_are_those_of_its_tables(metric: str, place: int) -> None:
    values = changes(metric)
    for value in (*values, float(np.mean(values))):
        assert f"{abs(value):.1f}%" in DISAGREEMENTS[place]


def test_the_data_sets_have_this_packages_names() -> None:
    assert set(PAPER) == {"chaosnli", "popquorn", "cifar10h-hard"}


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        (RunSpec("soft", hidden_width=8), "soft"),
        (RunSpec("hard", lr=0.1), "hard"),
        (RunSpec("soft", loss="brier"), None),
        (RunSpec("smoothed", smoothing=0.1), None),
        (RunSpec("soft", head="logistic"), None),
    ],
)
def test_an_arm_of_the_paper_is_known_by_what_it_is(spec: RunSpec, target: str | None) -> None:
    assert paper_target(spec) == target


def test_numbers_stand_beside_the_papers_data_alone() -> None:
    assert paper_arm("chaosnli", "soft") is PAPER["chaosnli"].arms["soft"]
    assert paper_arm("chaosnli", "hard_t") is None
    assert paper_arm("mine", "soft") is None
    assert paper_arm("chaosnli", None) is None


def test_the_paper_compares_soft_and_hard_and_nothing_else() -> None:
    arms = PAPER["popquorn"].arms
    assert paper_pair("popquorn", "soft", "hard") == (arms["soft"], arms["hard"])
    assert [paper_pair("popquorn", *pair) for pair in (("hard", "hard"), ("hard_t", "hard"), ("soft", "other"))] == [
        None
    ] * 3
