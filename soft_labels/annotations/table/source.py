"""Any file or folder of records as one relation of text columns in DuckDB, with what was found out about it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import polars as pl

from soft_labels.annotations.table import delimited, objects
from soft_labels.annotations.table.arrays import ARRAY, array_as_parquet, pictures_as_parquet, pictures_of
from soft_labels.annotations.table.database import ask
from soft_labels.annotations.table.encoding import (
    COMPRESSED,
    check_encoding,
    check_kind,
    copy_as_utf8,
    find_encoding,
    is_blank,
    stem_of,
    suffix_of,
)
from soft_labels.annotations.table.names import identifier, literal, only, parquet
from soft_labels.annotations.table.pictures import expression_of
from soft_labels.errors import DataError

DELIMITED = (".csv", ".tsv", ".txt")
LINES = (".jsonl", ".ndjson")
SUFFIXES = (*DELIMITED, ".json", *LINES, ".parquet", ARRAY)
ARROW = ".arrow"
_DESCRIPTIONS = {
    "dataset_info.json", "state.json", "dataset_dict.json",  # of a saved Hugging Face data set
    "metadata.json", "test_groundTruth.json",  # of peerannot
    "annotation_order.txt", "assigned_user_data.json",  # of Potato
}  # fmt: skip
FILE, FOLDER = "file", "folder"
_NOT_A_NUMBER = "('NaN', 'Infinity', '-Infinity')"
_LONGEST_LINE = 1 << 25
_USUAL_RECORD, _LONGEST_RECORD = 1 << 24, 1 << 28
_SAVE_AS = dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), "; save the sheet as .csv")


@dataclass(frozen=True)
class Source:
    """Records that DuckDB can read.

    Args:
        path: The file or folder, for messages.
        relation: What stands after FROM.
        columns: For each column's name an expression of it as text; nested values are JSON.
        notes: What was found out, in words.
        warnings: What was found out and may be wrong.
        class_names: For a column of class numbers, the names that the file gives them.
    """

    path: Path
    relation: str
    columns: Mapping[str, str]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def open_source(
    path: Path | Sequence[Path],
    database: duckdb.DuckDBPyConnection,
    folder: Path,
    encoding: str | None = None,
    header: Sequence[str] | None = None,
) -> Source:
    """Find out how to read a file, or a folder of files of one kind.

    Args:
        path: A file that ends in one of :data:`SUFFIXES`, compressed or not, several of one kind, or their folder; what
            Hugging Face ``datasets`` saved is read too. Files of a folder get the columns ``file`` and ``folder``.
        database: Where it will be read.
        folder: Where copies go that are needed to read it.
        encoding: Of its text; found out by default.
        header: Names of the columns of a delimited file that has no line of names.

    Returns:
        The source; no record has been read yet.

    Raises:
        DataError: It is missing, empty, damaged or of no known kind.
    """
    if not isinstance(path, Path):
        return _open_files(path[0], [one.expanduser() for one in path], database, folder, encoding, header)
    if path.is_dir():
        return _open_folder(path, database, folder, encoding, header)
    if not path.is_file():
        raise DataError(f"{path}: no such table; give the path of an existing file or folder")
    return _open_file(path, database, folder, encoding, header)


def _open_file(
    path: Path, database: duckdb.DuckDBPyConnection, folder: Path, encoding: str | None, header: Sequence[str] | None
) -> Source:
    """One file by its suffix."""
    suffix = suffix_of(path)
    if suffix == ARRAY:
        notes = ("an array: a row an item, a column a class, numbered from 0",)
        return replace(_parquet(array_as_parquet(path, folder), path, database), notes=notes)
    if suffix == ARROW:
        return _parquet(_as_parquet(path, folder), path, database)
    if suffix not in SUFFIXES:
        wanted = f"{', '.join(SUFFIXES)} (or {COMPRESSED} of these)"
        raise DataError(
            f"{path}: wanted a table that ends in {wanted}, got {path.suffix!r}{_SAVE_AS.get(path.suffix.lower(), '')}"
        )
    if suffix == ".parquet":
        return _parquet(path, path, database)
    check_kind(path)
    found = check_encoding(path, encoding) if encoding else find_encoding(path)
    said = _said_encoding(found, encoding is not None)
    if suffix in DELIMITED:
        return _delimited(path, found, said, folder, database, header)
    return _json(path, found, said, folder, database)


_Said = tuple[tuple[str, ...], tuple[str, ...]]


def _said_encoding(encoding: str, asked: bool) -> _Said:
    """The encoding as a note, and as a warning where it is a guess."""
    if encoding in {"cp1252", "latin-1"} and not asked:
        return (), (f"the text is not UTF-8 and was read as {encoding}; set encoding if letters come out wrong",)
    return (f"encoding {encoding}",), ()


def _delimited(
    path: Path,
    encoding: str,
    said: _Said,
    folder: Path,
    database: duckdb.DuckDBPyConnection,
    header: Sequence[str] | None,
) -> Source:
    """Rows of text, by DuckDB where they keep to RFC 4180, else after Python's csv module wrote them anew."""
    notes, warnings = said
    plain = path if encoding in {"utf-8", "utf-8-sig"} else copy_as_utf8(path, encoding, folder)
    if rest := delimited.without_separator_line(plain, folder):
        found = _delimited(rest, "utf-8", ((*notes, "a first line that names the separator is left out"), warnings),
                           folder, database, header)  # fmt: skip
        return replace(found, path=path)
    dialect = delimited.find_dialect(path, encoding, header)
    relation = _read_csv(plain, dialect, header is None)
    try:
        ask(database, f"SELECT count(*) FROM {relation}")
    except duckdb.Error:
        copy, words = delimited.write_anew(path, encoding, dialect, folder, header is None)
        relation = _read_csv(copy, delimited.Dialect(",", dialect.columns), has_header=True)
        warnings += (words,) if words else ()
    columns = {name: identifier(name) for name in dialect.columns}
    return Source(path, relation, columns, (*notes, *dialect.notes), warnings)


