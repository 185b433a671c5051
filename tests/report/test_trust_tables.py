"""Tables of what the numbers mean hold the numbers of the summary."""

import math
from dataclasses import replace
from typing import Any

import pytest

from soft_labels.report.content import Table
from soft_labels.report.evidence import load_evidence
from soft_labels.report.formats import NOT_DEFINED, number
from soft_labels.report.summary import Summary, summarise
from soft_labels.report.summary_file import kept
from soft_labels.report.trust_tables import claim_table, meaning_table, peer_table, yardstick_table
from tests.report.toy_experiment import ToySet, write_experiment


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("tables")
    write_experiment(folder, [ToySet(seeds=3, splits=2, items=40)])
    return summarise(load_evidence(folder))


def cells(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[column.cell(row) for column in table.columns] for row in table.rows]


def test_yardsticks_of_both_views(summary: Summary) -> None:
    fixed, redrawn = cells(yardstick_table(summary))
    trust = summary.sets[0].arms["soft"].fixed
    assert fixed[:4] == ["chaosnli", "fixed split", "40", "50.0"]
    assert fixed[5] == f"{trust.marginal:.3f}"
    assert fixed[6].startswith(f"{trust.floor:.3f} (")
    assert redrawn[1] == "redrawn splits"


def test_every_arm_stands_with_intervals_and_those_added_are_named(summary: Summary) -> None:
    table = meaning_table(summary, "fixed")
    assert table is not None
    assert [row[1] for row in cells(table)] == ["hard", "soft", "hard_t", "soft_t"]
    trust = summary.sets[0].arms["hard"].fixed
    value, low, high = (number(kept(one) or 0) for one in (trust.kl, trust.kl_low, trust.kl_high))
    assert cells(table)[0][2] == f"{value} ({low} to {high})"
    assert table.notes[-1].startswith("hard_t and soft_t are no arms of the experiment but derived by this report")
    assert "kl_low" in table.csv()


def test_worth_beyond_the_ladder_is_said_in_words(summary: Summary) -> None:
    one = summary.sets[0]
    cases: list[tuple[Any, float, str]] = [
        ("below", 0.0, "below 0"),
        ("above", 42.0, "above 42"),
        ("unknown", 0.0, NOT_DEFINED),
    ]
    for reach, worth, words in cases:
        arm = one.arms["hard"]
        changed = replace(arm, fixed=replace(arm.fixed, worth_reach=reach, worth=worth))
        table = meaning_table(replace(summary, sets=[replace(one, arms={"hard": changed})]), "fixed")
        assert words in cells(table)[0]


@pytest.mark.parametrize(("reach", "words"), [("above", "at least 2.0"), ("below", "at most 2.0"), ("within", "2.0")])
def test_what_a_model_saves_at_an_end_of_the_ladder_is_a_bound(summary: Summary, reach: Any, words: str) -> None:
    (one,) = summary.sets
    known = replace(
        one.arms["hard"].fixed, prior_saved=(2.0,), prior_saved_low=(math.nan,), prior_saved_high=(math.nan,)
    )
    arm = replace(one.arms["hard"], fixed=replace(known, prior_reach=(reach,)))
    table = meaning_table(replace(summary, sets=[replace(one, arms={"hard": arm})]), "fixed")
    assert words in cells(table)[0]


def test_a_view_without_arms_has_no_table(summary: Summary) -> None:
    one = summary.sets[0]
    bare = {name: replace(arm, redrawn=None) for name, arm in one.arms.items()}
    without = replace(summary, sets=[replace(one, arms=bare, claims={})])
    assert meaning_table(without, "redrawn") is claim_table(without, "fixed") is None


def test_peers_are_under_their_own_names_and_what_is_not_defined_is_left_out(summary: Summary) -> None:
    titles = [column.title for column in peer_table(summary).columns]
    assert titles == ["Data set", "Arm", "DistCE", "EntCE", "RankCS", "Manhattan", "PO-JSD", "Soft accuracy"]


def test_claims_have_both_differences(summary: Summary) -> None:
    table = claim_table(summary, "fixed")
    assert table is not None
    assert [row["metric"] for row in table.rows] == ["KL to annotators, nats", "entropy correlation", "accuracy"]
    claim = summary.sets[0].claims["fixed"][0]
    assert table.rows[0]["plain"] == pytest.approx(claim.plain.test.mean_difference, rel=1e-3)
    assert cells(table)[0][-1] == claim.outcome
