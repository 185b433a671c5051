"""The precompute stage: encode every input that the store lacks, once, in batches of similar length."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soft_labels.embeddings.hosted import HostedStage, answered_store, plan_of
from soft_labels.embeddings.ranks import ALONE, Ranks
from soft_labels.embeddings.store import EmbeddingStore, Keys
from soft_labels.encoders.base import Encoder, EncoderInput
from soft_labels.encoders.hosted import HostedEncoder, Plan, Usage
from soft_labels.progress import tracked

logger = logging.getLogger(__name__)
FLUSH_SECONDS = 20.0
FLUSH_ROWS = 16_384


@dataclass(frozen=True)
class StageReport:
    """What one run of the stage did.

    Args:
        inputs: Distinct inputs asked for.
        found: Those that were stored already.
        encoded: Those that were encoded.
        seconds: How long it took.
        usage: What was paid, of an encoder that is paid.
    """

    inputs: int
    found: int
    encoded: int
    seconds: float
    usage: Usage | None = None

    def __add__(self, other: "StageReport") -> "StageReport":
        """What two runs of the stage did together."""
        paid = [each.usage for each in (self, other) if each.usage is not None]
        return StageReport(
            self.inputs + other.inputs,
            self.found + other.found,
            self.encoded + other.encoded,
            self.seconds + other.seconds,
            reduce(add, paid) if paid else None,
        )


@dataclass(frozen=True)
class StagePlan:
    """What a run of the stage would do.

    Args:
        inputs: Distinct inputs asked for.
        missing: Those that are not stored.
        paid: What a service would be asked, of an encoder that is paid.
        submitted: What a service was asked earlier and has not answered, in words.
    """

    inputs: int
    missing: int
    paid: Plan | None = None
    submitted: str | None = None


def plan_missing(
    items: Sequence[EncoderInput], keys: Keys, encoder: Encoder, store: EmbeddingStore, names: Sequence[str]
) -> StagePlan:
    """What :func:`encode_missing` would do; encodes, sends and writes nothing.

    Args:
        items: ``[N]`` texts or images.
        keys: ``S32 [N]`` their content keys.
        encoder: The frozen encoder.
        store: Where the embeddings are kept.
        names: ``[N]`` what errors call the inputs.

    Raises:
        EncoderError: An input cannot be sent to a service.
    """
    unique, first = np.unique(keys, return_index=True)
    lacking = store.missing(unique)
    if not isinstance(encoder, HostedEncoder):
        return StagePlan(len(unique), int(lacking.sum()))
    lacking &= answered_store(store, encoder).missing(unique)
    lacking &= ~HostedStage(encoder, store).pending(unique)
    plan = plan_of(items, keys, first[lacking], names, encoder) if lacking.any() else None
    return StagePlan(len(unique), int(lacking.sum()), plan, encoder.submitted(store.folder))


def encode_missing(
    items: Sequence[EncoderInput],
    keys: Keys,
    encoder: Encoder,
    store: EmbeddingStore,
    flush_seconds: float = FLUSH_SECONDS,
    names: Sequence[str] | None = None,
    ranks: Ranks = ALONE,
) -> StageReport:
    """Encode what the store lacks and write it as it goes.

    What is missing is encoded longest first, in batches that are written whole or not at all: a run that was killed
    and started again forms the same batches, hence the same numbers, as one that was not. Several processes deal out
    the batches of that one plan, so that any number of them forms the same batches too.

    Args:
        items: ``[N]`` texts or images; equal ones are encoded once.
        keys: ``S32 [N]`` their content keys.
        encoder: The frozen encoder; its model is loaded only if something is missing.
        store: Where the embeddings are kept; locked while something is written.
        flush_seconds: A killed run loses at most the work of this long; of an encoder that is paid, it loses only the
            requests that are not answered.
        names: ``[N]`` what errors call the inputs; their positions, if it is not given.
        ranks: The processes that encode together; each of them calls this with the same inputs.

    Returns:
        What all processes together did; a process returns when all have stored their shares.

    Raises:
        PendingError: A service answers later.
        EncoderError: An input cannot be encoded; what was encoded before it is kept.
        StoreError: An embedding is not finite or of the wrong width; what was encoded before its batch is kept.
    """
    start = time.perf_counter()
    unique, first = np.unique(keys, return_index=True)

    def lacking() -> NDArray[np.int64]:
        return first[ranks.as_first_says(lambda: store.missing(unique), len(unique))]

    missing = len(lacking())
    usage = None
    if missing:
        with ExitStack() as held:
            with ranks.together():
                if ranks.first:
                    held.enter_context(store.lock())
                    store.sweep_partials()
            if isinstance(encoder, HostedEncoder):
                missing, usage = _answer(items, keys, names or _positions(items), encoder, store)
            else:
                rows = lacking()  # fewer, if another job held the lock until now
                missing = len(rows)
                with ranks.together():
                    if mine := ranks.share(batches_of(items, keys, rows, encoder)):
                        _encode(items, keys, mine, encoder, store, flush_seconds, ranks)
            if remark := encoder.remark():
                logger.warning("embeddings: %s", remark)
    report = StageReport(len(unique), len(unique) - missing, missing, time.perf_counter() - start, usage)
    if ranks.first:
        logger.info(
            "embeddings: %s distinct inputs, %s found in %s, %s encoded in %.1f s",
            f"{report.inputs:,}", f"{report.found:,}", store.folder, f"{report.encoded:,}", report.seconds,
        )  # fmt: skip
    return report


def _positions(items: Sequence[EncoderInput]) -> list[str]:
    """Names for inputs that have none."""
    return [f"input {position}" for position in range(len(items))]


def _answer(
    items: Sequence[EncoderInput], keys: Keys, names: Sequence[str], encoder: HostedEncoder, store: EmbeddingStore
) -> tuple[int, Usage]:
    """Have a service answer what is missing; how many inputs that were, and what was paid."""
    unique, first = np.unique(keys, return_index=True)
    stage = HostedStage(encoder, store)
    stage.recover()
    missing = int(store.missing(unique).sum())
    usage = stage.collect(unique[store.missing(unique)])
    lacking = first[store.missing(unique) & ~stage.pending(unique)]
    if len(lacking):
        usage += stage.answer(plan_of(items, keys, lacking, names, encoder))
    stage.check_answered(unique)
    return missing, usage


def batches_of(
    items: Sequence[EncoderInput], keys: Keys, rows: NDArray[np.int64], encoder: Encoder
) -> list[NDArray[np.int64]]:
    """The rows of distinct inputs in batches, longest first, ties by key."""
    lengths = np.fromiter((encoder.length(items[row]) for row in rows), dtype=np.int64, count=len(rows))
    order = rows[np.lexsort((keys[rows], -lengths))]
    return [order[start : start + encoder.batch_size] for start in range(0, len(order), encoder.batch_size)]


def _encode(
    items: Sequence[EncoderInput],
    keys: Keys,
    batches: Sequence[NDArray[np.int64]],
    encoder: Encoder,
    store: EmbeddingStore,
    flush_seconds: float,
    ranks: Ranks,
) -> None:
    """Run the batches and write a shard every so often, also when something goes wrong on the way."""
    done: list[NDArray[np.int64]] = []
    rows: list[NDArray[np.float32]] = []

    def flush() -> None:
        if done:
            store.write(keys[np.concatenate(done)], np.concatenate(rows))
            done.clear()
            rows.clear()

    flushed = time.monotonic()
    shown = tracked(batches, len(batches), "batches encoded") if ranks.first else batches
    try:
        for batch, prepared in zip(shown, _prepared(items, keys, batches, encoder, ranks), strict=True):
            embeddings = encoder.forward(prepared).numpy()
            store.check(keys[batch], embeddings)
            rows.append(embeddings)
            done.append(batch)
            if time.monotonic() - flushed > flush_seconds or sum(map(len, done)) >= FLUSH_ROWS:
                flush()
                flushed = time.monotonic()
    finally:
        flush()


def _prepared(
    items: Sequence[EncoderInput],
    keys: Keys,
    batches: Sequence[NDArray[np.int64]],
    encoder: Encoder,
    ranks: Ranks,
) -> Iterator[Any]:
    """The preprocessed inputs of each batch."""

    def prepare(batch: NDArray[np.int64]) -> Any:
        inputs = [items[row] for row in batch]
        ranks.check(inputs, keys[batch])
        return encoder.preprocess(inputs)

    return one_ahead(prepare, batches) if encoder.prepares_ahead else map(prepare, batches)


def one_ahead(prepare: Callable[[NDArray[np.int64]], Any], batches: Sequence[NDArray[np.int64]]) -> Iterator[Any]:
    """Prepare each batch in a thread while the one before it is in use."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(prepare, batches[0])
        for batch in batches[1:]:
            prepared = ahead.result()
            ahead = pool.submit(prepare, batch)
            yield prepared
        yield ahead.result()