def _read_csv(path: Path, dialect: delimited.Dialect, has_header: bool) -> str:
    """DuckDB's reader, told everything, so that it guesses nothing and refuses what is ambiguous."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in dialect.columns)
    return (
        f"read_csv({only(path)}, auto_detect = false, header = {has_header}, delim = {literal(dialect.delimiter)}, "
        f"quote = '\"', escape = '\"', strict_mode = true, "
        f"max_line_size = {_LONGEST_LINE}, buffer_size = {2 * _LONGEST_LINE}, columns = {{{columns}}})"
    )


def _json(path: Path, encoding: str, said: _Said, folder: Path, database: duckdb.DuckDBPyConnection) -> Source:
    """Records of a JSON file, each kept as JSON until its fields are asked for."""
    notes, warnings = said
    kind = objects.direct_format(path, encoding)
    plain = path if encoding in {"utf-8", "utf-8-sig"} else copy_as_utf8(path, encoding, folder)
    if kind is None:
        records, words = objects.records_of_object(path, encoding)
        plain, kind = objects.write_lines(records, folder / f"records-{path.stem}.jsonl"), "newline_delimited"
        notes += (words,)
    relation = _read_json(plain, kind, database)
    try:
        odd = ask(database, f"SELECT json_type(json), count(*) FROM {relation} GROUP BY 1").fetchall()
        names = ask(
            database,
            f"SELECT name FROM (SELECT unnest(json_keys(json)) AS name, row_number() OVER () AS place FROM {relation} "
            "WHERE json_type(json) = 'OBJECT') GROUP BY name ORDER BY min(place)",
        ).fetchall()
    except duckdb.Error as error:
        bad = objects.first_bad_line(path, encoding) if kind == "newline_delimited" else ""
        raise DataError(f"{path}, {bad or _first_line(error)}; correct it or write the file again") from error
    if others := {kind_: number for kind_, number in odd if kind_ != "OBJECT"}:
        raise DataError(
            f"{path}: wanted objects, got {_listed(others)} among the records; correct them or leave them out"
        )
    columns = {name: _json_field(name) for (name,) in names}
    return Source(path, relation, columns, notes, warnings)


def _read_json(path: Path, kind: objects.Kind, database: duckdb.DuckDBPyConnection) -> str:
    """DuckDB's reader; only where a record is too long for its usual buffers, buffers of half a GiB."""
    usual, long = (
        f"read_json_objects({only(path)}, format = '{kind}', maximum_object_size = {size})"
        for size in (_USUAL_RECORD, _LONGEST_RECORD)
    )
    try:
        ask(database, f"SELECT count(json_type(json)) FROM {usual}")
    except duckdb.Error as error:
        if "maximum_object_size" in str(error):
            database.execute("SET threads = 1")
            return long
    return usual


