"""What is said of the paper's numbers follows from the numbers."""

import math

import numpy as np
import pytest

from soft_labels.report.paper import DISAGREEMENTS, PAPER, paper_arm, paper_pair


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
