"""The precompute stage for an encoder that is paid: every answer is on disk before it is counted.

Answers lie in small files of their own in ``answered/`` below the store until enough of them are there, or the run
ends; then they move into the store as one shard. A run that was killed leaves them there for the next one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from soft_labels.embeddings.store import KEY_BYTES, EmbeddingStore, Keys
from soft_labels.encoders.base import EncoderInput, texts_of
from soft_labels.encoders.hosted import HostedEncoder, Keep, PendingError, Plan, Usage

GATHERED_ROWS = 2_048  # 25 MB of the widest embeddings that OpenAI has


def answered_store(store: EmbeddingStore, encoder: HostedEncoder) -> EmbeddingStore:
    """Where answers lie until they move into the store."""
    return EmbeddingStore(store.folder / "answered", encoder)


def gather(answered: EmbeddingStore, store: EmbeddingStore) -> None:
    """Move all answers into the store as one shard; call it with the store's lock held.

    Raises:
        StoreError: An answer is damaged or does not fit the store.
    """
    from safetensors.numpy import load_file

    answered.sweep_partials()
    shards = answered.shards()
    for shard in shards:
        shard.verify()
    if shards:
        keys, first = np.unique(np.concatenate([shard.keys for shard in shards]), return_index=True)
        rows = np.concatenate([load_file(shard.path)["embeddings"] for shard in shards])
        store.write(keys, rows[first])
    for shard in shards:
        shard.path.unlink()


class HostedStage:
    """Has a service answer what a store lacks; use it with the store's lock held.

    Args:
        encoder: The encoder.
        store: Its store.
    """

    def __init__(self, encoder: HostedEncoder, store: EmbeddingStore) -> None:
        self._encoder = encoder
        self._store = store
        self._answered = answered_store(store, encoder)

    def recover(self) -> None:
        """Take what a killed run left."""
        gather(self._answered, self._store)

    def collect(self, keys: Keys) -> Usage:
        """Take what was submitted earlier for some inputs and is answered now.

        Raises:
            EncoderError: Some of it failed; the other answers were kept.
        """
        with self._keeping(None) as keep:
            return self._encoder.collect(keys.tolist(), keep, self._store.folder)

    def pending(self, keys: Keys) -> NDArray[np.bool_]:
        """Which of some inputs were submitted and are not collected, ``[N]``."""
        submitted = self._encoder.pending(self._store.folder)
        return np.fromiter((key in submitted for key in keys.tolist()), dtype=np.bool_, count=len(keys))

    def answer(self, plan: Plan) -> Usage:
        """Have a plan answered, or submitted to be collected later.

        Raises:
            EncoderError: A request failed; the other answers were kept.
        """
        with self._keeping(sum(map(len, plan.requests))) as keep:
            return self._encoder.answer(plan, keep, self._store.folder)

    def check_answered(self, keys: Keys) -> None:
        """See that nothing is missing any more.

        Raises:
            PendingError: Some inputs wait for what was submitted.
        """
        waiting = keys[self._store.missing(keys)].tolist()
        if waiting:
            submitted = self._encoder.pending(self._store.folder)
            batches = "; ".join(dict.fromkeys(submitted[key] for key in waiting))
            raise PendingError(
                f"{len(waiting):,} texts are not answered yet: {batches}; run the same command again later to collect "
                "them, in whichever mode; until then nobody is asked for them again"
            )

    @contextmanager
    def _keeping(self, total: int | None) -> Iterator[Keep]:
        """What stores an answer, under a progress bar where there is a terminal; all answers move at the end."""
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        waiting = 0
        with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
            bar = progress.add_task("encoding", total=total)

            def keep(keys: Sequence[bytes], embeddings: NDArray[np.float32]) -> None:
                nonlocal waiting
                content_keys = np.array(keys, dtype=f"S{KEY_BYTES}")
                self._store.check(content_keys, embeddings)
                self._answered.write(content_keys, embeddings)
                progress.advance(bar, len(keys))
                waiting += len(keys)
                if waiting >= GATHERED_ROWS:
                    gather(self._answered, self._store)
                    waiting = 0

            try:
                yield keep
            finally:
                gather(self._answered, self._store)


def plan_of(
    items: Sequence[EncoderInput],
    keys: Keys,
    rows: NDArray[np.int64],
    names: Sequence[str],
    encoder: HostedEncoder,
) -> Plan:
    """What would be asked for the inputs at some rows; sends nothing.

    Raises:
        EncoderError: An input cannot be sent; the error has its name.
    """
    texts = texts_of([items[row] for row in rows])
    return encoder.plan(texts, [keys[row] for row in rows], [names[row] for row in rows])
