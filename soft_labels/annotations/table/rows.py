"""The rows of a table with the columns that matter, joined, opened, filtered and without missing values."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from soft_labels.annotations.table import cells
from soft_labels.annotations.table.cells import as_text, cleaned
from soft_labels.annotations.table.database import ask
from soft_labels.annotations.table.names import (
    column_of,
    columns_of,
    expression,
    identifier,
    literal,
    template_expression,
    template_names,
)
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.annotations.table.source import Source, open_source
from soft_labels.errors import ConfigError, DataError

ROW_NUMBER = "#row"
ROW = identifier(ROW_NUMBER)


@dataclass
class Work:
    """A table on its way to a data set.

    Args:
        files: The table, or its parts.
        database: Where its rows lie.
        settings: What its columns mean.
        rows_read: Rows of the file.
        dropped: Rows left out, for each reason.
        notes: What was found out.
        warnings: What may be wrong.
        class_names: Names of class numbers that the file itself gives.
        beside: Filters by a list beside the labels: its cell, its column and the values wanted of it.
    """

    files: Path | Sequence[Path]
    database: duckdb.DuckDBPyConnection
    settings: TableSettings
    rows_read: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    class_names: tuple[str, ...] | None = None
    beside: list[tuple[str, str, Any]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The table, for messages; the first of its parts."""
        return self.files if isinstance(self.files, Path) else self.files[0]

    def run(self, sql: str) -> duckdb.DuckDBPyConnection:
        """Run a statement."""
        return ask(self.database, sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a question."""
        return self.run(sql).fetchall()

    def value(self, sql: str) -> Any:
        """The one value of a question."""
        return self.rows(sql)[0][0]

    def at(self, row: int) -> str:
        """Where a row stands, for messages."""
        return f"{self.path}, row {row} (a header is not counted)"

    def refuse(self, table: str, condition: str, words: str, cure: str, *shown: str) -> None:
        """Refuse rows: name the first and say how many are like it.

        Args:
            table: Their table.
            condition: What makes a row wrong.
            words: What is wrong; ``{0}`` and so on are the shown values.
            cure: What to do.
            shown: Columns whose values the words name.

        Raises:
            DataError: There is such a row.
        """
        columns = ", ".join([ROW, *shown])
        bad = self.rows(f"SELECT {columns} FROM {table} WHERE {condition} ORDER BY {ROW} LIMIT 1")
        if bad:
            row, *values = bad[0]
            count = self.value(f"SELECT count(*) FROM {table} WHERE {condition}")
            raise DataError(f"{self.at(row)}: {words.format(*values)}{alike(count)}; {cure}")

    def leave_out(self, table: str, condition: str, why: str) -> None:
        """Leave rows out, and count them."""
        count = self.value(f"SELECT count(*) FROM {table} WHERE {condition}")
        if count:
            self.run(f"DELETE FROM {table} WHERE {condition}")
            self.dropped[why] = self.dropped.get(why, 0) + count

    def settle(self, table: str, condition: str, words: str, why: str, cure: str) -> None:
        """Refuse or leave out rows that lack a value, as the setting ``missing`` says."""
        if self.settings.missing == "error":
            self.refuse(table, condition, words, f"{cure}, or set missing: drop")
        self.leave_out(table, condition, why)

    def drop(self, table: str) -> None:
        """Drop a table, or a view with the table that it shows."""
        kind = self.value(f"SELECT table_type FROM information_schema.tables WHERE table_name = {literal(table)}")
        self.run(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} {table}")
        self.run(f"DROP TABLE IF EXISTS {table}_read")

    def check_left(self, table: str) -> None:
        """Refuse settings that leave no row."""
        if not self.value(f"SELECT count(*) FROM {table}"):
            why = "; ".join(f"{count:,} rows: {reason}" for reason, count in self.dropped.items()) or "none has a label"
            raise DataError(f"{self.path}: no row is left ({why}); correct the settings that leave rows out")


def alike(count: int) -> str:
    """How many rows share a fault."""
    return "" if count == 1 else f" ({count:,} rows are so)"


def take_rows(work: Work, folder: Path, roles: Mapping[str, str]) -> None:
    """Make the table ``rows``: one text column a role, ``uid`` cleaned, rows outside ``where`` left out.

    Args:
        work: The table.
        folder: Where copies go that are needed to read it.
        roles: For each name of ours the table's column or nested name, without ids and inputs.

    Raises:
        DataError: A file or column is missing, there is no row, or a value is missing.
    """
    settings = work.settings
    shown, _ = settings.shown
    inputs = [name for text in shown.values() for name in (template_names(text) if settings.text_template else [text])]
    ids = [name for name in settings.uid_columns if name != ROW_NUMBER]
    names = [*settings.rows_from, *ids, *inputs, *roles.values(), *settings.where]
    columns = _read(work, folder, names)
    for name in settings.rows_from:
        columns = open_lists(work, name, columns)
    cells_of = {ours: f"filled({expression(name, columns)})" for ours, name in roles.items()}
    cells_of |= {f"where_{place}": expression(name, columns) for place, name in enumerate(settings.where)}
    for ours, name in shown.items():
        parts = {part: expression(part, columns) for part in template_names(name)} if settings.text_template else {}
        text = template_expression(name, parts) if settings.text_template else expression(name, columns)
        cells_of[ours] = f"filled({text})"
    cells_of["uid"] = _uid(settings, columns, [cells_of[ours] for ours in shown])
    picked = ", ".join(f"{cell} AS {ours}" for ours, cell in cells_of.items())
    work.run(f"CREATE TABLE rows AS SELECT {ROW}, {picked} FROM records")
    work.drop("records")
    _keep(work)
    wanted = {
        "uid": _uid_words(settings),
        **shown,
        **{ours: roles[ours] for ours in ("grp", "annotator") if ours in roles},
    }
    for ours, column in wanted.items():
        require(work, ours, column)


def require(work: Work, ours: str, column: str, table: str = "rows") -> None:
    """Refuse or leave out rows without a value in a column."""
    words = f"no value in column {column!r}".replace("{", "{{").replace("}", "}}")
    work.settle(table, f"{ours} IS NULL", words, f"no value in column {column!r}", "fill it in or remove the row")


def _uid(settings: TableSettings, columns: Collection[str], inputs: Sequence[str]) -> str:
    """The item's id as SQL: cleaned, joined, or made from what was shown."""
    if settings.uid_columns == [ROW_NUMBER]:
        return f"{ROW}::VARCHAR"
    if settings.uid_columns:
        return " || '/' || ".join(f"cleaned({expression(name, columns)})" for name in settings.uid_columns)
    texts = " || chr(31) || ".join(f"trimmed({text})" for text in inputs)
    return f"substr(sha256({texts}), 1, 16)"


def _uid_words(settings: TableSettings) -> str:
    """What to call the id's columns."""
    return ", ".join(settings.uid_columns) or "text"


def _read(work: Work, folder: Path, names: Sequence[str]) -> list[str]:
    """Make the table ``records`` of the columns that hold the names, from one file or two."""
    settings = work.settings
    source = open_source(work.files, work.database, _within(folder, "first"), settings.encoding, settings.header)
    work.notes += source.notes
    work.warnings += source.warnings
    if settings.label_column is not None:
        work.class_names = source.class_names.get(settings.label_column)
    if settings.items_path is None:
        return load(work, source, columns_of(names, source.columns, str(work.path)), "records")
    items_path = settings.items_path.expanduser()
    items = open_source(items_path, work.database, _within(folder, "second"), settings.encoding)
    return join(work, source, items, names)


def _within(folder: Path, name: str) -> Path:
    """A folder in a folder."""
    (folder / name).mkdir()
    return folder / name


def load(work: Work, source: Source, columns: Sequence[str], table: str) -> list[str]:
    """Read columns of a source, its rows numbered from 1."""
    picked = ", ".join(f"{source.columns[name]} AS {identifier(name)}" for name in columns)
    try:
        work.run(f"CREATE TABLE {table}_read AS SELECT {picked} FROM {source.relation}")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise DataError(
            f"{source.path}: cannot be read ({str(error).splitlines()[0]}); write the file again"
        ) from error
    work.run(f"CREATE VIEW {table} AS SELECT rowid + 1 AS {ROW}, * FROM {table}_read")
    count: int = work.value(f"SELECT count(*) FROM {table}")
    if not count:
        raise DataError(f"{source.path}: no rows; a table needs at least one item")
    if table == "records":
        work.rows_read = count
    return list(columns)


def join(work: Work, source: Source, items: Source, names: Sequence[str]) -> list[str]:
    """Join a table of items by their id; every annotation finds its item."""
    settings = work.settings
    if len(settings.uid_columns) != 1:
        raise ConfigError(f"a second table is joined by one uid_column, got {settings.uid_columns}")
    (uid,) = settings.uid_columns
    key = settings.items_uid_column or uid
    known = {**dict.fromkeys(source.columns), **dict.fromkeys(items.columns)}
    asked = columns_of(names, known, f"{work.path} and {items.path}")
    ours = columns_of([uid, *(name for name in asked if name in source.columns)], source.columns, str(work.path))
    theirs = columns_of([key, *(name for name in asked if name not in source.columns)], items.columns, str(items.path))
    load(work, source, ours, "firsts")
    load(work, items, theirs, "seconds")
    join_key = f"cleaned({expression(key, theirs)})"
    work.run(f'CREATE TABLE described AS SELECT *, {join_key} AS "#key" FROM seconds')
    number = f'row_number() OVER (PARTITION BY "#key" ORDER BY {ROW})'
    again = work.rows(
        f'SELECT "#key", {ROW} FROM described WHERE "#key" IS NOT NULL QUALIFY {number} > 1 ORDER BY {ROW} LIMIT 1'
    )
    if again:
        raise DataError(f"{items.path}, row {again[0][1]} (a header is not counted): {key} {again[0][0]!r} occurs "
                        "again; "
                        "keep one row an item")  # fmt: skip
    more = [name for name in theirs if name not in ours]
    described = "".join(f", s.{identifier(name)}" for name in more)
    match = (
        f"cleaned(f.{identifier(column_of(uid, ours) or uid)})" if uid in ours else f"cleaned({expression(uid, ours)})"
    )
    work.run(
        f'CREATE TABLE records AS SELECT f.*{described}, s."#key" FROM firsts f '
        f'LEFT JOIN described s ON {match} = s."#key" ORDER BY f.{ROW}'
    )
    work.rows_read = work.value("SELECT count(*) FROM records")
    work.settle(
        "records", '"#key" IS NULL', f"no row of {items.path} has its {uid}",
        f"no row of {items.path.name} has its {uid}",
        f"add the item or set items_uid_column (here {key})",
    )  # fmt: skip
    unused = work.value('SELECT count(*) FROM described WHERE "#key" NOT IN (SELECT DISTINCT "#key" FROM records)')
    if unused:
        work.notes.append(f"{unused:,} items of {items.path.name} have no annotation in {work.path.name}")
    work.run("DROP TABLE described")
    work.drop("firsts")
    work.drop("seconds")
    return [*ours, *more]


def open_lists(work: Work, name: str, columns: Sequence[str]) -> list[str]:
    """One row for each entry of a list within a record; a record whose list is empty keeps a row without values."""
    entries = f"json_extract_string(as_json({expression(name, columns)}), '$[*]')"
    kept = [other for other in columns if other != name]
    rest = "".join(f", {identifier(other)}" for other in kept)
    work.run(
        f"CREATE TABLE opened AS SELECT {ROW}{rest}, "
        f"unnest(CASE WHEN len({entries}) > 0 THEN {entries} ELSE [NULL] END) AS {identifier(name)} FROM records"
    )
    work.drop("records")
    work.run("ALTER TABLE opened RENAME TO records")
    work.rows_read = work.value("SELECT count(*) FROM records")
    return [*kept, name]


def _keep(work: Work) -> None:
    """Leave out the rows that ``where`` does not want."""
    for place, (column, wanted) in enumerate(work.settings.where.items()):
        cell = f"where_{place}"
        if work.settings.form == "list" and work.value(f"SELECT count(*) FROM rows WHERE {cell} LIKE '[%'"):
            work.beside.append((cell, column, wanted))
        else:
            keep(work, "rows", cell, column, wanted)


def keep(work: Work, table: str, cell: str, column: str, wanted: Any) -> None:
    """Leave out the rows that one filter does not want.

    Args:
        work: The table on its way.
        table: The rows.
        cell: Where their values lie.
        column: What the table calls them.
        wanted: A value, several, or ``{not: values}``.

    Raises:
        ConfigError: The filter is none of these.
        DataError: No row is left.
    """
    values, negated = _filter(column, wanted)
    words = f"{column} is {'' if negated else 'not '}{' or '.join(values)}"
    work.leave_out(table, f"NOT ({is_kept(cell, column, wanted)})", words)
    work.check_left(table)


def is_kept(cell: str, column: str, wanted: Any) -> str:
    """Whether a filter wants a row, as SQL."""
    values, negated = _filter(column, wanted)
    inside = f"coalesce(lower(cleaned({cell})) IN ({', '.join(map(literal, values))}), false)"
    return f"NOT {inside}" if negated else inside


def _filter(column: str, wanted: Any) -> tuple[list[str], bool]:
    """The values of a filter, and whether they are those that are left out."""
    negated = isinstance(wanted, Mapping) and set(wanted) == {"not"}
    return _written(wanted["not"] if negated else wanted, column), negated


def _written(wanted: Any, column: str) -> list[str]:
    """The values that a filter names, as they stand in a cell, in lower case."""
    values = wanted if isinstance(wanted, list | tuple) else [wanted]
    if not values or any(isinstance(value, Mapping | list) for value in values):
        raise ConfigError(f"where wants a value, a list of values or {{not: ...}} for {column!r}, got {wanted!r}")
    return [cleaned(as_text(value) or "").lower() for value in values]


def prepare(path: Path | Sequence[Path], database: duckdb.DuckDBPyConnection, settings: TableSettings) -> Work:
    """Begin to read a table."""
    cells.install(database)
    return Work(path, database, settings)


_DESCRIBED = {"grp": "group", "part": "part of the split"}


def check_one_value(work: Work, ours: Iterable[str]) -> None:
    """All rows of an item agree on the columns that describe it, but for blanks around a text."""
    for column in ours:
        known = f"CASE WHEN {column} IS NOT NULL THEN hash(trimmed({column})) END"  # 8 bytes an item, not its texts
        if not work.rows(f"SELECT uid FROM rows GROUP BY uid HAVING min({known}) <> max({known}) LIMIT 1"):
            continue
        first = f"first_value(trimmed({column})) OVER (PARTITION BY uid ORDER BY {ROW})"
        work.run(f"CREATE OR REPLACE TEMP VIEW others AS SELECT *, trimmed({column}) <> {first} AS other FROM rows")
        work.refuse(
            "others", "other",
            f"item {{0!r}} has another {_DESCRIBED.get(column, 'input')} than in its first row",
            "a uid names one item: correct the row or its uid, or set uid_column to null for an id from the text",
            "uid",
        )  # fmt: skip
