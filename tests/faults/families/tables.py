"""Annotation tables in every form that people hand in: refused in words, or read as they were meant."""

import gzip
import json
from pathlib import Path

import polars as pl

from tests.faults.case import Case, Check, Outcome
from tests.faults.damage import Damage, each, of_file, replaced, writing
from tests.faults.sound import FIT, UIDS, rows

KIND = "annotation tables"
STATS = ("data", "stats", "--config", "plain.yaml", "--json")
HEAD = "item,text,who,label\n"
GOOD = HEAD + "".join(",".join(row) + "\n" for row in rows())


def reads(items: int, annotations: float, **classes: float) -> Check:
    """What ``data stats`` must say of the table."""

    def check(outcome: Outcome, folder: Path) -> None:
        (said,) = json.loads(outcome.out)["datasets"]
        found = {each["name"]: each["annotations"] for each in said["classes"]}
        assert (said["items"], said["annotations"], found) == (items, annotations, classes)

    return check


def _line(old: str, new: str) -> Damage:
    """The table with something else in its lines."""
    return of_file("table.csv", replaced(old, new))


def _table(content: str | bytes) -> Damage:
    return writing("table.csv", content)


BAD: dict[str, tuple[Damage, str]] = {
    "no file": (of_file("table.csv", Path.unlink), "table.csv"),
    "an empty file": (_table(""), "table.csv"),
    "blank lines alone": (_table("\n\n\n"), "table.csv"),
    "a header alone": (_table(HEAD), "table.csv"),
    "no header": (_table(GOOD.removeprefix(HEAD)), "column|header"),
    "a header twice": (_table("item,text,who,who\n" + GOOD.removeprefix(HEAD)), "who|label|column"),
    "a column gone": (_line("item,text,who,label", "item,text,who,tag"), "label"),
    "a cell too many": (_line("c03,text 3,a1,", "c03,text 3,a1,more,"), "row|line"),
    "a cell too few": (_line("c03,text 3,a1,", "c03,a1,"), "row|line"),
    "a quotation that never ends": (_line("c03,text 3,a1", 'c03,"text 3,a1'), "table.csv|quot"),
    "no uid": (_line("c03,text 3,a1", ",text 3,a1"), "no value in column 'item'"),
    "no text": (_line("c03,text 3,a1", "c03,,a1"), "no value in column 'text'|text"),
    "no annotator": (_line("c03,text 3,a1", "c03,text 3,"), "no value in column 'who'"),
    "no label": (_line("c03,text 3,a1,no", "c03,text 3,a1,"), "no value in column 'label'"),
    "a label that is none": (_line("c03,text 3,a1,no", "c03,text 3,a1,never"), "never"),
    "a label in other letters": (_line("c03,text 3,a1,no", "c03,text 3,a1,NO"), "NO"),
    "two texts of one item": (_line("c03,text 3,a1", "c03,text 99,a1"), "text"),
    "an annotator twice": (_line("c03,text 3,a1,", "c03,text 3,a0,"), "again"),
    "bytes of a picture": (_table(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4), "table.csv"),
    "zero bytes": (_table(b"\0" * 4_000), "table.csv"),
    "zero bytes within": (_table(GOOD.encode().replace(b"text 3,a1", b"te\0t 3,a1")), "table.csv|text"),
    "a compressed file by another name": (_table(gzip.compress(GOOD.encode())), "table.csv"),
    "a Parquet file by another name": (_table(b"PAR1" + bytes(100) + b"PAR1"), "table.csv"),
    "a page of HTML": (_table("<!doctype html><html><body>Sign in</body></html>\n"), "column|html|table.csv"),
    "a pointer of Git LFS": (
        _table("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"), "column|LFS|table.csv",
    ),
    "a folder of that name": (each(of_file("table.csv", Path.unlink), lambda f: (f / "table.csv").mkdir()), "table"),
    "a link to itself": (
        each(of_file("table.csv", Path.unlink), lambda f: (f / "table.csv").symlink_to("table.csv")), "table.csv",
    ),
}  # fmt: skip

