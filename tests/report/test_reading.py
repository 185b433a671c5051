"""Sentences say what the numbers say, whichever target is ahead."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from soft_labels.experiment.index import ArmForm
from soft_labels.report.evidence import load_evidence
from soft_labels.report.reading import (
    across_sentences,
    further_sentences,
    metric_sentences,
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
def test_a_soft_head_that_wins_is_said_to_win(views: Views) -> None:
    kl, correlation, _ = metric_sentences(views(ToySet())[0])
    assert "better mean on 1 of 1 data set, against hard. Tested at 0.05 (Holm): lower for soft on chaosnli. " in kl
    assert "higher for soft on chaosnli" in correlation


@pytest.mark.slow
def test_a_soft_head_that_loses_is_said_to_lose(views: Views) -> None:
    kl, correlation, _ = metric_sentences(views(losing(ToySet()))[0])
    assert "better mean on 0 of 1 data set, against hard. Tested at 0.05 (Holm): higher for soft on chaosnli. " in kl
    assert "relative to hard: +" in kl
    assert "lower for soft on chaosnli" in correlation


@pytest.mark.slow
def test_data_sets_that_point_different_ways_are_named_apart(views: Views) -> None:
    kl, *_ = metric_sentences(views(ToySet("one"), ToySet("other", far="soft"))[0])
    assert "on 1 of 2 data sets" in kl
    assert "lower for soft on one; higher for soft on other" in kl


def test_too_few_seeds_tell_nothing_apart(views: Views) -> None:
    kl, correlation, accuracy = metric_sentences(views(ToySet(seeds=1, splits=0))[0])
    assert all("(Holm): not told apart on chaosnli." in sentence for sentence in (kl, correlation, accuracy))


@pytest.mark.slow
def test_what_is_not_defined_is_no_win(views: Views) -> None:
    _, correlation, _ = metric_sentences(views(ToySet(constant="soft", splits=0))[0])
    assert "better mean on 0 of 1 data set" in correlation
    assert "relative to hard" not in correlation


@pytest.mark.slow
def test_further_metrics_that_are_not_better_are_named(views: Views) -> None:
    (sentence,) = further_sentences(views(ToySet("one"), ToySet("other", far="soft", ordinal=True))[0])
    assert "better for soft than for hard in 5 of 12 means; not better: " in sentence
    assert "not better: entropy error on one; Jensen-Shannon, " in sentence
    assert sentence.endswith("Brier score, Wasserstein and ranked probability score on other.")


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


def test_every_arm_has_its_sentences_and_the_baseline_none(views: Views) -> None:
    view = views(ToySet(splits=0), arms=CALIBRATED)[0]
    begun = [sentence.partition(" has the better mean")[0] for sentence in metric_sentences(view)]
    assert begun == [
        f"{metric}: {arm}"
        for arm in ("soft", "hard_t")
        for metric in ("KL to annotators (lower is better)", "Entropy correlation", "Accuracy")
    ]
    assert [f"better for {arm} than for hard" in words for arm, words in
            zip(("soft", "hard_t"), further_sentences(view), strict=True)] == [True, True]  # fmt: skip


def test_another_baseline_turns_the_sentences_around(views: Views) -> None:
    arms = {"soft": PAIR["soft"], "hard": PAIR["hard"]}
    kl, *_ = metric_sentences(views(ToySet(splits=0), arms=arms)[0])
    assert "hard has the better mean on 0 of 1 data set, against soft" in kl
    assert "higher for hard on chaosnli. hard - soft: +" in kl


def test_an_arm_alone_is_compared_with_nothing(views: Views) -> None:
    both = views(ToySet(), arms={"hard": PAIR["hard"]})
    assert metric_sentences(both[0]) == further_sentences(both[0]) == paper_sentences(both[0]) == []
    (spreads,) = across_sentences(both)
    assert spreads.startswith("Standard deviation of KL over splits and over seeds: chaosnli, hard ")


def test_the_setting_says_what_each_arm_is(tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=1, splits=0)], CALIBRATED)
    sentence = setting_sentence(load_evidence(tmp_path))
    assert "hard (model.target hard); soft (model.target soft); hard_t (the heads of hard, followed by temp" in sentence
    assert "All are compared with hard. Data: chaosnli." in sentence
