"""A file that says which part of a split each item belongs to."""

import json
from collections.abc import Mapping
from pathlib import Path

from soft_labels.annotations.table import cells
from soft_labels.annotations.table.cells import cleaned
from soft_labels.annotations.table.database import working_database
from soft_labels.annotations.table.names import identifier
from soft_labels.annotations.table.source import Source, open_source
from soft_labels.annotations.table.words import PART_COLUMN, UID
from soft_labels.errors import DataError


def read_parts(path: Path) -> dict[str, str | None]:
    """The part that a file names for each uid.

    Args:
        path: ``split.json`` of a run (lists of uids by part), or a table with a column of uids and a column of parts,
            of any kind that annotations may be in.

    Returns:
        By uid the part as it is written; ``None`` where none is.

    Raises:
        DataError: The file is missing or malformed, has no such columns, or names two parts for one uid.
    """
    path = path.expanduser()
    lists = _lists(path) if path.suffix == ".json" and path.is_file() else None
    pairs = _pairs(path) if lists is None else [(uid, part) for part, uids in lists.items() for uid in uids]
    found: dict[str, str | None] = {}
    for uid, part in pairs:
        if found.setdefault(uid, part) != part:
            raise DataError(f"{path}: item {uid!r} stands in {found[uid]} and in {part}; give it one part")
    return found


def _lists(path: Path) -> Mapping[str, list[str]] | None:
    """Lists of uids by part, where the file is one object of these."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError:
        return None  # records of another form, or a fault that the reader of tables names
    if not isinstance(whole, dict) or "train" not in whole:
        return None
    uids = {part: value for part, value in whole.items() if isinstance(value, list)}
    return {part: [cleaned(str(uid)) for uid in value] for part, value in uids.items()}


def _pairs(path: Path) -> list[tuple[str, str | None]]:
    """Uid and part of each row of a table."""
    with working_database() as (database, folder):
        cells.install(database)
        source = open_source(path, database, folder)
        uid, part = _columns(source)
        found = database.execute(
            f"SELECT cleaned({source.columns[uid]}), cleaned({source.columns[part]}) FROM {source.relation}"
        ).fetchall()
    blank = [row for row, (one, _) in enumerate(found, start=1) if one is None]
    if blank:
        raise DataError(
            f"{path}, row {blank[0]} (a header is not counted): no value in column {uid!r} ({len(blank):,} rows are "
            "so); fill it in or remove the row"
        )
    return found


def _columns(source: Source) -> tuple[str, str]:
    """The columns of uids and of parts: by their names, and where there are two columns by what is left."""
    words = {name: name.strip().lower().replace(" ", "_") for name in source.columns}
    parts = [name for name, word in words.items() if PART_COLUMN.fullmatch(word)]
    rest = [name for name in words if name not in parts]
    uids = [name for name in rest if UID.match(words[name])] or (rest if len(rest) == 1 else [])
    if len(parts) != 1 or not uids:
        raise DataError(
            f"{source.path}: wanted a column uid and a column split, got {', '.join(map(identifier, words))}; name "
            "them so"
        )
    return uids[0], parts[0]