# Files in another form, given by an option.
OTHER: dict[str, tuple[str, str | bytes, str]] = {
    "cut JSON": ("t.json", '[{"item": 1, "te', "t.json"),
    "JSON that is no table": ("t.json", "17", "t.json|wanted"),
    "JSON of numbers": ("t.json", "[1, 2, 3]", "wanted objects"),
    "empty JSON": ("t.json", " \n", "t.json|empty"),
    "JSON with NaN": ("t.json", '[{"item": NaN, "text": "x", "who": "a", "label": "no"}]', "t.json|item"),
    "JSON nested deeply": ("t.json", "[" * 10**5 + "]" * 10**5, "t.json"),
    "JSON lines, one torn": ("t.jsonl", '{"item": 1}\n{"item": 2, "wh', "line 2"),
    "JSON lines, one of another kind": ("t.jsonl", '{"item": 1}\n[1]\n', "line 2|t.jsonl"),
    "JSON lines nested deeply": ("t.jsonl", '{"item": ' + "[" * 10**5 + "]" * 10**5 + "}\n", "t.jsonl"),
    "an empty Parquet file": ("t.parquet", b"", "t.parquet"),
    "a cut Parquet file": ("t.parquet", b"PAR1\x15\x04\x15", "t.parquet"),
    "a spreadsheet": ("t.xlsx", b"PK\x03\x04", "t.xlsx|ends in"),
    "a damaged gz": ("t.csv.gz", gzip.compress(GOOD.encode())[:-30], "t.csv.gz|unpacked"),
    "a gz of something else": ("t.csv.gz", b"no gz at all", "t.csv.gz|unpacked"),
}

# Read as they were meant: 30 items, 150 annotations, 50 a class.
WELL: dict[str, tuple[str, str | bytes]] = {
    "byte order mark": ("table.csv", "\ufeff" + GOOD),
    "UTF-16": ("table.csv", GOOD.encode("utf-16")),
    "Windows line ends": ("table.csv", GOOD.replace("\n", "\r\n")),
    "old Macintosh line ends": ("table.csv", GOOD.replace("\n", "\r")),
    "semicolons": ("table.csv", GOOD.replace(",", ";")),
    "tabs": ("table.csv", GOOD.replace(",", "\t")),
    "blank lines at the end": ("table.csv", GOOD + "\n\n"),
    "blanks around cells": ("table.csv", GOOD.replace("c03,", " c03 ,").replace("a1", "a1 ")),
    "quoted throughout": (
        "table.csv", "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in GOOD.splitlines()),
    ),
    "line breaks in a text": ("table.csv", GOOD.replace("text 3,", '"text 3\nand more",')),
    "a quotation mark in a text": ("table.csv", GOOD.replace("text 3,", 'text 3 12" pizza,')),
    "other rows first": ("table.csv", HEAD + "".join(GOOD.splitlines(keepends=True)[:0:-1])),
    "a right-to-left text": ("table.csv", GOOD.replace("text 3,", "text 3 שלום \u202e,")),
    "emoji in a uid": ("table.csv", GOOD.replace("c03,", "👩‍👩‍👧,")),
    "a uid that walks up": ("table.csv", GOOD.replace("c03,", "../../c03,")),
    "a text that looks like markup": ("table.csv", GOOD.replace("text 3,", "text 3 <script>alert(1)</script>,")),
    "a uid of control characters": ("table.csv", GOOD.replace("c03,", "c\x0703,")),
    "a text of a million letters": ("table.csv", GOOD.replace("text 3,", f"text 3 {'x' * 10**6},")),
    "gz": ("table.csv.gz", gzip.compress(GOOD.encode())),
}  # fmt: skip


def _well() -> list[Case]:
    """The same answer however the file is written."""
    right = reads(30, 150, no=50, maybe=50, yes=50)
    return [
        Case(KIND, name, (*STATS, f"--data.path={file}"), None, writing(file, content), right)
        for name, (file, content) in WELL.items()
    ]


def _parquet(folder: Path) -> None:
    """The table as Parquet, a label missing."""
    frame = pl.DataFrame(rows(), schema=["item", "text", "who", "label"], orient="row")
    frame.with_columns(
        pl.when((pl.col("item") == "c03") & (pl.col("who") == "a1"))
        .then(None)
        .otherwise(pl.col("label"))
        .alias("label")
    ).write_parquet(folder / "t.parquet")


