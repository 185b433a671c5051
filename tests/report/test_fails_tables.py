"""Where heads fail, as tables of the records."""

from dataclasses import replace

import numpy as np
import pytest

from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.fails_tables import group_table, leakage_table, slice_table, tie_table
from tests.report.toy_experiment import ToySet, write_experiment

ITEMS = 40


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("fails")
    write_experiment(folder, [ToySet(seeds=2, splits=0, items=ITEMS)])
    return load_evidence(folder)


def described(evidence: Evidence) -> Evidence:
    """The same with a column of the user's, and with five test items that stand in train."""
    (one,) = evidence.sets
    alike = {"test": [1] * 5 + [0] * (ITEMS - 5), "train": [1] + [0] * (ITEMS - 1)}
    observed = {
        part: replace(
            items,
            about={"source": tuple("ab"[row % 2] for row in range(len(items.uids)))},
            duplicates={"same_input": np.array(alike.get(part, [0] * len(items.uids)), dtype=np.int32)},
        )
        for part, items in one.observed.items()
    }
    return replace(evidence, sets=[replace(one, observed=observed)])


def test_every_item_stands_in_one_slice_of_each_kind(evidence: Evidence) -> None:
    rows = slice_table(described(evidence)).rows
    for kind in ("entropy of annotations", "majority class", "source"):
        for arm in ("hard", "soft"):
            own = [row for row in rows if (row["sliced_by"], row["arm"]) == (kind, arm)]
            assert sum(int(row["items"] or 0) for row in own) == ITEMS
    mean = sum(
        float(row["kl"] or 0) * int(row["items"] or 0)
        for row in rows
        if (row["sliced_by"], row["arm"]) == ("source", "soft")
    )
    (one,) = evidence.sets
    assert mean / ITEMS == pytest.approx(one.fixed.metric("soft", "kl").mean(), rel=1e-3)


def test_items_that_stand_in_train_are_counted_and_left_out(evidence: Evidence) -> None:
    table = leakage_table(described(evidence))
    assert table is not None
    assert [(row["kind"], row["items"], row["leaking"], row["arm"]) for row in table.rows] == [
        ("same input", ITEMS, 5, "hard"), ("same input", ITEMS, 5, "soft")
    ]  # fmt: skip
    assert table.rows[0]["kl"] != table.rows[0]["kl_without"]


def grouped(evidence: Evidence) -> Evidence:
    """The same whose annotators are women, who say what was said, men, who say the next class, and one of neither."""
    (one,) = evidence.sets
    observed = {}
    for part, items in one.observed.items():
        counts = items.observed.label_counts.numpy()
        few = np.zeros_like(counts)
        few[:3, 0] = 1
        by_name = {"man": np.roll(counts, 1, axis=1) // 10, "other": few, "woman": counts // 5}
        observed[part] = replace(items, by_group={"gender": by_name})
    return replace(evidence, sets=[replace(one, observed=observed)])


@pytest.mark.slow
def test_heads_agree_with_the_group_whose_annotations_they_were_made_from(evidence: Evidence) -> None:
    table = group_table(grouped(evidence))
    assert table is not None
    by_group = {(row["group"], row["arm"]): row for row in table.rows}
    woman, man, other = (by_group[name, "soft"] for name in ("woman", "man", "other"))
    (one,) = evidence.sets
    counts = one.observed["test"].observed.label_counts.numpy()
    assert (woman["items"], woman["annotations"]) == (ITEMS, (counts // 5).sum())
    assert float(woman["kl"] or 0) < float(man["kl"] or 0)
    assert float(woman["floor_low"] or 0) <= float(woman["floor"] or 0) < float(woman["kl"] or 0)
    assert float(woman["beside_others_high"] or 0) < 0 < float(man["beside_others_low"] or 0)
    assert (other["items"], other["kl"], other["floor"]) == (3, None, None)
    assert "Not judged, fewer than 20 test items: other (gender, chaosnli)." in table.notes
    assert {row["arm"] for row in table.rows} == {"hard", "soft", "hard_t", "soft_t"}
    assert {row["arm"] for row in table.page_rows} == {"hard", "soft"}
    assert len(table.csv().splitlines()) == 1 + 3 * 4
    cells = [column.cell(row) for row in table.rows if row["group"] == "other" for column in table.columns]
    assert "nan" not in " ".join(cells)


def test_annotators_of_whom_nothing_is_known_make_no_table(evidence: Evidence) -> None:
    assert group_table(evidence) is None


def test_records_that_tell_of_no_likeness_make_no_table(evidence: Evidence) -> None:
    assert leakage_table(evidence) is None


def test_accuracy_stands_under_each_rule_where_a_majority_is_tied(evidence: Evidence) -> None:
    (one,) = evidence.sets
    counts = one.fixed.counts[0].test.copy()
    counts[0] = 10
    tied = replace(one.fixed, counts=[replace(one.fixed.counts[0], test=counts)] * 2)
    table = tie_table(replace(evidence, sets=[replace(one, fixed=tied)]))
    assert table is not None
    assert [row["tied"] for row in table.rows] == [table.rows[0]["tied"]] * 2
    assert int(table.rows[0]["tied"] or 0) >= 1
    cells = [column.cell(table.rows[0]) for column in table.columns]
    assert cells[0] == "chaosnli"
    assert "(" in cells[-1]
