"""The embeddings of a data set as the features of its head: one row an item, in memory or on disk."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.annotations.base import Items
from soft_labels.embeddings.store import EmbeddingStore, Keys, Shard, find
from soft_labels.encoders.base import Encoder, EncoderInput
from soft_labels.errors import StoreError

PairFeatures = Literal["u_v_absdiff_product", "one_text"]
_CHUNK_ROWS = 1_024
_CHECKSUM_BYTES = 2**25  # many rows at once meet each shard less often


def encoder_inputs(
    items: Items, encoder: Encoder, pair_features: PairFeatures, separator: str
) -> list[Sequence[EncoderInput]]:
    """What the encoder is shown: one column of N inputs, or two for pairs whose sides are encoded apart.

    Args:
        items: The items.
        encoder: Decides whether it is shown uids, and whether a pair is one input.
        pair_features: ``one_text`` joins the two texts before the encoder; the other joins their embeddings after it.
        separator: What stands between the two texts in ``one_text``.
    """
    if encoder.modality == "uid":
        return [items.uids]
    if items.modality != "text_pair" or encoder.reads_pairs:
        return [items.inputs]
    pairs: Sequence[tuple[str, str]] = items.inputs  # type: ignore[assignment]
    if pair_features == "one_text":
        return [[first + separator + second for first, second in pairs]]
    return [[first for first, _ in pairs], [second for _, second in pairs]]


class Features(ABC):
    """Rows of float32 features, gathered by index."""

    _memory: Tensor | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Number of items, N."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Numbers a row, F."""

    @abstractmethod
    def _gather(self, index: NDArray[np.int64]) -> Tensor:
        """Rows read from where they lie, ``[B, F]``."""

    @property
    def in_memory(self) -> bool:
        """Whether the rows were copied to memory."""
        return self._memory is not None

    def load(self) -> None:
        """Copy every row to memory; later reads are slices of one tensor."""
        memory = torch.empty(len(self), self.dim)
        for chunk in self._chunks(np.arange(len(self))):
            memory[torch.from_numpy(chunk)] = self._gather(chunk)
        self._memory = memory

    def __getitem__(self, index: Tensor) -> Tensor:
        """Features of the items at ``index`` (int64 ``[B]``), float32 ``[B, F]``."""
        return self._gather(index.numpy()) if self._memory is None else self._memory[index]

    def batches(self, index: NDArray[np.int64]) -> Iterator[Tensor]:
        """Features of the items at ``index`` in chunks of bounded memory."""
        return (self[torch.from_numpy(chunk)] for chunk in self._chunks(index))

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over all rows in order; equal for equal numbers, however they lie in shards."""
        hasher = hashlib.sha256()
        rows = max(1, _CHECKSUM_BYTES // (4 * self.dim))
        for chunk in self._chunks(np.arange(len(self)), rows):
            hasher.update(self[torch.from_numpy(chunk)].numpy().data)
        return hasher.hexdigest()

    def _chunks(self, index: NDArray[np.int64], rows: int = _CHUNK_ROWS) -> Iterator[NDArray[np.int64]]:
        """Pieces of an index."""
        return (index[start : start + rows] for start in range(0, len(index), rows))


class StoredFeatures(Features):
    """Features that lie in the shards of one store.

    Args:
        shards: The shards that hold the rows.
        rows: int64 ``[N, K]`` positions over all shards laid end to end; K is 2 for pairs encoded apart, else 1.
    """

    def __init__(self, shards: Sequence[Shard], rows: NDArray[np.int64]) -> None:
        self._shards = shards
        self._rows = rows
        self._ends = np.cumsum([shard.rows for shard in shards])
        self._width = shards[0].width

    def __len__(self) -> int:
        """Number of items, N."""
        return len(self._rows)

    @property
    def dim(self) -> int:
        """Numbers a row: D, or 4 D for pairs encoded apart."""
        return self._width * (4 if self._rows.shape[1] == 2 else 1)

    def _gather(self, index: NDArray[np.int64]) -> Tensor:
        """Rows read from the shards."""
        positions = self._rows[index].ravel()
        order = np.argsort(positions)
        owner = np.searchsorted(self._ends, positions[order], side="right")
        out = np.empty((positions.size, self._width), dtype=np.float32)
        numbers, starts = np.unique(owner, return_index=True)
        for number, mine in zip(numbers, np.split(order, starts[1:]), strict=False):  # no number, if there are no rows
            shard = self._shards[number]
            out[mine] = shard.read(positions[mine] - (self._ends[number] - shard.rows))
        sides = torch.from_numpy(out).view(len(index), self._rows.shape[1], self._width)
        return sides[:, 0] if sides.shape[1] == 1 else join_pair(sides[:, 0], sides[:, 1])


class JoinedFeatures(Features):
    """Features of several encoders side by side.

    Args:
        parts: At least one, of the same items in the same order.
    """

    def __init__(self, parts: Sequence[Features]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        """Number of items, N."""
        return len(self._parts[0])

    @property
    def dim(self) -> int:
        """The sum of the parts' widths."""
        return sum(part.dim for part in self._parts)

    def _gather(self, index: NDArray[np.int64]) -> Tensor:
        """The parts' rows side by side."""
        return torch.cat([part[torch.from_numpy(index)] for part in self._parts], dim=1)


class TensorFeatures(Features):
    """Features that were in memory from the beginning.

    Args:
        rows: float32 ``[N, F]``.
    """

    def __init__(self, rows: Tensor) -> None:
        self._memory = self._given = rows

    def __len__(self) -> int:
        """Number of items, N."""
        return len(self._given)

    @property
    def dim(self) -> int:
        """Numbers a row, F."""
        return self._given.shape[1]

    def _gather(self, index: NDArray[np.int64]) -> Tensor:
        """Rows of the tensor."""
        return self._given[torch.from_numpy(index)]


def join_pair(u: Tensor, v: Tensor) -> Tensor:
    """``[u, v, |u - v|, u * v]``, ``[B, 4 D]``: the sentence-pair features of InferSent (Conneau et al. 2017)."""
    return torch.cat([u, v, (u - v).abs(), u * v], dim=1)


def open_features(store: EmbeddingStore, columns: Sequence[Keys], name: str) -> StoredFeatures:
    """The stored features of a data set, verified.

    Args:
        store: The encoder's store.
        columns: One or two ``S32 [N]`` arrays of content keys (see :func:`encoder_inputs`).
        name: The data set's name, for errors.

    Raises:
        StoreError: Embeddings are missing, damaged, not finite, or another encoder's.
    """
    shards = store.shards()
    rows = find(shards, np.stack(columns, axis=1))
    lacking = int((rows < 0).any(axis=1).sum())
    if lacking:
        raise StoreError(
            f"{len(rows):,} items in {name} but embeddings of only {len(rows) - lacking:,} in {store.folder}; "
            'run "soft-labels embed" with the same --config'
        )
    return _only_used(shards, rows)


def _only_used(shards: Sequence[Shard], rows: NDArray[np.int64]) -> StoredFeatures:
    """Verify the shards that hold the rows; leave the others unread."""
    ends = np.cumsum([shard.rows for shard in shards])
    for number in np.unique(np.searchsorted(ends, rows, side="right")):
        shards[number].verify()
    return StoredFeatures(shards, rows)
