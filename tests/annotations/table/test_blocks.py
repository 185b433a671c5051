from pathlib import Path

import polars as pl
import pytest

from soft_labels.annotations.table.blocks import item_blocks
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.errors import DataError

SETTINGS = TableSettings(label_column="label", uid_column="id", text_column="text")


def write(path: Path, **columns: list[str | None]) -> Path:
    pl.DataFrame(columns).write_csv(path)
    return path


def test_blocks_together_are_the_items_in_the_order_of_the_table(tmp_path: Path) -> None:
    path = write(tmp_path / "new.csv", id=["z", "a", "z", "m", "b"], text=["1", "2", "1", "3", "4"])
    with item_blocks(path, SETTINGS, uid_given=True) as items:
        blocks = list(items.of(3))
    assert (items.total, items.modality) == (4, "text")
    assert [block.uids for block in blocks] == [("z", "a", "m"), ("b",)]
    assert [text for block in blocks for text in block.inputs] == ["1", "2", "3", "4"]
    assert items.said == ("1 rows repeat an item of another row; each item stands once",)


@pytest.mark.parametrize("uid_given", [True, False])
def test_ids_that_are_not_there_are_refused_where_they_were_named(tmp_path: Path, uid_given: bool) -> None:
    path = write(tmp_path / "new.csv", text=["1", "1"])
    if uid_given:
        with pytest.raises(DataError, match="no column id"), item_blocks(path, SETTINGS, uid_given):
            pass
        return
    with item_blocks(path, SETTINGS, uid_given) as items:
        assert [block.uids for block in items.of(9)] == [("1", "2")]
    assert items.said == ("no column id: the ids are the numbers of the rows, from 1",)


def test_a_table_without_any_text_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "new.csv", id=["a", "b"], text=[None, " "])
    settings = TableSettings(label_column="label", uid_column="id", text_column="text", missing="drop")
    with pytest.raises(DataError, match=r"no row is left .2 rows: no value"), item_blocks(path, settings, True):
        pass
