from typing import Any

import pytest

from soft_labels.annotations.table.presets import PRESETS, recognise
from soft_labels.annotations.table.profile import Column, Kind
from soft_labels.annotations.table.source import FILE, FOLDER


def of(*names: str, **special: Column) -> dict[str, Column]:
    """Columns of single values, and others under their own names."""
    return {name: Column(name, "scalar", 3, 2) for name in names} | {one.name: one for one in special.values()}


def nested(name: str, kind: Kind, *keys: str) -> Column:
    return Column(name, kind, 3, 3, keys=keys, json=True)


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
    "Potato, one scheme of two": (
        "Potato",
        of("instance_id", "user", "tone:::good", "tone:::bad", "other:::x"),
        {
            "form": "one_hot", "uid_column": "instance_id", "annotator_column": "user",
            "count_columns": ["tone:::good", "tone:::bad"], "class_names": ["good", "bad"],
        },
    ),
    "Potato, folders": (
        "Potato",
        of("id", "displayed_text", FOLDER, a=nested("label_annotations.tone", "pairs", "good", "bad")),
        {
            "form": "one_hot", "uid_column": "id", "text_column": "displayed_text", "annotator_column": FOLDER,
            "count_columns": ["label_annotations.tone.good", "label_annotations.tone.bad"],
            "class_names": ["good", "bad"],
        },
    ),
    "MTurk": (
        "MTurk",
        of("HITId", "WorkerId", "Answer.tone", s=Column("AssignmentStatus", "scalar", 3, 2, {"Rejected": 1})),
        {
            "form": "long", "uid_column": "HITId", "annotator_column": "WorkerId", "label_column": "Answer.tone",
            "where": {"AssignmentStatus": {"not": "Rejected"}},
        },
    ),
    "MTurk, two questions and nobody rejected": (
        "MTurk",
        of("HITId", "WorkerId", "Answer.a", "Answer.b", s=Column("AssignmentStatus", "scalar", 3, 1, {"Approved": 3})),
        {"uid_column": "HITId", "annotator_column": "WorkerId"},
    ),
    "LeWiDi 2023": (
        "LeWiDi",
        of("text", "annotations", "annotators", "number of annotations"),
        {"form": "list", "label_column": "annotations", "annotator_column": "annotators"},
    ),
    "LeWiDi 2025": (
        "LeWiDi",
        of("key", "annotators", a=nested("annotations", "pairs", "Ann1", "Ann2")),
        {"form": "by_annotator", "label_column": "annotations", "uid_column": "key"},
    ),
    "crowd-kit": (
        "crowd-kit",
        of("task", "worker", "label"),
        {"form": "long", "uid_column": "task", "annotator_column": "worker", "label_column": "label"},
    ),
    "peerannot": (
        "peerannot",
        of("key", a=nested("value", "pairs", "1", "2")),
        {"form": "by_annotator", "uid_column": "key", "label_column": "value"},
    ),
    "GoEmotions": (
        "GoEmotions",
        of("text", "id", "rater_id", "example_very_unclear", "joy", "anger"),
        {
            "form": "one_hot", "uid_column": "id", "annotator_column": "rater_id", "count_columns": ["joy", "anger"],
            "where": {"example_very_unclear": {"not": True}},
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_is_known_by_its_names(export: str) -> None:
    tool, found, settings = EXPORTS[export]
    assert recognise(found) == (tool, settings)


def test_every_tool_has_an_export_here() -> None:
    assert {tool for tool, *_ in EXPORTS.values()} == {preset.tool for preset in PRESETS}


@pytest.mark.parametrize(
    "found",
    [
        of(),
        of("item", "annotator", "text", "label"),
        of("id", "annotations"),  # not records
        of("key", "value"),  # not dictionaries
        of("id", "text", "label", FILE),  # not lists
        of("HITId", "Answer.tone"),
        of("annotations", "annotators"),
    ],
)
def test_other_tables_are_of_no_tool(found: dict[str, Column]) -> None:
    assert recognise(found) is None
