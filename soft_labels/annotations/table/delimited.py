"""Rows of text between delimiters: what separates them is found out, and no row is ever lost or merged in silence.

A file that keeps to RFC 4180 is left to DuckDB in its strict mode, which refuses everything ambiguous. What it refuses
is written anew by Python's csv module under the first reading that gives every row as many fields as the header.
"""

import csv
import io
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

from soft_labels.annotations.table.encoding import COMPRESSED, open_text
from soft_labels.errors import DataError

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_LOOK = 500
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a text may be long; the default of 128 kB is not a law


@dataclass(frozen=True)
class Dialect:
    """How a file's rows are written.

    Args:
        delimiter: One character.
        columns: The header's names, each once.
        notes: What was found out, in words.
    """

    delimiter: str
    columns: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class _Reading:
    """One way to understand quotes; ``lines`` is how many lines a cell may have, ``None`` for any number."""

    words: str
    options: dict[str, Any]
    one_line: bool = False

    def takes(self, row: list[str], dialect: Dialect) -> bool:
        """Whether no cell has swallowed another row."""
        lines = [line for cell in row if "\n" in cell or "\r" in cell for line in cell.splitlines()]
        return not lines or not (self.one_line or any(_could_be_a_row(line, dialect) for line in lines))


def _could_be_a_row(line: str, dialect: Dialect) -> bool:
    """Whether a line within a cell has as many delimiters as a row."""
    return line.count(dialect.delimiter) >= len(dialect.columns) - 1 > 0


_STRAY = "stray quotes inside quoted cells are part of the text"
_READINGS = (
    _Reading("", {"strict": True}),
    _Reading(_STRAY, {}, one_line=True),
    _Reading("quotes are escaped by backslashes", {"escapechar": "\\", "doublequote": False, "strict": True}),
    _Reading("quotes are ordinary characters", {"quoting": csv.QUOTE_NONE}, one_line=True),
    _Reading("cells are quoted by '", {"quotechar": "'", "strict": True}),
    _Reading(_STRAY, {}),
)


def find_dialect(path: Path, encoding: str, header: Sequence[str] | None = None) -> Dialect:
    """Look at the first rows of a file.

    Args:
        path: The file.
        encoding: Of its text.
        header: Names of the columns where the file has no line that names them.

    Returns:
        The delimiter that splits the rows most evenly, and the names of the columns.

    Raises:
        DataError: The file is empty.
    """
    with open_text(path, encoding) as file:
        start = _complete_lines(file)
    if not start.strip():
        raise DataError(f"{path}: empty; a table needs a header and at least one row")
    delimiter = max(DELIMITERS, key=lambda one: _evenness(start, one, path))
    names = header or _fields(start, delimiter)[0]
    columns, notes = _distinct(names)
    ends = "CR" if "\r" in start and "\n" not in start else "CRLF" if "\r\n" in start else "LF"
    separated = DELIMITERS[delimiter] if len(columns) > 1 else "no delimiter (one column)"
    return Dialect(delimiter, columns, (f"separated by {separated}, lines end in {ends}", *notes))


def without_separator_line(path: Path, folder: Path) -> Path | None:
    """A copy without the first line, where that is ``sep=;`` or the like, as spreadsheets write it.

    Args:
        path: A file in UTF-8.
        folder: Where the copy goes.

    Returns:
        ``None`` where the first line is another.
    """
    with open_text(path, "utf-8-sig") as file:
        if not re.fullmatch(r'"?sep=.?"?\s*', file.readline(64), re.IGNORECASE):
            return None
        copy = folder / f"rest-{path.name.removesuffix(COMPRESSED)}"
        with copy.open("w", encoding="utf-8", newline="") as out:
            shutil.copyfileobj(file, out)
    return copy


def _complete_lines(file: IO[str]) -> str:
    """The start of a file, cut at a line's end."""
    text = file.read(1 << 18)
    end = max(text.rfind("\n"), text.rfind("\r"))
    return text if len(text) < 1 << 18 or end < 0 else text[: end + 1]


