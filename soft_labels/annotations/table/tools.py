"""What annotation tools export, known by the names they use, as settings of the one reader."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from soft_labels.annotations.table.names import KEYS
from soft_labels.annotations.table.profile import Column
from soft_labels.annotations.table.source import FILE, FOLDER
from soft_labels.annotations.table.words import MOST_CLASSES

Found = Mapping[str, Column]
Settings = dict[str, Any]
DOUBTS = "doubts"
"""Where a preset says, among the settings, what it could not know."""
UNUSED = "unused"
"""Where it names columns that say nothing of items and answers."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")
_POINT = re.compile(r"scale_(\d+)")


def has(found: Found, *names: str) -> bool:
    """Whether all names are there."""
    return all(name in found for name in names)


def first(found: Found, *names: str) -> str | None:
    """The first name that is there."""
    return next((name for name in names if name in found), None)


def several(found: Found, name: str) -> bool:
    """Whether a column is there and has more than one value."""
    return name in found and found[name].distinct > 1


def other_questions(names: Sequence[str], key: str = "label_column") -> list[str]:
    """What is said where several questions were asked and the first of them is read."""
    return [f"several questions; {names[0]} is read, not {', '.join(names[1:])} ({key})"] if names[1:] else []


def label_studio(found: Found) -> Settings | None:
    """Tasks with annotations, each of several results; or the short form, one annotation a row."""
    annotations = found.get("annotations") or found.get("completions")
    if annotations is not None and annotations.kind == "records" and "result" in annotations.keys:
        name = annotations.name
        person = _first_record(annotations).get("completed_by")
        key = next((f".{key}" for key in ("email", "id") if isinstance(person, dict) and key in person), "")
        who = {"annotator_column": f"{name}.completed_by{key}"} if "completed_by" in annotations.keys else {}
        skipped = {f"{name}.{key}": {"not": True} for key in ("was_cancelled", "skipped") if key in annotations.keys}
        return {
            "rows_from": [name, f"{name}.result"], "uid_column": first(found, "id", "task"), **who,
            **({"where": skipped} if skipped else {}),
        }  # fmt: skip
    if has(found, "result", "task.id") and found["result"].kind == "records":
        return {
            "rows_from": ["result"], "uid_column": "task.id",
            "annotator_column": first(found, "completed_by.email", "completed_by.id", "completed_by"),
            **({"where": {"was_cancelled": {"not": True}}} if "was_cancelled" in found else {}),
        }  # fmt: skip
    if has(found, "annotation_id", "annotator", "lead_time"):
        cancelled = {"where": {"was_cancelled": {"not": True}}} if "was_cancelled" in found else {}
        return {
            "uid_column": first(found, "id"), "annotator_column": "annotator", **cancelled,
            UNUSED: ["annotation_id", "created_at", "updated_at", "lead_time", "agreement"],
        }  # fmt: skip
    return None


def argilla(found: Found) -> Settings | None:
    """Responses by question, lists of responses, or columns of lists; those that were not submitted are left out."""
    if has(found, "annotation", "annotation_agent", "status"):
        return {
            "form": "long", "uid_column": first(found, "id"), "label_column": "annotation",
            "annotator_column": "annotation_agent", "text_column": first(found, "text", "inputs.text"),
            "where": {"status": {"not": ["Default", "Discarded"]}},
        }  # fmt: skip
    records = {name: set(one.keys) for name, one in found.items() if one.kind == "records"}
    if {"user_id", "values"} <= records.get("responses", set()):
        asked = list(_first_record(found["responses"]).get("values") or {})
        if asked:
            return _responses("responses", f"values.{asked[0]}.value", "status" in records["responses"], asked)
    answered = [
        name
        for name, keys in records.items()
        if {"value", "user_id", "status"} <= keys or (name.startswith("responses.") and "user_id" in keys)
    ]
    if answered:
        return _responses(answered[0], "value", "status" in records[answered[0]], answered)
    return _argilla_lists(found)


def _first_record(column: Column) -> dict[str, Any]:
    """One of the records that a column holds."""
    return json.loads(column.parts[0]) if column.parts else {}


