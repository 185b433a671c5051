"""What is no table but stands for one: an array of counts, and a folder of pictures."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from soft_labels.errors import DataError

ARRAY = ".npy"
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
ROW_OF_ARRAY = "row"
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


def array_as_parquet(path: Path, folder: Path) -> Path:
    """An array of counts as a table: ``row``, from 0, and a column for each class, named by its number from 0.

    Args:
        path: A ``.npy`` file ``[N, C]``; nothing is ever unpickled.
        folder: Where the table goes.

    Returns:
        The table.

    Raises:
        DataError: It cannot be read, or holds no numbers ``[N, C]``.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as an array of numbers ({error}); save a plain array") from error
    if array.ndim != 2 or array.dtype.kind not in "iuf" or 0 in array.shape:
        raise DataError(
            f"{path}: wanted counts of shape [items, classes], got {array.dtype} of shape {list(array.shape)}; save "
            "one row an item and one column a class"
        )
    copy = folder / f"array-{path.stem}.parquet"
    columns = {str(place): array[:, place] for place in range(array.shape[1])}
    pl.DataFrame({ROW_OF_ARRAY: np.arange(len(array)), **columns}).write_parquet(copy)
    return copy


def pictures_of(folder: Path) -> list[Path]:
    """The picture files below a folder, without hidden ones, in the order of their names."""
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())
    return [file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def pictures_as_parquet(files: Sequence[Path], folder: Path) -> Path:
    """Pictures as a table: ``image`` (the path), ``file_name``, its stem ``file``, ``folder``, ``image_number``.

    Args:
        files: The pictures.
        folder: Where the table goes.

    Returns:
        The table; ``image_number`` is the last number in a file's name, blank where there is none.
    """
    copy = folder / "pictures.parquet"
    numbers = [_LAST_NUMBER.search(file.stem) for file in files]
    pl.DataFrame(
        {
            "image": [str(file.absolute()) for file in files],
            "file_name": [file.name for file in files],
            "file": [file.stem for file in files],
            "folder": [file.parent.name for file in files],
            "image_number": [None if number is None else int(number[1]) for number in numbers],
        },
        schema={**dict.fromkeys(("image", "file_name", "file", "folder"), pl.String), "image_number": pl.Int64},
    ).write_parquet(copy)
    return copy
