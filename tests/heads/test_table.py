"""A table of new items goes in and predictions come out, whatever stands in it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from soft_labels.encoders.vectors import VectorFileEncoder
from soft_labels.errors import ConfigError, DataError, EncoderError
from soft_labels.heads.head import TrainedHead, of_encoder
from soft_labels.heads.table import ItemTable, predict_table
from tests.heads.toy_head import toy_head
from tests.heads.toy_image import ToyImageEncoder

TEXTS = [f"text {number % 7}" for number in range(20)]


def predicted(head: TrainedHead, path: Path, **settings: Any) -> pl.DataFrame:
    out = path.parent / "out.parquet"
    predict_table(head, ItemTable(path, **settings), out, "parquet")
    return pl.read_parquet(out)


def write(folder: Path, suffix: str, **columns: Any) -> Path:
    path = folder / f"new{suffix}"
    frame = pl.DataFrame(columns)
    writers: Any = {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}
    writers[suffix](path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_stream_of_blocks_gives_what_one_call_gives(suffix: str, tmp_path: Path) -> None:
    head = toy_head()
    uids = [f"u{number}" for number in reversed(range(20))]
    path = write(tmp_path, suffix, item=uids, text=TEXTS)
    frame = predicted(head, path, rows=7)
    assert frame["uid"].to_list() == uids, "the order of the table"
    whole = head.predict(TEXTS, uids).to_frame()
    assert frame.columns == whole.columns == ["uid", "p_calm", "p_cross", "p_angry", "top_class", "entropy_nats"]
    for name in frame.columns[1:4]:
        np.testing.assert_allclose(frame[name], whole[name], atol=1e-6)


def test_rows_without_ids_are_numbered_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        frame = predicted(toy_head(), write(tmp_path, ".csv", text=TEXTS))
    assert frame["uid"].to_list() == [str(number) for number in range(1, 21)], "equal texts stay rows of their own"
    assert "no column item: the ids are the numbers of the rows, from 1" in caplog.text


def test_other_names_of_columns_are_taken(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", key=["a", "b"], post=["x", "y"], reply=["1", "2"])
    head = toy_head()
    plain = predicted(head, path, columns={"uid_column": "key", "text_column": "post"})
    joined = predicted(head, path, columns={"uid_column": "key", "text_template": "{post} {reply}"})
    assert plain["uid"].to_list() == joined["uid"].to_list() == ["a", "b"]
    assert plain["p_calm"].to_list() == pytest.approx(head.predict(["x", "y"]).distributions[:, 0])
    assert joined["p_calm"].to_list() == pytest.approx(head.predict(["x 1", "y 2"]).distributions[:, 0])
    with pytest.raises(DataError, match="no column text; the columns there are key, post, reply"):
        predicted(head, path)
    with pytest.raises(DataError, match="no column id"):
        predicted(head, path, columns={"uid_column": "id", "text_column": "post"})


def test_a_row_without_text_is_an_error_or_left_out_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, ".csv", item=["a", "b", "c"], text=["x", None, "  "])
    with pytest.raises(DataError, match=r"row 2 .*no value in column 'text' .2 rows are so"):
        predicted(toy_head(), path)
    with caplog.at_level("WARNING"):
        assert predicted(toy_head(), path, missing="drop")["uid"].to_list() == ["a"]
    assert "2 of 3 rows left out: no value in column 'text'" in caplog.text
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_an_item_that_stands_twice_is_one_and_one_with_two_texts_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"):
        frame = predicted(toy_head(), write(tmp_path, ".csv", item=["a", "a", "b"], text=["x", "x", "y"]))
    assert frame["uid"].to_list() == ["a", "b"]
    assert "1 rows repeat an item of another row" in caplog.text
    with pytest.raises(DataError, match="item 'a' has another input than in its first row"):
        predicted(toy_head(), write(tmp_path, ".csv", item=["a", "a"], text=["x", "y"]))


def image_head() -> TrainedHead:
    encoder = ToyImageEncoder()
    return toy_head(
        reads="image", embedding_dim=3, columns={"uid_column": "item", "image_column": "image"}, **of_encoder(encoder)
    )


def test_images_that_are_missing_or_broken_are_named_or_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        Image.new("RGB", (4, 4), (number * 60, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    names = ["0.png", "1.png", "2.png", "gone.png"]
    path = write(tmp_path, ".csv", item=list("abcd"), image=names)
    with pytest.raises(DataError, match=r"item 'b' cannot be read: .*1\.png.*2 of the 4 items"):
        predicted(image_head(), path)
    assert not (tmp_path / "out.parquet").exists()
    with caplog.at_level("WARNING"):
        assert predicted(image_head(), path, missing="drop")["uid"].to_list() == ["a", "c"]
    assert "2 of 4 items left out, which could not be read" in caplog.text


def test_a_head_on_vectors_reads_a_file_of_vectors(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((9, 2)).astype(np.float32)
    np.savez(tmp_path / "train.npz", uid=np.array([f"t{row}" for row in range(9)]), vectors=rows)
    encoder = VectorFileEncoder(tmp_path / "train.npz", logit_classes=2)
    head = toy_head(reads="vectors", embedding_dim=5, columns={}, **of_encoder(encoder))
    assert str(tmp_path) not in json.dumps(head.settings.encoder)
    np.savez(tmp_path / "new.npz", uid=np.array([f"n{row}" for row in range(9)]), vectors=rows)
    frame = predicted(head, tmp_path / "new.npz", rows=4)
    assert frame["uid"].to_list() == [f"n{row}" for row in range(9)]
    np.testing.assert_allclose(frame["p_cross"], head.predict(rows).distributions[:, 1], atol=1e-6)


def test_another_encoder_than_that_of_the_training_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", item=["a"], text=["x"])
    head = toy_head()
    head.given = {"width": 5}
    with pytest.raises(EncoderError, match="trained on another encoder: wanted width 6, got 5"):
        predicted(head, path)
    with pytest.raises(ConfigError, match="the head reads text, the columns named are of image"):
        predicted(toy_head(), path, columns={"image_column": "text"})