def _listed(numbers: Mapping[str, int]) -> str:
    """Kinds and how many of each."""
    return ", ".join(f"{number:,} {kind.lower()}" for kind, number in numbers.items())


def _json_field(name: str) -> str:
    """A field as text; a NaN, which is no JSON but is often written, is no value."""
    path = literal('$."' + name.replace('"', '\\"') + '"')
    return (
        f"CASE WHEN json_type(json, {path}) = 'DOUBLE' AND (json ->> {path}) IN {_NOT_A_NUMBER} THEN NULL "
        f"ELSE json ->> {path} END"
    )


def _parquet(path: Path, shown: Path, database: duckdb.DuckDBPyConnection) -> Source:
    """Columns of a Parquet file as text."""
    relation = parquet(path)
    try:
        described = database.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        firsts = {name: _first(name, relation, database) for name, kind, *_ in described if kind == "BLOB"}
        named = _class_names(path, database)
    except duckdb.Error as error:
        raise DataError(f"{shown}: cannot be read ({_first_line(error)}); write the file again") from error
    columns = {
        name: expression_of(name, kind, firsts.get(name)) or _as_text(name, kind) for name, kind, *_ in described
    }
    return Source(shown, relation, columns, class_names=named)


def _first(name: str, relation: str, database: duckdb.DuckDBPyConnection) -> bytes | None:
    """The first bytes that a column holds."""
    column = identifier(name)
    row = database.execute(f"SELECT {column} FROM {relation} WHERE {column} IS NOT NULL LIMIT 1").fetchone()
    return None if row is None else row[0]


def _as_text(name: str, kind: str) -> str:
    """One Parquet column: nested values as JSON, numbers that are none as nothing."""
    column = identifier(name)
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
        return f"to_json({column})::VARCHAR"
    if kind in {"DOUBLE", "FLOAT"}:
        return f"CASE WHEN isfinite({column}) THEN {column}::VARCHAR END"
    return f"{column}::VARCHAR"


def _class_names(path: Path, database: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, ...]]:
    """Names of class numbers, as Hugging Face data sets keep them in a file's metadata."""
    found = database.execute(
        f"SELECT decode(value) FROM parquet_kv_metadata({only(path)}) WHERE decode(key) = 'huggingface'"
    )
    row = found.fetchone()
    return {} if row is None else _names_of_features(json.loads(row[0]).get("info", {}).get("features", {}))


