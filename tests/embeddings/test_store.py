import hashlib
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing, open_features
from soft_labels.embeddings.store import Shard
from soft_labels.errors import DataError, StoreError

if TYPE_CHECKING:
    from tests.embeddings.conftest import ToyEncoder

TEXTS = ["one", "two", "three", "four", "five"]
VECTORS = np.arange(20, dtype=np.float32).reshape(5, 4)


@pytest.fixture
def store(tmp_path: Path, toy: "type[ToyEncoder]") -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "store", toy())


@pytest.fixture
def shard(store: EmbeddingStore) -> Path:
    return store.write(content_keys(TEXTS), VECTORS)


def rewrite(path: Path, embeddings: np.ndarray, fingerprint: str) -> None:
    """The same keys with other numbers under a right checksum."""
    keys = load_file(path)["keys"]
    checksum = hashlib.sha256(keys.tobytes() + embeddings.tobytes()).hexdigest()
    save_file(
        {"keys": keys, "embeddings": embeddings}, path, metadata={"fingerprint": fingerprint, "checksum": checksum}
    )


def test_keys_are_the_hash_of_the_content(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"pixels")
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    keys = content_keys(["text", image, pixels])
    expected = [b"text\0text", b"image file\0pixels", b"image array\0(2, 2, 3)\0" + bytes(range(12))]
    assert keys.dtype == "S32"
    assert keys.tobytes() == b"".join(hashlib.sha256(content).digest() for content in expected)


