import gzip
from pathlib import Path

import pytest

from soft_labels.annotations.table.encoding import check_encoding, copy_as_utf8, find_encoding, suffix_of
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


def test_the_suffix_is_that_of_the_content() -> None:
    assert [suffix_of(Path(name)) for name in ("a.JSONL.gz", "a.b.tsv", "a.gz")] == [".jsonl", ".tsv", ""]
