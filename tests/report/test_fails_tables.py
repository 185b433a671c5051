"""Where heads fail, as tables of the records."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from scipy.special import softmax

from soft_labels.commands.reproduce import parse_reproduce
from soft_labels.report.evidence import Evidence, load_evidence
from soft_labels.report.fails_tables import group_table, leakage_table, slice_table, tie_table
from tests.conftest import write_tiny_experiment
from tests.report.toy_experiment import ToySet, write_experiment
from tests.toys import SeededEncoder

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


def write_sides(folder: Path, truth: dict[str, NDArray[np.float64]]) -> None:
    """A table of four annotators of one side and two of the other an item, and the experiment's data set made of it."""
    generator = np.random.default_rng(0)
    rows = ["item,text,annotator,label,side"]
    for side, people in (("left", 4), ("right", 2)):
        for item, dist in enumerate(truth[side]):
            labels = generator.choice(["a", "b", "c"], people, p=dist)
            rows += [f"{item},text {item},{side}-{who},{label},{side}" for who, label in enumerate(labels)]
    (folder / "sides.csv").write_text("\n".join(rows), encoding="utf-8")
    module = {
        "class_path": "soft_labels.data.TableDataModule",
        "init_args": {
            "path": str(folder / "sides.csv"), "uid_column": "item", "text_column": "text", "label_column": "label",
            "annotator_column": "annotator", "about_annotators": ["side"], "store": str(folder / "store"),
            "encoder": {"class_path": "tests.toys.SeededEncoder", "init_args": {"width": 8}},
        },
    }  # fmt: skip
    (folder / "data.yaml").write_text(yaml.safe_dump({"data": module}), encoding="utf-8")


@pytest.mark.slow
def test_a_head_trained_on_all_annotators_is_nearer_to_those_who_are_more(tmp_path: Path) -> None:
    """From a table through training, kept records and nothing else to the table, against the distributions drawn of."""
    encoder = SeededEncoder(8)
    logits = encoder.forward(list(range(1_000))).numpy()[:, :3] * 0.7
    truth = {side: softmax(logits + tilt, axis=1) for side, tilt in (("left", 0), ("right", np.array([-1.5, 0, 1.5])))}
    config = write_tiny_experiment(tmp_path, seeds=2, redraw_splits=False)
    write_sides(tmp_path, truth)
    experiment, plans = parse_reproduce([f"--config={config}", f"--out={tmp_path / 'out'}"])
    experiment.run(plans)
    (tmp_path / "sides.csv").unlink()
    evidence = load_evidence(tmp_path / "out")
    table, (one,) = group_table(evidence), evidence.sets
    assert table is not None
    items = [int(uid) for uid in one.observed["test"].uids]
    heads = np.stack([judged.logits.softmax(-1).numpy() for judged in one.fixed.judged["soft"]])
    wanted = {side: float(((heads - dist[items]) ** 2).sum(-1).mean()) for side, dist in truth.items()}
    found = {row["group"]: row for row in table.rows if row["arm"] == "soft"}
    for side, other in (("left", "right"), ("right", "left")):
        row, people = found[side], {"left": 4, "right": 2}[side]
        assert (row["annotators_by"], row["items"], row["annotations"]) == ("side", len(items), people * len(items))
        for key, value in (("distance", wanted[side]), ("beside_others", wanted[side] - wanted[other])):
            told, low, high = (float(row[f"{key}{end}"] or 0) for end in ("", "_low", "_high"))
            assert abs(told - value) < high - low, (side, key)
        above = float(row["kl"] or 0) - float(row["floor"] or 0)
        excess = float((truth[side][items] * np.log(truth[side][items] / heads)).sum(-1).mean())
        assert abs(above - excess) < 0.25 * float(row["floor"] or 0), side
    assert float(found["left"]["beside_others_high"] or 0) < 0 < float(found["right"]["beside_others_low"] or 0)


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
