"""What tools write, with work in it that does not count: without that each holds the answers of ``layouts``."""

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.annotations.table.layouts import (
    ITEMS,
    LONG,
    PEOPLE,
    TEXTS,
    Make,
    argilla,
    as_csv,
    as_lines,
    both,
    folder_of,
    label_studio,
    parquet,
    text_file,
)

Row = dict[str, Any]
WORDS = ("no", "yes")
DAN = {**LONG[0], "annotator": "dan"}


@dataclass(frozen=True)
class Export:
    """Files as a tool writes them.

    Args:
        make: Writes them.
        dropped: How many rows are left out.
        people: Whether it says who annotated.
        classes: Their names in order.
    """

    make: Make
    dropped: int = 0
    people: bool = True
    classes: tuple[str, ...] = WORDS


def of(who: str) -> list[Row]:
    return [row for row in LONG if row["annotator"] == who]


def word(row: Row) -> str:
    return WORDS[row["label"]]


def each(write: Callable[[Row], Row], rows: Iterable[Row] = LONG) -> list[Row]:
    return [write(row) for row in rows]


def doccano(who: str, kind: str, text: str = "text", name: str | None = None) -> Make:
    """One user's file, with a text that this user left without a label."""
    rows = [{"id": row["item"], text: row["text"], "label": [word(row)], "Comments": []} for row in of(who)]
    rows.append({"id": 4, text: "Nobody did this one", "label": [], "Comments": []})
    if kind == "csv":
        rows = [{**row, "label": "#".join(row["label"]), "Comments": ""} for row in rows]
        return text_file(f"{name or who}.csv", as_csv(rows))
    return text_file(f"{name or who}.{kind}", json.dumps(rows) if kind == "json" else as_lines(rows))


def prodigy(row: Row, accept: list[str], answer: str = "accept", **more: Any) -> Row:
    person = f"tone-{row['annotator']}"
    return {
        "text": row["text"], "meta": {"source": "mail"}, "_input_hash": row["item"] * -71, "_task_hash": row["item"],
        "options": [{"id": "yes", "text": "It is"}, {"id": "no", "text": "It is not"}, {"id": "so", "text": "So so"}],
        "_view_id": "choice", "config": {"choice_style": "single"}, "accept": accept, "answer": answer,
        "_timestamp": 1666000000, "_annotator_id": person, "_session_id": person, **more,
    }  # fmt: skip


def binary(row: Row, answer: str | None = None, **more: Any) -> Row:
    answer = answer or ("reject", "accept")[row["label"]]
    return {"text": row["text"], "_input_hash": row["item"] * -71, "_task_hash": row["item"], "label": "RUDE",
            "score": 0.4, "spans": [], "answer": answer, "_session_id": f"tone-{row['annotator']}", **more}  # fmt: skip


def mturk(answer: Callable[[Row], Row], status: str = "Approved", rows: Iterable[Row] = LONG) -> list[Row]:
    return [{
        "HITId": f"3H{row['item']}", "HITTypeId": "3T", "Title": "Tone", "Description": "Say how it sounds",
        "Keywords": "text, tone", "Reward": "$0.05", "MaxAssignments": 3, "AssignmentId": f"3A{number}",
        "WorkerId": f"W{row['annotator']}", "AssignmentStatus": status, "AcceptTime": f"Mon Mar 01 08:0{number}:00 PST",
        "RejectionTime": "", "WorkTimeInSeconds": 30 + number, "LifetimeApprovalRate": "100% (1/1)",
        "Input.sentence": row["text"], **answer(row), "Approve": "", "Reject": "",
    } for number, row in enumerate(rows)]  # fmt: skip


def batch(rows: list[Row]) -> Make:
    return text_file("Batch_1_batch_results.csv", as_csv(rows, quoting=csv.QUOTE_ALL))


def radio(row: Row) -> Row:
    marks = {f"Answer.tone.{one}": str(one == word(row)).lower() for one in WORDS}
    return {"Answer.comment": "hm" if row["item"] == 1 else "", **marks}


def json_radio(row: Row) -> Row:
    answers = [{"why": f"so it is, {row['item']}", "tone": {one: one == word(row) for one in WORDS}}]
    return {"Answer.taskAnswers": json.dumps(answers)}


def toloka(row: Row, status: str = "APPROVED") -> Row:
    return {
        "INPUT:text": row["text"], "OUTPUT:tone": word(row), "GOLDEN:tone": "", "HINT:text": "",
        "ASSIGNMENT:link": f"/task/{row['item']}{row['annotator']}", "ASSIGNMENT:task_id": f"0000--{row['item']}",
        "ASSIGNMENT:assignment_id": f"a{row['item']}{row['annotator']}", "ASSIGNMENT:worker_id": row["annotator"],
        "ASSIGNMENT:status": status, "ASSIGNMENT:started": "2021-01-01T00:00:00",
    }  # fmt: skip


