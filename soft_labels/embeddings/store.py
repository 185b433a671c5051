"""One encoder's embeddings on disk: append-only shards, found by the content of the input.

A store is a folder of safetensors files. Each shard holds ``keys`` (uint8 ``[n, 32]``, the SHA-256 of each input's
content) and ``embeddings`` (float32 ``[n, D]``), and says in its header which encoder wrote it and what its checksum
is. Shards are written aside, renamed into place and never changed, so a killed run leaves whole shards only, and an
input that any data set has had encoded before is found again, whatever its uid, its path or its position.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from soft_labels.encoders.base import Encoder, EncoderInput
from soft_labels.encoders.images import is_kept
from soft_labels.errors import DataError, StoreError
from soft_labels.files import PARTIAL_PREFIX, NamedLock, written_whole

KEY_BYTES = 32
_FLOAT_BYTES = 4
_VERIFY_ROWS = 4_096
_CUT_SHORT = "{} was cut short while it was in use; delete it and encode again"
Keys = NDArray[np.bytes_]


def content_key(item: EncoderInput) -> bytes:
    """SHA-256 of what the encoder is shown: one text or two, an image file's bytes, or an array's shape and bytes.

    Raises:
        DataError: An image file cannot be read.
    """
    if isinstance(item, str):
        return hashlib.sha256(b"text\0" + item.encode()).digest()
    if isinstance(item, tuple):
        first, second = (text.encode() for text in item)
        return hashlib.sha256(b"text pair\0" + len(first).to_bytes(8) + first + second).digest()
    if isinstance(item, Path | bytes):
        try:
            content = item if isinstance(item, bytes) else item.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read image {item!s}: {error.strerror}; correct the path in the data") from error
        # What is more than decoded has another key than it had when 16 bits were clipped and transparency dropped.
        head = b"image file\0" if is_kept(content) else b"image file, converted\0"
        return hashlib.sha256(head + content).digest()
    head = b"image array\0" + repr(item.shape).encode() + b"\0"
    return hashlib.sha256(head + np.ascontiguousarray(item).tobytes()).digest()


def content_keys(items: Iterable[EncoderInput]) -> Keys:
    """The content key of each item, ``S32 [N]``."""
    return np.fromiter(map(content_key, items), dtype=f"S{KEY_BYTES}")


def fingerprint_text(encoder: Encoder) -> str:
    """An encoder's fingerprint as canonical JSON."""
    return json.dumps(encoder.fingerprint(), sort_keys=True)


