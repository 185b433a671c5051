"""The processes of one job, which encode side by side: who does what, and what they tell each other."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Self, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

from soft_labels.embeddings.store import KEY_BYTES, Keys, content_keys
from soft_labels.encoders.base import EncoderInput
from soft_labels.errors import DataError, SoftLabelsError, StoreError

_PATIENCE = timedelta(days=30)  # one process may wait for another's share, or for another job, as long as that takes
_ENDED = "another process of this job ended; what is encoded is stored, the same command encodes the rest"
_FAILED = "soft-labels: why this job ends"  # a key of the store that torch's processes meet in
Work = TypeVar("Work")


class Ranks:
    """This process among those of its job; alone, all of this does nothing.

    Args:
        rank: This process's number.
        size: How many processes there are; where there are several, torch's default process group is up.
        local_rank: This process's number among those of its node.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0) -> None:
        self.rank = rank
        self.size = size
        self.local_rank = local_rank
        # A group of its own: on the CPU whatever the devices are, and without their short time limit.
        with self._connected():
            group = distributed.new_group(backend="gloo", timeout=_PATIENCE) if size > 1 else None
        self._group = cast("distributed.ProcessGroup", group)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the group's threads, which may abort a process that ends before them."""
        if self.size > 1:
            distributed.destroy_process_group(self._group)
            del self._group

    @property
    def first(self) -> bool:
        """Whether this process holds the store's lock and speaks for all."""
        return self.rank == 0

    def share(self, batches: Sequence[Work]) -> Sequence[Work]:
        """Every ``size``-th batch: whole batches of the plan that one process would have, so the same numbers."""
        return batches[self.rank :: self.size]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do this process's part of some work, and go on when all have done theirs. Must not be nested.

        Where one of them fails, the others stop before their next batch, and all end.

        Raises:
            SoftLabelsError: What went wrong, here or in another process; the first process of each node raises it.
            OSError: Likewise.
            SystemExit: In the others, so that each node says it once.
        """
        if self.size == 1:
            yield
            return
        failure: Exception | None = None
        try:
            yield
        except (SoftLabelsError, OSError) as error:
            failure = error
            self._stop_others(str(error))
        except Exception:
            self._stop_others(_ENDED)
            raise
        self._end_if_any(failure)

    def _stop_others(self, why: str) -> None:
        """Let the others see before their next batch that they should stop."""
        with self._connected():
            self._group.get_group_store().set(_FAILED, why)

    def _end_if_any(self, failure: Exception | None) -> None:
        """Exchange what went wrong, and end if something did."""
        failures: list[Exception | None] = [None] * self.size
        with self._connected():
            distributed.all_gather_object(failures, failure, self._group)
        for error in filter(None, failures):
            if self.local_rank:
                sys.exit(0)  # Lightning kills the first process of a node, which has to say why, if another one fails
            raise error

    def content_keys(self, items: Sequence[EncoderInput]) -> Keys:
        """The content key of each item, ``S32 [N]``; each process reads a part of the items.

        Raises:
            DataError: The processes have different numbers of items, or an image file cannot be read.
        """
        if self.size == 1:
            return content_keys(items)
        step = math.ceil(len(items) / self.size)
        with self.together():
            mine = content_keys(items[self.rank * step : (self.rank + 1) * step])
        parts = [b""] * self.size
        with self._connected():
            distributed.all_gather_object(parts, mine.tobytes(), self._group)
        keys = np.frombuffer(b"".join(parts), dtype=f"S{KEY_BYTES}")
        with self.together():
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
        with self.together():
            answer = ask() if self.first else np.empty(count, dtype=bool)
        if self.size > 1:
            with self._connected():
                distributed.broadcast(torch.from_numpy(answer), src=0, group=self._group)
        return answer

    def check(self, items: Sequence[EncoderInput], keys: Keys) -> None:
        """Whether a batch may be encoded: its keys may come from another process, and that process's data.

        Raises:
            DataError: The inputs are not those that the keys were made of.
            StoreError: Another process failed, or the first one is gone.
        """
        if self.size == 1:
            return
        if content_keys(items).tobytes() != keys.tobytes():
            raise DataError(f"process {self.rank} read other inputs than the others; give every node the same data")
        with self._connected():
            store = self._group.get_group_store()
            why = store.get(_FAILED).decode() if store.check([_FAILED]) else None
        if why is not None:
            raise StoreError(why)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Say in words that another process ended."""
        try:
            yield
        except RuntimeError as error:
            raise StoreError(_ENDED) from error


ALONE = Ranks()
