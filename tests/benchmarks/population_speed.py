"""Seconds a run of the paper's grid: a naive Trainer, ``fit``, a bare PyTorch loop, and the population engine.

The population trains every point of the grid for both targets, 216 runs. The other three train one run of ten epochs
at each batch size; what the whole grid would cost them is their seconds a step times the steps of every run, early
stopping included. All are timed in CPU seconds, in turn in one process on one torch thread.

Run it as ``python -m tests.benchmarks.population_speed``; ``--width 3072`` is the paper's text encoder.
"""

import argparse
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from lightning import seed_everything

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import RunResult, RunSpec
from tests.benchmarks.fit_overhead import CLASSES, HIDDEN, bare, hush, naive, ours, ratio
from tests.toys import SeededData, SeededEncoder

BATCH_SIZES = (8, 16, 32)
EPOCHS = 10


def paper_grid(max_epochs: int) -> list[RunSpec]:
    """The 108 points of the paper for each target; fewer epochs for a quick look."""
    epochs = sorted({min(count, max_epochs) for count in (10, 15, 20)})
    points = itertools.product(
        ("soft", "hard"), (1e-3, 1e-4, 1e-5), BATCH_SIZES, epochs, (0.0, 1e-4), ("none", "plateau")
    )
    return [
        RunSpec(target, HIDDEN, lr=lr, batch_size=batch_size, max_epochs=count, weight_decay=decay, scheduler=scheduler)  # type: ignore[arg-type]
        for target, lr, batch_size, count, decay, scheduler in points
    ]


def cpu_seconds(call: Callable[[], object]) -> float:
    """CPU time of a call, over all threads."""
    start = time.process_time()
    call()
    return time.process_time() - start


def steps_an_epoch(data: EmbeddedDataset, batch_size: int) -> int:
    """Mini-batches a pass over the training split."""
    return math.ceil(len(data.dataset.split.train) / batch_size)


def grid_seconds(
    train_one: Callable[[int], Callable[[], object]], data: EmbeddedDataset, results: list[RunResult]
) -> float:
    """CPU seconds that the grid would take one run at a time, from one timed run at each batch size."""
    total = 0.0
    for batch_size in BATCH_SIZES:
        a_step = cpu_seconds(train_one(batch_size)) / (EPOCHS * steps_an_epoch(data, batch_size))
        epochs = sum(len(one.curve["lr"]) for one in results if one.spec.batch_size == batch_size)
        total += a_step * epochs * steps_an_epoch(data, batch_size)
    return total


def multiply_peak() -> float:
    """Best GFLOP/s of a large float32 matrix product on this thread."""
    left, right = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return 2 * 1024**3 / min(cpu_seconds(lambda: left @ right) for _ in range(20)) / 1e9


def product_gigaflops(engine: PopulationEngine, results: list[RunResult], data: EmbeddedDataset) -> float:
    """GFLOP of the two wide products of every step that was really taken."""
    asked = sum(len(one.curve["lr"]) * steps_an_epoch(data, one.spec.batch_size) for one in results)
    rows = sum(len(one.curve["lr"]) * len(data.dataset.split.train) for one in results)
    return rows * engine.work.done / asked * 2 * 2 * (data.embedding_dim + 1) * HIDDEN / 1e9


def main() -> None:
    """Time all, and print seconds a run, ratios, and what sharing saved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1103, help="items, of which 70%% train")
    parser.add_argument("--width", type=int, default=384, help="numbers an embedding")
    parser.add_argument("--epochs", type=int, default=20, help="most epochs a run")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    hush()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store, logs = Path(folder) / "store", Path(folder) / "logs"
        data = SeededData(items=options.items, encoder=SeededEncoder(options.width), store=store).embedded
        specs = paper_grid(options.epochs)
        taken: dict[str, list[float]] = {}
        for repetition in range(options.repetitions):
            seed_everything(repetition, verbose=False)
            engine = PopulationEngine(accelerator="cpu", workers=1)
            alone = PopulationEngine(accelerator="cpu", workers=1, share=False)
            results: list[RunResult] = []
            seconds = {
                "population": cpu_seconds(lambda: results.extend(engine.train(data, specs))),  # noqa: B023
                "unshared": cpu_seconds(lambda: alone.train(data, specs)),  # noqa: B023
                "bare loop": grid_seconds(lambda batch: lambda: bare(data, EPOCHS, batch, fused=False), data, results),
                "fit": grid_seconds(
                    lambda batch: ours(store, logs, options.items, EPOCHS, batch, options.width), data, results
                ),
                "naive Trainer": grid_seconds(lambda batch: lambda: naive(data, logs, EPOCHS, batch), data, results),
            }
            for name, value in seconds.items():
                taken.setdefault(name, []).append(value)
    print(f"{options.items} items of {options.width}, {CLASSES} classes, hidden width {HIDDEN}, {len(specs)} runs")
    for name, all_seconds in taken.items():
        median = statistics.median(all_seconds)
        print(f"{name:>13}: {median:7.1f} CPU s, {median / len(specs):.4f} a run, "
              f"{ratio(all_seconds, taken['population'])} times the population")  # fmt: skip
    saved = engine.work.asked / engine.work.done
    print(f"head-steps: {engine.work.asked:,} asked, {engine.work.done:,} taken, sharing saved {saved:.2f} times")
    achieved, peak = product_gigaflops(engine, results, data) / min(taken["population"]), multiply_peak()
    print(
        f"wide products: {achieved:.0f} GFLOP/s of {peak:.0f} that a large product reaches here ({achieved / peak:.0%})"
    )


if __name__ == "__main__":
    main()
