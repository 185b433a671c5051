"""Vectors that were computed elsewhere, read from a file with the uid of each; nothing is joined by position."""

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soft_labels.annotations.table.encoding import COMPRESSED, open_bytes, suffix_of
from soft_labels.errors import EncoderError

TABLES = (".parquet", ".jsonl", ".ndjson", ".csv")
ARRAYS = (".npy", ".npz", ".safetensors")
_UNPACKED = (".npy", ".jsonl", ".ndjson", ".csv")
_CHUNK_ROWS = 65_536
Columns = Mapping[str, Any]  # by name: a list of values, a numpy array, or a polars Series


@dataclass(frozen=True)
class VectorRows:
    """Vectors by uid.

    Args:
        uids: ``[N]`` unique, without surrounding blanks.
        rows: ``[N, D]`` numbers, finite in float32.
    """

    uids: tuple[str, ...]
    rows: NDArray[Any]


def read_vectors(path: Path, uids: Path | None, uid_column: str, columns: Sequence[str] | None) -> VectorRows:
    """The vectors of a file with the uid of each.

    Args:
        path: ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``, ``.jsonl``, ``.ndjson`` or ``.csv``; arrays of
            ``.npy`` and lines of text may be compressed (``.gz``).
        uids: A file of uids in the order of the rows: ``.txt`` with one a line, ``.npy``, or a table with
            ``uid_column``. ``None`` where the file of vectors has the uids itself.
        uid_column: Name of the column or array of uids.
        columns: The column or array that holds a vector in each row, or several columns of numbers; ``None`` where
            the file holds just one that does.

    Raises:
        EncoderError: A file is missing or damaged or holds pickled objects, uids are missing, repeated or as many as
            other rows, or a vector is missing, not finite or of another length.
    """
    found = _read(path)
    if uids is None and uid_column not in found and _is_row_a_name(path, found):
        ids = list(found)
        _check_widths(path, "", np.array([len(row) for row in found.values()]), ids)
        rows = np.stack(list(found.values()))
    else:
        ids = _uids(path, found, uids, uid_column)
        rows = _rows(path, found, ids, columns or [_only_vectors(path, found, uid_column)])
    _check_uids(uids or path, ids)
    _check_rows(path, ids, rows)
    return VectorRows(tuple(ids), rows)


