"""The database that tables are read in: it holds a bounded part of them in memory and the rest on disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psutil

from soft_labels.annotations.table.names import literal
from soft_labels.errors import DataError

MEMORY_MIB = 512
"""What the database holds in memory, whatever the size of the table; beyond that it spills."""
_MOST_THREADS = 4  # each wants some 100 MiB for itself


@contextmanager
def working_database() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A database that spills to disk rather than fill memory, and a folder for copies; both gone afterwards.

    Raises:
        DataError: There is no room for what it holds.
    """
    with tempfile.TemporaryDirectory(prefix="soft-labels-") as folder, duckdb.connect() as database:
        database.execute(f"SET temp_directory = {literal(str(Path(folder) / 'spill'))}")
        database.execute(f"SET memory_limit = '{MEMORY_MIB}MiB'")
        (cores,) = database.execute("SELECT current_setting('threads')").fetchall()[0]
        database.execute(f"SET threads = {min(cores, _MOST_THREADS)}")
        database.execute("SET autoinstall_known_extensions = false")
        database.execute("SET enable_progress_bar = false")
        try:
            yield database, Path(folder)
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise DataError(
                f"{folder}: no room left to work on the table ({str(error).splitlines()[0]}); free memory, make room "
                "on that disk, or set TMPDIR to a folder on a larger one"
            ) from error


def ask(database: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyConnection:
    """Run a statement; one that cannot do with the memory allowed, as for cells of many MiB, gets twice as much.

    Args:
        database: A working database.
        sql: The statement.

    Raises:
        duckdb.Error: It is wrong, or needs more memory than the machine has.
    """
    allowed, most = MEMORY_MIB, psutil.virtual_memory().total >> 20
    while True:
        try:
            return database.execute(sql)
        except duckdb.OutOfMemoryException:
            allowed *= 2
            if allowed > most:
                raise
            database.execute(f"SET memory_limit = '{allowed}MiB'")
