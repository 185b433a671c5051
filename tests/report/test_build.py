"""Which sections a report has follows from its evidence."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from soft_labels.experiment.index import ArmForm
from soft_labels.report.build import build_report
from soft_labels.report.content import Report
from soft_labels.report.evidence import load_evidence
from soft_labels.report.summary import summarise
from soft_labels.report.views import make_views
from tests.report.toy_experiment import CALIBRATED, PAIR, ToySet, write_experiment


def built(folder: Path, toy: ToySet, arms: Mapping[str, ArmForm] = PAIR) -> Report:
    write_experiment(folder, [toy], arms)
    evidence = load_evidence(folder)
    views = make_views(evidence)
    return build_report(evidence, views, summarise(evidence, views), {})


@pytest.mark.slow
def test_the_title_names_the_arms_and_the_baseline(tmp_path: Path) -> None:
    toy = ToySet(seeds=2, splits=0)
    titles = [built(tmp_path / str(len(arms)), toy, arms).title for arms in ({"hard": PAIR["hard"]}, PAIR, CALIBRATED)]
    assert titles == [
        "Hard: toy experiment",
        "Soft against hard: toy experiment",
        "Soft and hard_t against hard: toy experiment",
    ]


@pytest.mark.slow
def test_a_section_stands_where_there_is_something_to_say(tmp_path: Path) -> None:
    with_splits = [section.title for section in built(tmp_path / "all", ToySet(seeds=2, splits=2)).sections]
    assert "Redrawn splits" in with_splits
    assert "Beside the paper" in with_splits
    without = [section.title for section in built(tmp_path / "few", ToySet("mine", seeds=2, splits=0)).sections]
    assert set(with_splits) - set(without) == {"Redrawn splits", "Beside the paper"}
    assert set(without) - set(with_splits) == {"Tables"}


@pytest.mark.slow
def test_how_the_runs_were_made_is_said_from_the_records(tmp_path: Path) -> None:
    *_, making = built(tmp_path, ToySet(seeds=2, splits=0)).sections
    assert "Engine of the repeats: lightning." in making.paragraphs[0]
    assert "chaosnli: train/val/test 0.7/0.15/0.15, stratified by majority class" in making.paragraphs[0]
    assert making.paragraphs[1] == "Made with git abc, torch 2.14.1, on Linux, CPU."


@pytest.mark.slow
def test_no_note_stands_twice_and_the_second_table_says_where_it_stands(tmp_path: Path) -> None:
    tables = built(tmp_path, ToySet(seeds=2, splits=2)).tables()
    notes = [note for table in tables for note in table.notes if not note.startswith("More to know stands below: ")]
    assert len(notes) == len(set(notes))
    full = next(table for table in tables if table.name == "table3-tests-fixed")
    assert full.notes[-1] == "More to know stands below: Table 3. Soft against hard, seeds on one split."
    assert not any(note.startswith("Measured on") for note in full.notes)
