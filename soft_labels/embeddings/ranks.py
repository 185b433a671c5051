"""The processes of one job, which encode side by side: who does what, and what they tell each other."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from soft_labels.embeddings.store import KEY_BYTES, Keys, content_keys
from soft_labels.encoders.base import EncoderInput
from soft_labels.errors import DataError, StoreError

_PATIENCE = timedelta(days=30)  # one process may wait for another's share, or for another job, as long as that takes
_ENDED = "another process of this job ended; what is encoded is stored, the same command encodes the rest"
Work = TypeVar("Work")


class Ranks:
    """This process among those of its job; alone, all of this does nothing.

    Args:
        rank: This process's number.
        size: How many processes there are; where there are several, torch's default process group is up.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self._parent = os.getppid()
        # A group of its own: on the CPU whatever the devices are, and without their short time limit.
        group = distributed.new_group(backend="gloo", timeout=_PATIENCE) if size > 1 else None
        self._group = cast("distributed.ProcessGroup | None", group)

    @property
    def first(self) -> bool:
        """Whether this process holds the store's lock and speaks for all."""
        return self.rank == 0

    def share(self, batches: Sequence[Work]) -> Sequence[Work]:
        """Every ``size``-th batch: whole batches of the plan that one process would have, so the same numbers."""
        return batches[self.rank :: self.size]

    def content_keys(self, items: Sequence[EncoderInput]) -> Keys:
        """The content key of each item, ``S32 [N]``; each process reads a part of the items.

        Raises:
            DataError: The processes have different numbers of items, or an image file cannot be read.
        """
        if self.size == 1:
            return content_keys(items)
        step = math.ceil(len(items) / self.size)
        mine = content_keys(items[self.rank * step : (self.rank + 1) * step])
        parts = [b""] * self.size
        with self._together():
            distributed.all_gather_object(parts, mine.tobytes(), self._group)
        keys = np.frombuffer(b"".join(parts), dtype=f"S{KEY_BYTES}")
        if len(keys) != len(items):
            raise DataError(
                f"process {self.rank} read {len(items):,} inputs, all together {len(keys):,}; "
                "give every node the same data"
            )
        return keys

    def as_first_says(self, ask: Callable[[], NDArray[np.bool_]], count: int) -> NDArray[np.bool_]:
        """The answer of the first process, bool ``[count]``, which the others wait for.

        Args:
            ask: Gives the answer; called by the first process only.
            count: How long the answer is.
        """
        answer = ask() if self.first else np.empty(count, dtype=bool)
        if self.size > 1:
            with self._together():
                distributed.broadcast(torch.from_numpy(answer), src=0, group=self._group)
        return answer

    def wait(self) -> None:
        """Return when every process is here."""
        if self.size > 1:
            with self._together():
                distributed.barrier(self._group)

    def check(self, items: Sequence[EncoderInput], keys: Keys) -> None:
        """Whether a batch may be encoded: its keys may come from another process, and that process's data.

        Raises:
            DataError: The inputs are not those that the keys were made of.
            StoreError: The process that started this one is gone, and the job with it.
        """
        if self.size == 1:
            return
        if content_keys(items).tobytes() != keys.tobytes():
            raise DataError(f"process {self.rank} read other inputs than the others; give every node the same data")
        if self.rank and os.getppid() != self._parent:
            raise StoreError(_ENDED)

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Say in words that another process ended."""
        try:
            yield
        except RuntimeError as error:
            raise StoreError(_ENDED) from error


ALONE = Ranks()
