"""Rows of a CSV, JSON lines or Parquet file, every wanted value present and read as text."""

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import polars as pl

from soft_labels.annotations._layout import json_lines
from soft_labels.errors import DataError

ROW = "row"
_JSON_LINES = (".jsonl", ".ndjson")
SUFFIXES = (".csv", *_JSON_LINES, ".parquet")


def read_rows(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """Read columns under names of our own.

    Args:
        path: The table.
        columns: For each name of ours the table's column.

    Returns:
        One text column for each of ``columns``, and ``row``: 1 for the first row below the header.

    Raises:
        DataError: The file is missing, of another kind or damaged, it has no row, a column is missing or a value is.
    """
    try:
        rows = _scan(path, columns).collect().with_row_index(ROW, offset=1)
    except pl.exceptions.PolarsError as error:
        _raise_unreadable(path, error)
    if rows.is_empty():
        raise DataError(f"{path}: no rows; a table needs at least one item")
    for ours, column in columns.items():
        blank = rows.filter(pl.col(ours).str.strip_chars().fill_null("") == "")
        if not blank.is_empty():
            raise DataError(f"{at(path, blank)}: no value in column {column!r}; fill it in or remove the row")
    return rows


def at(path: Path, rows: pl.DataFrame) -> str:
    """Where the first of ``rows`` stands, for messages."""
    return f"{path}, row {rows[ROW][0]} (a header is not counted)"


def _scan(path: Path, columns: Mapping[str, str]) -> pl.LazyFrame:
    """The wanted columns as text, not yet read."""
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: wanted a table that ends in {', '.join(SUFFIXES)}, got {path.suffix!r}")
    if not path.is_file():
        raise DataError(f"{path}: no such table; give the path of an existing file")
    lazy = _lazy(path)
    there = lazy.collect_schema().names()
    missing = [column for column in columns.values() if column not in there]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; the columns there are {', '.join(there)}")
    if path.suffix.lower() in _JSON_LINES:  # types that hold for the first lines may not hold for the others
        lazy = pl.scan_ndjson(glob.escape(str(path)), schema=dict.fromkeys(columns.values(), pl.String))
    return lazy.select(pl.col(column).cast(pl.String).alias(ours) for ours, column in columns.items())


def _lazy(path: Path) -> pl.LazyFrame:
    """The file by its suffix."""
    if path.suffix.lower() == ".csv":
        return pl.scan_csv(path, infer_schema=False, glob=False)
    if path.suffix.lower() in _JSON_LINES:
        return pl.scan_ndjson(glob.escape(str(path)))
    return pl.scan_parquet(path, glob=False)


def _first_line(error: pl.exceptions.PolarsError) -> str:
    """What went wrong, without the parser's advice on its own options."""
    return str(error).partition("\n")[0]


def _raise_unreadable(path: Path, error: pl.exceptions.PolarsError) -> NoReturn:
    """Name the line of a JSON file that cannot be parsed; of other files say what the parser said."""
    if path.suffix.lower() in _JSON_LINES:
        for _ in json_lines(path):
            pass
    raise DataError(
        f"{path}: cannot be read ({_first_line(error)}); wanted UTF-8 text with as many fields in each row "
        "as in the header, or a whole Parquet file"
    ) from error
