"""Records of JSON files, whatever their outermost form, as one object a line or one array of objects."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from soft_labels.annotations.table.encoding import open_text
from soft_labels.errors import DataError

KEY, VALUE = "key", "value"
_STATE = "instance_id_to_label_to_value"  # of Potato, which writes pairs of {schema, name} and a value
Kind = Literal["newline_delimited", "array"]
_LOOK = 1 << 12


def direct_format(path: Path, encoding: str) -> Kind | None:
    """How DuckDB can read a JSON file record by record.

    Args:
        path: The file.
        encoding: Of its text.

    Returns:
        ``newline_delimited`` or ``array``; ``None`` for a single object, whose records lie within it.

    Raises:
        DataError: The file is empty.
    """
    with open_text(path, encoding) as file:
        start = file.read(_LOOK).lstrip()
    if start.startswith("["):  # perhaps one line that is larger than memory
        return "array"
    with open_text(path, encoding) as file:
        lines = (line.strip() for line in file)
        filled = (line for line in lines if line)
        first, second = next(filled, ""), next(filled, "")
    if not first:
        raise DataError(f"{path}: empty; a table needs at least one row")
    return "newline_delimited" if second.startswith("{") and _is_json(first) else _single(first, path)


def _single(first: str, path: Path) -> Kind | None:
    """A lone line is one object of records in .json, and one record in .jsonl."""
    lines = {".jsonl", ".ndjson"} & {suffix.lower() for suffix in path.suffixes}
    return "newline_delimited" if lines or not (first.startswith("{")) else None


def _is_json(line: str) -> bool:
    """Whether a line is complete."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def records_of_object(path: Path, encoding: str) -> tuple[Iterable[dict[str, Any]], str]:
    """The records that a single JSON object holds.

    Args:
        path: The file.
        encoding: Of its text.

    Returns:
        The records, and in words where they were found: an array under one key, arrays that are columns, objects by
        id (the id becomes ``key``), or objects of annotations by item (``key`` and ``value``).

    Raises:
        DataError: The file is no JSON, or holds nothing that looks like records.
    """
    with open_text(path, encoding) as file:
        try:
            whole = json.load(file)
        except ValueError as error:
            raise DataError(f"{path}: cannot be read as JSON ({error}); is the file cut short?") from error
    if not isinstance(whole, dict) or not whole:
        raise DataError(f"{path}: wanted records (objects), got {type(whole).__name__}; write one object a line")
    if _STATE in whole:
        return _answers_of(whole), "answers of one annotator of Potato"
    lists = {key: value for key, value in whole.items() if isinstance(value, list)}
    tables = {key: value for key, value in lists.items() if value and all(isinstance(one, dict) for one in value)}
    if {"columns", "data"} <= set(lists) and all(isinstance(row, list) for row in lists["data"]):
        return _by_position(lists), "a table of columns and data"
    if len(tables) == 1 and not _is_task(whole):
        (key,) = tables
        return tables[key], f"records below {key!r}"
    if len(tables) > 1:
        raise DataError(
            f"{path}: records below each of {', '.join(tables)}; save the ones wanted as a file of their own"
        )
    if lists and len(lists) == len(whole) and len(set(map(len, lists.values()))) == 1:
        return _columns(lists), "one array a column"
    return _entries(whole)


def _entries(whole: dict[str, Any]) -> tuple[Iterable[dict[str, Any]], str]:
    """Records by id, one value a key, or the object itself."""
    if all(isinstance(value, Mapping) for value in whole.values()):
        return _by_id(whole)
    if all(isinstance(value, list | str | int | float) for value in whole.values()):
        return ({KEY: key, VALUE: value} for key, value in whole.items()), "one entry an item (key, value)"
    return [whole], "one record"


def _is_task(whole: dict[str, Any]) -> bool:
    """Whether an object is one task of Label Studio with its annotations, or one annotation with its task."""
    return ("annotations" in whole and isinstance(whole.get("data"), dict)) or (
        "result" in whole and isinstance(whole.get("task"), dict)
    )


def _answers_of(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A record for each item that an annotator of Potato labelled, as its export has them."""
    for item, answers in state[_STATE].items():
        labels: dict[str, Any] = {} if isinstance(answers, list) else answers
        for named, value in answers if isinstance(answers, list) else ():
            labels.setdefault(named["schema"], {})[named["name"]] = value
        yield {"instance_id": item, "user_id": state.get("user_id"), "labels": labels}


def _by_position(lists: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Rows of pandas' form ``split``."""
    return (dict(zip(lists["columns"], row, strict=True)) for row in lists["data"])


def _columns(lists: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Rows of one array a column."""
    return (dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True))


def _by_id(whole: dict[str, dict[str, Any]]) -> tuple[Iterable[dict[str, Any]], str]:
    """Objects by id: records of one kind, columns of pandas, or answers by annotator."""
    keys = [set(value) for value in whole.values()]
    rows = set.union(*keys)
    if _are_columns(whole, rows):
        return (
            {name: whole[name].get(row) for name in whole} for row in whole[next(iter(whole))]
        ), "one object a column"
    values = [one for value in whole.values() for one in value.values()]
    plain = all(isinstance(one, str | int | float | list | None) for one in values)
    alike = len(set.intersection(*keys)) >= 2 and not all(str(key).isdigit() for key in rows)
    if plain and not (alike and any(_is_prose(one) for one in values)):
        return ({KEY: key, VALUE: value} for key, value in whole.items()), "answers by item (key, value)"
    return ({KEY: key, **value} for key, value in whole.items()), "records by id (the id is 'key')"


def _are_columns(whole: dict[str, dict[str, Any]], rows: set[str]) -> bool:
    """Whether outer keys are columns and inner keys row numbers, as pandas writes a table."""
    full = all(len(value) == len(rows) for value in whole.values())
    numbered = rows == {str(number) for number in range(len(rows))}
    return full and numbered and not any(str(key).isdigit() for key in whole) and len(whole) > 1 and _has_prose(whole)


def _has_prose(whole: dict[str, dict[str, Any]]) -> bool:
    """Whether some column holds texts."""
    return any(all(_is_prose(one) for one in value.values()) for value in whole.values())


def _is_prose(value: object) -> bool:
    """Several words."""
    return isinstance(value, str) and " " in value.strip()


def write_lines(records: Iterable[dict[str, Any]], path: Path) -> Path:
    """Write one record a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return path


def first_bad_line(path: Path, encoding: str) -> str:
    """Say which line of a JSON lines file is no object, and how many are like it; empty where all are."""
    count, first = 0, (0, "")
    with open_text(path, encoding) as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and not _is_object(line):
                first = first if count else (number, line.strip()[:40])
                count += 1
    alike = f" ({count:,} lines are so)" if count > 1 else ""
    said = f"line {first[0]}: wanted one JSON object, got {first[1]!r}{alike}; is the file truncated?"
    return said if count else ""


def _is_object(line: str) -> bool:
    """Whether a line is a whole JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