def _read(path: Path) -> Columns:
    """All that a file holds, by name; nothing is ever unpickled."""
    suffix = suffix_of(path)
    if suffix not in (*ARRAYS, *TABLES):
        raise EncoderError(f"{path}: wanted vectors in {', '.join((*ARRAYS, *TABLES))}, got {path.suffix.lower()!r}")
    if not path.is_file():
        raise EncoderError(f"{path}: no such file; give the path of an existing one")
    if _is_packed(path) and suffix not in _UNPACKED:
        wanted = ", ".join(f"{each}{COMPRESSED}" for each in _UNPACKED)
        raise EncoderError(f"{path}: wanted {wanted}, got {suffix}{COMPRESSED}; unpack it with gunzip")
    readers = {".npy": _read_numpy, ".npz": _read_numpy, ".safetensors": _read_tensors, ".csv": _read_csv,
               ".parquet": _read_parquet}  # fmt: skip
    try:
        return readers.get(suffix, _read_json_lines)(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise EncoderError(f"{path}: cannot be unpacked ({error}); write it again") from error


def _is_packed(path: Path) -> bool:
    """Whether a file is compressed, by its name."""
    return path.suffix.lower() == COMPRESSED


def _read_numpy(path: Path) -> Columns:
    """The array of a ``.npy`` file under the name ``''``, or the arrays of a ``.npz`` file."""
    try:
        if _is_packed(path):
            with open_bytes(path) as file:
                return {"": np.lib.format.read_array(file, allow_pickle=False)}
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        return {"": found} if isinstance(found, np.ndarray) else dict(found)
    except (gzip.BadGzipFile, zlib.error):
        raise
    except Exception as error:  # a header that was made up makes numpy raise anything
        pickled = any(word in str(error) for word in ("pickle", "Python objects"))
        what = "it holds Python objects, which would run code when they are read" if pickled else str(error)
        raise EncoderError(f"{path}: {what}; save plain arrays of numbers, of uids one of dtype str") from error


def _read_tensors(path: Path) -> Columns:
    """The tensors of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise EncoderError(f"{path}: no whole safetensors file ({error}); write it again") from error
    return {name: (each.float() if each.is_floating_point() else each).numpy() for name, each in tensors.items()}


def _read_parquet(path: Path) -> Columns:
    """The columns of a Parquet file."""
    import polars as pl

    try:
        return {series.name: series for series in pl.read_parquet(path, glob=False)}
    except pl.exceptions.PolarsError as error:
        first = str(error).partition("\n")[0]
        raise EncoderError(f"{path}: no whole Parquet file ({first}); write it again") from error


def _read_json_lines(path: Path) -> Columns:
    """The keys of JSON lines; a key that a line lacks is ``None`` there."""
    records: list[dict[str, Any]] = []
    with open_bytes(path) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                records.append(dict(json.loads(line)))
            except (ValueError, TypeError) as error:
                raise EncoderError(f"{path}, line {number}: wanted one JSON object, got {line[:40]!r}") from error
    return {name: [record.get(name) for record in records] for name in {key: None for each in records for key in each}}


def _read_csv(path: Path) -> Columns:
    """The columns of a CSV file as text."""
    with open_bytes(path) as content, io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as file:
        try:
            header, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
        except (csv.Error, UnicodeDecodeError) as error:
            raise EncoderError(f"{path}: cannot be read as CSV in UTF-8 ({error}); write it again") from error
    ragged = next((place for place, row in enumerate(rows, start=1) if len(row) != len(header)), None)
    if ragged is not None:
        raise EncoderError(
            f"{path}, row {ragged}: {len(rows[ragged - 1])} cells, {len(header)} in the header; quote cells that hold "
            "commas"
        )
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True)) if rows else {name: [] for name in header}


def _is_row_a_name(path: Path, found: Columns) -> bool:
    """Whether each tensor of a safetensors file is one item's vector, under the item's uid."""
    return suffix_of(path) == ".safetensors" and {each.ndim for each in found.values()} == {1}


def _uids(path: Path, found: Columns, file: Path | None, uid_column: str) -> list[str]:
    """The uids of the rows, from a file of their own or from that of the vectors."""
    if file is not None and file.suffix.lower() == ".txt":
        return _lines(file)
    there = found if file is None else _read(file)
    where = file or path
    values = there.get("" if file is not None and "" in there else uid_column)
    if values is None:
        raise EncoderError(
            f"{where}: no uids: wanted a column {uid_column!r}, got {_listed(there)}; set data.encoder.uid_column to "
            "the column of uids, or data.encoder.uids to a file of them, one a row (vectors are never joined by their "
            "position)"
        )
    return _as_uids(where, values)


def _lines(file: Path) -> list[str]:
    """A text file of uids, one a line."""
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"{file}: cannot read uids, one a line in UTF-8: {error}") from error


def _as_uids(path: Path, values: Any) -> list[str]:
    """Values as uids: whole numbers without a decimal point, no surrounding blanks, ``''`` where there is none."""
    if getattr(values, "ndim", 1) != 1:
        raise EncoderError(f"{path}: wanted one uid a row, got an array of shape {list(values.shape)}")
    return ["" if value is None or value != value else _as_uid(value) for value in _listed_values(values)]  # noqa: PLR0124 # only nan differs from itself


def _listed_values(values: Any) -> list[Any]:
    """The values as Python's own."""
    return (
        values if isinstance(values, list) else values.tolist() if isinstance(values, np.ndarray) else values.to_list()
    )


def _as_uid(value: Any) -> str:
    """One value as a uid."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _only_vectors(path: Path, found: Columns, uid_column: str) -> str:
    """The one column that holds vectors."""
    if list(found) == [""]:
        return ""
    vectors = [name for name, values in found.items() if name != uid_column and _holds_vectors(values)]
    if len(vectors) != 1:
        raise EncoderError(
            f"{path}: {len(vectors)} columns hold a vector in each row, among {_listed(found)}; set "
            "data.encoder.columns to the one to take, or to several columns of numbers"
        )
    return vectors[0]


def _holds_vectors(values: Any) -> bool:
    """Whether each row has a list of numbers."""
    if isinstance(values, np.ndarray):
        return values.ndim > 1
    if isinstance(values, list):
        first = next((value for value in values if isinstance(value, list) and value), [None])[0]
        return isinstance(first, int | float)
    inner = getattr(values.dtype, "inner", None)
    return inner is not None and inner.is_numeric()


def _rows(path: Path, found: Columns, uids: Sequence[str], columns: Sequence[str]) -> NDArray[Any]:
    """The vectors, ``[N, D]``."""
    unknown = [name for name in columns if name not in found]
    if unknown:
        raise EncoderError(f"{path}: no column {', '.join(unknown)}; the columns there are {_listed(found)}")
    blocks = []
    for name in columns:
        if getattr(found[name], "ndim", 1) and len(found[name]) != len(uids):
            raise EncoderError(
                f"{path}: {len(found[name]):,} vectors but {len(uids):,} uids; give one uid for each, in the order of "
                "the rows"
            )
        blocks.append(_block(path, name, found[name], uids))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)


def _block(path: Path, name: str, values: Any, uids: Sequence[str]) -> NDArray[Any]:
    """One column's share of the vectors, ``[N, d]``."""
    if isinstance(values, np.ndarray):
        if values.ndim not in (1, 2) or values.dtype.kind not in "fiub":
            raise EncoderError(
                f"{path}: wanted an array of numbers [{len(uids)}, D], got {values.dtype} {list(values.shape)}"
            )
        return values.reshape(len(values), -1)
    if not isinstance(values, list):
        return _of_series(path, name, values, uids)
    lists = [value if isinstance(value, list) else [value] for value in values]
    _check_widths(path, name, np.array([len(each) for each in lists]), uids)
    return np.array(
        [[_number(path, name, number, uid) for number in each] for uid, each in zip(uids, lists, strict=True)]
    )


def _of_series(path: Path, name: str, series: Any, uids: Sequence[str]) -> NDArray[Any]:
    """A column of a Parquet file, ``[N, d]``; an absent number is nan."""
    import polars as pl

    if series.dtype.is_nested():
        if isinstance(series.dtype, pl.Array):
            series = series.arr.to_list()
        if not isinstance(series.dtype, pl.List) or not series.dtype.inner.is_numeric():
            raise EncoderError(f"{path}: wanted numbers in column {name!r}, got {series.dtype}")
        _check_widths(path, name, series.list.len().fill_null(0).to_numpy(), uids)
        return series.explode().cast(pl.Float32).to_numpy().reshape(len(uids), -1)  # type: ignore[no-any-return]
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        raise EncoderError(f"{path}: wanted numbers in column {name!r}, got {series.dtype}; name columns of numbers")
    return series.cast(pl.Float64).to_numpy().reshape(-1, 1)  # type: ignore[no-any-return]


def _number(path: Path, name: str, value: Any, uid: str) -> float:
    """A cell as a number, nan where it is empty."""
    if value is None or value == "":
        return float("nan")
    try:
        return float(value)
    except OverflowError:  # a whole number beyond all floats, which is refused with the rows that are not finite
        return float("inf")
    except (TypeError, ValueError) as error:
        raise EncoderError(
            f"{path}: column {name!r} of uid {uid!r} wants numbers, got {str(value)[:40]!r}; correct the row or name "
            "other columns with data.encoder.columns"
        ) from error


def _check_widths(path: Path, name: str, widths: NDArray[Any], uids: Sequence[str]) -> None:
    """Every vector is as long as most are."""
    if not len(widths):
        return
    usual = Counter(widths.tolist()).most_common(1)[0][0]
    bad = np.flatnonzero(widths != usual)
    if len(bad):
        raise EncoderError(
            f"{path}: column {name!r} holds {usual} numbers in most rows but {widths[bad[0]]} for uid "
            f"{uids[bad[0]]!r}, and differs in {len(bad):,} row(s); correct them or remove them"
        )


def _check_uids(path: Path, uids: Sequence[str]) -> None:
    """Every row has a uid of its own."""
    if not uids:
        raise EncoderError(f"{path}: no rows; wanted at least one vector with its uid")
    blank = [row for row, uid in enumerate(uids, start=1) if not uid]
    if blank:
        raise EncoderError(f"{path}: no uid in row {blank[0]:,}, and in {len(blank):,} row(s) in all; fill them in")
    twice = [(uid, count) for uid, count in Counter(uids).items() if count > 1]
    if twice:
        rows = ", ".join(f"{row:,}" for row, uid in enumerate(uids, start=1) if uid == twice[0][0])
        raise EncoderError(
            f"{path}: uid {twice[0][0]!r} stands in rows {rows}, and {len(twice):,} uid(s) stand in several; keep one "
            "row for each"
        )


def _check_rows(path: Path, uids: Sequence[str], rows: NDArray[Any]) -> None:
    """Every number is finite in float32."""
    if rows.shape[1] == 0:
        raise EncoderError(f"{path}: the vectors have no numbers; write at least one for each uid")
    bad: list[int] = []
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is found so
        for start in range(0, len(rows), _CHUNK_ROWS):
            chunk = np.asarray(rows[start : start + _CHUNK_ROWS], dtype=np.float32)
            bad += (start + np.flatnonzero(~np.isfinite(chunk).all(axis=1))).tolist()
    if bad:
        raise EncoderError(
            f"{path}: a number of uid {uids[bad[0]]!r} is missing or not finite in float32, in {len(bad):,} row(s) in "
            "all; correct them, or remove them and set data.encoder.missing=drop to leave these items out"
        )


def _listed(found: Columns) -> str:
    """The names in a file, as far as a message has room."""
    names = [name or "one array" for name in found]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
