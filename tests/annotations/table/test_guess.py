import json
from pathlib import Path

import pytest

from soft_labels.annotations.table.guess import guess_table
from soft_labels.annotations.table.read import read_table
from soft_labels.errors import DataError
from tests.annotations.table.exports import ANSWERS, EXPORTS, result
from tests.annotations.table.layouts import ITEMS, LONG, R_LAYOUTS, as_csv, as_lines


@pytest.mark.slow
@pytest.mark.parametrize("layout", R_LAYOUTS)
def test_a_layout_is_guessed_and_read(layout: str, tmp_path: Path) -> None:
    first, *second = R_LAYOUTS[layout](tmp_path)
    guess = guess_table(first, second[0] if second else None)
    data = read_table(guess.path, guess.table_settings())
    chosen = [[int(count) for count in row if count] for row in data.label_counts.tolist()]
    assert sorted(map(sorted, chosen)) == [[1, 2], [1, 2], [3]], guess
    totals = sorted(total for total in data.label_counts.sum(0).tolist() if total)
    assert (len(data), totals) == (3, [3, 6]), guess


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTS)
def test_what_does_not_count_in_an_export_is_left_out_and_counted(name: str, tmp_path: Path) -> None:
    export = EXPORTS[name]
    first, *second = export.make(tmp_path)
    guess = guess_table(first, second[0] if second else None)
    data = read_table(guess.path, guess.table_settings())
    assert data.reading is not None
    assert data.class_names == export.classes, guess
    assert sum(data.reading.rows_dropped.values()) == export.dropped, data.reading
    chosen = [[int(count) for count in row if count] for row in data.label_counts.tolist()]
    assert sorted(map(sorted, chosen)) == [[1, 2], [1, 2], [3]], guess
    people = None if data.annotations is None else len(data.annotations.annotators)
    assert people == (3 if export.people else None)


@pytest.mark.parametrize("layout", ["row numbers", "rating by its values", "GoEmotions", "MTurk", "Argilla 2", "wide"])
def test_annotators_are_found(layout: str, tmp_path: Path) -> None:
    (path,) = R_LAYOUTS[layout](tmp_path)
    data = read_table(path, guess_table(path).table_settings())
    assert data.annotations is not None
    assert (len(data.annotations.annotators), len(data.annotations)) == (3, 9)


HEADER = "item,text,no,yes\n"
NUMBERS = "hold numbers as"


def lines(**more: object) -> str:
    """Items with something beside them, a line each."""
    return as_lines({"id": item, "text": text, **more} for item, text, _ in ITEMS)


