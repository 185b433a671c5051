"""What is said of the paper's numbers follows from the numbers."""

import numpy as np
import pytest

from soft_labels.report.paper import DISAGREEMENTS, PAPER


def changes(metric: str) -> list[float]:
    means = [(one.arms["hard"].mean(metric), one.arms["soft"].mean(metric)) for one in PAPER.values()]
    return [100 * (soft - hard) / hard for hard, soft in means]


@pytest.mark.parametrize(("metric", "place"), [("kl", 0), ("entropy_corr", 1)])
def test_the_changes_that_are_named_are_those_of_its_tables(metric: str, place: int) -> None:
    values = changes(metric)
    for value in (*values, float(np.mean(values))):
        assert f"{abs(value):.1f}%" in DISAGREEMENTS[place]


def test_the_data_sets_have_this_packages_names() -> None:
    assert set(PAPER) == {"chaosnli", "popquorn", "cifar10h-hard"}
