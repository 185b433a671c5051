"""Parts in a folder are one table of vectors, the same as in one file; what does not fit together is refused."""

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from soft_labels.encoders import VectorFileEncoder
from soft_labels.encoders.vector_shards import read_all
from soft_labels.errors import EncoderError

UIDS = [f"c{item:02d}" for item in range(30)]
ROWS = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
WANTED = dict(zip(UIDS, ROWS.tolist(), strict=True))
PARTS = (slice(0, 7), slice(7, 19), slice(19, 30))


def named(path: Path, uids: Path | None = None) -> dict[str, list[float]]:
    found = read_all(path, uids, "uid", None)
    return dict(zip(found.uids, np.asarray(found.rows, np.float32).tolist(), strict=True))


def frame(part: slice) -> pl.DataFrame:
    return pl.DataFrame({"uid": UIDS[part], "vector": ROWS[part].tolist()})


def lines(part: slice) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in frame(part).to_dicts()).encode()


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    (folder := tmp_path / "parts").mkdir()
    for number, part in enumerate(PARTS):
        frame(part).write_parquet(folder / f"part-{number}.parquet")
    return folder


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    (folder := tmp_path / "arrays").mkdir()
    for number, part in enumerate(PARTS):
        np.save(folder / f"rows.{number}.npy", ROWS[part])
    return folder


def test_parts_of_tables(parquet: Path, tmp_path: Path) -> None:
    (parquet / ".part-0.parquet.swp").write_text("hidden")
    assert named(parquet) == WANTED
    (deep := tmp_path / "lines" / "below").mkdir(parents=True)
    (deep / "0.jsonl").write_bytes(lines(PARTS[0]))
    (deep / "1.jsonl.gz").write_bytes(gzip.compress(lines(PARTS[1])))
    (deep.parent / "2.jsonl").write_bytes(lines(PARTS[2]))
    found = named(deep.parent)
    assert found == WANTED
    assert list(found) == [*UIDS[19:], *UIDS[:19]]  # by path: 2.jsonl before below/


def test_parts_of_arrays_with_uids_beside_or_in_a_folder(arrays: Path, tmp_path: Path) -> None:
    for place in (arrays, ids := tmp_path / "ids"):
        place.mkdir(exist_ok=True)
        for number, part in enumerate(PARTS):
            (place / f"rows.{number}.txt").write_text("\n".join(UIDS[part]))
    assert named(arrays) == WANTED
    assert named(arrays, ids) == WANTED


def test_compressed_files_are_the_same(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS)
    (tmp_path / "rows.npy.gz").write_bytes(gzip.compress((tmp_path / "rows.npy").read_bytes()))
    (tmp_path / "uids.txt").write_text("\n".join(UIDS))
    columns = pl.DataFrame({"uid": UIDS, **{f"x{n}": ROWS[:, n] for n in range(4)}})
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(columns.write_csv().encode()))
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines(slice(None))))
    assert named(tmp_path / "rows.npy.gz", tmp_path / "uids.txt") == WANTED
    assert named(tmp_path / "rows.jsonl.gz") == WANTED
    found = read_all(tmp_path / "rows.csv.gz", None, "uid", ["x2", "x0"])
    np.testing.assert_allclose(found.rows, ROWS[:, [2, 0]], rtol=1e-6)


def test_a_folder_is_an_encoder_known_by_its_content(parquet: Path) -> None:
    encoder = VectorFileEncoder(parquet)
    assert encoder.known_uids == tuple(UIDS)
    np.testing.assert_array_equal(encoder.preprocess(["c20", "c00"]).numpy(), ROWS[[20, 0]])
    before = encoder.fingerprint()
    frame(PARTS[0]).with_columns(uid=pl.lit("d") + pl.col("uid")).write_parquet(parquet / "part-3.parquet")
    assert VectorFileEncoder(parquet).fingerprint() != before


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".csv"])
@pytest.mark.parametrize("damage", ["cut", "not packed", "spoilt"])
def test_what_cannot_be_unpacked(tmp_path: Path, suffix: str, damage: str) -> None:
    np.save(tmp_path / "plain.npy", ROWS)
    plain = {".npy": (tmp_path / "plain.npy").read_bytes(), ".jsonl": lines(slice(None)), ".csv": b"uid,x\n" * 900}
    packed = gzip.compress(plain[suffix])
    spoilt = packed[:30] + bytes([packed[30] ^ 255]) + packed[31:]
    (path := tmp_path / f"rows{suffix}.gz").write_bytes(
        {"cut": packed[:-30], "not packed": plain[suffix], "spoilt": spoilt}[damage]
    )
    (tmp_path / "uids.txt").write_text("\n".join(UIDS))
    with pytest.raises(EncoderError, match=f"rows{suffix}.gz"):
        read_all(path, tmp_path / "uids.txt", "uid", ["x"] if suffix == ".csv" else None)


def test_other_files_are_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet.gz").write_bytes(gzip.compress(b"PAR1"))
    with pytest.raises(EncoderError, match=r"rows.parquet.gz: wanted .npy.gz, .*got .parquet.gz; unpack it"):
        named(tmp_path / "rows.parquet.gz")
    (tmp_path / "rows.zip.gz").write_bytes(gzip.compress(b"PK"))
    with pytest.raises(EncoderError, match=r"wanted vectors in .npy, .*got '.gz'"):
        named(tmp_path / "rows.zip.gz")


def test_uids_of_several_parts(parquet: Path) -> None:
    frame(slice(5, 9)).write_parquet(parquet / "part-9.parquet")
    with pytest.raises(EncoderError, match=r"part-9.parquet: uid 'c05' stands in part-0.parquet too, and 4 row\(s\)"):
        named(parquet)


def test_parts_of_several_lengths(parquet: Path) -> None:
    pl.DataFrame({"uid": ["z"], "vector": [[1.0]]}).write_parquet(parquet / "part-9.parquet")
    with pytest.raises(EncoderError, match=r"part-9.parquet: 1 numbers a row, but 4 in part-0.parquet"):
        named(parquet)


def test_folders_of_no_or_several_kinds(parquet: Path, tmp_path: Path) -> None:
    (parquet / "more.jsonl").write_bytes(lines(PARTS[0]))
    with pytest.raises(EncoderError, match=r"several kinds \(.jsonl, .parquet\); wanted a folder"):
        named(parquet)
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(EncoderError, match="no file of vectors; wanted a folder of files"):
        named(empty)


def test_arrays_are_never_joined_by_position(arrays: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"rows.0.npy: no uids.*never joined by their position"):
        named(arrays)
    (tmp_path / "uids.txt").write_text("\n".join(UIDS))
    with pytest.raises(EncoderError, match=r"uids.txt: wanted a folder with a file of uids for each"):
        named(arrays, tmp_path / "uids.txt")
    (ids := tmp_path / "ids").mkdir()
    (ids / "rows.0.txt").write_text("\n".join(UIDS[PARTS[0]]))
    with pytest.raises(EncoderError, match=r"ids: wanted one file of uids for rows.1.npy, named rows.1.\*, got none"):
        named(arrays, ids)


def test_a_damaged_part_is_named(parquet: Path) -> None:
    (parquet / "part-1.parquet").write_bytes(b"PAR1")
    with pytest.raises(EncoderError, match=r"part-1.parquet: no whole Parquet file"):
        named(parquet)
