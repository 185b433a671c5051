from pathlib import Path

import polars as pl
import pytest

from soft_labels.annotations.table.database import working_database
from soft_labels.annotations.table.read import read_table
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.annotations.table.source import open_source
from soft_labels.errors import DataError
from tests.annotations.table.layouts import LONG, as_csv, saved_dataset

SETTINGS = TableSettings(text_column="text", annotator_column="annotator", label_column="label")


def test_names_that_a_saved_data_set_gives_its_numbers_are_the_classes(tmp_path: Path) -> None:
    (folder,) = saved_dataset(tmp_path)
    data = read_table(folder, SETTINGS)
    assert data.class_names == ("no", "yes")
    assert data.label_counts.tolist() == [[2, 1], [0, 3], [1, 2]]


def test_files_of_a_folder_name_themselves(tmp_path: Path) -> None:
    for name, rows in (("one", LONG[:4]), ("two", LONG[4:])):
        (tmp_path / f"{name}.csv").write_text(as_csv(rows))
    with working_database() as (database, folder):
        source = open_source(tmp_path, database, folder)
        found = database.execute(f"SELECT file, count(*) FROM {source.relation} GROUP BY 1 ORDER BY 1").fetchall()  # noqa: S608
    assert found == [("one", 4), ("two", 5)]


def test_a_folder_of_several_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(as_csv(LONG))
    pl.DataFrame(LONG).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"files of several kinds \(\.csv, \.parquet\); give one of them"):
        read_table(tmp_path, SETTINGS)


def test_wildcards_in_a_name_are_letters(tmp_path: Path) -> None:
    for name in ("t[1]*.csv", "t1x.csv"):
        (tmp_path / name).write_text(as_csv(LONG[: 9 if "[" in name else 3]))
    assert len(read_table(tmp_path / "t[1]*.csv", SETTINGS)) == 3


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_folders_named_like_a_setting_add_no_column(tmp_path: Path, name: str) -> None:
    path = tmp_path / "year=2024" / name
    path.parent.mkdir()
    if name.endswith(".csv"):
        path.write_text(as_csv(LONG))
    else:
        pl.DataFrame(LONG).write_parquet(path)
    with working_database() as (database, folder):
        assert open_source(path, database, folder).columns.keys() == LONG[0].keys()
