"""Tables 1 and 2 and the samplers."""

from dataclasses import replace
from pathlib import Path

import pytest

from soft_labels.report.evidence import load_evidence
from soft_labels.report.tables import dataset_table, hyperparameter_table, sampler_table
from tests.report.toy_experiment import CALIBRATED, ToySet, write_experiment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tables")
    write_experiment(root, [ToySet(seeds=2, splits=0), ToySet("mine", seeds=2, splits=0)])
    return root


def test_table_1_has_the_data_and_the_papers_beside_them(folder: Path) -> None:
    table = dataset_table(load_evidence(folder))
    first, second = table.rows
    assert (first["items"], first["classes"], first["paper_items"]) == (240, 3, 3113)
    assert second["paper_items"] is None
    shown = [column.cell(second) for column in table.columns]
    assert shown[-3:] == ["", "", ""]
    assert "120 / 60 / 60" in shown


def test_table_2_has_the_chosen_trial(folder: Path) -> None:
    evidence = load_evidence(folder)
    hard, soft = hyperparameter_table(evidence).rows[:2]
    assert (hard["arm"], hard["lr"], hard["paper_lr"]) == ("hard", 1e-4, 1e-4)
    assert (soft["arm"], soft["lr"], soft["paper_lr"]) == ("soft", 1e-4, 1e-3)
    losses = [loss for loss in evidence.sets[0].best["soft"].curve["val/loss"] if loss is not None]
    assert soft["val_loss"] == min(losses)
    assert soft["best_epoch"] == losses.index(min(losses)) + 1


def test_samplers_are_measured_by_what_they_spent_and_found(folder: Path) -> None:
    evidence = load_evidence(folder)
    table = sampler_table(evidence)
    assert table is not None
    grid, tpe = table.rows[:2]
    trials = evidence.sets[0].trials["hard"]
    values = [trial.value for trial in trials["grid"]]
    assert (grid["sampler"], grid["trials"], grid["best_val_loss"]) == ("grid", 4, min(values))
    assert grid["found_at"] == values.index(min(values)) + 1
    assert (tpe["sampler"], tpe["trials"], tpe["found_at"], tpe["above_lowest"]) == ("tpe", 2, 1, 0)


def test_a_derived_arm_has_no_search_and_is_named_as_such(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=2, splits=0)], CALIBRATED)
    evidence = load_evidence(tmp_path)
    table, samplers = hyperparameter_table(evidence), sampler_table(evidence)
    assert samplers is not None
    assert [row["arm"] for row in table.rows] == ["hard", "soft"]
    assert {row["arm"] for row in samplers.rows} == {"hard", "soft"}
    assert "hard_t has the heads of hard, followed by temperature" in table.notes[-1]


def test_what_an_arm_alone_searches_has_its_column(folder: Path) -> None:
    evidence = load_evidence(folder)
    assert "plateau_patience" not in hyperparameter_table(evidence).rows[0]
    (one, _), trials = evidence.sets, evidence.sets[0].trials["soft"]["grid"]
    other = replace(trials[0], spec={**trials[0].spec, "plateau_patience": 4})
    searched = replace(one, trials={**one.trials, "soft": {"grid": [*trials, other]}})
    table = hyperparameter_table(replace(evidence, sets=[searched]))
    assert [row["plateau_patience"] for row in table.rows] == [2, 2]
    assert "plateau_patience" in [column.title for column in table.columns]
