"""What a large store costs to write, search and read: ``python -m tests.benchmarks.store_scale --rows 5000000``.

Random keys with short rows are written through the real store, in shards as large as the stage's own or smaller: with
``--shard_rows 164`` a million rows lie in as many shards as 100 million would. Each step then runs in
a fresh process over that store: seconds, rows a second, and how far its peak of resident memory rose above what it had
before the step, in all and for each row. A cold disk is not measured: the store was written just before.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from soft_labels.embeddings import EmbeddingStore, Keys, content_keys, open_features
from soft_labels.embeddings.stage import FLUSH_ROWS
from soft_labels.embeddings.store import KEY_BYTES
from tests.benchmarks.resident import resident_mib
from tests.toys import SeededEncoder

MEBIBYTE = 2**20
GATHERED = 2_048


def keys_of(shard: int, rows: int) -> Keys:
    """Random keys of one shard, the same each time."""
    return np.frombuffer(np.random.default_rng(shard).bytes(KEY_BYTES * rows), dtype=f"S{KEY_BYTES}")


def shard_sizes(rows: int, most: int) -> list[int]:
    """Rows of each shard."""
    return [min(most, rows - start) for start in range(0, rows, most)]


def shuffled_keys(sizes: Sequence[int]) -> Keys:
    """All keys in an order that has nothing to do with the shards."""
    keys = np.concatenate([keys_of(number, size) for number, size in enumerate(sizes)])
    return np.random.default_rng(0).permutation(keys)


def random_rows(rows: int, batches: int) -> list[NDArray[np.int64]]:
    """Rows of shuffled batches."""
    generator = np.random.default_rng(1)
    return [generator.integers(0, rows, GATHERED) for _ in range(batches)]


class Steps:
    """What is measured; each step returns the rows that it went through.

    Args:
        store: The store.
        sizes: Rows of each shard.
        width: Numbers a row.
    """

    def __init__(self, store: EmbeddingStore, sizes: Sequence[int], width: int) -> None:
        self.store = store
        self.sizes = sizes
        self.rows = sum(sizes)
        self.width = width

    def write(self) -> Callable[[], int]:
        """Write every shard."""
        generator = np.random.default_rng(0)

        def run() -> int:
            for number, size in enumerate(self.sizes):
                embeddings = generator.standard_normal((size, self.width), dtype=np.float32)
                self.store.write(keys_of(number, size), embeddings)
            return self.rows

        return run

    def hash(self) -> Callable[[], int]:
        """The content keys of short texts."""
        texts = [f"a text of some thirty letters {number}" for number in range(self.rows)]
        return lambda: len(content_keys(texts))

    def plan(self) -> Callable[[], int]:
        """Sort the keys of a data set and look for them, as a run of the stage does."""
        keys = shuffled_keys(self.sizes)

        def run() -> int:
            unique, _ = np.unique(keys, return_index=True)
            return len(unique) + int(self.store.missing(unique).sum())

        return run

    def open(self) -> Callable[[], int]:
        """Find and verify the features of a data set."""
        keys = shuffled_keys(self.sizes)
        return lambda: len(open_features(self.store, [keys], "rows"))

    def gather(self) -> Callable[[], int]:
        """Shuffled batches of open features."""
        features = open_features(self.store, [shuffled_keys(self.sizes)], "rows")
        batches = random_rows(self.rows, 100)
        return lambda: sum(len(features[torch.from_numpy(batch)]) for batch in batches)

    def checksum(self) -> Callable[[], int]:
        """The checksum of open features."""
        features = open_features(self.store, [shuffled_keys(self.sizes)], "rows")

        def run() -> int:
            _ = features.checksum
            return self.rows

        return run


STEPS = ("write", "hash", "plan", "open", "gather", "checksum")


def measure(step: str, steps: Steps) -> None:
    """Run one step and print a line."""
    run = getattr(steps, step)()
    before = resident_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    start = time.perf_counter()
    done = run()
    seconds = time.perf_counter() - start
    rose = resident_mib("VmHWM") - before
    print(
        f"{step:<9}{seconds:9.2f} s {done / seconds:12,.0f} rows a second, "
        f"peak + {rose:7,.0f} MiB, {rose * MEBIBYTE / steps.rows:6.1f} bytes a row"
    )


def main() -> None:
    """Each step in a process of its own, then delete the store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shard_rows", type=int, default=FLUSH_ROWS, help="rows of a shard")
    parser.add_argument("--width", type=int, default=8, help="numbers an embedding")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = shard_sizes(arguments.rows, arguments.shard_rows)
    if arguments.store is not None:
        store = EmbeddingStore(arguments.store, SeededEncoder(arguments.width))
        measure(arguments.steps[0], Steps(store, sizes, arguments.width))
        return
    print(f"{arguments.rows:,} rows of {arguments.width} numbers in {len(sizes):,} shards")
    with tempfile.TemporaryDirectory(prefix="soft-labels-scale-") as folder:
        for step in arguments.steps:
            size = [f"--rows={arguments.rows}", f"--shard_rows={arguments.shard_rows}"]
            settings = [*size, f"--width={arguments.width}", f"--store={folder}"]
            subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.store_scale", f"--steps={step}", *settings], check=True
            )


if __name__ == "__main__":
    main()