def test_keys_do_not_depend_on_where_a_file_lies_or_how_an_array_is_laid_out(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    here, there = tmp_path / "here.png", tmp_path / "b" / "there.jpg"
    here.write_bytes(b"pixels")
    there.write_bytes(b"pixels")
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    keys = content_keys([here, there, pixels, np.asfortranarray(pixels)])
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert keys[0] != keys[2]


def test_equal_bytes_of_another_kind_or_shape_have_other_keys(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    pixels = np.frombuffer(b"abc", dtype=np.uint8)
    assert len(set(content_keys(["abc", file, pixels, pixels.reshape(1, 3)]).tolist())) == 4


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.png: No such file.*correct the path"):
        content_keys([tmp_path / "absent.png"])


def test_what_is_written_is_read_back(store: EmbeddingStore, shard: Path) -> None:
    (opened,) = store.shards()
    opened.verify()
    assert opened.path == shard
    assert opened.keys.tobytes() == content_keys(TEXTS).tobytes()
    assert np.array_equal(rows_of(opened), VECTORS)
    assert store.missing(content_keys(["three", "six"])).tolist() == [False, True]


def test_rows_are_read_in_any_order(store: EmbeddingStore, shard: Path) -> None:
    rows = np.array([4, 0, 0, 3])
    assert np.array_equal(store.shards()[0].read(rows), VECTORS[rows])


def test_a_view_is_stored_as_what_it_shows(store: EmbeddingStore) -> None:
    store.write(content_keys(TEXTS)[::2], VECTORS[::2, ::-1])
    (opened,) = store.shards()
    opened.verify()
    assert opened.keys.tobytes() == content_keys(TEXTS[::2]).tobytes()
    assert np.array_equal(rows_of(opened), VECTORS[::2, ::-1])


def test_a_shard_that_shrinks_or_vanishes_in_use_is_an_error(store: EmbeddingStore, shard: Path) -> None:
    (opened,) = store.shards()
    shard.write_bytes(shard.read_bytes()[:-200])
    with pytest.raises(StoreError, match=rf"{shard.name} was cut short while it was in use"):
        rows_of(opened)
    shard.unlink()
    with pytest.raises(StoreError, match=rf"cannot read \S+{shard.name}: No such file"):
        rows_of(opened)


def test_a_key_that_ends_in_zero_bytes_is_kept_whole(store: EmbeddingStore) -> None:
    keys = np.array([b"a" * 31, b"b" * 32], dtype="S32")
    store.write(keys, VECTORS[:2])
    assert store.shards()[0].keys.tobytes() == keys.tobytes()
    assert not store.missing(keys).any()


def test_a_shard_can_be_read_with_safetensors_alone(store: EmbeddingStore, shard: Path) -> None:
    tensors = load_file(shard)
    assert tensors["keys"].tobytes() == content_keys(TEXTS).tobytes()
    assert np.array_equal(tensors["embeddings"], VECTORS)


def test_the_folder_is_the_encoders_and_no_batch_size_changes_it(tmp_path: Path, toy: "type[ToyEncoder]") -> None:
    folder = EmbeddingStore(tmp_path, toy(batch_size=2)).folder
    assert folder == EmbeddingStore(tmp_path, toy(batch_size=512)).folder
    assert folder != EmbeddingStore(tmp_path, toy(name="other")).folder


def test_another_encoders_shard_is_refused_and_both_are_named(
    tmp_path: Path, toy: "type[ToyEncoder]", store: EmbeddingStore, shard: Path
) -> None:
    other = EmbeddingStore(tmp_path / "store", toy(name="other"))
    other.folder.mkdir()
    (other.folder / shard.name).write_bytes(shard.read_bytes())
    with pytest.raises(StoreError, match=r'another encoder: wanted \{"encoder": "other"\}, got \{"encoder": "toy"\}'):
        other.shards()


def rows_of(shard: Shard) -> np.ndarray:
    return shard.read(np.arange(len(shard.keys)))


@pytest.mark.parametrize("kept", [0, 4, 60, -600, -200, -1])
def test_a_truncated_shard_is_refused_by_name(store: EmbeddingStore, shard: Path, kept: int) -> None:
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(StoreError, match=rf"{shard.name} is not a whole embedding shard"):
        store.shards()


@pytest.mark.slow
def test_no_flipped_bit_goes_unseen(store: EmbeddingStore, shard: Path) -> None:
    whole = shard.read_bytes()
    unseen = []
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 7
        shard.write_bytes(damaged)
        with suppress(StoreError):
            opened = Shard.open(shard, store.fingerprint)
            opened.verify()
            unseen.append(place)
            assert opened.keys.tobytes() == content_keys(TEXTS).tobytes()
            assert np.array_equal(rows_of(opened), VECTORS)
    header = 8 + int.from_bytes(whole[:8], "little")
    assert all(place < header for place in unseen)  # names of types and ends of data, which nothing reads


def test_a_flipped_number_is_a_checksum_error(store: EmbeddingStore, shard: Path) -> None:
    whole = bytearray(shard.read_bytes())
    whole[whole.index(VECTORS.tobytes()) + 40] ^= 1
    shard.write_bytes(whole)
    with pytest.raises(StoreError, match=rf"{shard.name} has changed since it was written \(checksum\)"):
        open_features(store, [content_keys(TEXTS)], "texts")


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_refused_even_under_a_right_checksum(
    store: EmbeddingStore, shard: Path, wrong: float
) -> None:
    embeddings = VECTORS.copy()
    embeddings[3, 1] = wrong
    rewrite(shard, embeddings, store.fingerprint)
    with pytest.raises(StoreError, match=rf"{shard.name} holds an embedding that is not finite"):
        open_features(store, [content_keys(TEXTS)], "texts")


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
def test_a_number_that_is_not_finite_is_never_written(store: EmbeddingStore, wrong: float) -> None:
    embeddings = VECTORS.copy()
    embeddings[0, 0] = wrong
    with pytest.raises(StoreError, match="not finite; nothing of this batch was stored"):
        store.write(content_keys(TEXTS), embeddings)
    assert not store.shards()


def test_another_width_is_refused_on_write(store: EmbeddingStore, shard: Path) -> None:
    with pytest.raises(StoreError, match=rf"gave 3 numbers a row, \S+{shard.name} holds 4"):
        store.write(content_keys(["six"]), np.zeros((1, 3), dtype=np.float32))


def test_another_width_is_refused_on_read(store: EmbeddingStore, shard: Path) -> None:
    second = store.write(content_keys(["six"]), VECTORS[:1])
    rewrite(second, np.zeros((1, 3), dtype=np.float32), store.fingerprint)
    with pytest.raises(StoreError, match="numbers a row but") as caught:
        store.shards()
    assert str(shard) in str(caught.value)
    assert str(second) in str(caught.value)


@pytest.mark.parametrize(
    ("embeddings", "came"),
    [
        (VECTORS.astype(np.float64), r"float64 \[5, 4\]"),
        (VECTORS[:4], r"float32 \[4, 4\]"),
        (VECTORS.ravel()[:5], r"float32 \[5\]"),
    ],
)
def test_what_is_not_one_float32_row_a_key_is_never_written(
    store: EmbeddingStore, embeddings: np.ndarray, came: str
) -> None:
    with pytest.raises(StoreError, match=rf"wanted float32 \[5, D\] from the encoder for 5 inputs, got {came}"):
        store.write(content_keys(TEXTS), embeddings)


def test_fewer_embeddings_than_keys_are_refused_on_read(store: EmbeddingStore, shard: Path) -> None:
    rewrite(shard, VECTORS[:4], store.fingerprint)
    with pytest.raises(
        StoreError, match=r"is not a whole embedding shard \(it holds keys \[5, 32\] for 4 embeddings\)"
    ):
        store.shards()


def test_a_shard_that_cannot_be_read_is_not_called_damaged(store: EmbeddingStore, shard: Path, tmp_path: Path) -> None:
    link = shard.with_name("link.safetensors")
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(StoreError, match=r"cannot read \S+link\.safetensors: No such file"):
        store.shards()


def test_what_a_killed_writer_left_is_swept_and_never_read(
    store: EmbeddingStore, shard: Path, toy: "type[ToyEncoder]"
) -> None:
    partial = shard.with_name(f".partial-1-{shard.name}")
    partial.write_bytes(shard.read_bytes()[:50])
    assert len(store.shards()) == 1
    encode_missing(["six"], content_keys(["six"]), toy(width=4), store)
    assert not partial.exists()
    assert len(store.shards()) == 2


def test_a_write_that_fails_leaves_nothing(store: EmbeddingStore, shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(self: Path, target: Path) -> Path:
        raise OSError("no space left")

    before = shard.read_bytes()
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="no space left"):
        store.write(content_keys(["six"]), VECTORS[:1])
    assert [path.name for path in store.folder.iterdir()] == [shard.name]
    assert shard.read_bytes() == before


TWO_PROCESSES = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import ToyEncoder
from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing
texts = [f"text {number}" for number in range(40)]
encoder = ToyEncoder(delay=0.02)
keys = content_keys(texts)
print("ready", flush=True)
sys.stdin.readline()
report = encode_missing(texts, keys, encoder, EmbeddingStore(Path(sys.argv[2]), encoder), flush_seconds=0)
print(json.dumps([report.found, report.encoded, sum(map(len, encoder.encoded))]))
"""


@pytest.mark.slow
def test_two_processes_at_once_encode_each_input_once(tmp_path: Path, toy: "type[ToyEncoder]") -> None:
    command = [sys.executable, "-c", TWO_PROCESSES, str(Path(__file__).parent), str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    counts = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert sorted(counts) == [[0, 40, 40], [40, 0, 0]]
    assert sum(len(shard.keys) for shard in EmbeddingStore(tmp_path, toy()).shards()) == 40