def _names_of_features(features: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """The names in a data set's description, of a column or of the elements of its lists."""
    found = {}
    for column, feature in features.items():
        inner = feature
        while isinstance(inner, dict) and "names" not in inner and "feature" in inner:
            inner = inner["feature"]
        if isinstance(inner, dict) and isinstance(inner.get("names"), list):
            found[column] = tuple(map(str, inner["names"]))
    return found


def _as_parquet(path: Path, folder: Path) -> Path:
    """An Arrow file as Parquet, which DuckDB reads without an extension."""
    copy = folder / f"arrow-{abs(hash(path))}.parquet"
    for read in (pl.read_ipc_stream, pl.read_ipc):
        try:
            read(path).write_parquet(copy)
        except (pl.exceptions.PolarsError, OSError):
            continue
        return copy
    raise DataError(f"{path}: cannot be read as Arrow; save the data set again, or as Parquet")


def _open_folder(
    path: Path, database: duckdb.DuckDBPyConnection, folder: Path, encoding: str | None, header: Sequence[str] | None
) -> Source:
    """Files of one kind as one table."""
    files = _files(path)
    if not files and (pictures := pictures_of(path)):
        table = _parquet(pictures_as_parquet(pictures, folder), path, database)
        return replace(table, notes=(f"{len(pictures):,} pictures",))
    kinds = sorted({suffix_of(file) for file in files})
    if len(kinds) != 1:
        what = f"files of several kinds ({', '.join(kinds)}); give one of them" if kinds else "no table"
        raise DataError(f"{path}: {what}; wanted a folder of files that end in one of {', '.join(SUFFIXES)}")
    return _open_files(path, files, database, folder, encoding, header)


def _open_files(
    path: Path,
    files: Sequence[Path],
    database: duckdb.DuckDBPyConnection,
    folder: Path,
    encoding: str | None,
    header: Sequence[str] | None,
) -> Source:
    """Several files as one table, which messages call by ``path``."""
    filled = [file for file in files if not is_blank(file)] or files
    empty = [file.name for file in files if file not in filled]
    files, parts = filled, []
    for number, file in enumerate(files):
        (place := folder / str(number)).mkdir()
        parts.append(open_source(file, database, place, encoding, header))
    names = dict.fromkeys(name for part in parts for name in part.columns)
    selects = [_select(part, file, names) for part, file in zip(parts, files, strict=True)]
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    said = [f"{len(empty)} files hold nothing and are left out: {', '.join(empty)}"] if empty else []
    described = (*sorted(path.glob("dataset_info.json")), *sorted(path.glob("*/dataset_info.json")))
    named = parts[0].class_names
    for description in described[:1]:
        named = _names_of_features(json.loads(description.read_text(encoding="utf-8")).get("features") or {})
    return Source(
        path,
        f"({' UNION ALL '.join(selects)})",
        {name: identifier(name) for name in (*names, FILE, FOLDER)},
        (f"{len(files)} files", *said, *notes),
        tuple(dict.fromkeys(f"{warning}" for part in parts for warning in part.warnings)),
        named,
    )


def _files(path: Path) -> list[Path]:
    """The tables below a folder, without descriptions and hidden files."""
    kinds = {*SUFFIXES, ARROW}
    found = sorted(file for file in path.rglob("*") if file.is_file() and suffix_of(file) in kinds)
    plain = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    return [file for file in plain if file.name not in _DESCRIPTIONS and _is_data(file)]


def _is_data(file: Path) -> bool:
    """Whether a file is one of a saved data set, where a state beside it names these; caches lie there too."""
    state = file.parent / "state.json"
    if suffix_of(file) != ARROW or not state.is_file():
        return True
    listed = json.loads(state.read_text(encoding="utf-8")).get("_data_files") or []
    return file.name in {one.get("filename") for one in listed}


def _select(part: Source, file: Path, names: Mapping[str, object]) -> str:
    """One file's records under the names of all files."""
    cells = [f"{part.columns.get(name, 'NULL')} AS {identifier(name)}" for name in names]
    where = {FILE: stem_of(file), FOLDER: file.parent.name}
    places = [f"{literal(text)} AS {identifier(name)}" for name, text in where.items()]
    return f"SELECT {', '.join(cells + places)} FROM {part.relation}"


def _first_line(error: duckdb.Error) -> str:
    """What went wrong, without the database's advice on its own options."""
    return str(error).partition("\n")[0]
