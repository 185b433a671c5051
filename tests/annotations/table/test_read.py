import csv
import json
from collections import Counter, defaultdict
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.table.read import read_items, read_table
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.errors import ConfigError, DataError

HEADER = "id,who,text,label,group"
ROWS = ["b,w1,second,10,g", "b,w2,second,9,g", "a,w1,first,9,h", "a,w3,first,9.0,h"]
COUNTS = ["id,text,no,yes", "b,second,3,1", "a,first,0,2.5"]


def save(folder: Path, lines: list[str], name: str = "my table [1].csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_long(path: Path, **more: object) -> AnnotatedData:
    columns = {"uid_column": "id", "text_column": "text", "annotator_column": "who", "label_column": "label"}
    return read_table(path, TableSettings(**{**columns, **more}))  # type: ignore[arg-type]


def read_counts(path: Path, **more: object) -> AnnotatedData:
    columns = {"uid_column": "id", "text_column": "text", "count_columns": ["no", "yes"]}
    return read_table(path, TableSettings(**{"form": "counts", **columns, **more}))  # type: ignore[arg-type]


def test_long_form_agrees_with_a_plain_count(tiny_table: Path) -> None:
    data = read_table(
        tiny_table,
        TableSettings(
            uid_column="item",
            text_column="text",
            annotator_column="annotator",
            label_column="label",
            class_names=["calm", "cross", "angry"],
            ordinal=True,
        ),
    )
    wanted: dict[str, Counter[str]] = defaultdict(Counter)
    with tiny_table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            wanted[row["item"]][row["label"]] += 1
    assert data.uids == tuple(sorted(wanted))
    assert data.label_counts.tolist() == [[wanted[uid][name] for name in data.class_names] for uid in data.uids]
    assert (data.name, data.modality, data.ordinal, data.groups) == ("comments", "text", True, None)


def test_numeric_labels_are_ordered_as_numbers_and_wholes_are_one_class(tmp_path: Path) -> None:
    data = read_long(save(tmp_path, [HEADER, *ROWS]), group_column="group", name="mine")
    assert (data.name, data.class_names, data.uids) == ("mine", ("9", "10"), ("a", "b"))
    assert data.label_counts.tolist() == [[2, 0], [1, 1]]
    assert list(data.inputs) == ["first", "second"]
    assert data.groups == ("h", "g")


def test_text_labels_are_ordered_as_text(tmp_path: Path) -> None:
    data = read_long(save(tmp_path, [HEADER, "a,w1,t,yes,g", "a,w2,t,10,g", "a,w3,t,no,g"]))
    assert data.class_names == ("10", "no", "yes")


def test_a_class_that_nobody_chose_stays(tmp_path: Path) -> None:
    data = read_long(save(tmp_path, [HEADER, *ROWS]), class_names=["8.0", "9", "10"])
    assert data.class_names == ("8.0", "9", "10")
    assert data.label_counts.tolist() == [[0, 2, 0], [0, 1, 1]]


def test_row_order_does_not_matter(tmp_path: Path) -> None:
    one, other = save(tmp_path, [HEADER, *ROWS]), save(tmp_path, [HEADER, *ROWS[::-1]], "other.csv")
    first, second = read_long(one), read_long(other)
    assert (first.uids, first.inputs, first.class_names) == (second.uids, second.inputs, second.class_names)
    assert first.label_counts.equal(second.label_counts)


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".parquet"])
def test_every_format_gives_the_same(tmp_path: Path, suffix: str) -> None:
    wanted = read_long(save(tmp_path, [HEADER, *ROWS]))
    records = [dict(zip(HEADER.split(","), row.split(","), strict=True)) for row in ROWS]
    typed = [{**record, "label": float(record["label"])} for record in records]
    path = tmp_path / f"table [2]{suffix}"
    if suffix == ".parquet":
        pl.DataFrame(typed).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in typed))
    data = read_long(path)
    assert (data.uids, data.inputs, data.class_names) == (wanted.uids, wanted.inputs, wanted.class_names)
    assert data.label_counts.equal(wanted.label_counts)


def test_json_types_may_change_after_many_lines(tmp_path: Path) -> None:
    records = [{"id": index, "who": "w", "text": "t", "label": index % 2} for index in range(300)]
    records.append({"id": "x", "who": "w", "text": "t", "label": "other"})
    data = read_long(save(tmp_path, [json.dumps(record) for record in records], "t.jsonl"))
    assert data.class_names == ("0", "1", "other")
    assert len(data) == 301


def test_counts_form(tmp_path: Path) -> None:
    data = read_counts(save(tmp_path, COUNTS))
    assert (data.uids, data.class_names, data.name) == (("a", "b"), ("no", "yes"), "my table [1]")
    assert data.label_counts.tolist() == [[0, 2.5], [3, 1]]
    assert read_counts(save(tmp_path, COUNTS), class_names=["n", "y"]).class_names == ("n", "y")


