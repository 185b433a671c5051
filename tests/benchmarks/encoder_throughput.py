"""What the precompute stage costs: ``python tests/benchmarks/encoder_throughput.py --items 200 --repetitions 3``.

The stage (keys known, a fresh store each time) against the bare encoder (preprocess and forward, one after the other,
in the same batches), in turn in one process. A ratio of 1 is the bare encoder's throughput; above 1, preprocessing one
batch ahead saves more than the store costs. Real texts and images where ``../shared/data`` holds them, else generated
ones.
"""

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing
from soft_labels.encoders import SentenceTransformerEncoder, TimmEncoder
from soft_labels.encoders.base import Encoder, EncoderInput

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def texts(count: int) -> tuple[str, list[str]]:
    """Where they come from, and distinct sentences."""
    if (SHARED_DATA / "chaosnli").is_dir():
        pairs = read_chaosnli(SHARED_DATA).inputs
        sentences = sorted({text for pair in pairs for text in pair})  # type: ignore[union-attr]
        chosen = np.random.default_rng(0).choice(len(sentences), min(count, len(sentences)), replace=False)
        return "sentences of ChaosNLI", [str(sentences[number]) for number in chosen]
    words = np.array(["road", "dogs", "a", "person", "waits", "two", "run", "after", "car", "in", "rain"])
    generator = np.random.default_rng(0)
    return "generated sentences", [
        f"{number}: {' '.join(generator.choice(words, generator.integers(4, 40)))}" for number in range(count)
    ]


def images(count: int) -> tuple[str, list[EncoderInput]]:
    """Where they come from, and distinct images."""
    files = sorted((SHARED_DATA / "cifar10h" / "cifar10-test").glob("*.*"))[:count]
    if files:
        return "CIFAR-10 test images", list(files)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return "generated images", list(pixels)


def bare_seconds(encoder: Encoder, batches: Sequence[Sequence[EncoderInput]]) -> float:
    """The bare encoder's time over the batches."""
    start = time.perf_counter()
    for batch in batches:
        encoder.forward(encoder.preprocess(batch))
    return time.perf_counter() - start


def stage_seconds(encoder: Encoder, items: Sequence[EncoderInput]) -> float:
    """The stage's time over the items, into a store that is deleted afterwards."""
    keys = content_keys(items)
    with tempfile.TemporaryDirectory(prefix="soft-labels-throughput-") as folder:
        store = EmbeddingStore(Path(folder), encoder)
        start = time.perf_counter()
        encode_missing(items, keys, encoder, store)
        return time.perf_counter() - start


def compare(name: str, encoder: Encoder, source: str, items: Sequence[EncoderInput], repetitions: int) -> None:
    """Time both in turn, the first of each pair alternating, and print the ratios."""
    longest_first = sorted(items, key=encoder.length, reverse=True)
    size = encoder.batch_size
    batches = [longest_first[start : start + size] for start in range(0, len(items), size)]
    bare_seconds(encoder, batches[-2:])  # loads the model
    print(f"{name}: {len(items):,} {source} in batches of {size}")
    ratios = []
    for repetition in range(repetitions):
        if repetition % 2:
            stage = stage_seconds(encoder, items)
            bare = bare_seconds(encoder, batches)
        else:
            bare = bare_seconds(encoder, batches)
            stage = stage_seconds(encoder, items)
        ratios.append(bare / stage)
        print(f"  bare {len(items) / bare:,.1f} a second, stage {len(items) / stage:,.1f}, ratio {ratios[-1]:.3f}")
    print(f"  median ratio {statistics.median(ratios):.3f} over {repetitions} repetitions")


def main() -> None:
    """Both encoders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000, help="texts; of images a quarter as many")
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    compare("MiniLM", SentenceTransformerEncoder(), *texts(arguments.items), arguments.repetitions)
    compare("EfficientNet-Lite0", TimmEncoder(), *images(max(1, arguments.items // 4)), arguments.repetitions)


if __name__ == "__main__":
    main()
