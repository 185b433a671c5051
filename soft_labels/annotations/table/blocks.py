"""New items of a table, a block at a time: a table may be larger than memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from soft_labels.annotations.base import Input, Items, Modality
from soft_labels.annotations.table.database import working_database
from soft_labels.annotations.table.gather import first_of_each
from soft_labels.annotations.table.hub import located
from soft_labels.annotations.table.names import column_of
from soft_labels.annotations.table.pictures import images_of
from soft_labels.annotations.table.rows import ROW_NUMBER, Work, check_one_value, prepare, take_rows
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.annotations.table.source import open_source


@dataclass(frozen=True)
class ItemBlocks:
    """Items in the order in which a table names them first.

    Args:
        work: The table, read.
        modality: What the items are.
        total: How many there are.
        said: What was found out, left out and why, in words.
    """

    work: Work
    modality: Modality
    total: int
    said: tuple[str, ...]

    def of(self, rows: int) -> Iterator[Items]:
        """The items in blocks; image paths are not looked at.

        Args:
            rows: Most items a block.
        """
        for start in range(0, self.total, rows):
            block = self.work.rows(
                f"SELECT * FROM items WHERE rowid >= {start} AND rowid < {start + rows} ORDER BY rowid"
            )
            uids, *shown = zip(*block, strict=True)
            yield Items(uids, self._inputs(shown), self.modality)

    def _inputs(self, shown: list[tuple[str, ...]]) -> list[Input]:
        """What the columns of a block stand for."""
        if self.modality == "image":
            return list(images_of(self.work.path, shown[0]))
        return list(shown[0]) if self.modality == "text" else list(zip(*shown, strict=True))


@contextmanager
def item_blocks(path: Path, settings: TableSettings, uid_given: bool) -> Iterator[ItemBlocks]:
    """Read items to predict.

    Args:
        path: As in :func:`~soft_labels.annotations.table.read.read_table`.
        settings: What the columns mean; what they say about labels is not read.
        uid_given: Whether somebody named the column of ids for this table; otherwise rows are numbered from 1 where it
            is not there.

    Raises:
        ConfigError: The columns describe no input or several.
        DataError: The file, a column or a value is missing, or a uid has two inputs.
    """
    with working_database() as (database, folder):
        settings, notes = settings.of_inputs(), []
        (folder / "looked at").mkdir()
        place = located(path)
        columns = open_source(place.files, database, folder / "looked at", settings.encoding).columns
        lacking = [name for name in settings.uid_columns if column_of(name, columns) is None]
        if lacking and not uid_given:
            settings = replace(settings, uid_column=ROW_NUMBER)
            notes.append(f"no column {', '.join(lacking)}: the ids are the numbers of the rows, from 1")
        work = prepare(place.files, database, settings)
        take_rows(work, folder, {})
        work.check_left("rows")
        shown, modality = settings.shown
        check_one_value(work, list(shown))
        work.run(f"CREATE TABLE items AS {first_of_each(shown, 'rowid')}")
        work.run("DROP TABLE rows")
        total: int = work.value("SELECT count(*) FROM items")
        yield ItemBlocks(work, modality, total, (*place.notes, *notes, *work.warnings, *_left_out(work, total)))


def _left_out(work: Work, items: int) -> list[str]:
    """What became of rows that are no items of their own."""
    dropped = [f"{count:,} of {work.rows_read:,} rows left out: {why}" for why, count in work.dropped.items()]
    again = work.rows_read - sum(work.dropped.values()) - items
    return [*dropped, *([f"{again:,} rows repeat an item of another row; each item stands once"] if again else [])]
