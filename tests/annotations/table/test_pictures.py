"""Pictures in the cells of a table are those of the same files: in the data, in the store's keys, in the embeddings."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from soft_labels.annotations.table.pictures import check_images, expression_of, images_of
from soft_labels.annotations.table.read import read_items, read_table
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.embeddings.store import content_key
from soft_labels.encoders import TimmEncoder
from soft_labels.encoders.images import open_rgb
from soft_labels.errors import DataError

SETTINGS = TableSettings(uid_column="uid", image_column="image", label_column="label", annotator_column="who")
STRUCT = pl.Struct({"bytes": pl.Binary, "path": pl.String})
LABELS = ["cat", "dog", "cat", "cat", "dog", "dog"]


def picture(number: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), kind)
    return file.getvalue()


PICTURES = {f"p{number}": picture(number, kind) for number, kind in enumerate(("PNG", "JPEG", "WEBP"))}


def frame(cells: dict[str, Any] | None = None) -> pl.DataFrame:
    """Two annotations of each picture, as ``datasets`` keeps them."""
    uids = [uid for uid in PICTURES for _ in range(2)]
    images = [{"bytes": PICTURES[uid], "path": f"{uid}.png"} | (cells or {}).get(uid, {}) for uid in uids]
    schema: dict[str, Any] = {"uid": pl.String, "image": STRUCT, "label": pl.String, "who": pl.String}
    return pl.DataFrame({"uid": uids, "image": images, "label": LABELS, "who": ["a", "b"] * 3}, schema=schema)


def folder_of(rows: pl.DataFrame, path: Path) -> Path:
    """As ``save_to_disk`` leaves it, with a cache of some ``map`` beside it."""
    path.mkdir(parents=True)
    rows.write_ipc_stream(path / "data-00000-of-00001.arrow")
    rows.head(1).write_ipc_stream(path / "cache-0123456789abcdef.arrow")
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (path / "dataset_info.json").write_text(json.dumps({"features": {"image": {"_type": "Image"}}}))
    return path


def written(kind: str, folder: Path) -> Path:
    """The table in one form."""
    rows = frame()
    path = folder / f"table.{kind}"
    address = "data:image/png;base64," + pl.col("image").struct.field("bytes").bin.encode("base64")
    if kind == "parquet":
        rows.write_parquet(path)
    elif kind == "bytes":
        rows.with_columns(pl.col("image").struct.field("bytes")).write_parquet(path.with_suffix(".parquet"))
        return path.with_suffix(".parquet")
    elif kind == "saved":
        return folder_of(rows, folder / "saved")
    elif kind == "splits":
        for part, some in (("train", rows.head(2)), ("validation", rows.slice(2, 2)), ("test", rows.tail(2))):
            folder_of(some, folder / "splits" / part)
        (folder / "splits" / "dataset_dict.json").write_text('{"splits": ["train", "validation", "test"]}')
        return folder / "splits"
    else:
        plain = rows.with_columns(image=address)
        plain.write_csv(path) if kind == "csv" else plain.write_ndjson(path)
    return path


KINDS = ("parquet", "bytes", "saved", "splits", "csv", "jsonl")


@pytest.mark.parametrize("kind", KINDS)
def test_cells_give_the_content_of_the_files(tmp_path: Path, kind: str) -> None:
    path = written(kind, tmp_path)
    data = read_table(path, SETTINGS)
    assert (data.modality, data.uids) == ("image", tuple(PICTURES))
    assert list(data.inputs) == list(PICTURES.values())
    assert data.label_counts.tolist() == [[1, 1], [2, 0], [0, 2]]
    assert list(read_items(path, SETTINGS).inputs) == list(PICTURES.values())


@pytest.mark.parametrize("kind", ["parquet", "saved", "splits", "csv"])
def test_data_init_takes_them_for_the_image(run_cli: Any, tmp_path: Path, kind: str) -> None:
    path = written(kind, tmp_path)
    result = run_cli("data", "init", str(path), f"--out={tmp_path}/my.yaml", "--yes")
    assert result.code == 0, result.err
    arguments = yaml.safe_load((tmp_path / "my.yaml").read_text())["data"]["init_args"]
    named = {name: arguments[name] for name in ("image_column", "uid_column", "label_column", "annotator_column")}
    assert named == {"image_column": "image", "uid_column": "uid", "label_column": "label", "annotator_column": "who"}
    assert f"p0: a picture of {len(PICTURES['p0']):,} bytes -> cat 1, dog 1" in result.out
    assert "base64" not in result.out + result.err


@pytest.mark.slow
def test_the_same_picture_in_a_file_has_the_same_key_and_embedding(tmp_path: Path) -> None:
    for uid, content in PICTURES.items():
        (file := tmp_path / uid).write_bytes(content)
        assert content_key(content) == content_key(file)
        np.testing.assert_array_equal(np.asarray(open_rgb(content)[0]), np.asarray(open_rgb(file)[0]))
    encoder = TimmEncoder(image_size=32)
    prepared = encoder.preprocess([*PICTURES.values(), *(tmp_path / uid for uid in PICTURES)]).numpy()
    np.testing.assert_array_equal(prepared[:3], prepared[3:])


def test_a_cell_without_bytes_names_a_file(tmp_path: Path) -> None:
    frame({"p1": {"bytes": None}}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"1 of 3 images are not there, the first is .*p1.png"):
        read_table(tmp_path / "t.parquet", SETTINGS)
    (tmp_path / "p1.png").write_bytes(PICTURES["p1"])
    inputs = read_table(tmp_path / "t.parquet", SETTINGS).inputs
    assert list(inputs) == [PICTURES["p0"], tmp_path / "p1.png", PICTURES["p2"]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", r"2 of 3 cells of pictures hold none, the first is that of item 'p1' \(16 b"),
        (b"", r"2 of 3 cells of pictures hold none, the first is that of item 'p1' \(0 bytes\)"),
    ],
)
def test_cells_that_hold_no_picture(tmp_path: Path, content: bytes, words: str) -> None:
    frame({uid: {"bytes": content} for uid in ("p1", "p2")}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=words):
        read_table(tmp_path / "t.parquet", SETTINGS)


def test_an_item_with_neither_bytes_nor_path(tmp_path: Path) -> None:
    frame({"p1": {"bytes": None, "path": None}}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"row 3 .*no value in column 'image' \(2 rows are so\)"):
        read_table(tmp_path / "t.parquet", SETTINGS)


def test_an_address_that_is_no_base64(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        'uid,image,label,who\np0,"data:image/png;base64,iVBO!!!!",cat,a\np0,"data:image/png;base64,iVBO!!!!",dog,b\n'
    )
    with pytest.raises(DataError, match=r"t.csv: a picture in a cell is no base64 .*'data:image/png;base64,iVBO"):
        read_table(path, SETTINGS)


def test_other_columns_of_bytes_stay_what_they_were(tmp_path: Path) -> None:
    assert expression_of("x", "BLOB", b"some text") is None
    assert expression_of("x", "BLOB", None) is None
    assert expression_of("x", "STRUCT(bytes BLOB, sampling_rate INTEGER)", None) is None
    sql = expression_of('a"b', "STRUCT(bytes BLOB, path VARCHAR)", None)
    pl.DataFrame({'a"b': [{"bytes": b"abc", "path": "p"}]}, schema={'a"b': STRUCT}).write_parquet(
        tmp_path / "t.parquet"
    )
    with duckdb.connect() as database:
        (value,) = database.read_parquet(str(tmp_path / "t.parquet")).project(str(sql)).fetchall()
    assert value == ("data:image;base64," + base64.b64encode(b"abc").decode(),)
    assert images_of(Path("/d/t.csv"), ["data:image;base64,YWJj", " a/1.png "]) == [b"abc", Path("/d/a/1.png")]


def test_class_names_of_a_data_set_saved_in_parts(tmp_path: Path) -> None:
    names = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    rows = frame().with_columns(label=pl.col("label").replace_strict({"cat": 0, "dog": 1}))
    for part, some in (("train", rows.head(4)), ("test", rows.tail(2))):
        folder = folder_of(some, tmp_path / "saved" / part)
        (folder / "dataset_info.json").write_text(json.dumps({"features": names}))
    data = read_table(tmp_path / "saved", SETTINGS)
    assert data.class_names == ("cat", "dog")
    assert data.label_counts.tolist() == [[1, 1], [2, 0], [0, 2]]


def test_addresses_of_the_web_are_not_taken_for_files(tmp_path: Path) -> None:
    images = images_of(tmp_path / "t.csv", ["https://example.org/1.jpg"])
    with pytest.raises(DataError, match=r"1 of 1 images are addresses of the web \(https:/example\.org/1\.jpg\)"):
        check_images(tmp_path / "t.csv", ["1"], images)
