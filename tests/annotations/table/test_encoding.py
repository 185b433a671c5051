import gzip
from pathlib import Path

import pytest

from soft_labels.annotations.table.encoding import (
    check_encoding,
    check_kind,
    copy_as_utf8,
    find_encoding,
    is_blank,
    suffix_of,
)
from soft_labels.errors import DataError

TEXT = "item,text\n1,Grüße aus Köln, 5 €\n"


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_encoding_is_found_and_the_copy_is_the_text(encoding: str, found: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    content = TEXT.encode(encoding)
    path.write_bytes(gzip.compress(content) if packed else content)
    assert find_encoding(path) == found
    assert copy_as_utf8(path, found, tmp_path).read_bytes() == TEXT.encode()


def test_a_letter_late_in_a_file_decides(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a" * 3_000_000 + b"\xe9")
    assert find_encoding(path) == "cp1252"
    with pytest.raises(DataError, match="not text in utf-8"):
        check_encoding(path, "utf-8")


def test_a_file_of_blanks_holds_nothing(tmp_path: Path) -> None:
    blank = {"blank.csv": b"\xef\xbb\xbf\r\n", "quotes.csv": b'""\n', "packed.csv.gz": gzip.compress(b" \n")}
    written = {**blank, "full.csv": b"\na"}
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "long.csv").write_bytes(b"\n" * 5000 + b"a")
    assert [name for name in (*written, "long.csv") if is_blank(tmp_path / name)] == list(blank)


def test_the_suffix_is_that_of_the_content() -> None:
    assert [suffix_of(Path(name)) for name in ("a.JSONL.gz", "a.b.tsv", "a.gz")] == [".jsonl", ".tsv", ""]


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04rest", "a zip archive or a spreadsheet"), (b"\xd0\xcf\x11\xe0", "an old spreadsheet"),
        (b"PAR1", "give it the suffix .parquet"), (b"%PDF-1.7", "a PDF"), (b"version https://git-lfs", "git lfs pull"),
        (b"\xef\xbb\xbf <!DOCTYPE html><html>", "a web page"), (b"<HTML>", "a web page"),
        (b"__label__no A text", "lines of fastText"),
    ],
)  # fmt: skip
def test_files_of_another_kind_are_named(start: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(start)
    with pytest.raises(DataError, match=f"wanted text, got .*{what}"):
        check_kind(tmp_path / "t.csv")


def test_text_is_of_no_other_kind(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("item,label\n<html>,1\n", encoding="utf-8")
    check_kind(tmp_path / "t.csv")
