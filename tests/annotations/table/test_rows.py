"""Bad input: one message that names the row, the column, how many rows are alike, and the key to set."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.table.read import read_table
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.errors import SoftLabelsError

HEAD = "item,who,text,label\n"
GOOD = "1,a,one,0\n1,b,one,1\n2,a,two,1\n2,b,two,1\n"
LONG = {"uid_column": "item", "text_column": "text", "annotator_column": "who", "label_column": "label"}


def read(folder: Path, content: str | bytes, name: str = "t.csv", **settings: Any) -> AnnotatedData:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    wanted = {key: value for key, value in {**LONG, **settings}.items() if value != "-"}
    return read_table(path, TableSettings(**wanted))


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


NONE: dict[str, Any] = {"annotator_column": None, "label_column": None}
BAD: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "empty file": ("", {}, "empty; a table needs a header"),
    "header alone": (HEAD, {}, "no rows"),
    "too few fields": (HEAD + GOOD + "3,a,x\n", {}, r"row 5 .*: 3 fields, but the header has 4"),
    "too many fields, twice": (HEAD + "3,a,x, y,0\n" + GOOD + "3,b,x, y,0\n", {}, r"row 1 .*: 5 fields.* \(2 rows differ so\)"),
    "lines above the header": ("exported by x\n" + HEAD + GOOD, {}, "remove lines above the header"),
    "unclosed quote that swallows rows": (HEAD + '1,a,"one,0\n' + GOOD.replace("one", 'on"e') + "9,a,x\n", {}, "row .* fields"),
    "missing column": (HEAD + GOOD, {"label_column": "vote"}, "no column vote; the columns there are item, who, text, label"),
    "missing nested name": (HEAD + GOOD, {"text_column": "example.premise"}, "no column example.premise"),
    "nested name in no object": (HEAD + GOOD, {"text_column": "text.body"}, r"row 1 .*: no value in column 'text.body' \(4 rows are so\)"),
    "blank label": (HEAD + GOOD + "3,a,x,\n3,b,x, \n", {}, r"row 5 .*: no value in column 'label' \(2 rows are so\).*missing: drop"),
    "blank id": (HEAD + " ,a,x,0\n" + GOOD, {}, r"row 1 .*: no value in column 'item'; .*missing: drop"),
    "blank text": (HEAD + GOOD + "3,a, ,0\n", {}, "row 5 .*: no value in column 'text'"),
    "blank annotator": (HEAD + GOOD + "3,,x,0\n", {}, "row 5 .*: no value in column 'who'"),
    "annotator again": (HEAD + GOOD + "1,a ,one,0\n", {}, "row 5 .*: annotator 'a' labels item '1' again; .*repeats: first, last or all"),
    "another text": (HEAD + GOOD + "1,c,other,0\n", {}, "row 5 .*: item '1' has another input than in its first row; .*uid_column to null"),
    "another group": ("item,who,text,label,g\n1,a,one,0,x\n1,b,one,1,y\n", {"group_column": "g"}, "row 2 .*: item '1' has another group"),
    "label outside class_names": (HEAD + GOOD, {"class_names": ["1", "2"]}, r"row 1 .*: label '0' is none of the classes 1, 2; .*ignore_labels"),
    "label outside the scale": (HEAD + GOOD, {"scale": [1, 5]}, "row 1 .*: label '0' is none of the classes 1, 2, 3, 4, 5; correct the row or scale"),
    "one class": (HEAD + "1,a,one,0\n", {}, r"at least two classes, each named once, got \['0'\]; set class_names"),
    "a class twice": (HEAD + GOOD, {"class_names": ["0", "1", "1.0"]}, "each named once"),
    "bare yes": (HEAD + GOOD, {"class_names": [True, False]}, r'class_names: YAML reads a bare yes, on or true as true.*quotes: "yes"'),
    "bare no for two labels": (HEAD + "1,a,x,no\n1,b,x,No\n1,c,x,yes\n", {"class_names": [False, "yes"]}, "stands for labels No, no here"),
    "bare no column": ("item,text,no,yes\n1,x,1,2\n", {"form": "counts", **NONE, "count_columns": [False, True]}, 'quotes: "no"'),
    "ordered words": (HEAD + "1,a,x,low\n1,b,x,high\n", {"ordinal": True}, r"row|order; set class_names: \[high, low\] in the right order"),
    "a text for a label": (HEAD + "".join(f"{n},a,x{n},label {n}\n" for n in range(1100)), {}, "1,100 different labels, such as .*label_column"),
    "scale the wrong way": (HEAD + GOOD, {"scale": [5, 1]}, r"wanted scale: \[least, greatest\].*got \[5, 1\]"),
    "scale and names": (HEAD + GOOD, {"scale": [0, 1], "class_names": ["0", "1"]}, "leave one of them out"),
    "where leaves nothing": (HEAD + GOOD, {"where": {"who": "z"}}, "no row is left .*4 rows: who is not z"),
    "where on a missing column": (HEAD + GOOD, {"where": {"status": "ok"}}, "no column status"),
    "where with another word": (HEAD + GOOD, {"where": {"who": {"is": "a"}}}, r"where wants .* or \{not: \.\.\.\} for 'who'"),
    "where without values": (HEAD + GOOD, {"where": {"who": []}}, "where wants a value, a list of values"),
    "all labels ignored": (HEAD + GOOD, {"ignore_labels": [0, 1]}, "no row is left .*label '0' is ignored"),
    "several labels": (lines({"item": 1, "who": "a", "text": "x", "label": ["0", "1"]}), {}, r"row 1 .*: 2 labels in one answer \(0, 1\); set several"),
    "bad count of rows": ("item,text,label,n\n1,x,0,many\n1,x,1,2\n", {"annotator_column": None, "count_column": "n"}, "row 1 .*column 'n' wants a finite count .* got 'many'"),
    "negative count": ("item,text,no,yes\n1,x,-1,2\n", {"form": "counts", **NONE, "count_columns": ["no", "yes"]}, "row 1 .*column 'no' wants .* got '-1'"),
    "infinite count": ("item,text,no,yes\n1,x,inf,2\n", {"form": "counts", **NONE, "count_columns": ["no", "yes"]}, "got 'inf'"),
    "all counts zero": ("item,text,no,yes\n1,x,,0\n2,y,0,\n3,z,1,2\n", {"form": "counts", **NONE, "count_columns": ["no", "yes"]}, r"row 1 .*: all counts are zero \(2 rows are so\).*missing: drop"),
    "a uid again in counts": ("item,text,no,yes\n1,x,1,0\n1,x,0,2\n", {"form": "counts", **NONE, "count_columns": ["no", "yes"]}, "row 2 .*: uid '1' occurs again.*repeats"),
    "not one-hot": ("item,text,no,yes\n1,x,1,0\n1,x,0,2\n", {"form": "one_hot", **NONE, "count_columns": ["no", "yes"]}, "row 2 .*column 'yes' wants 0 or 1, got '2'; .*form: counts"),
    "no class marked": ("item,text,no,yes\n1,x,1,0\n1,x,0,0\n", {"form": "one_hot", **NONE, "count_columns": ["no", "yes"]}, "row 2 .*: no class is marked; .*missing: drop"),
    "two classes marked": ("item,text,no,yes\n1,x,1,1\n", {"form": "one_hot", **NONE, "count_columns": ["no", "yes"]}, "row 1 .*: 2 labels in one answer"),
    "nobody in a wide row": ("item,text,a,b\n1,x,0,1\n2,y,,\n", {"form": "wide", **NONE, "label_columns": ["a", "b"]}, "row 2 .*: no annotation; .*missing: drop"),
    "lists of two lengths": ("item,text,label,who\n1,x,\"0,1\",\"a,b,c\"\n", {"form": "list"}, "row 1 .*: column 'label' has 2 labels but 'who' 3 annotators"),
    "null in a list": (lines({"item": 1, "text": "x", "label": [0, None, 1]}), {"form": "list", "annotator_column": None}, "row 1 .*: no value in column 'label'"),
    "no dictionary": (HEAD + GOOD, {"form": "by_annotator", "annotator_column": None}, r"row 1 .*column 'label' wants \{annotator: label\}, got '0' \(4 rows are so\)"),
    "empty dictionary": (lines({"item": 1, "text": "x", "label": {}}), {"form": "by_annotator", "annotator_column": None}, "row 1 .*: no annotation"),
    "words for counts": (lines({"item": 1, "text": "x", "label": {"no": "few", "yes": 1}}), {"form": "by_label", "annotator_column": None}, "row 1 .*column 'label' wants finite counts .* got 'few'"),
    "lists of counts of two lengths": (lines({"item": 1, "text": "x", "label": [1, 2]}, {"item": 2, "text": "y", "label": [1, 2, 0]}), {"form": "by_label", "annotator_column": None}, "row 2 .*has 3 counts, but 2 in the first row"),
    "zero counts in a cell": (lines({"item": 1, "text": "x", "label": [0, 0]}, {"item": 2, "text": "y", "label": [1, 2]}), {"form": "by_label", "annotator_column": None}, "row 1 .*: all counts are zero"),
    "no input": (HEAD + GOOD, {"text_column": None}, "wanted one kind of input"),
    "two inputs": (HEAD + GOOD, {"image_column": "text"}, "wanted one kind of input"),
    "template without columns": (HEAD + GOOD, {"text_column": None, "text_template": "text"}, "text_template wants columns in braces"),
    "template with a missing column": (HEAD + GOOD, {"text_column": None, "text_template": "{text} {more}"}, "no column more"),
    "wide without columns": (HEAD + GOOD, {"form": "wide"}, "form 'wide' wants label_columns and no label_column"),
    "about whom": (HEAD + GOOD, {"annotator_column": None, "about_annotators": ["who"]}, "about_annotators wants annotator_column"),
    "an encoding that is not": (HEAD.encode() + "1,a,é,0\n".encode("latin-1"), {"encoding": "utf-8"}, "row|not text in utf-8|set encoding"),
    "an encoding that is none": (HEAD + GOOD, {"encoding": "klingon"}, "klingon"),
}  # fmt: skip
BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "another suffix": ("t.xlsx", b"x", r"ends in \.csv, .*got '\.xlsx'"),
    "damaged gz": ("t.csv.gz", gzip.compress(HEAD.encode())[:12], "cannot be unpacked"),
    "no parquet": ("t.parquet", b"PAR1 no", "cannot be read"),
    "cut json": ("t.json", b'[{"item": 1, "te', "cannot|Malformed|unexpected"),
    "cut line": (
        "t.jsonl",
        lines({"item": 1}).encode() + b'{"item": 2, "wh',
        "line 2: wanted one JSON object, got .*truncated",
    ),
    "numbers in json": ("t.json", b"[1, 2, 3]", "wanted objects, got 3 "),
    "a number": ("t.json", b"17", "wanted|objects"),
    "several tables": ("t.json", b'{"a": [{"x": 1}], "b": [{"x": 1}]}', "records below each of a, b"),
    "empty json": ("t.json", b"  \n", "empty"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_in_words(kind: str, tmp_path: Path) -> None:
    content, settings, words = BAD[kind]
    name = "t.jsonl" if isinstance(content, str) and content.startswith("{") else "t.csv"
    with pytest.raises(SoftLabelsError, match=words) as refused:
        read(tmp_path, content, name, **settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_in_words(kind: str, tmp_path: Path) -> None:
    name, content, words = BAD_FILES[kind]
    with pytest.raises(SoftLabelsError, match=words):
        read(tmp_path, content, name)


def test_rows_left_out_are_counted(tmp_path: Path) -> None:
    more = "3,a,x,\n3,b,x,NA\n3,c,x,0\n3,d,x,1\n,e,x,1\n1,a,one,1\n9,z,spam,1\n"
    data = read(
        tmp_path,
        HEAD + GOOD + more,
        missing="drop",
        ignore_labels=["NA"],
        repeats="first",
        where={"who": {"not": ["z"]}},
    )
    assert data.reading is not None
    assert dict(data.reading.rows_dropped) == {
        "who is z": 1,
        "no value in column 'item'": 1,
        "no value in column 'label'": 1,
        "label 'NA' is ignored": 1,
        "an annotator labels an item again (repeats: first)": 1,
    }
    assert (data.reading.rows_read, int(data.label_counts.sum())) == (11, 6)
    assert data.label_counts.tolist() == [[1, 1], [0, 2], [1, 1]]


def test_items_that_lose_all_annotations_are_said(tmp_path: Path) -> None:
    data = read(tmp_path, HEAD + GOOD + "3,a,x,NA\n", ignore_labels=["NA", "n/a"])
    assert data.uids == ("1", "2")
    assert data.reading is not None
    assert any("1 items have lost all their annotations" in warning for warning in data.reading.warnings)
    assert any("ignore_labels names labels that do not occur: n/a" in warning for warning in data.reading.warnings)


@pytest.mark.parametrize(("repeats", "counts"), [("first", [1, 1]), ("last", [0, 2]), ("all", [1, 2])])
def test_repeats(tmp_path: Path, repeats: str, counts: list[int]) -> None:
    data = read(tmp_path, HEAD + GOOD + "1,a,one,1\n", repeats=repeats, class_names=["0", "1"])
    assert data.label_counts[0].tolist() == counts


@pytest.mark.parametrize(("repeats", "counts"), [("first", [3, 0]), ("last", [0, 5]), ("all", [3, 5])])
def test_repeated_rows_of_counts(tmp_path: Path, repeats: str, counts: list[int]) -> None:
    table = "item,text,no,yes\n1,x,3,0\n1,x,0,5\n2,y,1,1\n"
    data = read(tmp_path, table, form="counts", **NONE, count_columns=["no", "yes"], repeats=repeats)
    assert data.label_counts[0].tolist() == counts


@pytest.mark.parametrize(
    ("several", "counts"), [("each", [2, 1]), ("share", [1.5, 0.5]), ("drop", [1, 0])],
)  # fmt: skip
def test_several_labels_in_one_answer(tmp_path: Path, several: str, counts: list[float]) -> None:
    records = [("1", "a", ["0", "1"]), ("1", "b", ["0"]), ("2", "a", ["1"])]
    table = lines(*({"item": item, "who": who, "text": item, "label": label} for item, who, label in records))
    assert read(tmp_path, table, "t.jsonl", several=several).label_counts[0].tolist() == counts


def test_a_joined_table_wants_every_item(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("id,text\n1,one\n")
    with pytest.raises(SoftLabelsError, match=r"row 3 .*: no row of .*texts.csv has its item \(2 rows are so\)"):
        read(
            tmp_path,
            "item,who,label\n1,a,0\n1,b,1\n2,a,1\n2,b,1\n",
            items_path=tmp_path / "texts.csv",
            items_uid_column="id",
        )
    (tmp_path / "texts.csv").write_text("id,text\n1,one\n2,two\n2,again\n")
    with pytest.raises(SoftLabelsError, match=r"texts.csv, row 3 .*: id '2' occurs again"):
        read(tmp_path, "item,who,label\n1,a,0\n2,b,1\n", items_path=tmp_path / "texts.csv", items_uid_column="id")


def test_an_id_from_several_columns_or_from_the_text(tmp_path: Path) -> None:
    table = "post,reply,who,text,label\np,1,a,x,0\np,1.0,b,x,1\np,2,a,y,1\nq,1,a,z,1\n"
    assert read(tmp_path, table, uid_column=["post", "reply"]).uids == ("p/1", "p/2", "q/1")
    by_text = read(tmp_path, table, uid_column=None)
    assert sorted(by_text.label_counts.tolist()) == [[0, 1], [0, 1], [1, 1]]
    assert all(len(uid) == 16 for uid in by_text.uids)


def test_a_text_made_of_several_columns(tmp_path: Path) -> None:
    table = "item,who,a,b,c,label\n1,x,one,two,{three},0\n2,x,four,five,six,1\n"
    data = read(tmp_path, table, text_column=None, text_template="A: {a} {{b}}'s {c}")
    assert list(data.inputs) == ["A: one {two}'s {three}", "A: four {five}'s six"]
