import json
from typing import Any

import pytest

from soft_labels.annotations.table.presets import recognise
from soft_labels.annotations.table.profile import Column, Kind
from soft_labels.annotations.table.source import FILE, FOLDER
from soft_labels.annotations.table.tools import DOUBTS, UNUSED


def of(*names: str, **special: Column) -> dict[str, Column]:
    """Columns of single values, and others under their own names."""
    return {name: Column(name, "scalar", 3, 2) for name in names} | {one.name: one for one in special.values()}


def nested(name: str, kind: Kind, *keys: str, parts: tuple[str, ...] = ()) -> Column:
    return Column(name, kind, 3, 3, keys=keys, parts=parts, json=True)


def values(name: str, *found: str) -> Column:
    return Column(name, "scalar", 3, len(found), dict.fromkeys(found, 1))


OPTIONS = Column(
    "options", "records", 3, 1, parts=tuple(json.dumps({"id": one, "text": one.title()}) for one in ("low", "high"))
)
EXPORTS: dict[str, tuple[str, dict[str, Column], dict[str, Any]]] = {
    "Label Studio": (
        "Label Studio",
        of("id", a=nested("annotations", "records", "result", "completed_by", "was_cancelled")),
        {
            "rows_from": ["annotations", "annotations.result"], "uid_column": "id",
            "annotator_column": "annotations.completed_by",
            "where": {"annotations.was_cancelled": {"not": True}},
        },
    ),
    "Label Studio, people with addresses": (
        "Label Studio",
        of("id", a=nested("annotations", "records", "result", "completed_by",
                          parts=('{"result": [], "completed_by": {"id": 1, "email": "ann@example.org"}}',))),
        {
            "rows_from": ["annotations", "annotations.result"], "uid_column": "id",
            "annotator_column": "annotations.completed_by.email",
        },
    ),
    "Label Studio of old, without ids": (
        "Label Studio",
        of(a=nested("completions", "records", "result")),
        {"rows_from": ["completions", "completions.result"]},
    ),
    "Label Studio, the short form": (
        "Label Studio",
        of("id", "text", "annotation_id", "annotator", "lead_time"),
        {"uid_column": "id", "annotator_column": "annotator"},
    ),
    "Label Studio, annotations with their task": (
        "Label Studio",
        of("task.id", "completed_by.email", "was_cancelled", a=nested("result", "records", "from_name", "value")),
        {
            "rows_from": ["result"], "uid_column": "task.id", "annotator_column": "completed_by.email",
            "where": {"was_cancelled": {"not": True}},
        },
    ),
    "Argilla 1, records with responses": (
        "Argilla",
        of("id", a=nested("responses", "records", "user_id", "values", "status",
                          parts=('{"user_id": "a", "values": {"tone": {"value": "no"}}, "status": "draft"}',))),
        {
            "form": "long", "rows_from": ["responses"], "annotator_column": "responses.user_id",
            "label_column": "responses.values.tone.value", "where": {"responses.status": "submitted"},
        },
    ),
    "Argilla 1, lists side by side": (
        "Argilla",
        of("text", "tone.value", "tone.user_id", "tone.status"),
        {
            "form": "list", "label_column": "tone.value", "annotator_column": "tone.user_id",
            "where": {"tone.status": "submitted"},
        },
    ),
    "Argilla of old": (
        "Argilla",
        of("id", "text", "annotation", "annotation_agent", "status"),
        {
            "form": "long", "uid_column": "id", "label_column": "annotation", "annotator_column": "annotation_agent",
            "text_column": "text", "where": {"status": {"not": ["Default", "Discarded"]}},
        },
    ),
    "Argilla 2": (
        "Argilla",
        of(a=nested("responses.tone", "records", "user_id", "value", "status")),
        {
            "form": "long", "rows_from": ["responses.tone"], "annotator_column": "responses.tone.user_id",
            "label_column": "responses.tone.value", "where": {"responses.tone.status": "submitted"},
        },
    ),
    "Argilla, columns of values and users": (
        "Argilla",
        of("tone.responses", "tone.responses.users"),
        {"form": "list", "label_column": "tone.responses", "annotator_column": "tone.responses.users"},
    ),
    "Prodigy, choices": (
        "Prodigy",
        of("_input_hash", "answer", "accept", "_session_id"),
        {
            "form": "long", "uid_column": "_input_hash", "label_column": "accept", "where": {"answer": "accept"},
            "annotator_column": "_session_id",
        },
    ),
    "Prodigy, choices in the order of the options, nobody signed in": (
        "Prodigy",
        of("_input_hash", "answer", "accept", a=OPTIONS, b=Column("_session_id", "scalar", 0, 0)),
        {
            "form": "long", "uid_column": "_input_hash", "label_column": "accept", "where": {"answer": "accept"},
            "class_names": ["low", "high"],
        },
    ),
    "Prodigy, labels that nobody rejected": (
        "Prodigy",
        of("_input_hash", a=values("answer", "accept", "ignore"), b=values("label", "low", "high")),
        {"form": "long", "uid_column": "_input_hash", "label_column": "label", "where": {"answer": "accept"}},
    ),
    "Prodigy, one label": (
        "Prodigy",
        of("_input_hash", "answer"),
        {
            "form": "long", "uid_column": "_input_hash", "label_column": "answer",
            "where": {"answer": {"not": "ignore"}},
        },
    ),
    "doccano": (
        "doccano",
        of("id", "text", a=nested("annotations", "records", "label", "user")),
        {
            "form": "long", "rows_from": ["annotations"], "uid_column": "id", "label_column": "annotations.label",
            "annotator_column": "annotations.user",
        },
    ),
    "doccano, a file for each user": (
        "doccano",
        of("id", "text", FILE, a=nested("label", "list")),
        {"form": "long", "uid_column": "id", "label_column": "label", "annotator_column": FILE},
    ),
    "doccano, a table for each user": (
        "doccano",
        of("id", "text", FILE, a=values("label", "polite", "kind#polite")),
        {
            "form": "long", "uid_column": "id", "label_column": "label", "annotator_column": FILE,
            "label_separator": "#",
        },
    ),
    "doccano, one file for all": (
        "doccano",
        of("id", "text", "Comments", a=Column("label", "list", 3, 3, sizes={1: 2, 2: 1}, json=True)),
        {"form": "list", "uid_column": "id", "label_column": "label"},
    ),
    "doccano of old, a table": (
        "doccano",
        of("id", "text", "annotation_approver", "label", "user"),
        {"form": "long", "uid_column": "id", "label_column": "label", "annotator_column": "user"},
    ),
    "Potato, one scheme of two": (
        "Potato",
        of("instance_id", "user", "why:::text_box", "tone:::good", "tone:::bad", "other:::x"),
        {
            "form": "one_hot", "uid_column": "instance_id", "annotator_column": "user", "marks": "filled",
            "count_columns": ["tone:::good", "tone:::bad"], "class_names": ["good", "bad"],
        },
    ),
    "Potato, folders": (
        "Potato",
        of("id", "displayed_text", FOLDER, a=nested("label_annotations", "struct", "why", "tone"),
           b=nested("label_annotations.why", "pairs", "text_box"),
           c=nested("label_annotations.tone", "pairs", "scale_3", "scale_1")),
        {
            "form": "long", "uid_column": "id", "text_column": "displayed_text", "annotator_column": FOLDER,
            "label_column": "label_annotations.tone[keys]", "class_names": ["scale_1", "scale_2", "scale_3"],
        },
    ),
    "Potato 2, lines": (
        "Potato",
        of("instance_id", "user_id", a=nested("labels", "struct", "tone")),
        {"form": "long", "uid_column": "instance_id", "annotator_column": "user_id",
         "label_column": "labels.tone[keys]"},
    ),
    "Potato 2, a table": (
        "Potato",
        of("instance_id", "user_id", "tone.good", "tone.bad"),
        {
            "form": "one_hot", "uid_column": "instance_id", "annotator_column": "user_id", "marks": "filled",
            "count_columns": ["tone.good", "tone.bad"], "class_names": ["good", "bad"],
        },
    ),
}  # fmt: skip


