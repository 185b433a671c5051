"""What annotation tools and shared tasks export, known by the names they use, as settings of the one reader."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from soft_labels.annotations.table.profile import Column
from soft_labels.annotations.table.source import FILE, FOLDER
from soft_labels.annotations.table.words import ANNOTATOR, DERIVED, LABEL

Found = Mapping[str, Column]
Settings = dict[str, Any]
DOUBTS = "doubts"
"""Where a preset says, among the settings, what it could not know."""


@dataclass(frozen=True)
class Preset:
    """One tool's export.

    Args:
        tool: Its name.
        recognise: The settings that its columns ask for; ``None`` where the file is not of this tool.
    """

    tool: str
    recognise: Callable[[Found], Settings | None]


def _has(found: Found, *names: str) -> bool:
    """Whether all names are there."""
    return all(name in found for name in names)


def _first(found: Found, *names: str) -> str | None:
    """The first name that is there."""
    return next((name for name in names if name in found), None)


def _label_studio(found: Found) -> Settings | None:
    """Tasks with annotations, each of several results; or the short form, one annotation a row."""
    annotations = found.get("annotations") or found.get("completions")
    if annotations is not None and annotations.kind == "records" and "result" in annotations.keys:
        name = annotations.name
        who = {"annotator_column": f"{name}.completed_by"} if "completed_by" in annotations.keys else {}
        cancelled = {"where": {f"{name}.was_cancelled": {"not": True}}} if "was_cancelled" in annotations.keys else {}
        return {"rows_from": [name, f"{name}.result"], "uid_column": _first(found, "id", "task"), **who, **cancelled}
    if _has(found, "annotation_id", "annotator") and _has(found, "lead_time"):
        skipped = {"where": {"was_cancelled": {"not": True}}} if "was_cancelled" in found else {}
        return {"uid_column": _first(found, "id"), "annotator_column": "annotator", **skipped}
    return None


def _argilla(found: Found) -> Settings | None:
    """Responses by question (2.x), lists of responses (1.x feedback), or columns of values and users (datasets)."""
    records = [
        one
        for one in found.values()
        if one.kind == "records"
        and (
            {"value", "user_id", "status"} <= set(one.keys)
            or (one.name.startswith("responses.") and "user_id" in one.keys)
        )
    ]
    if records:
        return _argilla_responses(records[0]) | _other_questions([one.name for one in records])
    lists = [name for name in found if name.endswith(".responses") and f"{name}.users" in found]
    if not lists:
        return None
    status = found.get(f"{lists[0]}.status")
    open_ = [word for word in (status.parts if status else ()) if word != "submitted"]
    doubts = [f"answers that are {' or '.join(open_)} are counted too: {lists[0]}.status is not read"] if open_ else []
    others = _other_questions(lists).get(DOUBTS, [])
    return {"form": "list", "label_column": lists[0], "annotator_column": f"{lists[0]}.users", DOUBTS: doubts + others}


def _other_questions(names: Sequence[str]) -> Settings:
    """What is said where there are several questions."""
    return {DOUBTS: [f"several questions; {names[0]} is read, not {', '.join(names[1:])}"]} if names[1:] else {}


def _argilla_responses(column: Column) -> Settings:
    """Each response is a row; drafts and discarded ones are left out."""
    name = column.name
    status = {"where": {f"{name}.status": "submitted"}} if "status" in column.keys else {}
    return {
        "form": "long", "rows_from": [name], "annotator_column": f"{name}.user_id", "label_column": f"{name}.value",
        **status,
    }  # fmt: skip


def _prodigy(found: Found) -> Settings | None:
    """Accepted options, or one label that is accepted or rejected."""
    if not _has(found, "answer", "_input_hash"):
        return None
    who = {"annotator_column": name} if (name := _first(found, "_annotator_id", "_session_id")) else {}
    if "accept" in found:
        return {
            "form": "long",
            "uid_column": "_input_hash",
            "label_column": "accept",
            "where": {"answer": "accept"},
            **who,
        }
    answers: Settings = {"where": {"answer": {"not": "ignore"}}, "label_column": "answer"}
    label = found.get("label")
    if label is not None and len(label.values) > 1:
        first, *others = label.values
        answers["where"]["label"] = first
        answers[DOUBTS] = [f"several labels were asked for; {first!r} is read, not {', '.join(others)} (where label)"]
    return {"form": "long", "uid_column": "_input_hash", **answers, **who}


def _doccano(found: Found) -> Settings | None:
    """Labels of each text; annotations by user, or a file for each user."""
    annotations = found.get("annotations")
    if annotations is not None and annotations.kind == "records" and {"label", "user"} <= set(annotations.keys):
        return {
            "form": "long", "rows_from": ["annotations"], "uid_column": _first(found, "id"),
            "label_column": "annotations.label", "annotator_column": "annotations.user",
        }  # fmt: skip
    label = _first(found, "label", "labels")
    if label and found[label].kind == "list" and found[label].json and _has(found, FILE, "id", "text"):
        return {"form": "long", "uid_column": "id", "label_column": label, "annotator_column": FILE}
    return None


def _potato(found: Found) -> Settings | None:
    """Answers of each user in a folder of their own, or all in one table of marked columns."""
    marked = [name for name in found if ":::" in name]
    if marked and _has(found, "instance_id"):
        scheme = marked[0].partition(":::")[0]
        columns = [name for name in marked if name.startswith(f"{scheme}:::")]
        names = {"class_names": [name.partition(":::")[2] for name in columns]}
        return {
            "form": "one_hot", "uid_column": "instance_id", "annotator_column": _first(found, "user", "annotator"),
            "count_columns": columns, **names,
        }  # fmt: skip
    schemes = [name for name in found if name.startswith("label_annotations.")]
    if schemes and _has(found, "displayed_text"):
        first = found[schemes[0]]
        columns = [f"{first.name}.{key}" for key in first.keys]
        names = {"class_names": list(first.keys)}
        who = {"annotator_column": FOLDER} if FOLDER in found else {}
        return {
            "form": "one_hot",
            "uid_column": "id",
            "text_column": "displayed_text",
            "count_columns": columns,
            **who,
            **names,
        }
    return None


def _mturk(found: Found) -> Settings | None:
    """A row for each assignment; rejected work is left out."""
    if not _has(found, "HITId", "WorkerId"):
        return None
    rejected = found.get("AssignmentStatus")
    kept = {"where": {"AssignmentStatus": {"not": "Rejected"}}} if rejected and "Rejected" in rejected.values else {}
    answers = [name for name in found if name.startswith("Answer.") and found[name].kind in {"scalar", "list"}]
    label = {"label_column": answers[0], "form": "long"} if len(answers) == 1 else {}
    return {"uid_column": "HITId", "annotator_column": "WorkerId", **kept, **label}


def _lewidi(found: Found) -> Settings | None:
    """Annotations as "0,1,1" with annotators "Ann1,Ann2,Ann3" (2023), or by annotator (2025)."""
    if not _has(found, "annotations", "annotators") or not (_has(found, "number of annotations") or "key" in found):
        return None
    uid = {"uid_column": "key"} if "key" in found else {}
    if found["annotations"].kind == "pairs":
        return {"form": "by_annotator", "label_column": "annotations", **uid}
    return {"form": "list", "label_column": "annotations", "annotator_column": "annotators", **uid}


def _crowd_kit(found: Found) -> Settings | None:
    """Columns task, worker, label."""
    if not _has(found, "task", "worker", "label"):
        return None
    return {"form": "long", "uid_column": "task", "annotator_column": "worker", "label_column": "label"}


def _peerannot(found: Found) -> Settings | None:
    """Answers of each item by worker."""
    if not _has(found, "key", "value") or found["value"].kind != "pairs":
        return None
    return {"form": "by_annotator", "uid_column": "key", "label_column": "value"}


def _go_emotions(found: Found) -> Settings | None:
    """A row for each rater, an emotion a column, unclear examples marked."""
    if not _has(found, "rater_id", "example_very_unclear"):
        return None
    start = list(found).index("example_very_unclear") + 1
    return {
        "form": "one_hot", "uid_column": "id", "annotator_column": "rater_id",
        "count_columns": list(found)[start:],
        "where": {"example_very_unclear": {"not": True}},
    }  # fmt: skip


def nested_records(found: Found) -> Settings | None:
    """Lists of annotations within records, whoever wrote them: the setting of the first that holds labels.

    Args:
        found: What the columns hold.

    Returns:
        ``None`` where there is none; spans are none, since they are parts of a text.
    """
    for name, column in found.items():
        keys = [key for key in column.keys if column.kind == "records"]
        label = next((key for key in keys if LABEL.match(key.lower()) and not DERIVED.search(key.lower())), None)
        if label is None or {"start", "end"} <= set(keys):
            continue
        who = [
            key for key in keys if ANNOTATOR.search(key.lower()) or key.lower() in {"id", "by", "who", "user", "name"}
        ]
        people = {"annotator_column": f"{name}.{who[0]}"} if who else {}
        return {"form": "long", "rows_from": [name], "label_column": f"{name}.{label}", **people}
    return None


PRESETS = (
    Preset("Label Studio", _label_studio),
    Preset("Argilla", _argilla),
    Preset("Prodigy", _prodigy),
    Preset("doccano", _doccano),
    Preset("Potato", _potato),
    Preset("MTurk", _mturk),
    Preset("LeWiDi", _lewidi),
    Preset("crowd-kit", _crowd_kit),
    Preset("peerannot", _peerannot),
    Preset("GoEmotions", _go_emotions),
)


def recognise(found: Found) -> tuple[str, Settings] | None:
    """The tool that wrote a file, and the settings that its export asks for.

    Args:
        found: What the columns hold.

    Returns:
        ``None`` where no tool is recognised.
    """
    for preset in PRESETS:
        settings = preset.recognise(found)
        if settings is not None:
            return preset.tool, {key: value for key, value in settings.items() if value not in (None, [])}
    return None
