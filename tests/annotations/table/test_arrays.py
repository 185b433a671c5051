from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from soft_labels.annotations.cifar10h import read_cifar10h
from soft_labels.annotations.table.arrays import array_as_parquet, pictures_as_parquet, pictures_of
from soft_labels.annotations.table.guess import guess_table
from soft_labels.annotations.table.read import read_table
from soft_labels.errors import DataError

COUNTS = np.array([[2, 1, 0], [0, 3, 0], [0, 1, 2]])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (folder := tmp_path / "pictures" / "deep").mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (2, 2)).save(folder / f"img_{number:03d}.png")
    (tmp_path / "pictures" / ".hidden.png").write_bytes(b"")
    return tmp_path / "pictures"


def test_an_array_is_a_table_of_rows_and_classes(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", COUNTS)
    frame = pl.read_parquet(array_as_parquet(tmp_path / "c.npy", tmp_path))
    assert frame.columns == ["row", "0", "1", "2"]
    assert frame["row"].to_list() == [0, 1, 2]
    assert np.array_equal(frame.select("0", "1", "2").to_numpy(), COUNTS)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), r"wanted counts of shape \[items, classes\], got float64 of shape \[3\]"),
        (np.zeros((2, 2, 2)), r"shape \[2, 2, 2\]"), (np.array([["a", "b"]]), "got <U1"), (np.zeros((0, 3)), "shape"),
        (np.array([{"a": 1}], dtype=object), "cannot be read as an array of numbers"),
    ],
)  # fmt: skip
def test_arrays_of_no_counts_are_refused(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        array_as_parquet(tmp_path / "c.npy", tmp_path)


def test_pictures_are_a_table_of_paths_and_numbers(pictures: Path, tmp_path: Path) -> None:
    (pictures / "cover.jpg").write_bytes(b"")
    frame = pl.read_parquet(pictures_as_parquet(pictures_of(pictures), tmp_path))
    assert frame["file"].to_list() == ["cover", "img_000", "img_001", "img_002"]
    assert frame["image_number"].to_list() == [None, 0, 1, 2]
    assert all(Path(path).is_file() for path in frame["image"].to_list())


@pytest.mark.parametrize("kind", ["array", "raw"])
def test_counts_or_annotations_and_a_folder_of_pictures_are_guessed(kind: str, pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.npy"
    if kind == "array":
        np.save(path, COUNTS)
    else:
        path = tmp_path / "raw.csv"
        labels = [(item, who, "abc"[label]) for item, row in enumerate(COUNTS)
                  for who, label in enumerate(np.repeat(np.arange(3), row))]  # fmt: skip
        rows = [f"{who},{item},{label},x_s_{item}.png" for item, who, label in labels]
        path.write_text("\n".join(["annotator_id,test_idx,chosen_category,image_filename", *rows, "0,-99999,a,x.png"]))
    guess = guess_table(path, pictures)
    data = read_table(guess.path, guess.table_settings())
    assert (data.uids, data.modality) == (("0", "1", "2"), "image")
    assert data.label_counts.tolist() == COUNTS.tolist()
    assert [Path(str(one)).name for one in data.inputs] == ["img_000.png", "img_001.png", "img_002.png"]
    said = guess.doubts[0]
    assert said.startswith("the classes of an array have no names" if kind == "array" else "1 rows: no row of pictures")


@pytest.mark.parametrize("ending", [".png", ""])
def test_annotations_that_name_files_are_joined_to_a_folder_of_pictures(
    ending: str, pictures: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ratings.csv"
    labels = [(item, who, label) for item in range(3) for who, label in (("ann", "clear"), ("ben", "dark"))]
    rows = [f"img_{item:03}{ending},{who},{label}" for item, who, label in labels]
    path.write_text("\n".join(["picture,rater,legibility", *rows]))
    guess = guess_table(path, pictures)
    data = read_table(guess.path, guess.table_settings())
    assert (data.uids, data.modality) == (tuple(f"img_{item:03}{ending}" for item in range(3)), "image")
    assert [Path(str(one)).name for one in data.inputs] == ["img_000.png", "img_001.png", "img_002.png"]
    assert data.label_counts.tolist() == [[1, 1]] * 3


@pytest.mark.slow
def test_cifar10h_is_read_item_for_item_from_its_raw_files(shared_data: Path) -> None:
    root = shared_data / "cifar10h"
    guess = guess_table(root / "data" / "cifar10h-counts.npy", root / "cifar10-test")
    data = read_table(guess.path, guess.table_settings())
    named = read_cifar10h(shared_data, hard=False)
    row_of = {int(uid): row for row, uid in enumerate(data.uids)}
    rows = [row_of[int(uid)] for uid in named.uids]
    assert data.label_counts[rows].equal(named.label_counts)
    assert [Path(str(data.inputs[row])).name for row in rows] == [Path(str(one)).name for one in named.inputs]