def _fields(text: str, delimiter: str) -> list[list[str]]:
    """The first rows, split."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [row for row in islice(rows, _LOOK) if row]


def _evenness(text: str, delimiter: str, path: Path) -> tuple[float, bool, int]:
    """How well a delimiter explains the rows: even rows first, then what the suffix says, then many columns."""
    sizes = [len(row) for row in _fields(text, delimiter)]
    (usual, often), *_ = Counter(sizes).most_common(1)
    named = (delimiter == "\t") == (".tsv" in path.name.lower())
    return (often / len(sizes) if usual > 1 and sizes[0] > 1 else 0.0), named, usual


def _distinct(names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Every column under a name of its own; columns without one are numbered."""
    wanted = [name.strip().lstrip("\ufeff") or f"column {number}" for number, name in enumerate(names, start=1)]
    notes = []
    seen: Counter[str] = Counter()
    found = []
    for name in wanted:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    if twice := [name for name, times in seen.items() if times > 1]:
        notes.append(f"columns of the same name are numbered: {', '.join(twice)}")
    return tuple(found), notes


def write_anew(path: Path, encoding: str, dialect: Dialect, folder: Path, has_header: bool) -> tuple[Path, str]:
    """Write a file that strict readers refuse as one that they take, under the first reading that fits every row.

    Args:
        path: The file.
        encoding: Of its text.
        dialect: Its delimiter and columns.
        folder: Where the new file goes.
        has_header: Whether its first row names the columns.

    Returns:
        The new file (UTF-8, LF, every cell quoted, a header), and how quotes were understood.

    Raises:
        DataError: No reading gives every row as many fields as the header; the first row that differs is named.
    """
    copy = folder / f"rows-{path.stem}.csv"
    tried = []
    for reading in _READINGS:
        uneven = _copy(path, encoding, dialect, reading, copy, has_header)
        if not uneven.rows:
            return copy, reading.words
        tried.append(uneven)
    raise DataError(f"{path}, {min(tried, key=lambda uneven: uneven.rows).message()}")


@dataclass
class _Uneven:
    """Rows with another number of fields than the header: how many, and where the first is and how many fields."""

    wanted: int
    rows: int = 0
    first: tuple[int, int] = (0, 0)

    def add(self, row: int, fields: int) -> None:
        """One more."""
        self.first = self.first if self.rows else (row, fields)
        self.rows += 1

    def message(self) -> str:
        """The first of them, and how many there are."""
        row, fields = self.first
        alike = f" ({self.rows:,} rows differ so)" if self.rows > 1 else ""
        return (
            f"row {row} (a header is not counted): {fields} fields, but the header has {self.wanted}{alike}; put cells "
            "that hold the delimiter or a line end in double quotes, or remove lines above the header"
        )


def _copy(path: Path, encoding: str, dialect: Dialect, reading: _Reading, copy: Path, has_header: bool) -> _Uneven:
    """Copy every row as one reading has it; the rows that do not fit."""
    uneven = _Uneven(len(dialect.columns))
    number = 0
    with open_text(path, encoding) as file, copy.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(dialect.columns)
        rows = _rows(file, dialect, reading, has_header)
        try:
            for number, row in enumerate(rows, start=1):
                if len(row) != len(dialect.columns) or not reading.takes(row, dialect):
                    uneven.add(number, len(row))
                else:
                    writer.writerow(row)
        except csv.Error:
            uneven.add(number + 1, 0)
    return uneven


def _rows(file: IO[str], dialect: Dialect, reading: _Reading, has_header: bool) -> Iterator[list[str]]:
    """Every row below the header; blank lines are none."""
    rows = csv.reader(file, delimiter=dialect.delimiter, **reading.options)
    filled = (row for row in rows if row)
    if has_header:
        next(filled, None)
    return filled
