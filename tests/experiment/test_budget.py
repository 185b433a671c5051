import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from soft_labels.errors import RecordError
from soft_labels.experiment.budget import Budget, BudgetCurve, read_budgets

NAN = float("nan")


def curve(arm: str, less: str | None, *values: float) -> BudgetCurve:
    low, high = (tuple(value + side for value in values) for side in (-0.125, 0.125))
    return BudgetCurve(arm, less, "kl", values, low, high, tuple((value, value) for value in values))


BUDGET = Budget(
    dataset="moods",
    encoder="none",
    baseline="hard",
    arms=("hard", "soft"),
    annotators=(1, 4),
    annotations=(10, 38),
    short=(0, 2),
    tied=(0.0, 0.25),
    draws=2,
    seeds=1,
    price=0.5,
    learning_items=10,
    test_items=5,
    test_annotators=4.5,
    curves=(curve("hard", None, 0.75, 0.5), curve("soft", None, 0.75, 0.25), curve("soft", "hard", 0.0, -0.25)),
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = BUDGET.save(tmp_path)
    assert path == tmp_path / "budget" / "moods.json"
    assert read_budgets(tmp_path) == {"moods": BUDGET}
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1


def test_an_experiment_without_curves_has_none(tmp_path: Path) -> None:
    assert read_budgets(tmp_path) == {}


def test_curves_are_found_by_arm_metric_and_what_they_are_less() -> None:
    assert BUDGET.curve("soft", "kl").values == (0.75, 0.25)
    assert BUDGET.curve("soft", "kl", "hard").values == (0.0, -0.25)
    assert BUDGET.metrics == ("kl",)
    assert BUDGET.money == (5.0, 19.0)
    assert replace(BUDGET, price=None).money is None


def test_a_row_of_the_csv_is_a_step_of_a_curve(tmp_path: Path) -> None:
    path = BUDGET.save(tmp_path).with_suffix(".csv")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 6
    assert rows[5] == {
        "dataset": "moods", "arm": "soft", "less": "hard", "metric": "kl", "annotators": "4", "annotations": "38",
        "money": "19.0", "value": "-0.25", "low": "-0.375", "high": "-0.125",
    }  # fmt: skip


def test_what_is_not_defined_stays_so(tmp_path: Path) -> None:
    nowhere = replace(BUDGET, curves=(curve("hard", None, NAN, 0.5),))
    nowhere.save(tmp_path)
    found = read_budgets(tmp_path)["moods"].curves[0]
    assert [math.isnan(value) for value in (*found.values, *found.draws[0])] == [True, False, True, True]
    assert ",,0.5," not in (tmp_path / "budget" / "moods.csv").read_text(encoding="utf-8").splitlines()[1]


@pytest.mark.parametrize("change", [
    lambda text: text.replace("0.75", "0.25", 1),
    lambda text: text.replace('"schema": 1', '"schema": 2'),
    lambda text: text[:-20],
    lambda text: "[]",
], ids=["another number", "another schema", "cut", "no budget"])  # fmt: skip
def test_what_was_changed_is_not_read(tmp_path: Path, change: object) -> None:
    path = BUDGET.save(tmp_path)
    assert callable(change)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(RecordError, match=r"moods\.json is no budget of schema 1 as it was written; delete it and run"):
        read_budgets(tmp_path)
