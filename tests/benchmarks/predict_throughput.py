"""How much of an encoder's throughput ``soft-labels predict`` keeps, and how much memory a long table takes.

    python -m tests.benchmarks.predict_throughput [--texts 5000] [--rows 100000] [--rounds 2]

The bare encoder is ``SentenceTransformer.encode`` on the same texts with the same batch size. Seconds are of the
processor, which other programs disturb less, and of the clock. Memory is the peak of a process that predicts rows of
short texts with an encoder that costs nothing, beside that of one with a tenth of the rows.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from soft_labels.encoders import SentenceTransformerEncoder
from soft_labels.heads.config import HeadConfig
from soft_labels.heads.head import TrainedHead, network_of, of_encoder
from soft_labels.heads.table import ItemTable, predict_table
from soft_labels.training.spec import HeadSpec
from tests.benchmarks.resident import resident_mib
from tests.heads.toy_head import toy_head

WORDS = (
    "could",
    "you",
    "please",
    "send",
    "the",
    "file",
    "that",
    "we",
    "spoke",
    "about",
    "when",
    "again",
    "why",
    "today",
)


def texts_of(count: int, most_words: int) -> list[str]:
    """Texts of 3 words and more, no two alike."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(3, most_words + 1, count)
    return [f"{' '.join(generator.choice(WORDS, length))} {place}" for place, length in enumerate(lengths)]


def write(folder: Path, texts: list[str]) -> Path:
    path = folder / "new.csv"
    pl.DataFrame({"item": [f"item-{place}" for place in range(len(texts))], "text": texts}).write_csv(path)
    return path


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor and of the clock."""
    busy, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - busy, time.perf_counter() - clock


def throughput(count: int, rounds: int) -> None:
    """Ratios of texts a second."""
    encoder = SentenceTransformerEncoder()
    spec = HeadSpec(hidden_width=256).settings()
    config = HeadConfig(("no", "maybe", "yes"), False, "text", 384, spec=spec, **of_encoder(encoder),
                        columns={"uid_column": "item", "text_column": "text"})  # fmt: skip
    head = TrainedHead(config, network_of(config))
    texts = texts_of(count, 60)
    bare = head.source.encoder._loaded  # type: ignore[attr-defined]
    head.predict(texts[:64])
    with TemporaryDirectory() as name:
        path = write(Path(name), texts)
        for _ in range(rounds):
            plain = timed(lambda: bare.encode(texts, batch_size=encoder.batch_size, show_progress_bar=False))
            ours = timed(lambda: predict_table(head, ItemTable(path), path.with_suffix(".parquet"), "parquet"))
            for what, one, other in zip(("processor", "clock"), plain, ours, strict=True):
                print(f"{what}: bare {count / one:,.1f} texts/s, predict {count / other:,.1f}, ratio {one / other:.3f}")


def peak(rows: int) -> None:
    """Predict rows of short texts, and print how far this process's peak then is above what it began with, MiB."""
    with TemporaryDirectory() as name:
        path = write(Path(name), texts_of(rows, 8))
        head = toy_head()
        head.predict(["a text"])
        before = resident_mib("VmRSS")
        predict_table(head, ItemTable(path), path.with_suffix(".parquet"), "parquet")
    print(f"peak {resident_mib('VmHWM'):,.0f} MiB, {before:,.0f} before the first row")


def memory(rows: int) -> None:
    """The peaks of two processes."""
    for count in (rows // 10, rows):
        command = [sys.executable, "-m", "tests.benchmarks.predict_throughput", f"--peak={count}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{count:,} rows: {done.stdout.strip()}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=5_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peak", type=int)
    asked = parser.parse_args()
    if asked.peak is not None:
        peak(asked.peak)
        return
    throughput(asked.texts, asked.rounds)
    memory(asked.rows)


if __name__ == "__main__":
    main()