def _responses(name: str, value: str, has_status: bool, questions: Sequence[str]) -> Settings:
    """Each response is a row."""
    return {
        "form": "long", "rows_from": [name], "annotator_column": f"{name}.user_id", "label_column": f"{name}.{value}",
        **({"where": {f"{name}.status": "submitted"}} if has_status else {}), DOUBTS: other_questions(questions),
    }  # fmt: skip


def _argilla_lists(found: Found) -> Settings | None:
    """Lists of values, users and status side by side."""
    asked = [(name, f"{name}.users", f"{name}.status") for name in found if f"{name}.users" in found]
    stems = [name.removesuffix(".value") for name in found if name.endswith(".value")]
    asked += [(f"{stem}.value", f"{stem}.user_id", f"{stem}.status") for stem in stems
              if has(found, f"{stem}.user_id", f"{stem}.status")]  # fmt: skip
    if not asked:
        return None
    label, users, status = asked[0]
    kept = {"where": {status: "submitted"}} if status in found else {}
    return {
        "form": "list", "label_column": label, "annotator_column": users, **kept,
        DOUBTS: other_questions([name for name, *_ in asked]),
    }  # fmt: skip


def prodigy(found: Found) -> Settings | None:
    """Accepted options, or one label that is accepted or rejected."""
    if not has(found, "answer", "_input_hash"):
        return None
    who = next((name for name in ("_annotator_id", "_session_id") if name in found and found[name].filled), None)
    doubts = []
    if "versions" in found:
        doubts.append("these are answers of a review, one an item; those of the annotators lie in their own data sets")
    if who is not None and any(map(_TIME.search, found[who].values)):
        doubts.append(f"{who} names sessions by their time: one annotator may stand under several names")
    settings = _choices(found) if "accept" in found else _accepted(found, doubts)
    return {"form": "long", "uid_column": "_input_hash", **settings, "annotator_column": who, DOUBTS: doubts}


def _choices(found: Found) -> Settings:
    """The options that were accepted; their order is that of the classes, where all rows offer the same."""
    options = found.get("options")
    same = options is not None and options.kind == "records" and options.distinct == 1
    ids = [json.loads(option).get("id") for option in options.parts] if options is not None and same else []
    names = {"class_names": ids} if len(ids) > 1 and None not in ids else {}
    return {"label_column": "accept", "where": {"answer": "accept"}, **names}


def _accepted(found: Found, doubts: list[str]) -> Settings:
    """Whether a label was accepted, or, where none was rejected, the label itself."""
    asked = list(found["label"].values) if "label" in found else []
    if not asked:
        doubts.append("no label and no options: whether whole tasks were accepted is taken for the answer")
    if len(asked) > 1 and "reject" not in found["answer"].values:
        doubts.append("no label was rejected: the label is taken for the answer (label_column)")
        return {"label_column": "label", "where": {"answer": "accept"}}
    where: dict[str, Any] = {"answer": {"not": "ignore"}}
    if len(asked) > 1:
        where["label"] = asked[0]
        doubts.append(f"several labels were asked for; {asked[0]!r} is read, not {', '.join(asked[1:])} (where label)")
    return {"label_column": "answer", "where": where}


def doccano(found: Found) -> Settings | None:
    """Labels of each text; annotations by user, or a file for each user."""
    annotations = found.get("annotations")
    if annotations is not None and annotations.kind == "records" and {"label", "user"} <= set(annotations.keys):
        return {
            "form": "long", "rows_from": ["annotations"], "uid_column": first(found, "id"),
            "label_column": "annotations.label", "annotator_column": "annotations.user", DOUBTS: _unapproved(found),
        }  # fmt: skip
    label = first(found, "label", "labels")
    if label is None or "id" not in found or first(found, "text", "data", "filename") is None:
        return None
    if has(found, "user", "annotation_approver"):
        return {
            "form": "long", "uid_column": "id", "label_column": label, "annotator_column": "user",
            DOUBTS: _unapproved(found),
        }  # fmt: skip
    if found[label].kind not in {"scalar", "list"}:
        return None
    joined = found[label].kind == "scalar" and any("#" in value for value in found[label].values)
    listed = found[label].kind == "list" and found[label].json
    if not ("Comments" in found or (FILE in found and (listed or joined or "data" in found))):
        return None
    return _doccano_labels(found, label, joined)


