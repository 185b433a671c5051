"""Tables 1 and 2 and the samplers."""

from pathlib import Path

import pytest

from soft_labels.report.evidence import load_evidence
from soft_labels.report.tables import dataset_table, hyperparameter_table, sampler_table
from tests.report.toy_experiment import ToySet, write_experiment


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
    assert (hard["target"], hard["lr"], hard["paper_lr"]) == ("hard", 1e-4, 1e-4)
    assert (soft["target"], soft["lr"], soft["paper_lr"]) == ("soft", 1e-4, 1e-3)
    losses = [loss for loss in evidence.sets[0].best["soft"].curve["val/loss"] if loss is not None]
    assert soft["val_loss"] == min(losses)
    assert soft["best_epoch"] == losses.index(min(losses)) + 1


def test_samplers_are_measured_by_what_they_spent_and_found(folder: Path) -> None:
    evidence = load_evidence(folder)
    grid, tpe = sampler_table(evidence).rows[:2]
    trials = evidence.sets[0].trials["hard"]
    values = [trial.value for trial in trials["grid"]]
    assert (grid["sampler"], grid["trials"], grid["best_val_loss"]) == ("grid", 4, min(values))
    assert grid["found_at"] == values.index(min(values)) + 1
    assert (tpe["sampler"], tpe["trials"], tpe["found_at"], tpe["above_lowest"]) == ("tpe", 2, 1, 0)
