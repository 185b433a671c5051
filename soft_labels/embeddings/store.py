"""One encoder's embeddings on disk: append-only shards, found by the content of the input.

A store is a folder of safetensors files. Each shard holds ``keys`` (uint8 ``[n, 32]``, the SHA-256 of each input's
content) and ``embeddings`` (float32 ``[n, D]``), and says in its header which encoder wrote it and what its checksum
is. Shards are written aside, renamed into place and never changed, so a killed run leaves whole shards only, and an
input that any data set has had encoded before is found again, whatever its uid, its path or its position.
"""

import hashlib
import json
import math
import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from filelock import BaseFileLock, FileLock
from numpy.typing import NDArray

from soft_labels.encoders.base import Encoder, EncoderInput
from soft_labels.errors import DataError, StoreError
from soft_labels.files import PARTIAL_PREFIX, written_whole

KEY_BYTES = 32
_VERIFY_ROWS = 16_384
Keys = NDArray[np.bytes_]
_Number = TypeVar("_Number", np.uint8, np.float32)


def content_key(item: EncoderInput) -> bytes:
    """SHA-256 of what the encoder is shown: a text, an image file's bytes, or an array's shape and bytes.

    Raises:
        DataError: An image file cannot be read.
    """
    if isinstance(item, str):
        return hashlib.sha256(b"text\0" + item.encode()).digest()
    if isinstance(item, Path):
        try:
            return hashlib.sha256(b"image file\0" + item.read_bytes()).digest()
        except OSError as error:
            raise DataError(f"cannot read image {item}: {error.strerror}; correct the path in the data") from error
    head = b"image array\0" + repr(item.shape).encode() + b"\0"
    return hashlib.sha256(head + np.ascontiguousarray(item).tobytes()).digest()


def content_keys(items: Iterable[EncoderInput]) -> Keys:
    """The content key of each item, ``S32 [N]``."""
    return np.frombuffer(b"".join(map(content_key, items)), dtype=f"S{KEY_BYTES}")


def fingerprint_text(encoder: Encoder) -> str:
    """An encoder's fingerprint as canonical JSON."""
    return json.dumps(encoder.fingerprint(), sort_keys=True)


@dataclass(frozen=True)
class Shard:
    """One memory-mapped shard: ``keys`` ``S32 [n]`` and ``embeddings`` float32 ``[n, D]`` read from the map on use."""

    path: Path
    keys: Keys
    embeddings: NDArray[np.float32]
    _map: mmap.mmap

    @classmethod
    def open(cls, path: Path, fingerprint: str) -> "Shard":
        """Map a shard and check whose it is.

        Raises:
            StoreError: The file is cut short or malformed, or another encoder wrote it.
        """
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            start = 8 + int.from_bytes(mapped[:8], "little")
            header = json.loads(mapped[8:start])
            written_by = header["__metadata__"]["fingerprint"]
            keys = _mapped_array(mapped, header["keys"], start, np.uint8)
            embeddings = _mapped_array(mapped, header["embeddings"], start, np.float32)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} is not a whole embedding shard ({error}); delete it and run again") from error
        if written_by != fingerprint:
            raise StoreError(
                f"{path} was written by another encoder: wanted {fingerprint}, got {written_by}; "
                "move the file out or choose another data.store"
            )
        return cls(path, np.ascontiguousarray(keys).reshape(-1).view(f"S{KEY_BYTES}"), embeddings, mapped)

    def verify(self) -> None:
        """Read the shard once and check that its numbers are finite and are those that were written.

        Raises:
            StoreError: A number is not finite, or the checksum differs.
        """
        hasher = hashlib.sha256(self.keys.tobytes())
        for start in range(0, len(self.embeddings), _VERIFY_ROWS):
            rows = self.embeddings[start : start + _VERIFY_ROWS]
            if not np.isfinite(rows).all():
                raise StoreError(f"{self.path} holds an embedding that is not finite; delete it and encode again")
            hasher.update(rows.data)
        self.drop_pages()
        start = 8 + int.from_bytes(self._map[:8], "little")
        wanted = json.loads(self._map[8:start])["__metadata__"]["checksum"]
        if hasher.hexdigest() != wanted:
            raise StoreError(f"{self.path} has changed since it was written (checksum); delete it and encode again")

    def drop_pages(self) -> None:
        """Give the pages read so far back to the system; the next read fetches them again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _mapped_array(mapped: mmap.mmap, entry: dict[str, list[int]], start: int, dtype: type[_Number]) -> NDArray[_Number]:
    """A view of one tensor of a mapped safetensors file."""
    count = math.prod(entry["shape"])
    return np.frombuffer(mapped, dtype, count=count, offset=start + entry["data_offsets"][0]).reshape(entry["shape"])


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

    def lock(self) -> BaseFileLock:
        """The lock that a writer holds, so that two runs never encode the same input twice."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / ".lock")

    def shards(self) -> list[Shard]:
        """Every shard, mapped and checked for its encoder, in the order of their names."""
        return [Shard.open(path, self.fingerprint) for path in sorted(self.folder.glob("[!.]*.safetensors"))]

    def missing(self, keys: Keys) -> NDArray[np.bool_]:
        """Which keys no shard holds, bool ``[N]``."""
        stored = [shard.keys for shard in self.shards()]
        return ~np.isin(keys, np.concatenate(stored)) if stored else np.ones(len(keys), dtype=bool)

    def write(self, keys: Sequence[bytes], embeddings: NDArray[np.float32]) -> Path:
        """Add one shard.

        Raises:
            StoreError: An embedding is not finite, or its width differs from the stored ones.
        """
        from safetensors.numpy import save_file

        self._check_rows(embeddings)
        key_array = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, KEY_BYTES)
        checksum = hashlib.sha256(key_array.tobytes() + np.ascontiguousarray(embeddings).tobytes()).hexdigest()
        path = self.folder / f"{hashlib.sha256(key_array.tobytes()).hexdigest()[:24]}.safetensors"
        with written_whole(path) as partial:
            save_file(
                {"keys": key_array, "embeddings": embeddings},
                partial,
                metadata={"fingerprint": self.fingerprint, "checksum": checksum},
            )
        return path

    def _check_rows(self, embeddings: NDArray[np.float32]) -> None:
        """What is stored is finite and as wide as what is there."""
        if not np.isfinite(embeddings).all():
            raise StoreError("the encoder gave an embedding that is not finite; nothing of this batch was stored")
        first = next(iter(sorted(self.folder.glob("[!.]*.safetensors"))), None)
        if first is not None:
            width = Shard.open(first, self.fingerprint).embeddings.shape[1]
            if embeddings.shape[1] != width:
                raise StoreError(f"the encoder gave {embeddings.shape[1]} numbers a row, {self.folder} holds {width}")

    def sweep_partials(self) -> None:
        """Delete what a killed writer left half-written; call it with the lock held."""
        for partial in self.folder.glob(f"{PARTIAL_PREFIX}*"):
            partial.unlink(missing_ok=True)
