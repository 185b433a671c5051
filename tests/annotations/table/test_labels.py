from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from soft_labels.annotations.table.labels import LabelRoles
from soft_labels.annotations.table.profile import profile
from soft_labels.annotations.table.settings import Guess
from soft_labels.errors import DataError
from tests.annotations.table.conftest import MakeWork

Cells = Mapping[str, Sequence[str | None]]
ITEMS: Cells = {"item": list("112233"), "text": ["A b", "A b", "C d", "C d", "E f", "E f"]}
WHO: Cells = {"who": list("ababab")}


def roles(make_work: MakeWork, cells: Cells, **given: Any) -> LabelRoles:
    work = make_work("records", cells)
    return LabelRoles(work, Guess(Path("t.csv"), dict(given)), profile(work, list(cells)), list(cells))


LAYOUTS: dict[str, tuple[Cells, dict[str, Any], dict[str, Any]]] = {
    "a column named as labels are": (
        {**ITEMS, **WHO, "gold_label": list("001111"), "label": list("010111")},
        {},
        {"form": "long", "label_column": "label", "annotator_column": "who"},
    ),
    "columns of counts": (
        {"item": list("123"), "no": ["3", "0", "12"], "yes": ["2", "7", "0"]},
        {},
        {"form": "counts", "count_columns": ["no", "yes"]},
    ),
    "columns of marks": (
        {**ITEMS, **WHO, "good": list("101001"), "bad": list("010100")},
        {},
        {"form": "one_hot", "count_columns": ["good", "bad"], "annotator_column": "who"},
    ),
    "columns of people": (
        {"item": list("123"), "rater_1": ["up", "down", "up"], "rater_2": ["up", "up", None]},
        {},
        {"form": "wide", "label_columns": ["rater_1", "rater_2"]},
    ),
    "columns that share their words": (
        {"item": list("123"), "Ada": ["up", "down", "up"], "Bob": ["down", "up", "up"], "lost": ["x", "y", "x"]},
        {},
        {"form": "wide", "label_columns": ["Ada", "Bob"]},
    ),
    "lists of labels beside lists of annotators": (
        {"item": list("12"), "labels": ["[0, 1]", "[1, 1]"], "annotators": ["['x', 'y']", "['x', 'z']"]},
        {},
        {"form": "list", "label_column": "labels", "annotator_column": "annotators"},
    ),
    "dictionaries of counts": (
        {"item": list("12"), "label_counts": ['{"no": 2, "yes": 1}', '{"no": 0, "yes": 3}']},
        {},
        {"form": "by_label", "label_column": "label_counts"},
    ),
    "lists of counts named by dictionaries of the same": (
        {
            "item": list("12"), "counter": ["[1, 2]", "[3, 0]"],
            "label_count": ['{"yes": 2, "no": 1}', '{"yes": 0, "no": 3}'],
        },
        {},
        {"form": "by_label", "label_column": "counter", "class_names": ["no", "yes"]},
    ),
    "dictionaries by annotator": (
        {"item": list("12"), "annotations": ['{"Ann1": "no", "Ann2": "yes"}', '{"Ann1": "no"}']},
        {},
        {"form": "by_annotator", "label_column": "annotations"},
    ),
    "given columns of marks, by annotator": (
        {**ITEMS, **WHO, "good": list("101010"), "bad": list("010101")},
        {"count_columns": ["good", "bad"]},
        {"form": "one_hot", "count_columns": ["good", "bad"], "annotator_column": "who"},
    ),
    "given columns of marks, by nobody": (
        {"item": list("12"), "good": list("10"), "bad": list("01")},
        {"count_columns": ["good", "bad"]},
        {"form": "counts", "count_columns": ["good", "bad"]},
    ),
    "given labels against a name": (
        {**ITEMS, **WHO, "label": list("010111"), "mood": list("110100")},
        {"label_column": "mood"},
        {"form": "long", "label_column": "mood", "annotator_column": "who"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_known_by_its_columns(layout: str, make_work: MakeWork) -> None:
    cells, given, wanted = LAYOUTS[layout]
    found = roles(make_work, cells, **given)
    found.annotator()
    found.label()
    assert found.settings == wanted
    assert found.guess.doubts == []


@pytest.mark.parametrize(
    ("columns", "given", "wanted"),
    [
        ({"worker": "xx", "worker_id": "ab"}, {}, "worker_id"),
        ({"worker": "ab", "worker_id": "xx"}, {}, "worker"),
        ({"worker": "ab", "coder": "ab"}, {"annotator_column": "coder"}, "coder"),
        ({"rater1": "ab", "rater2": "ab"}, {}, None),
        ({"annotator_confidence": "12", "n_annotators": "33"}, {}, None),
        ({"worker": "ab"}, {"form": "counts"}, None),
    ],
)
def test_the_annotators_column(
    columns: dict[str, str], given: dict[str, Any], wanted: str | None, make_work: MakeWork
) -> None:
    found = roles(make_work, {name: list(cells) for name, cells in columns.items()}, **given)
    found.annotator()
    assert found.settings.get("annotator_column") == wanted


def test_a_label_by_its_values_is_doubted(make_work: MakeWork) -> None:
    cells = {**ITEMS, **WHO, "mood": ["up", "down", "up", "up", "down", "up"], "topic": ["p", "p", "q", "q", "p", "p"]}
    found = roles(make_work, cells, text_column="text")
    found.annotator()
    found.label()
    assert found.settings["label_column"] == "mood"  # the text decides the topic
    assert found.guess.doubts == ["mood is taken for the label by its values, not by its name"]


def test_counts_without_names_are_numbered_aloud(make_work: MakeWork) -> None:
    found = roles(make_work, {"item": list("12"), "counter": ["[1, 2, 0]", "[3, 0, 4]"]})
    found.label()
    assert found.settings["class_names"] == ["0", "1", "2"]
    assert found.guess.doubts == ["the classes of counter have no names; they are numbered (class_names)"]


def test_no_label_is_refused(make_work: MakeWork) -> None:
    with pytest.raises(DataError, match=r"t\.csv: no column looks like labels among item, text; set label_column"):
        roles(make_work, ITEMS).label()