def _doccano_labels(found: Found, label: str, joined: bool) -> Settings:
    """One answer a row where each user has a file; else the labels of all users, or of one, in one cell."""
    settings: Settings = {"form": "long", "uid_column": "id", "label_column": label}
    if joined:
        settings["label_separator"] = "#"
    if several(found, FILE):
        return settings | {"annotator_column": FILE}
    if joined or max(found[label].sizes, default=0) > 1:
        settings["form"] = "list"
        settings[DOUBTS] = ["each label of a text counts as one annotation: doccano does not say who gave it"]
    return settings


def _unapproved(found: Found) -> list[str]:
    """What is said of texts without an approver, and of labels that are numbers of doccano's."""
    doubts = ["labels may be doccano's numbers; its list of labels has their names (rename_labels)"]
    approver = found.get("annotation_approver")
    if approver is not None and approver.filled < found["id"].filled:
        doubts.append("texts that nobody has approved count too (annotation_approver is blank)")
    return doubts


def potato(found: Found) -> Settings | None:
    """Answers of each user in a folder of their own or all in one file, by scheme and label."""
    uid, who = first(found, "instance_id", "id"), first(found, "user", "user_id", "annotator")
    who = who or (FOLDER if several(found, FOLDER) else None)
    people = {"uid_column": uid, "annotator_column": who, "text_column": first(found, "displayed_text")}
    held = next((name for name in ("label_annotations", "labels") if name in found and found[name].keys), None)
    if held is not None and has(found, "instance_id" if held == "labels" else "displayed_text"):
        return _potato_keys(found, held, people)
    for parting in (":::", "."):
        marked = [name for name in found if parting in name and found[name].kind == "scalar"]
        if has(found, "instance_id") and who in found and marked and (parting == ":::" or "user_id" in found):
            return _potato_marks(found, marked, parting, people)
    return None


def _potato_keys(found: Found, held: str, people: Settings) -> Settings | None:
    """The labels are the keys of a scheme's answers."""
    labels = {scheme: list(getattr(found.get(f"{held}.{scheme}"), "keys", ())) for scheme in found[held].keys}
    schemes = [scheme for scheme, keys in labels.items() if keys != ["text_box"]]
    if not schemes:
        return None
    points = [_POINT.fullmatch(key) for key in labels[schemes[0]]]
    scale = {"class_names": [f"scale_{number}" for number in _range(points)]} if points and all(points) else {}
    return {
        "form": "long", "label_column": f"{held}.{schemes[0]}{KEYS}", **people, **scale,
        DOUBTS: other_questions(schemes),
    }  # fmt: skip


def _range(points: Sequence[re.Match[str] | None]) -> range:
    """From 1 to the greatest point of a scale."""
    return range(1, max(int(point[1]) for point in points if point) + 1)


def _potato_marks(found: Found, marked: Sequence[str], parting: str, people: Settings) -> Settings | None:
    """A column for each label of each scheme; any value marks it."""
    schemes: dict[str, list[str]] = {}
    for name in marked:
        scheme, _, label = name.partition(parting)
        if label not in {"text_box", "_spans"} and scheme != "span_annotation":
            schemes.setdefault(scheme, []).append(name)
    wide = {scheme: names for scheme, names in schemes.items() if all(map(_is_mark, (found[name] for name in names)))}
    asked = [scheme for scheme, names in wide.items() if len(names) > 1]
    if not asked:
        return None
    columns = wide[asked[0]]
    return {
        "form": "one_hot", **people, "count_columns": columns, "marks": "filled",
        "class_names": [name.partition(parting)[2] for name in columns],
        DOUBTS: other_questions([asked[0], *(one for one in schemes if one != asked[0])], "count_columns"),
    }  # fmt: skip


def _is_mark(column: Column) -> bool:
    """Whether a column says no more than that a label was chosen."""
    return column.distinct <= 2 and column.filled > 0 and len(column.values) <= MOST_CLASSES
