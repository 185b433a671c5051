"""Seconds of the paper's grid on redrawn splits by heads a program and workers: how many heads are best on a machine.

All are timed in turn in one process. Run it as ``python -m tests.benchmarks.population_chunk``; ``--width 1536`` is
four sentences' features, ``--width 3840`` three encoders' of an image.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import Job
from tests.benchmarks.fit_overhead import ratio
from tests.benchmarks.population_speed import paper_grid
from tests.toys import SeededData, SeededEncoder


def main() -> None:
    """Time each number of heads and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1000, help="items, of which 70%% train")
    parser.add_argument("--width", type=int, default=384, help="numbers an embedding")
    parser.add_argument("--epochs", type=int, default=5, help="most epochs a run")
    parser.add_argument("--splits", type=int, default=4, help="splits that are redrawn; programs go over several")
    parser.add_argument("--chunks", type=int, nargs="+", default=[1, 8, 12, 24, 36], help="heads a program")
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="programs at a time")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    wall: dict[tuple[int, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = SeededData(items=options.items, encoder=SeededEncoder(options.width), store=Path(folder)).embedded
        splits = [data.redrawn(number) for number in range(options.splits)]
        jobs = [Job(split, spec) for split in splits for spec in paper_grid(options.epochs)]
        for _ in range(options.repetitions):
            for workers in options.workers:
                for chunk in options.chunks:
                    engine = PopulationEngine(accelerator="cpu", chunk=chunk, workers=workers)
                    start = time.perf_counter()
                    programs = [[jobs[place] for place in program] for program in engine.programs(jobs)]
                    with engine.at_work() as begin:
                        assert len(list(begin(programs))) == len(jobs)
                    wall.setdefault((workers, chunk), []).append(time.perf_counter() - start)
    print(f"{options.items} items of {options.width}, {len(jobs)} runs of the paper's grid on {options.splits} splits")
    base = wall[options.workers[0], options.chunks[0]]
    for (workers, chunk), seconds in wall.items():
        print(f"{workers} workers, {chunk} heads a program: {statistics.median(seconds):.2f} s, "
              f"{ratio(seconds, base)} times the first")  # fmt: skip


if __name__ == "__main__":
    main()