def _counted(cells: str) -> Damage:
    """A table of counts with one row of these cells."""
    return writing(
        "counts.csv",
        "item,text,no,maybe,yes\n" + "".join(f"{uid},text 1,1,2,2\n" for uid in UIDS) + f"x,text 1,{cells}\n",
    )


COUNTS = (
    "data", "stats", "--json", "--config", "plain.yaml", "--data.path=counts.csv", "--data.form=counts",
    "--data.label_column=null", "--data.annotator_column=null", '--data.count_columns=["no","maybe","yes"]',
    "--data.class_names=null",
)  # fmt: skip
COUNT_CELLS = {
    "a count below zero": ("1,-1,2", "not negative"),
    "a count that is a word": ("1,few,2", "'few'"),
    "a count without end": ("1,inf,2", "'inf'"),
    "a count that is no number": ("1,nan,2", "'nan'|no value"),
    "all counts zero": ("0,0,0", "all counts are zero"),
    "a cell too many in counts": ("1,1,1,1", "row|line|counts.csv"),
}

_PARTS = "uid,split\n" + "".join(f"{uid},{('train', 'val', 'test')[row % 3]}\n" for row, uid in enumerate(UIDS))
_FIRST, _SECOND = (line + "\n" for line in _PARTS.splitlines()[1:3])
SPLITS: dict[str, tuple[str, str]] = {
    "a split without val": (_PARTS.replace(",val", ",train"), "no item is in val"),
    "a split without train": (_PARTS.replace(",train", ",test"), "train"),
    "an item in two parts": (_PARTS + _FIRST.replace("train", "val"), f"item '{UIDS[0]}' stands in train and in val"),
    "a part of another name": (_PARTS.replace(_SECOND, _SECOND.replace("val", "held-out")), "'held-out'"),
    "a part without an item": (_PARTS.replace(_SECOND, ",val\n"), "row 2"),
    "a split without a column of parts": (_PARTS.replace("uid,split", "uid,kind"), "wanted a column uid and a column"),
    "a split of other items": (_PARTS.replace(",", "x,").replace("uidx", "uid"), "no item|part"),
    "an empty split": ("", "parts.csv"),
}


def cases() -> list[Case]:
    """All of the kind."""
    found = [Case(KIND, name, STATS, says, spoil) for name, (spoil, says) in BAD.items()]
    found += [
        Case(KIND, name, (*STATS, f"--data.path={file}"), says, writing(file, content))
        for name, (file, content, says) in OTHER.items()
    ]
    found += [Case(KIND, name, COUNTS, says, _counted(cells)) for name, (cells, says) in COUNT_CELLS.items()]
    found += [
        Case(KIND, "a label missing in Parquet", (*STATS, "--data.path=t.parquet"), "no value in column 'label'",
             _parquet),
        Case(KIND, "counts of 1e308", COUNTS, "counts up to 9,007,199,254,740,992", _counted("1e308,1e308,1e308")),
        Case(KIND, "all of one item", FIT, "for each part",
             _table(HEAD + "".join(f"c0,text 0,a{n},no\n" for n in range(9)))),
        Case(KIND, "a single row", FIT, "for each part", _table(HEAD + "c0,text 0,a0,no\n")),
        Case(KIND, "init of an empty file", ("data", "init", "empty.csv"), "empty.csv", writing("empty.csv", "")),
        Case(KIND, "init of no file", ("data", "init", "none.csv"), "none.csv"),
        Case(KIND, "init of a picture", ("data", "init", "pictures/c00.png"), "c00.png"),
        Case(KIND, "init of a folder", ("data", "init", "run"), "run"),
        Case(KIND, "stats of no such data", ("data", "stats", "--root", "nowhere"), "nowhere|fetch"),
    ]  # fmt: skip
    found += [
        Case("given splits", name, (*FIT, "--data.split_file=parts.csv"), says, writing("parts.csv", content))
        for name, (content, says) in SPLITS.items()
    ]
    return [*found, *_well()]
