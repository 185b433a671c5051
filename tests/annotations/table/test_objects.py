import json
from pathlib import Path

import pytest

from soft_labels.annotations.table.objects import direct_format, first_bad_line, records_of_object
from soft_labels.errors import DataError


def save(folder: Path, value: object, name: str = "t.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ('[{"a": 1}]', "t.jsonl", "array"),
        ('{"a": 1}\n{"a": 2}\n', "t.json", "newline_delimited"),
        ('{"a": 1}', "t.jsonl", "newline_delimited"),
        ('{"a": {"b": 1}}', "t.json", None),
        ('{\n"a": 1\n}', "t.json", None),
    ],
)
def test_the_outermost_form_is_found(text: str, name: str, kind: str | None, tmp_path: Path) -> None:
    assert direct_format(save(tmp_path, text, name), "utf-8") == kind


@pytest.mark.parametrize(
    ("value", "records"),
    [
        ({"1": {"a": 0, "b": 1}, "2": {"a": 1}},
         [{"key": "1", "value": {"a": 0, "b": 1}}, {"key": "2", "value": {"a": 1}}]),
        ({"1": {"text": "a b", "label": "x"}, "2": {"text": "c d", "label": "y"}},
         [{"key": "1", "text": "a b", "label": "x"}, {"key": "2", "text": "c d", "label": "y"}]),
        ({"data": [{"a": 1}], "version": 3}, [{"a": 1}]),
        ({"a": [1, 2], "b": [3, 4]}, [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ({"user_id": "ann", "instance_id_to_label_to_value": {
            "i1": [[{"schema": "tone", "name": "kind"}, "true"], [{"schema": "why", "name": "text_box"}, "so"]],
            "i2": {"tone": {"rude": True}}}},
         [{"instance_id": "i1", "user_id": "ann", "labels": {"tone": {"kind": "true"}, "why": {"text_box": "so"}}},
          {"instance_id": "i2", "user_id": "ann", "labels": {"tone": {"rude": True}}}]),
        (TASK := {"id": 1, "data": {"text": "a b"}, "annotations": [{"id": 2}]}, [TASK]),
        (DONE := {"id": 2, "result": [{"value": 1}], "task": {"id": 1}}, [DONE]),
        ({"q1": "yes", "q2": "no"}, [{"key": "q1", "value": "yes"}, {"key": "q2", "value": "no"}]),
    ],
)  # fmt: skip
def test_records_within_one_object(value: object, records: list[object], tmp_path: Path) -> None:
    found, words = records_of_object(save(tmp_path, value), "utf-8")
    assert list(found) == records
    assert words


def test_two_tables_in_one_object_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="records below each of a, b"):
        records_of_object(save(tmp_path, {"a": [{"x": 1}], "b": [{"y": 1}]}), "utf-8")


def test_bad_lines_are_counted(tmp_path: Path) -> None:
    path = save(tmp_path, '{"a": 1}\n{"a"\n\n[1]\n', "t.jsonl")
    assert first_bad_line(path, "utf-8").startswith("line 2: wanted one JSON object, got '{\"a\"' (2 lines are so)")
    assert first_bad_line(save(tmp_path, '{"a": 1}\n', "t.jsonl"), "utf-8") == ""
