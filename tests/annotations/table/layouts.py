"""Small files in layouts that people have; each holds the same answers: 1 {0: 2, 1: 1}, 2 {1: 3}, 3 {0: 1, 1: 2}."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

TEXTS = ("Thanks a lot", "Send it now", "Well then, go")
ANSWERS = ((0, 0, 1), (1, 1, 1), (0, 1, 1))
PEOPLE = ("ann", "bea", "cem")
LONG: list[dict[str, Any]] = [
    {"item": item, "annotator": who, "text": text, "label": label}
    for item, (text, labels) in enumerate(zip(TEXTS, ANSWERS, strict=True), start=1)
    for who, label in zip(PEOPLE, labels, strict=True)
]
ITEMS = [(item, text, labels) for item, (text, labels) in enumerate(zip(TEXTS, ANSWERS, strict=True), start=1)]
Make = Callable[[Path], Sequence[Path]]


def as_csv(rows: Iterable[dict[str, Any]], **options: Any) -> str:
    rows = list(rows)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), **{"lineterminator": "\n", **options})
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_lines(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def text_file(name: str, text: str, encoding: str = "utf-8") -> Make:
    def make(folder: Path) -> list[Path]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return [path]

    return make


def renamed(**names: str) -> list[dict[str, Any]]:
    return [{names.get(key, key): value for key, value in row.items()} for row in LONG]


def both(first: Make, second: Make) -> Make:
    return lambda folder: [*first(folder), *second(folder)]


def folder_of(*files: Make) -> Make:
    def make(folder: Path) -> list[Path]:
        for file in files:
            file(folder / "parts")
        return [folder / "parts"]

    return make


def parquet(name: str, rows: Sequence[dict[str, Any]]) -> Make:
    def make(folder: Path) -> list[Path]:
        pl.DataFrame(rows).write_parquet(folder / name)
        return [folder / name]

    return make


def packed(name: str, text: str) -> Make:
    def make(folder: Path) -> list[Path]:
        (folder / name).write_bytes(gzip.compress(text.encode()))
        return [folder / name]

    return make


def saved_dataset(folder: Path) -> list[Path]:
    """As ``datasets.Dataset.save_to_disk`` leaves it: an Arrow stream and two descriptions."""
    place = folder / "saved"
    place.mkdir()
    pl.DataFrame(LONG).write_ipc_stream(place / "data-00000-of-00001.arrow")
    names = {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}, "text": {"dtype": "string", "_type": "Value"}}
    (place / "dataset_info.json").write_text(json.dumps({"features": names}))
    (place / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    return [place]


def dataset_dict(folder: Path) -> list[Path]:
    """The same with a folder for each part."""
    for part, rows in (("train", LONG[:6]), ("test", LONG[6:])):
        (folder / "saved" / part).mkdir(parents=True)
        pl.DataFrame(rows).write_ipc_stream(folder / "saved" / part / "data-00000-of-00001.arrow")
        (folder / "saved" / part / "dataset_info.json").write_text("{}")
    (folder / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    return [folder / "saved"]


def many(rows: int = 3) -> list[dict[str, Any]]:
    """A column for each annotator."""
    return [
        {"id": item, "sentence": text, **{f"rater{n}": labels[n - 1] for n in range(1, rows + 1)}}
        for item, text, labels in ITEMS
    ]


def counts(labels: Sequence[int]) -> list[int]:
    return [labels.count(0), labels.count(1)]


def label_studio(item: int, text: str, labels: Sequence[int], **more: Any) -> dict[str, Any]:
    def result(label: int) -> dict[str, Any]:
        return {
            "id": f"r{label}",
            "from_name": "tone",
            "to_name": "text",
            "type": "choices",
            "value": {"choices": [str(label)]},
        }

    people = [{"id": who, "email": f"{who}@example.org"} for who in PEOPLE] if more.get("full") else [1, 2, 3]
    done = [
        {"id": item * 10 + n, "completed_by": people[n], "was_cancelled": False, "result": [result(label)]}
        for n, label in enumerate(labels)
    ]
    skipped = (
        [{"id": item * 100, "completed_by": 9, "was_cancelled": True, "result": []}] if more.get("skipped") else []
    )
    return {"id": item, "data": {"my_text": text, "source": "mail"}, "annotations": done + skipped, "predictions": []}


def argilla(item: int, text: str, labels: Sequence[int]) -> dict[str, Any]:
    responses = [
        {"value": str(label), "user_id": f"u-{who}", "status": "submitted"}
        for who, label in zip(PEOPLE, labels, strict=True)
    ]
    return {
        "id": f"rec-{item}",
        "fields": {"text": text},
        "metadata": {},
        "suggestions": {},
        "vectors": {},
        "responses": {"tone": responses},
    }


def rating(rows: Sequence[dict[str, Any]] = LONG) -> list[dict[str, Any]]:
    return [{"instance": row["item"], "coder": row["annotator"], "gender": "fmx"[PEOPLE.index(row["annotator"])],
             "topic": ["a", "b", "a"][row["item"] - 1], "email": row["text"], "polite": row["label"]} for row in rows]  # fmt: skip


R_LAYOUTS: dict[str, Make] = {
    # delimiters, quoting, encodings, line ends
    "bars": text_file("t.csv", as_csv(LONG, delimiter="|")),
    "tabs in .txt": text_file("t.txt", as_csv(LONG, delimiter="\t")),
    "tabs in .csv": text_file("t.csv", as_csv(LONG, delimiter="\t")),
    "semicolons, commas in texts": text_file("t.csv", as_csv(LONG, delimiter=";")),
    "all quoted": text_file("t.csv", as_csv(LONG, quoting=csv.QUOTE_ALL)),
    "crlf": text_file("t.csv", as_csv(LONG, lineterminator="\r\n")),
    "cr only, quoted": text_file("t.csv", as_csv(LONG, lineterminator="\r", quoting=csv.QUOTE_ALL)),
    "mixed line ends": text_file("t.csv", as_csv(LONG).replace("\n", "\r\n", 4)),
    "no last line end": text_file("t.csv", as_csv(LONG).rstrip("\n")),
    "blank lines between": text_file("t.csv", as_csv(LONG).replace("\n", "\n\n")),
    "bom": text_file("t.csv", as_csv(LONG), "utf-8-sig"),
    "utf-16 with mark, tabs": text_file("t.tsv", as_csv(LONG, delimiter="\t"), "utf-16"),
    "utf-16 without mark": text_file("t.csv", as_csv(LONG), "utf-16-le"),
    "latin-1 accents": text_file("t.csv", as_csv(renamed()).replace("Well", "Wéll"), "latin-1"),
    "texts of several lines": text_file("t.csv", as_csv([{**row, "text": f"{row['text']}\n\nBye, all"} for row in LONG])),
    "doubled quotes": text_file("t.csv", as_csv([{**row, "text": f'He said "{row["text"]}", loud'} for row in LONG])),
    "backslash quotes": text_file("t.csv", as_csv(
        [{**row, "text": f'Say "{row["text"]}", all'} for row in LONG], doublequote=False, escapechar="\\")),
    "single quotes": text_file("t.csv", as_csv(LONG, quotechar="'")),
    "line separators in a text": text_file("t.csv", as_csv([{**row, "text": f"{row['text']}\u2028and more"} for row in LONG])),
    "index column": text_file("t.csv", as_csv([{"": n, **row} for n, row in enumerate(LONG)])),
    "gz": packed("t.csv.gz", as_csv(LONG)),
    "jsonl gz": packed("t.jsonl.gz", as_lines(LONG)),
    # JSON and Parquet
    "array of one line": text_file("t.json", json.dumps(LONG)),
    "array over many lines": text_file("t.json", json.dumps(LONG, indent=2)),
    "lines in .json": text_file("t.json", as_lines(LONG)),
    "array in .jsonl": text_file("t.jsonl", json.dumps(LONG)),
    "records below a key": text_file("t.json", json.dumps({"version": 2, "data": LONG})),
    "pandas split": text_file("t.json", json.dumps(
        {"columns": list(LONG[0]), "index": list(range(9)), "data": [list(row.values()) for row in LONG]})),
    "pandas columns": text_file("t.json", json.dumps(
        {key: {str(n): row[key] for n, row in enumerate(LONG)} for key in LONG[0]})),
    "one array a column": text_file("t.json", json.dumps({key: [row[key] for row in LONG] for key in LONG[0]})),
    "utf-16 json": text_file("t.json", json.dumps(LONG), "utf-16"),
    "a key that comes late": text_file("t.jsonl", as_lines([*LONG[:8], {**LONG[8], "note": "late"}])),
    "parquet": parquet("t.parquet", LONG),
    "parquet, floats": parquet("t.parquet", [{**row, "item": float(row["item"]), "label": float(row["label"])} for row in LONG]),
    "saved data set": saved_dataset,
    "saved parts": dataset_dict,
    # long
    "crowd-kit": both(text_file("a.csv", as_csv([{"task": r["item"], "worker": r["annotator"], "label": r["label"]} for r in LONG])),
                      text_file("b.csv", as_csv([{"task": i, "text": t} for i, t, _ in ITEMS]))),
    "joined by keys of other names": both(
        text_file("a.csv", as_csv([{"qid": f"q{r['item']}", "judge_id": r["annotator"], "stance": r["label"]} for r in LONG])),
        text_file("b.jsonl", as_lines({"question_id": f"q{i}", "body": {"sentence": t}} for i, t, _ in ITEMS))),
    "two parts": both(text_file("a.csv", as_csv(LONG[:5])), text_file("b.csv", as_csv(LONG[5:]))),
    "a folder of parts": folder_of(text_file("a.csv", as_csv(LONG[:5])), text_file("b.csv", as_csv(LONG[5:]))),
    "rating by its values": text_file("t.csv", as_csv(rating())),
    "no annotators": text_file("t.csv", as_csv([{"item": r["item"], "text": r["text"], "label": r["label"]} for r in LONG])),
    "no id": text_file("t.csv", as_csv([{"worker": r["annotator"], "comment": r["text"], "rating": r["label"]} for r in LONG])),
    "row numbers": text_file("t.csv", as_csv([{"id": n, "user_id": r["annotator"], "tweet": r["text"], "answer": r["label"]}
                                              for n, r in enumerate(LONG)])),
    "booleans": text_file("t.jsonl", as_lines([{**r, "label": bool(r["label"])} for r in LONG])),
    "counted labels": text_file("t.csv", as_csv([{"item": i, "text": t, "label": c, "votes": labels.count(c)}
                                                 for i, t, labels in ITEMS for c in (0, 1) if labels.count(c)])),
    # one item a row
    "wide": text_file("t.csv", as_csv(many())),
    "wide words": text_file("t.csv", as_csv([{"uid": i, "text": t, **dict(zip(("Anna", "Ben", "Cleo"), [("no", "yes")[n] for n in labels], strict=True))}
                                             for i, t, labels in ITEMS])),
    "counts": text_file("t.csv", as_csv([{"uid": i, "text": t, "neg": counts(labels)[0], "pos": counts(labels)[1]} for i, t, labels in ITEMS])),
    "lists with bars": text_file("t.csv", as_csv([{"uid": i, "text": t, "labels": "|".join(map(str, labels))} for i, t, labels in ITEMS])),
    "python lists": text_file("t.csv", as_csv([{"uid": i, "text": t, "labels": str([("no", "yes")[n] for n in labels])} for i, t, labels in ITEMS])),
    "numpy lists": text_file("t.csv", as_csv([{"uid": i, "text": t, "labels": f"[{' '.join(map(str, labels))}]"} for i, t, labels in ITEMS])),
    "python dictionaries": text_file("t.csv", as_csv([{"uid": i, "text": t, "annotations": str(dict(zip(PEOPLE, labels, strict=True)))} for i, t, labels in ITEMS])),
    "counter": text_file("t.jsonl", as_lines({"uid": i, "text": t, "votes": {"no": counts(labels)[0], "yes": counts(labels)[1]}} for i, t, labels in ITEMS)),
    "a counter in csv": text_file("t.csv", as_csv([{"uid": i, "text": t, "label_counts": json.dumps({"no": counts(labels)[0], "yes": counts(labels)[1]})} for i, t, labels in ITEMS])),
    "list of structs in parquet": parquet("t.parquet", [{"id": i, "text": t, "labels": [str(n) for n in labels], "annotators": list(PEOPLE)} for i, t, labels in ITEMS]),
    # of other people
    "German headers": text_file("t.csv", as_csv(renamed(item="Beitrag", annotator="Kodierer", text="Kommentar", label="Urteil"))),
    "French headers": text_file("t.csv", as_csv(renamed(item="phrase_id", annotator="annotateur", text="phrase", label="étiquette"))),
    "Chinese headers": text_file("t.csv", as_csv(renamed(item="编号", annotator="标注员", text="文本", label="标签"))),
    "a line that names the separator": text_file("t.csv", "sep=;\n" + as_csv(LONG, delimiter=";")),
    "utf-16-be": text_file("t.csv", "\ufeff" + as_csv(LONG), "utf-16-be"),
    "the same header three times": text_file("t.csv", "item,text,label,label,label\n" + "".join(f'{i},"{t}",{",".join(map(str, n))}\n' for i, t, n in ITEMS)),
    "ids in the header": text_file("t.csv", as_csv([{"text": t, **dict(zip(("w1021", "w33", "w87"), n, strict=True))} for _, t, n in ITEMS])),
    "addresses in the header": text_file("t.csv", as_csv([{"text": t, **dict(zip(("a@x.org", "b@x.org", "c@x.org"), n, strict=True))} for _, t, n in ITEMS])),
    "a list of answers": text_file("t.jsonl", as_lines({"id": i, "text": t, "annotations": [{"annotator": w, "label": n} for w, n in zip(PEOPLE, labels, strict=True)]} for i, t, labels in ITEMS)),
    "a list of people": text_file("t.jsonl", as_lines({"id": i, "text": t, "annotators": [{"id": w, "gender": "f", "rating": n} for w, n in zip(PEOPLE, labels, strict=True)]} for i, t, labels in ITEMS)),
    "answers by item": text_file("t.json", json.dumps({f"x{i}": {"text": t, "votes": [{"by": w, "vote": ("no", "yes")[n]} for w, n in zip(PEOPLE, labels, strict=True)]} for i, t, labels in ITEMS})),
    "a number of annotators": text_file("t.csv", as_csv([{"item": i, "text": t, "annotators": 3, "no": counts(n)[0], "yes": counts(n)[1]} for i, t, n in ITEMS])),
    "gold beside": text_file("t.csv", as_csv([{**r, "gold_label": 1} for r in LONG])),
    "lists and single labels": text_file("t.jsonl", as_lines({**r, "label": [r["label"]] if n % 2 else r["label"]} for n, r in enumerate(LONG))),
    # tools
    "Label Studio, CSV with skipped": text_file("t.csv", as_csv([{"annotation_id": n, "annotator": r["annotator"], "created_at": "2026-01-01", "id": r["item"], "lead_time": 1.5, "sentiment": ("no", "yes")[r["label"]], "text": r["text"], "updated_at": "2026-01-02", "was_cancelled": "False"} for n, r in enumerate(LONG)]
                                                             + [{"annotation_id": 99, "annotator": "dan", "created_at": "", "id": 1, "lead_time": 1, "sentiment": "", "text": TEXTS[0], "updated_at": "", "was_cancelled": "True"}])),
    "Label Studio, short JSON": text_file("t.json", json.dumps([{"id": r["item"], "text": r["text"], "sentiment": ("no", "yes")[r["label"]], "annotator": n % 3 + 1, "annotation_id": n, "created_at": "2026-01-01", "updated_at": "2026-01-02", "lead_time": 2.5} for n, r in enumerate(LONG)])),
    "Prodigy, several labels": text_file("t.jsonl", as_lines({"text": r["text"], "_input_hash": r["item"] * 7, "_task_hash": r["item"] * k, "label": name, "answer": ("reject", "accept")[abs(r["label"] - k)], "_session_id": f"x-{r['annotator']}"} for k, name in enumerate(("RUDE", "KIND")) for r in LONG)),
    "Potato's Parquet": both(parquet("annotations.parquet", [{"instance_id": f"i{r['item']}", "user_id": r["annotator"], "tone": ("no", "yes")[r["label"]]} for r in LONG]),
                             parquet("items.parquet", [{"item_id": f"i{i}", "text": t} for i, t, _ in ITEMS])),
    "Label Studio, people as objects": text_file("t.json", json.dumps([label_studio(*one, full=True) for one in ITEMS])),
    "Label Studio, skipped": text_file("t.json", json.dumps([label_studio(*one, skipped=True) for one in ITEMS])),
    "Label Studio, rating": text_file("t.json", json.dumps(label_studio_ratings := [
        {**one, "annotations": [{**a, "result": [{**a["result"][0], "type": "rating", "value": {"rating": int(a["result"][0]["value"]["choices"][0])}}]} for a in one["annotations"]]}
        for one in (label_studio(*item) for item in ITEMS)])),
    "Label Studio, CSV": text_file("t.csv", as_csv([{"annotation_id": n, "annotator": r["annotator"], "created_at": "2026-01-01", "id": r["item"], "lead_time": 1.5, "sentiment": r["label"], "text": r["text"], "updated_at": "2026-01-02"} for n, r in enumerate(LONG)])),
    "Argilla 2": text_file("t.json", json.dumps([argilla(*one) for one in ITEMS])),
    "Argilla data set": parquet("t.parquet", [{"id": f"rec-{i}", "status": "completed", "text": t, "tone.responses": [str(n) for n in labels], "tone.responses.users": list(PEOPLE), "tone.responses.status": ["submitted"] * 3} for i, t, labels in ITEMS]),
    "Argilla 1": text_file("t.jsonl", as_lines({"text": t, "tone": [{"user_id": w, "value": str(n), "status": "submitted"} for w, n in zip(PEOPLE, labels, strict=True)], "external_id": i} for i, t, labels in ITEMS)),
    "Prodigy binary": text_file("t.jsonl", as_lines({"text": r["text"], "_input_hash": -r["item"] * 7, "_task_hash": r["item"], "label": "RUDE", "answer": ("reject", "accept")[r["label"]], "_session_id": f"x-{r['annotator']}"} for r in LONG)),
    "Prodigy choice": text_file("t.jsonl", as_lines({"text": r["text"], "_input_hash": r["item"] * 7, "_task_hash": r["item"], "options": [{"id": "0", "text": "no"}, {"id": "1", "text": "yes"}], "accept": [str(r["label"])], "answer": "accept", "_annotator_id": f"x-{r['annotator']}", "_view_id": "choice"} for r in LONG)),
    "doccano users": text_file("t.jsonl", as_lines({"id": i, "text": t, "annotations": [{"label": n, "user": u, "id": i * 10 + u} for u, n in enumerate(labels)], "meta": {}} for i, t, labels in ITEMS)),
    "doccano, a file a user": folder_of(*(text_file(f"{who}.jsonl", as_lines({"id": r["item"], "text": r["text"], "label": [str(r["label"])]} for r in LONG if r["annotator"] == who)) for who in PEOPLE)),
    "Potato, a folder a user": folder_of(*(text_file(f"{who}/annotated_instances.jsonl", as_lines({"id": r["item"], "displayed_text": r["text"], "label_annotations": {"tone": {("polite", "rude")[r["label"]]: "1"}}, "span_annotations": {}, "behavioral_data": {"time_string": "Time spent: 0d 0h 0m 3s "}} for r in LONG if r["annotator"] == who)) for who in PEOPLE)),
    "Potato table": text_file("t.tsv", as_csv([{"user": r["annotator"], "instance_id": r["item"], "displayed_text": r["text"], "tone:::polite": "" if r["label"] else "1", "tone:::rude": "1" if r["label"] else ""} for r in LONG], delimiter="\t")),
    "MTurk": text_file("t.csv", as_csv([{"HITId": f"3H{r['item']}", "AssignmentId": f"A{n}", "WorkerId": f"W{r['annotator']}", "AssignmentStatus": "Approved", "WorkTimeInSeconds": 30 + n, "LifetimeApprovalRate": "100% (1/1)", "Input.sentence": r["text"], "Answer.tone.label": r["label"], "Approve": "", "Reject": ""} for n, r in enumerate(LONG)], quoting=csv.QUOTE_ALL)),
    "LeWiDi 2023": text_file("t.json", json.dumps({str(i): {"text": t, "annotation task": "hate", "number of annotations": 3, "annotations": ",".join(map(str, labels)), "annotators": "Ann1,Ann2,Ann3", "lang": "en", "hard_label": str(max(set(labels), key=labels.count)), "soft_label": {"0": labels.count(0) / 3, "1": labels.count(1) / 3}, "split": "train", "other_info": {}} for i, t, labels in ITEMS})),
    "LeWiDi 2025": text_file("t.json", json.dumps({str(i): {"annotation task": "irony detection", "text": {"post": t, "reply": f"Re: {t}"}, "number of annotations": 3, "annotators": "Ann0,Ann5,Ann7", "annotations": {"Ann0": str(labels[0]), "Ann5": str(labels[1]), "Ann7": str(labels[2])}, "soft_label": {"0.0": labels.count(0) / 3, "1.0": labels.count(1) / 3}, "split": "train", "lang": "en", "other_info": {"source": "reddit"}} for i, t, labels in ITEMS})),
    "peerannot": both(text_file("answers.json", json.dumps({str(i): {str(w): n for w, n in enumerate(labels)} for i, _, labels in ITEMS})), text_file("texts.csv", as_csv([{"id": i, "text": t} for i, t, _ in ITEMS]))),
    "GoEmotions": text_file("t.csv", as_csv([{"text": r["text"], "id": f"eew{r['item']}", "author": "x", "subreddit": "y", "rater_id": PEOPLE.index(r["annotator"]), "example_very_unclear": False, "anger": 1 - r["label"], "joy": r["label"], "neutral": 0} for r in LONG]
                                            + [{"text": "?", "id": "eew9", "author": "x", "subreddit": "y", "rater_id": 5, "example_very_unclear": True, "anger": 0, "joy": 0, "neutral": 0}])),
}  # fmt: skip