def check_known(tool: str, found: dict[str, Column], settings: dict[str, Any]) -> None:
    known = recognise(found)
    assert known is not None
    assert known[0] == tool
    assert {key: value for key, value in known[1].items() if key not in {DOUBTS, UNUSED}} == settings


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_is_known_by_its_names(export: str) -> None:
    check_known(*EXPORTS[export])


def doubts_of(found: dict[str, Column]) -> list[str]:
    known = recognise(found)
    assert known is not None
    return list(known[1].get(DOUBTS, []))


def test_what_an_export_does_not_say_is_said() -> None:
    prodigy = of("_input_hash", "answer", "accept", "versions", a=values("_session_id", "2026-01-02_13-14-15"))
    review, sessions = doubts_of(prodigy)
    assert "answers of a review" in review
    assert "_session_id names sessions by their time" in sessions
    assert doubts_of(of("_input_hash", "answer")) == [
        "no label and no options: whether whole tasks were accepted is taken for the answer"
    ]
    assert "(where label)" in doubts_of(of("_input_hash", a=values("answer", "reject"), b=values("label", "x", "y")))[0]
    approver = of("id", "text", "label", "user", a=Column("annotation_approver", "scalar", 1, 1))
    assert doubts_of(approver)[1] == "texts that nobody has approved count too (annotation_approver is blank)"
    assert doubts_of(EXPORTS["doccano, one file for all"][1]) == [
        "each label of a text counts as one annotation: doccano does not say who gave it"
    ]
    assert doubts_of(EXPORTS["Potato, one scheme of two"][1]) == [
        "several questions; tone is read, not other (count_columns)"
    ]
    asked = of("a.responses", "a.responses.users", "b.responses", "b.responses.users")
    assert doubts_of(asked) == ["several questions; a.responses is read, not b.responses (label_column)"]
