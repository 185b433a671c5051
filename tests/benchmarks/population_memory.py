"""Peak memory of a wide random search: heads are trained a few at a time, so only their curves add up.

Each size runs in a process of its own. Run it as ``python -m tests.benchmarks.population_memory``.
"""

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import RunSpec
from tests.toys import SeededData, SeededEncoder

ITEMS, WIDTH = 300, 384
BASE = RunSpec(batch_size=32, max_epochs=10)


def random_specs(members: int) -> list[RunSpec]:
    """Learning rate, weight decay and dropout drawn at random, half of the heads for each target."""
    draws = np.random.default_rng(0).uniform((-5, -6, 0), (-2, -3, 0.6), size=(members, 3)).tolist()
    return [
        replace(BASE, target=("soft", "hard")[number % 2], lr=10**lr, weight_decay=10**decay, dropout=dropout)
        for number, (lr, decay, dropout) in enumerate(draws)
    ]


def peak_mebibytes(members: int) -> tuple[float, float, float]:
    """Peak resident memory before and after a search, MiB, and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        data = SeededData(items=ITEMS, encoder=SeededEncoder(WIDTH), store=Path(folder)).embedded
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter()
        results = PopulationEngine(accelerator="cpu").train(data, random_specs(members))
        assert len(results) == members  # what was measured is what was asked for
        return before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter() - start


def main() -> None:
    """Measure each size and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, nargs="+", default=[100, 1_000, 10_000])
    options = parser.parse_args()
    print(f"{ITEMS} items of {WIDTH}, hidden width {BASE.hidden_width}, at most {BASE.max_epochs} epochs")
    for members in options.members:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            before, after, seconds = pool.submit(peak_mebibytes, members).result()
        print(f"{members:>7,} heads: peak {after:,.0f} MiB, of which {before:,.0f} before training; {seconds:.1f} s")


if __name__ == "__main__":
    main()