def test_pairs_and_images(tmp_path: Path) -> None:
    path = save(tmp_path, ["id,p,h,img,no,yes", "a,premise,hypothesis,sub/a.png,1,2"])
    pair = read_counts(path, text_column="p", second_text_column="h")
    assert (pair.modality, list(pair.inputs)) == ("text_pair", [("premise", "hypothesis")])
    with pytest.raises(DataError, match=r"1 of 1 images are not there, the first is .*sub/a\.png"):
        read_counts(path, text_column=None, image_column="img")
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "sub" / "a.png")
    image = read_counts(path, text_column=None, image_column="img")
    assert (image.modality, list(image.inputs)) == ("image", [tmp_path / "sub" / "a.png"])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("c,w1,t,,g", r"row 5 \(a header is not counted\): no value in column 'label'"),
        ("c,w1,,9,g", "row 5 .*no value in column 'text'"),
        (" ,w1,t,9,g", "row 5 .*no value in column 'id'"),
        ("c,w1,t,11,g", "row 5 .*label '11' is none of the classes 9, 10"),
        ("b,w2,second,9,g", "row 5 .*annotator 'w2' labels item 'b' again"),
        ("b,w3,other,9,g", "row 5 .*item 'b' has another input"),
        ("b,w3,second,9,other", "row 5 .*item 'b' has another group"),
        ("b,w3,second,9,g,more", r"row 5 \(a header is not counted\): 6 fields, but the header has 5"),
    ],
)
def test_a_bad_row_of_the_long_form_is_named(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_long(save(tmp_path, [HEADER, *ROWS, row]), class_names=["9", "10"], group_column="group")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("c,t,many,1", "row 3 .*column 'no' wants a finite count .* got 'many'"),
        ("c,t,1,-2", "row 3 .*column 'yes' wants .* got '-2'"),
        ("c,t,1,nan", "row 3 .*column 'yes' wants .* got 'nan'"),
        ("c,t,,", "row 3 .*all counts are zero"),
        ("c,t,0,0", "row 3 .*all counts are zero"),
        ("a,first,1,1", "row 3 .*uid 'a' occurs again"),
    ],
)
def test_a_bad_row_of_the_counts_form_is_named(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_counts(save(tmp_path, [*COUNTS, row]))


@pytest.mark.parametrize(
    ("lines", "name", "words"),
    [
        (["id,text,label", "a,t,1"], "t.csv", "no column who; the columns there are id, text, label"),
        ([HEADER], "t.csv", "no rows"),
        ([HEADER, *ROWS], "t.docx", r"ends in \.csv, .*, \.npy .*, got '\.docx'"),
        ([HEADER, *ROWS], "t.parquet", "cannot be read"),
        ([HEADER, ROWS[2]], "t.csv", r"at least two classes, each named once, got \['9'\]"),
        (
            ['{"id": 1, "who": 2, "text": "t", "label": 1}', '{"id": 1, "wh'],
            "t.jsonl",
            "line 2: wanted one JSON object",
        ),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, lines: list[str], name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_long(save(tmp_path, lines, name))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: no such table"):
        read_long(tmp_path / "none.csv")


def test_a_file_in_another_encoding_is_read_and_said(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(f"{HEADER}\na,w1,caf\xe9,9,g\na,w2,caf\xe9,8,g\n".encode("latin-1"))
    data = read_long(path)
    assert list(data.inputs) == ["caf\xe9"]
    assert data.reading is not None
    assert "read as cp1252" in data.reading.warnings[0]
    with pytest.raises(DataError, match="not text in utf-8; set encoding"):
        read_long(path, encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"label_column": None}, "'long' wants label_column"),
        ({"count_columns": ["a", "b"]}, "'long' wants label_column and no label_columns, count_columns"),
        ({"form": "counts"}, "'counts' wants count_columns"),
        ({"text_column": None}, "one kind of input"),
        ({"image_column": "img"}, "one kind of input"),
        ({"text_column": None, "second_text_column": "text"}, "one kind of input"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_long(save(tmp_path, [HEADER, *ROWS]), **settings)


def test_counts_want_one_name_a_column(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 count_columns but 3 class_names"):
        read_counts(save(tmp_path, COUNTS), class_names=["a", "b", "c"])
    with pytest.raises(DataError, match="each named once"):
        read_counts(save(tmp_path, COUNTS), class_names=["a", "a"])


def test_items_to_predict_need_no_labels_and_stand_once_each(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("item,text,source\nb,second,web\na,first,web\nb,second,web\n", encoding="utf-8")
    items = read_items(path, TableSettings(label_column="label", text_column="text"))
    assert items.uids == ("a", "b")
    assert list(items.inputs) == ["first", "second"]
    assert items.modality == "text"


def test_items_to_predict_with_two_texts_for_one_id_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("item,text\na,first\na,other\n", encoding="utf-8")
    with pytest.raises(DataError, match="item 'a' has another input than in its first row"):
        read_items(path, TableSettings(label_column="label", text_column="text"))


def test_a_line_nested_without_end_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "deep.jsonl"
    nested = f"{'[' * 100_000}{']' * 100_000}"
    good = '{"item": "1", "text": "x", "label": "a"}\n'
    path.write_text(f'{good}{{"item": "2", "text": {nested}, "label": "b"}}\n', encoding="utf-8")
    data = read_table(path, TableSettings(label_column="label", text_column="text"))
    assert list(data.inputs) == ["x", nested]


def test_annotations_of_groups_add_up_to_the_counts_where_rows_stand_for_several(tmp_path: Path) -> None:
    lines = ["id,who,text,label,n,side", "a,w1,first,no,2,left", "a,w2,first,yes,0.5,right", "b,w1,second,yes,1,left"]
    data = read_long(save(tmp_path, lines), count_column="n", about_annotators=["side"])
    people = data.annotations
    assert people is not None
    groups = people.counts_by_group([str(side) for side in people.about["side"]], (2, 2))
    assert {side: counts.tolist() for side, counts in groups.items()} == {
        "left": [[2, 0], [0, 1]], "right": [[0, 0.5], [0, 0]]
    }  # fmt: skip
    assert sum(groups.values()).tolist() == data.label_counts.tolist()  # type: ignore[union-attr]
