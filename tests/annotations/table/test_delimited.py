"""Readers compared: whatever the file, the rows are those of Python's csv module and of pandas."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from soft_labels.annotations.table.database import working_database
from soft_labels.annotations.table.delimited import find_dialect, without_separator_line, write_anew
from soft_labels.annotations.table.source import open_source
from soft_labels.errors import DataError

HEAD = "item,who,text,label\n"


def rows_of(path: Path) -> tuple[list[list[str]], list[str]]:
    with working_database() as (database, folder):
        source = open_source(path, database, folder)
        cells = ", ".join(source.columns.values())
        found = database.execute(f"SELECT {cells} FROM {source.relation}").fetchall()  # noqa: S608
        return [[cell or "" for cell in row] for row in found], [*source.notes, *source.warnings]


def save(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    "body",
    [
        '1,a,"A 12" pizza",0\n2,a,plain,1\n3,a,"A 13" pizza",1\n',
        '1,a,12" wide,0\n2,a,"x, y",1\n',
        '1,a,"two\nlines",0\n2,a,"say ""hi""",1\n',
        "1,a,x,0\r\n2,a,y,1\n3,a,z,1\r\n",
        '1,a,"",0\n2,a,,1\n',
        "1,a,#x,0\n#2,a,y,1\n",
        '"1","a","x","0"\n\n\n"2","a","y","1"\n',
    ],
)
def test_rows_are_those_of_python_and_pandas(body: str, tmp_path: Path) -> None:
    path = save(tmp_path, HEAD + body)
    rows, _ = rows_of(path)
    with path.open(encoding="utf-8", newline="") as file:
        assert rows == [row for row in csv.reader(file) if row][1:]
    assert rows == pd.read_csv(path, dtype=str, keep_default_na=False).to_numpy().tolist()


@pytest.mark.slow
def test_random_tables_come_back(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    letters = np.array(list("ab ,;\"\n\t'é\\"))
    for _ in range(40):
        table = [["".join(generator.choice(letters, generator.integers(0, 9))) for _ in range(4)] for _ in range(12)]
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
            [["item", "who", "text", "label"], *table]
        )
        assert rows_of(save(tmp_path, out.getvalue()))[0] == table


def test_what_was_found_is_said(tmp_path: Path) -> None:
    _, said = rows_of(save(tmp_path, HEAD.replace(",", ";") + '1;a;"A 12" pizza";0\n2;a;"B 12" pizza";0\n'))
    assert said == [
        "encoding utf-8",
        "separated by semicolons, lines end in LF",
        "stray quotes inside quoted cells are part of the text",
    ]


def test_an_unclosed_quote_swallows_no_rows(tmp_path: Path) -> None:
    rows, said = rows_of(save(tmp_path, HEAD + '1,a,"never closed,0\n2,a,x,1\n3,a,y,0\n'))
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert said[-1] == "quotes are ordinary characters"


def test_columns_of_one_name_and_of_none_are_told_apart(tmp_path: Path) -> None:
    dialect = find_dialect(save(tmp_path, ",text,text\n0,a,b\n"), "utf-8")
    assert dialect.columns == ("column 1", "text", "text_2")
    assert any("same name" in note for note in dialect.notes)


def test_a_header_can_be_given(tmp_path: Path) -> None:
    path = save(tmp_path, "1,a\n2,b\n")
    with working_database() as (database, folder):
        source = open_source(path, database, folder, header=["task", "worker"])
        assert database.execute(f"SELECT task FROM {source.relation}").fetchall() == [("1",), ("2",)]  # noqa: S608


def test_a_row_that_no_reading_explains_is_named(tmp_path: Path) -> None:
    path = save(tmp_path, HEAD + "1,a,x,0\n2,a,y\n3,b\n")
    with pytest.raises(DataError, match=r"row 2 .*: 3 fields, but the header has 4 \(2 rows differ so\)"):
        write_anew(path, "utf-8", find_dialect(path, "utf-8"), tmp_path, has_header=True)


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=,"])
def test_a_line_that_names_the_separator_is_left_out(line: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"\ufeff{line}\r\na;b\r\n1;2\r\n", encoding="utf-8", newline="")
    copy = without_separator_line(path, tmp_path)
    assert copy is not None
    assert copy.read_bytes() == b"a;b\r\n1;2\r\n"
    assert without_separator_line(copy, tmp_path) is None
