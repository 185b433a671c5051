"""What leaves the database: uids and inputs, an item each, and annotations as numbers, a block of rows at a time."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import compress

import duckdb
import numpy as np
import torch
from numpy.typing import NDArray

from soft_labels.annotations.annotators import About, Annotations
from soft_labels.annotations.table.rows import ROW, Work

_ROWS = 1 << 18
Flags = NDArray[np.bool_]


def blocks_of(work: Work, question: str, rows: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The rows of a question, some at a time; it is asked once, and its answer lies in the database.

    Args:
        work: The table.
        question: A SELECT.
        rows: Most rows a block; 262,144 by default.
    """
    rows = rows or _ROWS
    work.run(f"CREATE TABLE fetched AS {question}")
    for start in range(0, work.value("SELECT count(*) FROM fetched"), rows):
        yield work.run(f"SELECT * FROM fetched WHERE rowid >= {start} AND rowid < {start + rows}")
    work.run("DROP TABLE fetched")


def first_of_each(columns: Iterable[str], order: str) -> str:
    """A question for each item's uid and some columns of its first row, as SQL.

    Args:
        columns: Those of ``rows``.
        order: What the items are ordered by.
    """
    first = "rowid IN (SELECT min(rowid) FROM rows GROUP BY uid)"
    return f"SELECT {', '.join(['uid', *columns])} FROM rows WHERE {first} ORDER BY {order}"


def inputs_of(work: Work, inputs: int) -> list[list[str]]:
    """The uids in order, and each item's inputs as in its first row."""
    found: list[list[str]] = [[] for _ in range(inputs + 1)]
    for block in blocks_of(work, first_of_each((f"input_{place}" for place in range(inputs)), "uid")):
        for column, values in zip(found, zip(*block.fetchall(), strict=True), strict=True):
            column.extend(values)
    return found


def counts_of(work: Work, classes: int) -> NDArray[np.float64]:
    """``[I, C]`` annotations of each item that chose each class; a row of zeros where all are lost."""
    counts = np.zeros((work.value("SELECT count(*) FROM items"), classes))
    for found in blocks_of(work, "SELECT item, class, sum(n)::DOUBLE AS n FROM annotations GROUP BY ALL"):
        block = found.fetchnumpy()
        counts[block["item"], block["class"]] = block["n"]
    return counts


def annotations_of(work: Work, kept: Flags) -> Annotations | None:
    """Every annotation by itself, in the order of items, annotators and classes, where annotators are known.

    Args:
        work: The table, with ``annotations``.
        kept: ``[I]`` the items that have annotations; positions are among these.
    """
    number = work.value("SELECT count(who) FROM annotations")
    if not number:
        return None
    item, who, label = np.empty(number, np.int32), np.empty(number, np.int32), np.empty(number, np.int16)
    names = [name for (name,) in work.rows("SELECT DISTINCT annotator FROM people ORDER BY annotator")]
    weighs = bool(work.value("SELECT count(*) FROM annotations WHERE who IS NOT NULL AND n != 1"))
    weight = np.empty(number if weighs else 0)
    there, end = np.zeros(len(names), bool), 0
    for found in blocks_of(work, "SELECT item, who, class, n FROM annotations WHERE who IS NOT NULL ORDER BY ALL"):
        block = found.fetchnumpy()
        start, end = end, end + len(block["item"])
        item[start:end], who[start:end], label[start:end] = block["item"], block["who"], block["class"]
        there[block["who"]] = True
        if weighs:
            weight[start:end] = block["n"]
    annotators = tuple(compress(names, there))
    about = named_about(work, work.settings.about_annotators, "annotator_about", "cleaned(annotator)", annotators)
    items, people, labels = map(torch.from_numpy, (_renumbered(item, kept), _renumbered(who, there), label))
    return Annotations(items, people, labels, annotators, about, torch.from_numpy(weight) if weighs else None)


def _renumbered(places: NDArray[np.int32], kept: Flags) -> NDArray[np.int32]:
    """Positions among what is kept."""
    return places if kept.all() else (np.cumsum(kept, dtype=np.int32) - 1)[places]


def named_about(work: Work, names: Sequence[str], prefix: str, key: str, ids: Collection[str]) -> About:
    """Columns that describe items or annotators, under the table's own names."""
    found = about(work, [f"{prefix}_{place}" for place in range(len(names))], key, ids)
    return dict(zip(names, found.values(), strict=True))


def about(work: Work, columns: Sequence[str], key: str, ids: Collection[str]) -> dict[str, tuple[str | None, ...]]:
    """The first value that each item or annotator has in some columns, in the order of their ids.

    Args:
        work: The table, with ``rows``.
        columns: What describes them.
        key: Their id as SQL.
        ids: Those that are wanted.
    """
    if not columns:
        return {}
    values = ", ".join(f"arg_min({column}, {ROW})" for column in columns)
    wanted = set(ids)
    rows = work.rows(f"SELECT {key} AS k, {values} FROM rows GROUP BY k ORDER BY k")
    found = [row for row in rows if row[0] in wanted]
    whom = "item" if key == "uid" else "annotator"
    for column in columns if columns not in (["grp"], ["part"]) else ():
        changed = work.value(
            f"SELECT count(*) FROM (SELECT {key} AS k FROM rows GROUP BY k HAVING count(DISTINCT {column}) > 1)"
        )
        if changed:
            work.notes.append(
                f"{changed:,} {whom}s have several values of one column that describes them; the first counts"
            )
    return {column: tuple(row[place] for row in found) for place, column in enumerate(columns, start=1)}
