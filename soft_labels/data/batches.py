"""Mini-batches as slices of tensors: no per-item collation, the same batches on one process or many."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

_BLOCK_ROWS = 512
Draw = Literal["order", "dropout", "target"]
DRAWS: tuple[Draw, ...] = get_args(Draw)


class Batch(NamedTuple):
    """One process's share of a mini-batch.

    ``features`` float32 ``[B, F]``, ``label_dist`` float32 ``[B, C]``, ``majority_label`` int64 ``[B]``, ``rows``
    int64 ``[B]`` (positions in the data set), ``global_size`` the mini-batch's size over all processes, ``true_dist``
    float32 ``[B, C]`` where the generating distribution is known.
    """

    features: Tensor
    label_dist: Tensor
    majority_label: Tensor
    rows: Tensor
    global_size: int
    true_dist: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return self._replace(
            features=self.features.to(device),
            label_dist=self.label_dist.to(device),
            majority_label=self.majority_label.to(device),
            rows=self.rows.to(device),
            true_dist=None if self.true_dist is None else self.true_dist.to(device),
        )


class Observed(NamedTuple):
    """What was observed of some items.

    ``label_counts`` float64 ``[N, C]``, ``label_dist`` float32 ``[N, C]``, ``majority_label`` int64 ``[N]``, and
    ``true_dist`` float32 ``[N, C]`` where the generating distribution is known.
    """

    label_counts: Tensor
    label_dist: Tensor
    majority_label: Tensor
    true_dist: Tensor | None = None

    def take(self, rows: Tensor) -> "Observed":
        """Those of the items at ``rows``."""
        return Observed(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


def epoch_seed(seed: int, epoch: int, draw: Draw) -> int:
    """One generator seed for each seed, epoch and kind of draw, so that no two of them share their numbers."""
    return int(np.random.SeedSequence((seed, epoch, DRAWS.index(draw))).generate_state(1, np.uint64)[0] >> np.uint64(1))


class FeatureRows(Protocol):
    """Features gathered by row: int64 ``[B]`` positions in, float32 ``[B, F]`` out."""

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """The features of some rows."""
        ...


class BatchLoader:
    """Iterates mini-batches of a split; with several processes each takes every n-th row of each mini-batch.

    A mini-batch is the same set of rows on any number of processes, and nothing is padded or repeated; a process's
    share of a small last mini-batch may be empty.

    Args:
        features: The data set's features.
        observed: What was observed of the data set's items.
        rows: int64 ``[n]`` positions of the split's items.
        batch_size: Items a mini-batch over all processes.
        seed: Seed of the shuffle; ``None`` for evaluation in order.
        rank: This process's number.
        world_size: How many processes there are.
    """

    def __init__(
        self,
        features: FeatureRows,
        observed: Observed,
        rows: Tensor,
        batch_size: int,
        seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._features = features
        self._observed = observed
        self._batch_size = batch_size
        self._rank = rank
        self._world_size = world_size
        self._batches_a_block = max(1, _BLOCK_ROWS // batch_size)
        self._rows = rows
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        """Mini-batches a pass."""
        return math.ceil(len(self._rows) / self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """One pass; rows are gathered a block of mini-batches at a time, a mini-batch is a slice of the block."""
        order = self._order()
        batches = [order[start : start + self._batch_size] for start in range(0, len(order), self._batch_size)]
        for first in range(0, len(batches), self._batches_a_block):
            yield from self._block(batches[first : first + self._batches_a_block])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next pass uses."""
        self._epoch = epoch

    def _order(self) -> Tensor:
        """The rows in this epoch's order, a pure function of seed and epoch, int64 ``[n]``."""
        if self._seed is None:
            return self._rows
        generator = torch.Generator().manual_seed(epoch_seed(self._seed, self._epoch, "order"))
        return self._rows[torch.randperm(len(self._rows), generator=generator)]

    def _block(self, batches: list[Tensor]) -> Iterator[Batch]:
        """This process's share of some mini-batches."""
        mine = [rows[self._rank :: self._world_size] for rows in batches]
        rows = torch.cat(mine)
        features, (_, dist, label, true) = self._features[rows], self._observed.take(rows)
        start = 0
        for whole, share in zip(batches, mine, strict=True):
            part = slice(start, start + len(share))
            yield Batch(
                features[part], dist[part], label[part], share, len(whole), None if true is None else true[part]
            )
            start = part.stop
