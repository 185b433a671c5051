"""Tools, crowds and shared tasks whose files are known by the names they use, as settings of the one reader."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from soft_labels.annotations.table import tools
from soft_labels.annotations.table.profile import Column
from soft_labels.annotations.table.source import FILE, FOLDER
from soft_labels.annotations.table.tools import DOUBTS, UNUSED, Found, Settings, first, has, other_questions
from soft_labels.annotations.table.words import ANNOTATOR, DERIVED, LABEL, MARKS, MOST_CLASSES

_MTURK = (
    "HITTypeId", "Title", "Description", "Keywords", "Reward", "CreationTime", "MaxAssignments", "RequesterAnnotation",
    "AssignmentDurationInSeconds", "AutoApprovalDelayInSeconds", "Expiration", "NumberOfSimilarHITs",
    "LifetimeInSeconds", "AssignmentId", "AssignmentStatus", "AcceptTime", "SubmitTime", "AutoApprovalTime",
    "ApprovalTime", "RejectionTime", "RequesterFeedback", "WorkTimeInSeconds", "LifetimeApprovalRate",
    "Last30DaysApprovalRate", "Last7DaysApprovalRate", "Approve", "Reject", "Answer.submit",
)  # fmt: skip
_TURNS = ("prev_agent", "prev_user", "agent", "user")


@dataclass(frozen=True)
class Preset:
    """One tool's export.

    Args:
        tool: Its name.
        recognise: The settings that its columns ask for; ``None`` where the file is not of this tool.
    """

    tool: str
    recognise: Callable[[Found], Settings | None]


def _mturk(found: Found) -> Settings | None:
    """A row for each assignment; rejected work is left out."""
    if not has(found, "HITId", "WorkerId"):
        return None
    where: Settings = {}
    if "Rejected" in _values(found, "AssignmentStatus"):
        where["AssignmentStatus"] = {"not": "Rejected"}
    if reasons := list(_values(found, "Reject")):
        where["Reject"] = {"not": reasons}
    doubts = []
    reject = found.get("Reject")
    if reject is not None and reject.filled and not reject.values:
        doubts.append("Reject has many reasons; rows that have one count too (where Reject)")
    questions = _json_questions(found) or _mark_groups(found)
    plain = [name for name, one in found.items() if name.startswith("Answer.") and _is_plain(one)]
    settings: Settings = {}
    if questions:
        settings = next(iter(questions.values()))
        doubts += other_questions([*questions, *plain], "count_columns or label_column")
    elif len(plain) == 1:
        settings = {"form": "long", "label_column": plain[0]}
    if any("|" in value for name in plain for value in found[name].values):
        settings = settings | {"label_separator": "|"}
    return {
        "uid_column": "HITId", "annotator_column": "WorkerId", **({"where": where} if where else {}), **settings,
        DOUBTS: doubts, UNUSED: [*_MTURK, "Answer.taskAnswers"],
    }  # fmt: skip


def _values(found: Found, name: str) -> Sequence[str]:
    """The few values of a column that may be there."""
    return tuple(found[name].values) if name in found else ()


def _is_plain(one: Column) -> bool:
    """Whether a column holds one of few answers."""
    marks = {value.lower() for value in one.values} <= MARKS
    few = 2 <= one.distinct <= MOST_CLASSES and one.prose < 0.5 and one.name.count(".") <= 2
    return one.kind in {"scalar", "list"} and few and not (marks and one.name.count(".") > 1)


def _mark_groups(found: Found) -> dict[str, Settings]:
    """Questions whose every option has a column of true and false."""
    groups: dict[str, list[str]] = {}
    for name, one in found.items():
        stem, _, option = name.rpartition(".")
        if stem.startswith("Answer.") and option and one.values and {value.lower() for value in one.values} <= MARKS:
            groups.setdefault(stem, []).append(name)
    wide = {stem: names for stem, names in groups.items() if len(names) > 1}
    chosen = {stem: sum(found[name].distinct > 1 for name in names) for stem, names in wide.items()}
    return {stem: _marks(wide[stem]) for stem in sorted(wide, key=lambda stem: chosen[stem] < 2)}


def _marks(names: Sequence[str]) -> Settings:
    """An option a column."""
    return {
        "form": "one_hot", "count_columns": list(names), "class_names": [name.rpartition(".")[2] for name in names]
    }  # fmt: skip


def _json_questions(found: Found) -> dict[str, Settings]:
    """Questions whose answers lie in a cell of JSON: options that are true or false, a label, or the answer itself."""
    cell = found.get("Answer.taskAnswers")
    if cell is None or cell.kind != "records":
        return {}
    answers = [json.loads(part) for part in cell.parts]
    questions: dict[str, Settings] = {}
    chosen: dict[str, int] = {}
    for question in cell.keys:
        values = [answer[question] for answer in answers if answer.get(question) not in (None, "")]
        name = f"{cell.name}[0].{question}"
        options = dict.fromkeys(key for value in values if isinstance(value, dict) for key in value)
        if "label" in options:
            questions[name] = {"form": "long", "label_column": f"{name}.label"}
        elif len(options) > 1 and all(isinstance(one, bool) for value in values for one in value.values()):
            chosen[name] = len({option for value in values for option, one in value.items() if one})
            questions[name] = _marks([f"{name}.{option}" for option in options])
        elif not options and _are_labels([str(value) for value in values]):
            questions[name] = {"form": "long", "label_column": name}
    return dict(sorted(questions.items(), key=lambda entry: chosen.get(entry[0], 2) < 2))


def _are_labels(values: Sequence[str]) -> bool:
    """Whether values are few, and not sentences."""
    return 2 <= len(set(values)) <= MOST_CLASSES and sum(" " in value.strip() for value in values) < len(values) / 2


def _toloka(found: Found) -> Settings | None:
    """A row for each assignment; rejected and skipped work is left out."""
    if not has(found, "ASSIGNMENT:worker_id"):
        return None
    status, left = "ASSIGNMENT:status", {"REJECTED", "SKIPPED", "EXPIRED", "ACTIVE"}
    lost = [value for value in _values(found, status) if value in left]
    asked = [name for name, one in found.items() if name.startswith("OUTPUT:") and one.distinct > 1]
    control = [name for name, one in found.items() if name.startswith("GOLDEN:") and one.filled]
    doubts = [f"answers to control tasks count too ({control[0]} is filled in)"] if control else []
    return {
        "uid_column": first(found, "ASSIGNMENT:task_id"), "annotator_column": "ASSIGNMENT:worker_id",
        **({"where": {status: {"not": lost}}} if lost else {}),
        **({"form": "long", "label_column": asked[0]} if asked else {}),
        DOUBTS: doubts + other_questions(asked),
        UNUSED: [name for name in found if name.startswith(("ASSIGNMENT:", "GOLDEN:", "HINT:", "ACCEPT:"))],
    }  # fmt: skip


def _lewidi(found: Found) -> Settings | None:
    """Annotations as "0,1,1" with annotators "Ann1,Ann2,Ann3" (2023), or by annotator (2025)."""
    if not has(found, "annotations", "annotators") or not (has(found, "number of annotations") or "key" in found):
        return None
    uid: Settings = {"uid_column": "key"} if "key" in found else {}
    if has(found, FILE, "split", "key"):
        uid = {"uid_column": ["split", "key"]}  # each file numbers its items anew
    text = found.get("text")
    if text is not None and set(_TURNS) <= set(text.keys):
        uid["text_template"] = "\n".join(f"{{text.{turn}}}" for turn in _TURNS)
    annotations = found["annotations"]
    if annotations.kind != "pairs":
        return {"form": "list", "label_column": "annotations", "annotator_column": "annotators", **uid}
    parted = {"label_separator": ","} if any("," in part for part in annotations.parts) else {}
    return {"form": "by_annotator", "label_column": "annotations", **uid, **parted}


def _crowd_kit(found: Found) -> Settings | None:
    """Columns task, worker, label; the task may be the text itself."""
    if not has(found, "task", "worker", "label"):
        return None
    item = {"text_column" if found["task"].prose >= 0.5 else "uid_column": "task"}
    return {"form": "long", **item, "annotator_column": "worker", "label_column": "label"}


def _peerannot(found: Found) -> Settings | None:
    """Answers of each item by worker."""
    if not has(found, "key", "value") or found["value"].kind != "pairs":
        return None
    numbers = all(part.isdigit() for part in found["value"].parts)
    doubts = ["classes are numbers; one that nobody chose is not known here (class_names, or scale: [0, most])"]
    return {
        "form": "by_annotator", "uid_column": "key", "label_column": "value", DOUBTS: doubts if numbers else []
    }  # fmt: skip


def _go_emotions(found: Found) -> Settings | None:
    """A row for each rater, an emotion a column, unclear examples marked."""
    if not has(found, "rater_id", "example_very_unclear"):
        return None
    start = list(found).index("example_very_unclear") + 1
    return {
        "form": "one_hot", "uid_column": "id", "annotator_column": "rater_id",
        "count_columns": [name for name in list(found)[start:] if name not in {FILE, FOLDER}],
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
    Preset("Label Studio", tools.label_studio),
    Preset("Argilla", tools.argilla),
    Preset("Prodigy", tools.prodigy),
    Preset("doccano", tools.doccano),
    Preset("Potato", tools.potato),
    Preset("MTurk", _mturk),
    Preset("Toloka", _toloka),
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
