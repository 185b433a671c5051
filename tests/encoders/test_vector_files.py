"""Every kind of file is read right, and what can be wrong with one is said once, through the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from soft_labels.encoders.vector_files import read_vectors

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
UIDS = [f"c{item:02d}" for item in range(45)]  # those of the tiny table
ROWS = np.random.default_rng(0).standard_normal((45, 4)).astype(np.float32)
RunCli = Callable[..., Any]
Refused = Callable[..., str]


def named(path: Path) -> dict[str, list[float]]:
    found = read_vectors(path, None, "uid", None)
    return dict(zip(found.uids, found.rows.tolist(), strict=True))


WANTED = dict(zip(UIDS, ROWS.tolist(), strict=True))


def test_tables_with_a_column_of_vectors(tmp_path: Path) -> None:
    frame = pl.DataFrame({"uid": UIDS, "source": ["x"] * 45, "vector": ROWS.tolist()})
    lists, arrays = tmp_path / "lists.parquet", tmp_path / "arrays.parquet"
    frame.with_columns(pl.col("vector").cast(pl.List(pl.Float32))).write_parquet(lists)
    frame.with_columns(pl.col("vector").cast(pl.Array(pl.Float64, 4))).write_parquet(arrays)
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dicts()))
    for path in (lists, arrays, lines):
        np.testing.assert_allclose(np.array(list(named(path).values())), ROWS, rtol=1e-6)
        assert list(named(path)) == UIDS


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_several_columns_of_numbers(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"columns{suffix}"
    frame = pl.DataFrame({"item": UIDS, "text": ['a "b", c'] * 45, **{f"x{n}": ROWS[:, n] for n in range(4)}})
    writers: dict[str, Callable[[Path], None]] = {
        ".parquet": frame.write_parquet, ".jsonl": frame.write_ndjson, ".csv": frame.write_csv,
    }  # fmt: skip
    writers[suffix](path)
    found = read_vectors(path, None, "item", ["x3", "x0"])
    assert found.uids == tuple(UIDS)
    np.testing.assert_allclose(found.rows, ROWS[:, [3, 0]], rtol=1e-6)


def test_arrays_with_a_file_of_uids(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS)
    save_file({"rows": ROWS}, tmp_path / "rows.safetensors")
    (tmp_path / "uids.txt").write_text("\n".join(UIDS) + "\n")
    np.save(tmp_path / "uids.npy", np.array(UIDS))
    pl.DataFrame({"uid": UIDS}).write_csv(tmp_path / "uids.csv")
    for rows in ("rows.npy", "rows.safetensors"):
        for uids in ("uids.txt", "uids.npy", "uids.csv"):
            found = read_vectors(tmp_path / rows, tmp_path / uids, "uid", None)
            assert dict(zip(found.uids, found.rows.tolist(), strict=True)) == WANTED


def test_arrays_that_hold_their_uids(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", uid=np.array(UIDS), rows=ROWS)
    save_file(dict(zip(UIDS, ROWS, strict=True)), tmp_path / "each.safetensors")
    assert named(tmp_path / "rows.npz") == WANTED
    assert named(tmp_path / "each.safetensors") == WANTED
    columns: dict[str, np.ndarray] = {"uid": np.arange(45), "x": ROWS[:, 0].copy(), "y": ROWS[:, 1].copy()}
    save_file(columns, tmp_path / "columns.safetensors")
    assert np.array_equal(read_vectors(tmp_path / "columns.safetensors", None, "uid", ["y", "x"]).rows, ROWS[:, [1, 0]])
    half = {"uid": torch.arange(45), "rows": torch.from_numpy(ROWS).bfloat16()}
    save_tensors(half, tmp_path / "half.safetensors")
    found = named(tmp_path / "half.safetensors")
    assert list(found) == [str(item) for item in range(45)]
    np.testing.assert_array_equal(np.array(list(found.values())), half["rows"].float().numpy())


@pytest.mark.parametrize("values", [[7, 8], [7.0, 8.0], [" 7", "8 "], ["7", "8"]], ids=str)
def test_uids_of_any_type_are_the_same_uids(tmp_path: Path, values: list[Any]) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"uid": values, "vector": [[1.0], [2.0]]}).write_parquet(path)
    assert named(path) == {"7": [1.0], "8": [2.0]}


def test_an_order_of_its_own_is_kept_by_uid_alone(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(45)
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"uid": np.array(UIDS)[order].tolist(), "vector": ROWS[order].tolist()}).write_parquet(path)
    assert named(path) == WANTED


@pytest.fixture
def refused(run_cli: RunCli, quick: tuple[str, ...], tiny_table: Path, tmp_path: Path) -> Refused:
    """Fits on a file of vectors, which must be refused before anything is written; gives the message."""

    def run(path: Path, *options: str) -> str:
        result = run_cli(
            "fit", f"--config={CONFIGS}/data/table.yaml", f"--data.path={tiny_table}",
            f"--config={CONFIGS}/encoder/vectors.yaml", f"--data.encoder.path={path}", *options,
            f"--data.store={tmp_path}/store", f"--trainer.default_root_dir={tmp_path}/runs", *quick,
        )  # fmt: skip
        assert (result.code, result.out) == (2, "")
        assert result.err.count("error:") == 1
        assert "Traceback" not in result.err
        assert not (tmp_path / "runs").exists()
        assert not list((tmp_path / "store").rglob("*.safetensors"))
        return str(result.err.partition("soft-labels: error: ")[2])

    return run


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """A Parquet file of vectors with some rows changed."""

    def write(changes: dict[int, dict[str, Any]] | None = None, **columns: Any) -> Path:
        rows = [{"uid": uid, "vector": row.tolist()} for uid, row in zip(UIDS, ROWS, strict=True)]
        for row, change in (changes or {}).items():
            rows[row] |= change
        pl.DataFrame(rows, strict=False).with_columns(**columns).write_parquet(tmp_path / "rows.parquet")
        return tmp_path / "rows.parquet"

    return write


Table = Callable[..., Path]


class TestUids:
    @pytest.mark.slow
    def test_items_without_a_row(self, refused: Refused, table: Table) -> None:
        message = refused(table({3: {"uid": "other"}, 9: {"uid": "another"}}))
        assert "rows.parquet: no row for uid 'c03', and for 2 of 45 items in all" in message
        assert "data.encoder.missing=drop" in message

    @pytest.mark.slow
    def test_no_item_has_a_row(self, refused: Refused, table: Table) -> None:
        message = refused(table(uid=pl.lit("x") + pl.col("uid")), "--data.encoder.missing=drop")
        assert "none of its 45 uids is an item's: they are like 'xc00', the items' like 'c00'" in message

    @pytest.mark.slow
    def test_a_uid_that_occurs_twice(self, refused: Refused, table: Table) -> None:
        message = refused(table({4: {"uid": "c03"}, 8: {"uid": "c07"}}))
        assert "rows.parquet: uid 'c03' stands in rows 4, 5, and 2 uid(s) stand in several" in message

    @pytest.mark.slow
    @pytest.mark.parametrize("blank", [None, "", "  "])
    def test_a_row_without_a_uid(self, refused: Refused, table: Table, blank: str | None) -> None:
        assert "no uid in row 8, and in 1 row(s) in all" in refused(table({7: {"uid": blank}}))

    @pytest.mark.slow
    def test_no_column_of_uids(self, refused: Refused, table: Table) -> None:
        message = refused(table(), "--data.encoder.uid_column=id")
        assert "wanted a column 'id', got uid, vector; set data.encoder.uid_column" in message

    @pytest.mark.slow
    @pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
    def test_never_joined_by_position(self, refused: Refused, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"rows{suffix}"
        np.save(path, ROWS) if suffix == ".npy" else save_file({"rows": ROWS}, path)
        message = refused(path)
        assert "never joined by their position" in message
        assert "data.encoder.uids" in message

    @pytest.mark.slow
    @pytest.mark.parametrize("count", [44, 46])
    def test_more_or_fewer_uids_than_rows(self, refused: Refused, tmp_path: Path, count: int) -> None:
        np.save(tmp_path / "rows.npy", ROWS)
        (tmp_path / "uids.txt").write_text("\n".join([*UIDS, "more"][:count]))
        message = refused(tmp_path / "rows.npy", f"--data.encoder.uids={tmp_path}/uids.txt")
        assert f"rows.npy: 45 vectors but {count} uids" in message

    @pytest.mark.slow
    def test_a_matrix_of_uids(self, refused: Refused, tmp_path: Path) -> None:
        np.save(tmp_path / "rows.npy", ROWS)
        np.save(tmp_path / "uids.npy", ROWS)
        message = refused(tmp_path / "rows.npy", f"--data.encoder.uids={tmp_path}/uids.npy")
        assert "uids.npy: wanted one uid a row, got an array of shape [45, 4]" in message

    @pytest.mark.slow
    def test_no_file_of_uids(self, refused: Refused, tmp_path: Path) -> None:
        np.save(tmp_path / "rows.npy", ROWS)
        message = refused(tmp_path / "rows.npy", f"--data.encoder.uids={tmp_path}/none.txt")
        assert f"{tmp_path}/none.txt: no such file" in message


class TestNumbers:
    @pytest.mark.slow
    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e300, None], ids=str)
    def test_not_finite(self, refused: Refused, table: Table, bad: float | None) -> None:
        message = refused(table({5: {"vector": [1.0, bad, 2.0, 3.0]}, 6: {"vector": [bad, 0.0, 2.0, 3.0]}}))
        assert "a number of uid 'c05' is missing or not finite in float32, in 2 row(s) in all" in message
        assert "data.encoder.missing=drop" in message

    @pytest.mark.slow
    def test_vectors_of_other_lengths(self, refused: Refused, table: Table) -> None:
        message = refused(table({5: {"vector": [1.0]}, 6: {"vector": None}}))
        assert "column 'vector' holds 4 numbers in most rows but 1 for uid 'c05', and differs in 2 row(s)" in message

    @pytest.mark.slow
    def test_lines_of_other_lengths(self, refused: Refused, tmp_path: Path) -> None:
        rows = [{"uid": uid, "vector": [1, 2.5][: 1 if uid == "c40" else 2]} for uid in UIDS]
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        assert "holds 2 numbers in most rows but 1 for uid 'c40'" in refused(tmp_path / "rows.jsonl")

    @pytest.mark.slow
    def test_named_tensors_of_other_lengths(self, refused: Refused, tmp_path: Path) -> None:
        save_file({uid: np.ones(2 if uid == "c05" else 3) for uid in UIDS}, tmp_path / "rows.safetensors")
        message = refused(tmp_path / "rows.safetensors")
        assert "holds 3 numbers in most rows but 2 for uid 'c05', and differs in 1 row(s)" in message

    @pytest.mark.slow
    def test_words(self, refused: Refused, table: Table, tmp_path: Path) -> None:
        assert "wanted numbers in column 'uid', got String" in refused(table(), "--data.encoder.columns=[uid]")
        cells = [f"{uid},{'n/a' if uid == 'c17' else 1.5}" for uid in UIDS]
        (tmp_path / "rows.csv").write_text("\n".join(["uid,x", *cells]))
        message = refused(tmp_path / "rows.csv", "--data.encoder.columns=[x]")
        assert "column 'x' of uid 'c17' wants numbers, got 'n/a'" in message

    @pytest.mark.slow
    def test_lists_of_words(self, refused: Refused, table: Table) -> None:
        words = table(vector=pl.col("vector").cast(pl.List(pl.String)))
        assert "0 columns hold a vector in each row, among uid, vector" in refused(words)
        message = refused(words, "--data.encoder.columns=[vector]")
        assert "wanted numbers in column 'vector', got List(String)" in message

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "rows", [np.zeros(()), np.zeros((45, 2, 2)), np.zeros((45, 3), complex)], ids=["0D", "3D", "complex"]
    )
    def test_an_array_that_is_no_matrix(self, refused: Refused, tmp_path: Path, rows: Any) -> None:
        np.save(tmp_path / "rows.npy", rows)
        (tmp_path / "uids.txt").write_text("\n".join(UIDS))
        message = refused(tmp_path / "rows.npy", f"--data.encoder.uids={tmp_path}/uids.txt")
        assert f"rows.npy: wanted an array of numbers [45, D], got {rows.dtype} {list(rows.shape)}" in message

    @pytest.mark.slow
    def test_logits_of_other_models(self, refused: Refused, table: Table) -> None:
        message = refused(table(), "--data.encoder.logit_classes=3")
        assert "4 numbers a row are not the logits of models with 3 classes each" in message
        assert "at least 2" in refused(table(), "--data.encoder.logit_classes=1")


class TestFiles:
    @pytest.mark.slow
    def test_missing(self, refused: Refused, tmp_path: Path) -> None:
        assert f"{tmp_path}/none.parquet: no such file" in refused(tmp_path / "none.parquet")

    @pytest.mark.slow
    def test_of_another_kind(self, refused: Refused, tmp_path: Path) -> None:
        (tmp_path / "rows.pt").write_bytes(b"PK")
        assert "wanted vectors in .npy, .npz, .safetensors, .parquet" in refused(tmp_path / "rows.pt")

    @pytest.mark.slow
    @pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet", ".jsonl"])
    def test_damaged(self, refused: Refused, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"rows{suffix}"
        path.write_bytes(b"\x93NUMPY\x01\x00 this is no such file")
        assert str(path) in refused(path)

    @pytest.mark.slow
    def test_cut_short(self, refused: Refused, table: Table, tmp_path: Path) -> None:
        path = table()
        path.write_bytes(path.read_bytes()[:-20])
        assert "no whole Parquet file" in refused(path)
        np.save(tmp_path / "rows.npy", ROWS)
        (tmp_path / "rows.npy").write_bytes((tmp_path / "rows.npy").read_bytes()[:-20])
        assert f"{tmp_path}/rows.npy" in refused(tmp_path / "rows.npy")

    @pytest.mark.slow
    @pytest.mark.parametrize("place", ["rows", "uids"])
    def test_pickled_objects_are_never_loaded(self, refused: Refused, tmp_path: Path, place: str) -> None:
        made = tmp_path / "made"

        class Exploit:
            def __reduce__(self) -> tuple[Any, tuple[Path]]:
                return Path.touch, (made,)

        np.save(tmp_path / "rows.npy", ROWS)
        np.save(tmp_path / "uids.npy", np.array(UIDS))
        np.save(tmp_path / f"{place}.npy", np.array([Exploit()] * 45), allow_pickle=True)
        message = refused(tmp_path / "rows.npy", f"--data.encoder.uids={tmp_path}/uids.npy")
        assert f"{tmp_path}/{place}.npy: it holds Python objects, which would run code" in message
        assert not made.exists()

    @pytest.mark.slow
    def test_no_column_of_vectors_or_several(self, refused: Refused, table: Table) -> None:
        message = refused(table(vector=pl.lit(1.0)))
        assert "0 columns hold a vector in each row, among uid, vector; set data.encoder.columns" in message
        message = refused(table(logits=pl.col("vector")))
        assert "2 columns hold a vector in each row, among uid, vector, logits" in message

    @pytest.mark.slow
    def test_no_such_column(self, refused: Refused, table: Table) -> None:
        message = refused(table(), "--data.encoder.columns=[vectors]")
        assert "no column vectors; the columns there are uid, vector" in message

    @pytest.mark.slow
    def test_no_rows(self, refused: Refused, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text("uid,x\n")
        message = refused(tmp_path / "rows.csv", "--data.encoder.columns=[x]")
        assert "no rows; wanted at least one vector with its uid" in message

    @pytest.mark.slow
    def test_cells_that_do_not_fit_the_header(self, refused: Refused, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text("uid,x\nc00,1\nc01,1,5\n")
        message = refused(tmp_path / "rows.csv", "--data.encoder.columns=[x]")
        assert "row 2: 3 cells, 2 in the header" in message

    @pytest.mark.slow
    def test_a_line_that_is_no_object(self, refused: Refused, tmp_path: Path) -> None:
        (tmp_path / "rows.jsonl").write_text('{"uid": "c00", "vector": [1]}\n[1, 2]\n')
        assert "rows.jsonl, line 2: wanted one JSON object, got b'[1, 2]" in refused(tmp_path / "rows.jsonl")
