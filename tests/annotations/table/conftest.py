from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pytest

from soft_labels.annotations.table.names import identifier
from soft_labels.annotations.table.rows import ROW, Work, prepare
from soft_labels.annotations.table.settings import TableSettings


class MakeWork(Protocol):
    """Makes a table in a database of its own from columns of cells, its rows numbered from 1."""

    def __call__(self, table: str, columns: Mapping[str, Sequence[str | None]], **settings: Any) -> Work: ...


@pytest.fixture
def make_work() -> Iterator[MakeWork]:
    with ExitStack() as databases:

        def make(table: str, columns: Mapping[str, Sequence[str | None]], **settings: Any) -> Work:
            database = databases.enter_context(duckdb.connect(config={"threads": 1}))
            work = prepare(Path("t.csv"), database, TableSettings(**{"label_column": "label", **settings}))
            cells = ", ".join(f"unnest(?::VARCHAR[]) AS {identifier(name)}" for name in columns)
            numbered = f"SELECT row_number() OVER () AS {ROW}, * FROM (SELECT {cells})"  # noqa: S608
            database.execute(f"CREATE TABLE {identifier(table)} AS {numbered}", list(columns.values()))
            return work

        yield make