def studio(change: Callable[[list[Row]], list[Row]], **more: Any) -> Make:
    """Tasks of Label Studio with other annotations."""
    tasks = [label_studio(*item) for item in ITEMS]
    return text_file(
        "t.json", json.dumps([{**one, "annotations": change(one["annotations"]), **more} for one in tasks])
    )


def result(kind: str, name: str, value: Row) -> Row:
    return {"id": name, "from_name": name, "to_name": "text", "type": kind, "value": value}


def stored(folder: Path) -> list[Path]:
    """A file for each annotation, as Label Studio leaves them in a bucket."""
    for task in (label_studio(*item) for item in ITEMS):
        for one in task["annotations"]:
            person = {"id": one["completed_by"], "email": f"{one['completed_by']}@example.org"}
            record = {**one, "completed_by": person, "task": {"id": task["id"], "data": task["data"]}}
            text_file(f"{task['id']}-{one['id']}.json", json.dumps(record, indent=1))(folder / "bucket")
    return [folder / "bucket"]


def flat(item: int, text: str, labels: Iterable[int]) -> Row:
    """A row of an Argilla data set, with a draft and a discarded answer."""
    return {
        "id": f"rec-{item}", "status": "completed", "_server_id": "s", "text": text,
        "tone.responses": [*(WORDS[label] for label in labels), "yes", "yes"],
        "tone.responses.users": [*PEOPLE, "dan", "eve"],
        "tone.responses.status": ["submitted"] * 3 + ["draft", "discarded"], "tone.suggestion": "yes",
    }  # fmt: skip


def answers(labels: Iterable[int], status: bool = True) -> list[Row]:
    given = [{"user_id": who, "value": WORDS[n], "status": "submitted"} for who, n in zip(PEOPLE, labels, strict=True)]
    given.append({"user_id": "dan", "value": "yes", "status": "discarded"})
    return given if status else [{"user_id": one["user_id"], "value": one["value"]} for one in given[:3]]


def state(who: str) -> Row:
    """What Potato keeps of one annotator."""
    labels = {f"i{row['item']}": [[{"schema": "tone", "name": word(row)}, "true"]] for row in of(who)}
    return {"user_id": who, "instance_id_ordering": ["i1", "i2", "i3"], "current_phase_and_page": ["annotation", "x"],
            "instance_id_to_label_to_value": labels, "instance_id_to_span_to_value": {}}  # fmt: skip


def potato(row: Row) -> Row:
    return {"displayed_text": row["text"], "label_annotations": {"tone": {word(row): f"tone:::{word(row)}"}},
            "span_annotations": [], "behavioral_data": {}}  # fmt: skip


POTATO_ITEMS = text_file("items.jsonl", as_lines({"id": f"i{item}", "text": text} for item, text, _ in ITEMS))
MARKED = [{"instance_id": f"i{row['item']}", "user_id": row["annotator"], "why": "so",
           **{f"tone.{one}": "true" if one == word(row) else "" for one in WORDS}} for row in LONG]  # fmt: skip
SHORT = [{"text": row["text"], "id": row["item"], "annotator": PEOPLE.index(row["annotator"]) + 1, "annotation_id": number,
          "created_at": "2026-01-01", "updated_at": "2026-01-02", "lead_time": 2.5} for number, row in enumerate(LONG)]  # fmt: skip
