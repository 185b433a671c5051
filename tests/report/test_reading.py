"""Sentences say what the numbers say, whichever target is ahead."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from soft_labels.experiment.index import ArmForm
from soft_labels.report.evidence import load_evidence
from soft_labels.report.reading import (
    across_sentences,
    paper_sentences,
    scope_sentence,
    setting_sentence,
)
from soft_labels.report.views import View, make_views
from tests.report.toy_experiment import CALIBRATED, PAIR, ToySet, losing, write_experiment

Views = Callable[..., list[View]]


@pytest.fixture
def views(tmp_path: Path) -> Views:
    def make(*sets: ToySet, arms: Mapping[str, ArmForm] = PAIR) -> list[View]:
        write_experiment(tmp_path, sets, arms)
        return make_views(load_evidence(tmp_path))

    return make


@pytest.mark.slow
def test_each_view_says_what_it_supports(views: Views) -> None:
    fixed, redrawn = views(ToySet())
    assert "6 seeds on one split" in scope_sentence(fixed)
    assert "speak of that split alone" in scope_sentence(fixed)
    assert "5 redrawn splits" in scope_sentence(redrawn)


def test_without_redrawn_splits_nothing_is_said_of_other_splits(views: Views) -> None:
    (sentence,) = across_sentences(views(ToySet(splits=0)))
    assert "no redrawn splits" in sentence


def test_views_that_differ_are_named(views: Views) -> None:
    both = views(ToySet(splits=2))  # two pairs that share items settle nothing
    assert (
        "KL to annotators, soft on chaosnli (soft better on the fixed split, not told apart over splits)"
        in across_sentences(both)[0]
    )


@pytest.mark.slow
def test_a_data_set_without_redrawn_splits_is_named(views: Views) -> None:
    sentences = across_sentences(views(ToySet("one"), ToySet("other", splits=0)))
    assert "Splits were not redrawn for other." in sentences


def test_the_papers_direction_is_compared_on_its_own_data_only(views: Views) -> None:
    (sentence,) = paper_sentences(views(losing(ToySet(splits=0)), ToySet("mine", splits=0))[0])
    assert "0 of 2 differences" in sentence


def test_nothing_is_said_of_the_paper_without_its_data(views: Views) -> None:
    assert paper_sentences(views(ToySet("mine", splits=0))[0]) == []


def test_an_arm_alone_is_compared_with_nothing(views: Views) -> None:
    both = views(ToySet(), arms={"hard": PAIR["hard"]})
    assert paper_sentences(both[0]) == []
    (spreads,) = across_sentences(both)
    assert spreads.startswith("Standard deviation of KL over splits and over seeds: chaosnli, hard ")


def test_the_setting_says_what_each_arm_is(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0)], CALIBRATED)
    sentence = setting_sentence(load_evidence(tmp_path))
    assert "hard (model.target hard); soft (model.target soft); hard_t (the heads of hard, followed by temp" in sentence
    assert "All are compared with hard. Data: chaosnli." in sentence
