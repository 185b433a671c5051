"""Notes name what was measured, the baseline and what is not defined."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from soft_labels.experiment.index import ArmForm
from soft_labels.report import notes
from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.views import View, make_views
from tests.report.toy_experiment import CALIBRATED, PAIR, ToySet, write_experiment


def made(folder: Path, toy: ToySet, arms: Mapping[str, ArmForm] = PAIR) -> tuple[Evidence, list[View]]:
    write_experiment(folder, [toy], arms)
    evidence = load_evidence(folder)
    return evidence, make_views(evidence)


@pytest.mark.slow
def test_a_view_names_its_items_repeats_and_encoder(tmp_path: Path) -> None:
    evidence, (fixed, redrawn) = made(tmp_path, ToySet())
    assert notes.measured_on(evidence, fixed).endswith("chaosnli: 60 items, 6 seeds, PackagedEncoder toy.")
    assert "5 redrawn splits" in notes.measured_on(evidence, redrawn)
    assert "p: against hard, paired t-test, not adjusted" in notes.results(evidence, fixed)
    assert "corrected for splits that share items" in notes.results(evidence, redrawn)


@pytest.mark.slow
def test_tests_that_cannot_be_made_are_not_counted(tmp_path: Path) -> None:
    _, (view,) = made(tmp_path, ToySet(splits=0), CALIBRATED)  # a temperature changes no class
    assert "adjusted over the 5 tests of this table that could be made" in notes.tests(view)


def test_another_encoder_than_the_papers_is_said_on_its_own_data_alone(tmp_path: Path) -> None:
    evidence, _ = made(tmp_path / "paper", ToySet(seeds=1, splits=0))
    assert "The encoder of chaosnli is not the paper's" in notes.other_encoder(evidence)[0]
    evidence, _ = made(tmp_path / "mine", ToySet("mine", seeds=1, splits=0))
    assert notes.other_encoder(evidence) == []


def test_table_4_explains_every_metric_that_it_shows(tmp_path: Path) -> None:
    _, (view,) = made(tmp_path, ToySet("mine", seeds=1, splits=0))
    words = notes.alignment(view, ["kl", "entropy_corr", "brier"])
    assert "Entropy correlation: Pearson's" in words
    assert "Brier score; lower is better." in words
    assert "Change: (arm - hard) / hard of the means" in words
    assert "paper" not in words


def test_arms_that_train_nothing_are_named(tmp_path: Path) -> None:
    evidence, _ = made(tmp_path, ToySet(seeds=1, splits=0), CALIBRATED)
    (note,) = notes.derived(evidence)
    assert note.endswith("derived: hard_t has the heads of hard, followed by temperature.")
