from typing import Any

import pytest

from soft_labels.annotations.table.presets import PRESETS, recognise
from soft_labels.annotations.table.profile import Column
from soft_labels.annotations.table.source import FILE, FOLDER
from soft_labels.annotations.table.tools import DOUBTS, UNUSED
from tests.annotations.table.test_tools import EXPORTS as TOOLS
from tests.annotations.table.test_tools import check_known, nested, of, values

EXPORTS: dict[str, tuple[str, dict[str, Column], dict[str, Any]]] = {
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
    "MTurk, a column of true and false for each option": (
        "MTurk",
        of("HITId", "WorkerId", "Answer.comment", a=values("Answer.tone.no", "true", "false"),
           b=values("Answer.tone.yes", "false", "true"), c=values("Reject", "too fast")),
        {
            "form": "one_hot", "uid_column": "HITId", "annotator_column": "WorkerId", "class_names": ["no", "yes"],
            "count_columns": ["Answer.tone.no", "Answer.tone.yes"], "where": {"Reject": {"not": ["too fast"]}},
        },
    ),
    "MTurk, answers in JSON": (
        "MTurk",
        of("HITId", "WorkerId", a=nested("Answer.taskAnswers", "records", "why", "tone", parts=(
            '{"why": "it is so", "tone": {"no": true, "yes": false}}',
            '{"why": "so it is", "tone": {"no": false, "yes": true}}',
        ))),
        {
            "form": "one_hot", "uid_column": "HITId", "annotator_column": "WorkerId", "class_names": ["no", "yes"],
            "count_columns": ["Answer.taskAnswers[0].tone.no", "Answer.taskAnswers[0].tone.yes"],
        },
    ),
    "Toloka": (
        "Toloka",
        of("INPUT:text", "OUTPUT:tone", "ASSIGNMENT:task_id", "ASSIGNMENT:worker_id",
           s=values("ASSIGNMENT:status", "APPROVED", "REJECTED")),
        {
            "form": "long", "uid_column": "ASSIGNMENT:task_id", "annotator_column": "ASSIGNMENT:worker_id",
            "label_column": "OUTPUT:tone", "where": {"ASSIGNMENT:status": {"not": ["REJECTED"]}},
        },
    ),
    "LeWiDi 2023, turns of a talk, a file for each part": (
        "LeWiDi",
        of("key", "split", FILE, "annotations", "annotators",
           a=nested("text", "struct", "prev_agent", "prev_user", "agent", "user")),
        {
            "form": "list", "label_column": "annotations", "annotator_column": "annotators",
            "uid_column": ["split", "key"],
            "text_template": "{text.prev_agent}\n{text.prev_user}\n{text.agent}\n{text.user}",
        },
    ),
    "LeWiDi 2025, several labels": (
        "LeWiDi",
        of("key", "annotators", a=nested("annotations", "pairs", "Ann1", parts=("neutral", "neutral,entailment"))),
        {"form": "by_annotator", "label_column": "annotations", "uid_column": "key", "label_separator": ","},
    ),
    "crowd-kit, texts as tasks": (
        "crowd-kit",
        of("worker", "label", a=Column("task", "scalar", 3, 3, prose=1.0)),
        {"form": "long", "text_column": "task", "annotator_column": "worker", "label_column": "label"},
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
        of("text", "id", "rater_id", "example_very_unclear", "joy", "anger", FILE, FOLDER),
        {
            "form": "one_hot", "uid_column": "id", "annotator_column": "rater_id", "count_columns": ["joy", "anger"],
            "where": {"example_very_unclear": {"not": True}},
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_is_known_by_its_names(export: str) -> None:
    check_known(*EXPORTS[export])


def test_every_tool_has_an_export_here() -> None:
    assert {tool for tool, *_ in [*TOOLS.values(), *EXPORTS.values()]} == {preset.tool for preset in PRESETS}


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


def doubts_of(found: dict[str, Column]) -> list[str]:
    known = recognise(found)
    assert known is not None
    return list(known[1].get(DOUBTS, []))


def test_other_questions_and_numbers_without_names_are_said() -> None:
    marks = {name: values(name, "true", "false") for name in ("Answer.a.x", "Answer.a.y", "Answer.b.x", "Answer.b.y")}
    assert doubts_of(of("HITId", "WorkerId") | marks) == [
        "several questions; Answer.a is read, not Answer.b (count_columns or label_column)"
    ]
    control = of("OUTPUT:tone", "OUTPUT:why", "ASSIGNMENT:worker_id", "GOLDEN:tone")
    assert doubts_of(control) == [
        "answers to control tasks count too (GOLDEN:tone is filled in)",
        "several questions; OUTPUT:tone is read, not OUTPUT:why (label_column)",
    ]
    assert "scale: [0, most]" in doubts_of(of("key", a=nested("value", "pairs", "1", parts=("0", "2"))))[0]


def test_what_a_service_writes_about_itself_is_no_label() -> None:
    known = recognise(of("HITId", "WorkerId", "Keywords", "Answer.tone"))
    assert known is not None
    assert "Keywords" in known[1][UNUSED]
    assert "Answer.tone" not in known[1][UNUSED]