@dataclass(frozen=True)
class Shard:
    """One shard on disk, of ``rows`` rows; keys and embeddings are read from the file when they are asked for.

    Rows are read, not memory-mapped: a touch of a mapped page makes its neighbours resident too (2,048 random rows of a
    1.5 GB store, 3 MB, made 1.3 GB resident on Linux 6.18), and every map holds a file open.
    """

    path: Path
    rows: int
    width: int
    _checksum: str
    _keys_at: int
    _embeddings_at: int

    @classmethod
    def open(cls, path: Path, fingerprint: str) -> "Shard":
        """Read a shard's header and check whose it is.

        Raises:
            StoreError: The file cannot be read, is cut short or malformed, or another encoder wrote it.
        """
        try:
            with path.open("rb") as file:
                layout = _read_layout(file)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(f"{path} is not a whole embedding shard ({error}); delete it and run again") from error
        if layout.fingerprint != fingerprint:
            raise StoreError(
                f"{path} was written by another encoder: wanted {fingerprint}, got {layout.fingerprint}; "
                "move the file out or choose another data.store"
            )
        return cls(path, layout.rows, layout.width, layout.checksum, layout.keys_at, layout.embeddings_at)

    @property
    def keys(self) -> Keys:
        """The content keys, ``S32 [n]``, read each time: all keys of a large store would fill the memory.

        Raises:
            StoreError: The file is gone or was cut short since it was opened.
        """
        size = self.rows * KEY_BYTES
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self._keys_at)
                content = file.read(size)
        except OSError as error:
            raise StoreError(f"cannot read {self.path}: {error.strerror}") from error
        if len(content) != size:
            raise StoreError(_CUT_SHORT.format(self.path))
        return np.frombuffer(content, dtype=f"S{KEY_BYTES}")

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The embeddings at ``rows``, float32 ``[len(rows), D]``.

        Raises:
            StoreError: The file is gone or was cut short since it was opened.
        """
        embeddings = np.empty((len(rows), self.width), dtype=np.float32)
        size = self.width * _FLOAT_BYTES
        try:
            with self.path.open("rb", buffering=0) as file:
                taken = [
                    file.seek(self._embeddings_at + row * size) and file.readinto(embeddings[place].data)
                    for place, row in enumerate(rows.tolist())
                ]
        except OSError as error:
            raise StoreError(f"cannot read {self.path}: {error.strerror}") from error
        if taken != [size] * len(rows):
            raise StoreError(_CUT_SHORT.format(self.path))
        return embeddings

    def verify(self) -> None:
        """Read the shard once and check that its numbers are finite and are those that were written.

        Raises:
            StoreError: A number is not finite, or the checksum differs.
        """
        hasher = hashlib.sha256(self.keys.tobytes())
        with self.path.open("rb") as file:
            file.seek(self._embeddings_at)
            for start in range(0, self.rows, _VERIFY_ROWS):
                rows = min(_VERIFY_ROWS, self.rows - start)
                content = file.read(rows * self.width * _FLOAT_BYTES)
                if not np.isfinite(np.frombuffer(content, dtype=np.float32)).all():
                    raise StoreError(f"{self.path} holds an embedding that is not finite; delete it and encode again")
                hasher.update(content)
        if hasher.hexdigest() != self._checksum:
            raise StoreError(f"{self.path} has changed since it was written (checksum); delete it and encode again")


class _Layout(NamedTuple):
    """What a shard's header says; places are bytes from the start of the file."""

    fingerprint: str
    checksum: str
    rows: int
    width: int
    keys_at: int
    embeddings_at: int