ANSWERS = {str(item): {str(who): label for who, label in enumerate(labels)} for item, _, labels in ITEMS}
TURNS = {"prev_agent": "", "prev_user": "", "agent": "What do you want?"}
EXPORTS: dict[str, Export] = {
    "doccano, lines for each user": Export(folder_of(*(doccano(who, "jsonl") for who in PEOPLE)), 3),
    "doccano, JSON for each user": Export(folder_of(*(doccano(who, "json") for who in PEOPLE)), 3),
    "doccano, a table for each user": Export(folder_of(*(doccano(who, "csv") for who in PEOPLE)), 3),
    "doccano, dots in names and a user without answers": Export(folder_of(
        *(doccano(who, "jsonl", name=f"a.{who}") for who in PEOPLE), text_file("a.zoe.jsonl", "\n")), 3),
    "doccano 1.4": Export(folder_of(*(doccano(who, "csv", text="data") for who in PEOPLE)), 3),
    "doccano, one table for all": Export(text_file("all.csv", as_csv(
        {"id": item, "text": text, "label": "#".join(WORDS[label] for label in labels), "Comments": ""} for item, text, labels in ITEMS)), people=False),
    "doccano, lines for all": Export(text_file("all.jsonl", as_lines(
        [*({"id": item, "text": text, "label": [WORDS[label] for label in labels], "Comments": []} for item, text, labels in ITEMS),
         {"id": 4, "text": "Nobody did this one", "label": [], "Comments": []}])), 1, people=False),
    "doccano 1.2": Export(text_file("t.jsonl", as_lines(
        [*({"id": item, "text": text, "annotations": [{"label": 11 + label, "user": who} for who, label in enumerate(labels)],
            "meta": {}, "annotation_approver": None} for item, text, labels in ITEMS),
         {"id": 4, "text": "Nobody did this one", "annotations": [], "meta": {}, "annotation_approver": "admin"}])), 1, classes=("11", "12")),
    "Prodigy, ignored and rejected": Export(text_file("t.jsonl", as_lines(
        [*(prodigy(row, [word(row)]) for row in LONG), prodigy(DAN, [], "ignore"), prodigy(DAN, ["no"], "reject")])), 2, classes=("yes", "no", "so")),
    "Prodigy, accepted without an option": Export(text_file("t.jsonl", as_lines(
        [*(prodigy(row, [word(row)]) for row in LONG), prodigy(DAN, [])])), 1, classes=("yes", "no", "so")),
    "Prodigy binary, ignored": Export(text_file("t.jsonl", as_lines([*each(binary), binary(DAN, "ignore")])), 1, classes=("accept", "reject")),
    "Prodigy binary, nobody signed in": Export(text_file("t.jsonl", as_lines(
        binary(row, _session_id=None) for row in LONG)), people=False, classes=("accept", "reject")),
    "MTurk, rejected": Export(batch([*mturk(lambda row: {"Answer.tone.label": word(row)}),
                                     *mturk(lambda row: {"Answer.tone.label": "yes"}, "Rejected", [DAN])]), 1),
    "MTurk, rejected in the sheet": Export(batch([*mturk(lambda row: {"Answer.tone": word(row)}, "Submitted"),
                                                  *({**row, "Reject": "too fast"} for row in mturk(lambda row: {"Answer.tone": "yes"}, "Submitted", [DAN]))]), 1),
    "MTurk, radio buttons": Export(batch([*mturk(radio), *mturk(radio, "Rejected", [DAN])]), 1),
    "MTurk, radio buttons in JSON": Export(batch(mturk(json_radio))),
    "MTurk, labels in JSON": Export(batch(mturk(lambda row: {"Answer.taskAnswers": json.dumps([{"tone": {"label": word(row)}}])}))),
    "Toloka, rejected": Export(text_file("t.tsv", as_csv([*each(toloka), toloka(DAN, "REJECTED")], delimiter="\t")), 1),
    "crowd-kit, texts as tasks": Export(text_file("t.csv", as_csv(
        each(lambda row: {"task": row["text"], "worker": row["annotator"], "label": word(row)})))),
    "peerannot, a task without answers": Export(both(
        text_file("answers.json", json.dumps({**ANSWERS, "4": {}}, indent=3)),
        text_file("texts.csv", as_csv({"id": number, "text": text} for number, text in enumerate(("", *TEXTS, "Nobody did this")) if number))), 1, classes=("0", "1")),
    "Label Studio, cancelled with a choice": Export(studio(
        lambda done: [*done, {**done[0], "id": 99, "completed_by": 7, "was_cancelled": True}]), 3, classes=("0", "1")),
    "Label Studio, nothing chosen": Export(studio(lambda done: [*done, {"id": 99, "completed_by": 7, "was_cancelled": False, "result": []}]), 3, classes=("0", "1")),
    "Label Studio, drafts and predictions": Export(studio(
        lambda done: done, drafts=[{"result": [result("choices", "tone", {"choices": ["1"]})]}],
        predictions=[{"model_version": "m", "result": [result("choices", "tone", {"choices": ["1"]})]}]), classes=("0", "1")),
    "Label Studio, two questions": Export(studio(
        lambda done: [{**one, "result": [result("rating", "sure", {"rating": 3}), *one["result"], result("textarea", "why", {"text": ["so"]})]} for one in done]),
        18, classes=("0", "1")),
    "Label Studio of old, skipped": Export(text_file("t.json", json.dumps(
        [{"id": one["id"], "data": {"text": one["data"]["my_text"]}, "completions": [
            *({"id": done["id"], "lead_time": 2.0, "result": done["result"]} for done in one["annotations"]),
            {"id": 99, "skipped": True, "result": one["annotations"][0]["result"]}]} for one in (label_studio(*item) for item in ITEMS)])),
        3, people=False, classes=("0", "1")),
    "Label Studio, a file an annotation": Export(stored, classes=("0", "1")),
    "Label Studio, short JSON with ratings": Export(text_file("t.json", json.dumps(
        [{**one, "sure": [{"rating": row["label"] + 1}]} for one, row in zip(SHORT, LONG, strict=True)])), classes=("1", "2")),
    "Label Studio, CSV with a task that nobody did": Export(text_file("t.csv", as_csv(
        [*({**one, "tone": word(row)} for one, row in zip(SHORT, LONG, strict=True)),
         {**dict.fromkeys(SHORT[0], ""), "id": 9, "text": "Nobody did this one", "tone": ""}])), 1),
    "Argilla 2, drafts": Export(text_file("t.json", json.dumps(
        [*({**argilla(*item), "responses": {"tone": [*answers(item[2]), {"value": "no", "user_id": "eve", "status": "draft"}]}} for item in ITEMS),
         {**argilla(9, "Nobody did this", (0, 0, 0)), "status": "pending", "responses": {}}])), 7),
    "Argilla 2, a data set with drafts": Export(parquet("t.parquet", [flat(*item) for item in ITEMS]), 6),
    "Argilla 2, one array a column": Export(text_file("t.json", json.dumps(
        {key: [flat(*item)[key] for item in ITEMS] for key in flat(*ITEMS[0])})), 6),
    "Argilla 1, a data set with discarded answers": Export(parquet("t.parquet", [
        {"text": text, "tone": {key: [one[key] for one in answers(labels)] for key in ("user_id", "value", "status")}, "external_id": str(item)}
        for item, text, labels in ITEMS]), 3),
    "Argilla 1, records with discarded answers": Export(text_file("t.json", json.dumps(
        [{"id": f"x{item}", "fields": {"text": text}, "suggestions": [{"question_name": "tone", "value": "yes"}], "responses": [
            {"user_id": one["user_id"], "values": {"tone": {"value": one["value"]}}, "status": one["status"]} for one in answers(labels)]}
         for item, text, labels in ITEMS])), 3),
    "Potato, any value is a mark": Export(folder_of(
        *(text_file(f"{who}/annotated_instances.jsonl", as_lines({"id": row["item"], **potato(row)} for row in of(who))) for who in PEOPLE),
        *(text_file(f"{who}/annotation_order.txt", "1\n2\n3\n") for who in PEOPLE))),
    "Potato, lines of all": Export(text_file("annotated_instances.jsonl", as_lines(
        {"user_id": row["annotator"], "instance_id": row["item"], **potato(row)} for row in LONG))),
    "Potato, a scale and a row without an answer": Export(text_file("annotated_instances.csv", as_csv(
        [*({"user": row["annotator"], "instance_id": row["item"], "displayed_text": row["text"], "why:::text_box": "so it is",
            "tone:::scale_1": "" if row["label"] else "1", "tone:::scale_2": "2" if row["label"] else "", "span_annotation:::x": "[]"} for row in LONG),
         {"user": "dan", "instance_id": 1, "displayed_text": TEXTS[0]}])), 1, classes=("scale_1", "scale_2")),
    "Potato 2, a table": Export(both(text_file("annotations.csv", as_csv(MARKED)), POTATO_ITEMS)),
    "Potato 2, lines": Export(both(text_file("annotations.jsonl", as_lines(
        {"instance_id": f"i{row['item']}", "user_id": row["annotator"], "labels": {"tone": {word(row): True}}, "spans": {}, "links": {}} for row in LONG)), POTATO_ITEMS)),
    "Potato 2, what it keeps": Export(both(folder_of(*(text_file(f"{who}/user_state.json", json.dumps(state(who), indent=2)) for who in PEOPLE)), POTATO_ITEMS)),
    "LeWiDi 2023, turns of a talk": Export(text_file("ConvAbuse_dev.json", json.dumps(
        {str(item): {"text": json.dumps({**TURNS, "user": text}), "number of annotations": 3, "annotations": ",".join(map(str, labels)), "annotators": "Ann1,Ann2,Ann3",
                     "lang": "en", "hard_label": "0", "soft_label": {"0": 0.3}, "split": "dev", "other_info": {}} for item, text, labels in ITEMS})), classes=("0", "1")),
    "GoEmotions, parts": Export(folder_of(*(text_file(f"goemotions_{number}.csv", as_csv(
        {"text": row["text"], "id": f"e{row['item']}", "rater_id": row["annotator"], "example_very_unclear": False, "no": 1 - row["label"], "yes": row["label"]}
        for row in rows)) for number, rows in enumerate((LONG[:5], LONG[5:]), start=1)))),
}  # fmt: skip
