import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from soft_labels.annotations.table.parts import read_parts
from soft_labels.data.split import Split
from soft_labels.errors import DataError

PARTS = {"1": "train", "b 2": "dev", "c": None}
ROWS = [{"uid": uid, "split": part} for uid, part in PARTS.items()]


def lines(path: Path) -> None:
    path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")


def parquet(path: Path) -> None:
    pl.DataFrame(ROWS).write_parquet(path)


def table(path: Path) -> None:
    path.write_text("item_id,Split\n1.0,train\n b 2,dev\nc,\n", encoding="utf-8")


def two_columns(path: Path) -> None:
    path.write_text("set;sentence\ntrain;1\ndev;b 2\n;c\n", encoding="utf-8")


WRITERS: dict[str, Callable[[Path], None]] = {
    "p.jsonl": lines, "p.parquet": parquet, "p.csv": table, "two.csv": two_columns,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_of_uids_and_parts(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    assert read_parts(tmp_path / name) == PARTS


def test_the_split_of_a_run(tmp_path: Path) -> None:
    Split(("1", "b 2"), ("c",), ("d",)).save(tmp_path / "split.json", {"seed": 3, "ratios": [0.5, 0.25, 0.25]})
    found = read_parts(tmp_path / "split.json")
    assert {name: [uid for uid, part in found.items() if part == name] for name in ("train", "val", "test")} == {
        "train": ["1", "b 2"], "val": ["c"], "test": ["d"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uid,split\na,train\na,val\n", "item 'a' stands in train and in val; give it one part"),
        ("uid,split\na,train\n,val\n,val\n", r"row 2 .*: no value in column 'uid' \(2 rows are so\)"),
        ("uid,kind\na,train\n", 'wanted a column uid and a column split, got "uid", "kind"'),
        ("x,y,split\na,b,train\n", "wanted a column uid and a column split"),
        ("", "empty"),
    ],
)
def test_what_says_no_parts_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_parts(path)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: no such table"):
        read_parts(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"train": ["a"', encoding="utf-8")
    with pytest.raises(DataError, match=r"cut\.json"):
        read_parts(tmp_path / "cut.json")
