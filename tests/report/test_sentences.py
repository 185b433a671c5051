"""Sentences say what the numbers say, whichever head is ahead and whatever is not known."""

from dataclasses import replace
from typing import Any

import pytest

from soft_labels.report.claims import Claim
from soft_labels.report.evidence import load_evidence
from soft_labels.report.sentences import claim_sentences, set_sentence
from soft_labels.report.summary import Summary, summarise
from soft_labels.report.views import Comparison
from tests.report.toy_experiment import ToySet, write_experiment

NAN = float("nan")


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("sentences")
    write_experiment(folder, [ToySet(seeds=3, splits=0, items=40)])
    return summarise(load_evidence(folder))


def reaching(arm: str, share: float, half: float = 0.05, **further: float) -> dict[str, dict[str, Any]]:
    """An arm that goes so far."""
    ends = {"share_of_achievable_low": share - half, "share_of_achievable_high": share + half}
    return {arm: {"share_of_achievable": share, **ends, **further}}


def settled(one: Comparison, verdict: str) -> Comparison:
    """A comparison of KL with a verdict."""
    ends = {"better": (-0.2, -0.1), "worse": (0.1, 0.2), "open": (-0.1, 0.1)}[verdict]
    mean = sum(ends) / 2
    return replace(one, interval=ends, holm_p=0.01, test=replace(one.test, mean_difference=mean))


def told(summary: Summary, arms: dict[str, dict[str, Any]], plain: str, after: str = "better", **other: Any) -> str:
    """The sentence where arms reach this and soft is so beside hard, and beside hard with a temperature."""
    one = summary.sets[0]
    changed = {name: replace(arm, fixed=replace(arm.fixed, **arms.get(name, {}))) for name, arm in one.arms.items()}
    effects = [settled(each, plain) if each.metric == "kl" else each for each in one.effects["fixed"]]
    claims = [replace(each, tempered=settled(each.tempered, after)) for each in one.claims["fixed"]]
    again = replace(one, arms=changed, effects={"fixed": effects}, claims={"fixed": claims})
    return set_sentence(replace(summary, sets=[again], **other), again)


SURE = {
    **reaching("soft", 0.6, kl=0.4, overconfidence=0.0),
    **reaching("hard", 0.39, kl=0.5, overconfidence=0.08, overconfidence_low=0.05),
    **reaching("hard_t", 0.55),
}


def test_a_better_head_goes_further_and_a_temperature_takes_part_of_it(summary: Summary) -> None:
    assert told(summary, SURE, "better") == (
        "chaosnli: the soft head goes 60% (55% to 65%) of the way from the average answer to a perfect model, the hard "
        "head 39% (34% to 44%). The hard head is surer than it is right: one temperature, fitted afterwards, brings it "
        "to 55% (50% to 60%), and the soft head stays ahead."
    )


@pytest.mark.parametrize(
    ("after", "words"), [("open", "the two are no longer told apart."), ("worse", "the soft head falls behind.")]
)
def test_what_a_temperature_leaves_is_said(summary: Summary, after: str, words: str) -> None:
    assert told(summary, SURE, "better", after).endswith(f"brings it to 55% (50% to 60%), and {words}")


def test_a_difference_that_is_not_overconfidence_is_said_to_be_none(summary: Summary) -> None:
    arms = {**SURE, **reaching("hard", 0.39, kl=0.5, overconfidence=0.01)}
    assert " Little of the difference is overconfidence: one temperature" in told(summary, arms, "better")


def test_a_head_is_surer_only_where_the_interval_leaves_out_nothing(summary: Summary) -> None:
    arms = {**SURE, **reaching("hard", 0.39, kl=0.5, overconfidence=0.08, overconfidence_low=-0.01)}
    assert " Whether the hard head is surer than it is right is not told: one temperature" in told(
        summary, arms, "better"
    )


def test_heads_that_are_not_told_apart_are_said_so_with_their_interval(summary: Summary) -> None:
    sentence = told(summary, SURE, "open")
    assert sentence.endswith("The two are not told apart (KL 0.000, −0.100 to +0.100).")  # noqa: RUF001


def test_a_soft_head_that_is_worse_is_said_to_be_worse(summary: Summary) -> None:
    assert " The soft head is the worse one (KL +0.150, +0.100 to +0.200)." in told(summary, SURE, "worse")


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (-0.2, "the hard head is worse than the average answer, which looks at no item (−20%, −25% to −15%)"),  # noqa: RUF001
        (0.01, "the hard head is not told apart from the average answer, which looks at no item (1%, −4% to 6%)"),  # noqa: RUF001
    ],
)
def test_a_head_that_is_no_better_than_the_average_answer_is_said_so(
    summary: Summary, share: float, words: str
) -> None:
    assert words in told(summary, {**SURE, **reaching("hard", share)}, "better")


def test_without_a_floor_kl_is_told(summary: Summary) -> None:
    sentence = told(summary, {**SURE, **reaching("hard", NAN, kl=0.5)}, "better")
    assert "how far a perfect model could go is not known" in sentence
    assert "the soft head 0.400 and the hard head 0.500" in sentence


def test_without_a_tempered_arm_nothing_is_said_of_temperature(summary: Summary) -> None:
    assert told(summary, SURE, "better", tempered=None).endswith("The hard head is surer than it is right.")


def test_an_arm_alone_has_one_sentence(summary: Summary) -> None:
    sentence = told(summary, SURE, "better", shown=None)
    assert sentence == (
        "chaosnli: the hard head goes 39% (34% to 44%) of the way from the average answer to a perfect model."
    )


@pytest.mark.parametrize(
    ("plain", "after", "words"),
    [
        ("better", "better", "it survives on chaosnli (−0.150, −0.200 to −0.100, Holm p 0.010)"),  # noqa: RUF001
        ("better", "open", "it does not survive on chaosnli (0.000, −0.100 to +0.100, Holm p 0.010)"),  # noqa: RUF001
        ("open", "open", "it was not there to begin with on chaosnli"),
        ("worse", "worse", "it was not there to begin with on chaosnli (+0.150"),
    ],
)
def test_claims_are_told_by_what_is_left_of_them(summary: Summary, plain: str, after: str, words: str) -> None:
    one = summary.sets[0]
    (kl,) = [each for each in one.claims["fixed"] if each.metric == "kl"]
    claim = Claim(kl.dataset, "kl", settled(kl.plain, plain), settled(kl.tempered, after))
    (sentence,) = claim_sentences(replace(summary, sets=[replace(one, claims={"fixed": [claim]})]))
    assert sentence.startswith(
        "Claim: lower KL of soft than of hard. Beside hard with one temperature (hard_t), on the "
    )
    assert words in sentence


def test_no_claims_no_sentences(summary: Summary) -> None:
    assert claim_sentences(replace(summary, sets=[replace(summary.sets[0], claims={})])) == []