def _read_layout(file: BinaryIO) -> _Layout:
    """The header of a safetensors file, checked against the file's size."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    data_at = 8 + int.from_bytes(file.read(8), "little")
    if data_at > size:
        raise ValueError("it ends before its header does")
    header = json.loads(file.read(data_at - 8))
    about, keys, embeddings = header["__metadata__"], header["keys"], header["embeddings"]
    rows, width = embeddings["shape"]
    if keys["shape"] != [rows, KEY_BYTES]:
        raise ValueError(f"it holds keys {keys['shape']} for {rows} embeddings")
    keys_at, embeddings_at = (data_at + part["data_offsets"][0] for part in (keys, embeddings))
    if max(keys_at + rows * KEY_BYTES, embeddings_at + rows * width * _FLOAT_BYTES) > size:
        raise ValueError("it ends before its data do")
    return _Layout(about["fingerprint"], about["checksum"], rows, width, keys_at, embeddings_at)


def find(shards: Sequence[Shard], keys: Keys) -> NDArray[np.int64]:
    """Where each key is stored, in memory that grows with the keys and not with the store.

    Args:
        shards: The shards to look through, one at a time.
        keys: ``S32 [...]`` content keys; quickest where they are sorted already.

    Returns:
        int64 positions over all shards laid end to end, of the shape of ``keys``; -1 where no shard holds the key. Of
        a key that is stored twice, the first.

    Raises:
        StoreError: A shard cannot be read.
    """
    wanted, inverse = np.unique(keys, return_inverse=True)
    found = np.full(len(wanted), -1)
    start = 0
    for shard in shards:
        stored, row = np.unique(shard.keys, return_index=True)
        place = np.searchsorted(wanted, stored)
        near = place < len(wanted)
        place, stored, row = place[near], stored[near], row[near]
        new = (wanted[place] == stored) & (found[place] < 0)
        found[place[new]] = start + row[new]
        start += shard.rows
    return found[inverse].reshape(keys.shape)


class EmbeddingStore:
    """All that one encoder has encoded below one folder.

    Args:
        root: The folder that holds the stores of all encoders.
        encoder: Whose store; its fingerprint names the folder and is checked in every shard.
    """

    def __init__(self, root: Path, encoder: Encoder) -> None:
        self.fingerprint = fingerprint_text(encoder)
        digest = hashlib.sha256(self.fingerprint.encode()).hexdigest()
        self.folder = root / f"{type(encoder).__name__}-{digest[:16]}"
        self._first: Shard | None = None

    def lock(self) -> NamedLock:
        """The lock that a writer holds, so that two runs never encode the same input twice."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return NamedLock(self.folder / ".lock")

    def shards(self) -> list[Shard]:
        """Every shard, checked for its encoder and its width, in the order of their names.

        Raises:
            StoreError: A shard cannot be read, is another encoder's, or is not as wide as the first.
        """
        shards = [Shard.open(path, self.fingerprint) for path in self._paths()]
        for shard in shards:
            if shard.width != shards[0].width:
                raise StoreError(
                    f"{shard.path} holds {shard.width} numbers a row but {shards[0].path} holds {shards[0].width}; "
                    "delete the one that is wrong and encode again"
                )
        return shards

    def _paths(self) -> list[Path]:
        """The files of all whole shards, in the order of their names."""
        return sorted(self.folder.glob("[!.]*.safetensors"))

    def missing(self, keys: Keys) -> NDArray[np.bool_]:
        """Which keys no shard holds, bool ``[N]``."""
        return find(self.shards(), keys) < 0

    def write(self, keys: Keys, embeddings: NDArray[np.float32]) -> Path:
        """Add one shard: ``keys`` ``S32 [n]`` and their ``embeddings`` ``[n, D]``.

        Raises:
            StoreError: The embeddings are not fit to be stored (see :meth:`check`).
        """
        from safetensors.numpy import save

        self.check(keys, embeddings)
        key_array = np.ascontiguousarray(keys).view(np.uint8).reshape(-1, KEY_BYTES)
        embeddings = np.ascontiguousarray(embeddings)  # safetensors would write a view's memory as it lies
        checksum = hashlib.sha256(key_array.tobytes() + embeddings.tobytes()).hexdigest()
        path = self.folder / f"{hashlib.sha256(key_array.tobytes()).hexdigest()[:24]}.safetensors"
        metadata = {"fingerprint": self.fingerprint, "checksum": checksum}
        with written_whole(path) as partial:
            # save_file would keep the shard from everyone but its writer, whatever the user's file mode mask says.
            partial.write_bytes(save({"keys": key_array, "embeddings": embeddings}, metadata))
        return path

    def check(self, keys: Keys, embeddings: NDArray[np.float32]) -> None:
        """What is stored is one finite float32 row a key, as wide as what is there.

        Raises:
            StoreError: It is not.
        """
        if embeddings.dtype != np.float32 or embeddings.ndim != 2 or len(embeddings) != len(keys):
            raise StoreError(
                f"wanted float32 [{len(keys)}, D] from the encoder for {len(keys)} inputs, "
                f"got {embeddings.dtype} {list(embeddings.shape)}; correct the encoder's forward"
            )
        if not np.isfinite(embeddings).all():
            raise StoreError("the encoder gave an embedding that is not finite; nothing of this batch was stored")
        if self._first is None:  # asked of the disk until there is a shard, then known
            self._first = next((Shard.open(path, self.fingerprint) for path in self._paths()[:1]), None)
        first = self._first
        if first is not None and embeddings.shape[1] != first.width:
            raise StoreError(f"the encoder gave {embeddings.shape[1]} numbers a row, {first.path} holds {first.width}")

    def sweep_partials(self) -> None:
        """Delete what a killed writer left half-written; call it with the lock held."""
        for partial in self.folder.glob(f"{PARTIAL_PREFIX}*"):
            partial.unlink(missing_ok=True)