REFUSED: dict[str, tuple[str, str, str]] = {
    "thousands": ("t.csv", HEADER + '1,a b,"1,000","2,000"\n2,c d,"3,000",0\n', NUMBERS),
    "percent": ("t.csv", HEADER + "1,a b,33.3%,66.7%\n2,c d,100%,0%\n", NUMBERS),
    "decimal commas": ("t.csv", "item;text;no;yes\n1;a b;0,3333;0,6667\n2;c d;1,0;0,0\n", NUMBERS),
    "spans": ("t.jsonl", lines(spans=[{"start": 0, "end": 4, "label": "X"}]), "no column looks like labels"),
    "spans in lists": ("t.jsonl", lines(label=[[0, 4, "X"]]), "no column looks like labels"),
    "pairs in lists": ("t.jsonl", lines(label=[["ann", 0], ["bea", 1]]), "no column looks like labels"),
    "transposed": ("t.csv", as_csv([{"annotator": who, "Thanks a lot": 1, "Send it now": 0} for who in "ab"]),
                   "no column looks like a text"),
    "no text": ("t.csv", as_csv([{"item": r["item"], "annotator": r["annotator"], "label": r["label"]} for r in LONG]),
                "no column looks like a text"),
    "fastText": ("t.txt", "__label__no Thanks a lot\n__label__yes Send it, now\n",
                 "lines of fastText, which name no item"),
    "no line of names": ("t.tsv", "".join(f"{r['text']}\t{r['label']}\te{r['item']}\n" for r in LONG),
                         r"the first row is no line of names, .* name the columns with --data\.header"),
    "spans of Label Studio": ("t.json", json.dumps([{"id": i, "data": {"text": t}, "annotations": [{"id": 1, "result": [
        result("labels", "ner", {"start": 0, "end": 4, "labels": ["X"]})]}]} for i, t, _ in ITEMS]),
        "no result of annotations is a label"),
    "lists of nothing": ("t.jsonl", lines(label=[[0, 4, "X"]], Comments=[]), "no column looks like labels"),
    "no label": ("t.csv", as_csv([{"item": i, "text": t} for i, t, _ in ITEMS]), "no column looks like labels"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_annotation_of_items_is_refused_in_words(kind: str, tmp_path: Path) -> None:
    name, text, message = REFUSED[kind]
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        guess_table(tmp_path / name)


def test_what_a_tool_asked_besides_is_said(tmp_path: Path) -> None:
    (path,) = R_LAYOUTS["Prodigy, several labels"](tmp_path)
    assert any("several labels were asked for" in doubt for doubt in guess_table(path).doubts)
    flat = [{"id": i, "text": t, "tone.responses": ["no"] * 3, "tone.responses.users": ["a", "b", "c"],
             "tone.responses.status": ["submitted", "draft", "discarded"], "other.responses": ["x"] * 3,
             "other.responses.users": ["a", "b", "c"]} for i, t, _ in ITEMS]  # fmt: skip
    (tmp_path / "flat.json").write_text(json.dumps(flat), encoding="utf-8")
    guess = guess_table(tmp_path / "flat.json")
    assert "several questions; tone.responses is read, not other.responses (label_column)" in guess.doubts
    assert guess.settings["where"] == {"tone.responses.status": "submitted"}


def test_counts_of_0_and_1_may_be_annotators(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,Kim,Lee,Sam\na b,0,1,1\nc d,1,1,1\ne f,0,0,1\n", encoding="utf-8")
    assert any("if each is an annotator, set form: wide" in doubt for doubt in guess_table(tmp_path / "t.csv").doubts)


@pytest.mark.parametrize("labels", [("1 rude", "2 neutral", "3 polite"), ("not at all", "somewhat", "very much so")])
def test_labels_of_several_words_in_a_column_of_any_name_are_found(tmp_path: Path, labels: tuple[str, ...]) -> None:
    rows = [
        f"m{row // 3},r{row % 5},What did you mean by this? ({row // 3}),{labels[row * 7 % 3]}" for row in range(90)
    ]
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(["mail_id,rater,body,tone", *rows]) + "\n", encoding="utf-8")
    settings = guess_table(path, None, {}).settings
    assert (settings["label_column"], settings["text_column"]) == ("tone", "body")


def test_answers_by_annotator_are_not_taken_for_answers_by_item(tmp_path: Path) -> None:
    turned = {who: {item: ANSWERS[item][who] for item in ANSWERS} for who in ("0", "1")}
    (tmp_path / "answers.json").write_text(json.dumps(turned))
    (tmp_path / "texts.csv").write_text(as_csv({"id": item, "text": text} for item, text, _ in ITEMS))
    with pytest.raises(DataError, match=r"this is \{annotator: \{item: label\}\}; write it as"):
        guess_table(tmp_path / "answers.json", tmp_path / "texts.csv")


def test_columns_may_be_named_by_their_places(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("0,1,2\n1,Thanks a lot,0\n1,Thanks a lot,2\n2,Send it now,2\n2,Send it now,0\n")
    guess = guess_table(tmp_path / "t.csv", None, {"label_column": "2", "text_column": "1"})
    assert guess.settings["uid_column"] is None  # and the first row is not refused, though 2 is a value of the column 2


@pytest.mark.parametrize("given", [{"label_column": "nosuch"}, {"where": {"nosuch": "x"}}])
def test_a_column_that_is_not_there_is_left_to_the_reader(given: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(as_csv(LONG))
    guess = guess_table(tmp_path / "t.csv", None, given)
    with pytest.raises(DataError, match="no column nosuch; the columns there are item, annotator, text, label"):
        read_table(guess.path, guess.table_settings())
