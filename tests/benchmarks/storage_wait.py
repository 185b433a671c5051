"""The share of their time that workers of a search spend waiting for the storage, for each storage.

Workers are processes that share one search, with the population engine on one thread each. The share is the wall time
that a worker spends inside storage calls and locks, also between the epochs of a batch, over that time and the time of
training; what threads beside it do is not waited for, and waiting for the end of others is neither.

Run it as ``python -m tests.benchmarks.storage_wait``; the servers are real ones on loopback.
"""

import argparse
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import torch
from jsonargparse import Namespace
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from soft_labels.runs.runner import Runner
from soft_labels.runs.store import RecordStore
from soft_labels.sweep import PlannedSearch, SweepSettings, finished, open_storage, search
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import RunSpec
from tests.servers import SERVED_HERE, STORAGES, served
from tests.toys import SeededData, SeededEncoder

BESIDE = "storage-"  # how the names of the threads begin that a search leaves to the storage
PRUNERS: dict[str, type[BasePruner]] = {"none": NopPruner, "MedianPruner": MedianPruner}


class Task(NamedTuple):
    """What each worker does."""

    address: str
    folder: Path
    items: int
    width: int
    sweep: SweepSettings

    def data(self) -> SeededData:
        """The data, whose embeddings lie beside the storage."""
        return SeededData(self.items, encoder=SeededEncoder(self.width), store=self.folder / "store")


@dataclass
class Clock:
    """Wall seconds inside calls, without those of another clock; a call within a call counts once.

    Calls of the threads that a search leaves to the storage do not count: nobody waits for them.
    """

    other: "Clock | None" = None
    seconds: float = 0.0
    depth: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        start = self.now()
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
            self.seconds += 0 if self.depth else self.now() - start

    def now(self) -> float:
        """The time, which stands still while the other clock runs."""
        return time.perf_counter() - (self.other.seconds if self.other else 0)

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, timed."""

        def run(*args: Any, **kwargs: Any) -> Any:
            if threading.current_thread().name.startswith(BESIDE):
                return call(*args, **kwargs)
            with self.running():
                return call(*args, **kwargs)

        return run


class TimedLock(AbstractContextManager[None]):
    """A lock that is timed while it is waited for."""

    def __init__(self, lock: AbstractContextManager[Any], clock: Clock) -> None:
        self.lock, self.clock = lock, clock

    def __enter__(self) -> None:
        self.clock.timed(self.lock.__enter__)()

    def __exit__(self, *reason: Any) -> None:
        self.lock.__exit__(*reason)


def work(task: Task) -> tuple[float, float]:
    """Search until the study is complete; seconds of waiting for the storage, and of training without that."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage, datamodule, waiting = open_storage(task.address), task.data(), Clock()
    for name in BaseStorage.__abstractmethods__:
        setattr(storage.backend, name, waiting.timed(getattr(storage.backend, name)))
    runner = Runner(RecordStore(task.folder / "records"), PopulationEngine(accelerator="cpu", workers=1))
    training = Clock(other=waiting)
    plain, timed_result = Future.result, waiting.timed(Future.result)

    def result(*arguments: Any) -> Any:
        """Wait for what was left to a thread: to one of the storage's, unless it is one that trains."""
        return (plain if training.depth else timed_result)(*arguments)

    setattr(Future, "result", result)  # noqa: B010 # mypy keeps methods as they are
    setattr(runner, "run_all", training.timed(runner.run_all))  # noqa: B010
    timed = replace(storage, lock=TimedLock(storage.lock, waiting))
    study = search(runner, {"study": PlannedSearch(RunSpec(), task.sweep, lambda _: datamodule)}, timed)["study"]
    assert len(finished(study)) == task.sweep.trials
    return waiting.seconds, training.seconds


def settings(trials: int, sampler: str, pruner: str) -> SweepSettings:
    """A search over three keys; a grid has a multiple of 20 points."""
    points = trials // 20 * 20
    space = {
        "model.lr": CategoricalDistribution([1e-3 / (step + 1) for step in range(points // 20)]),
        "model.dropout": CategoricalDistribution([0.0, 0.2, 0.4, 0.6]),
        "model.weight_decay": CategoricalDistribution([0.0, 1e-5, 1e-4, 1e-3, 1e-2]),
    }
    chosen = None
    if sampler != "grid":
        chosen = Namespace({"class_path": f"optuna.samplers.{sampler}", "init_args.seed": None})  # type: ignore[no-untyped-call]
    return SweepSettings(space, chosen, PRUNERS[pruner](), points, grace=3600)  # nobody dies here, so that nobody beats


def creation_seconds(address: str, trials: int = 50) -> float:
    """Time of creating a trial whole, as a worker does, while nobody else asks anything."""
    storage = open_storage(address).backend
    study = optuna.create_study(storage=storage, study_name="idle")
    space: dict[str, BaseDistribution] = {key: CategoricalDistribution([0.0, 1e-2]) for key in ("a", "b", "c")}
    params = dict.fromkeys(space, 0.0)
    start = time.perf_counter()
    for _ in range(trials):
        study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=space, user_attrs={"w": 1}))
    return (time.perf_counter() - start) / trials


def main() -> None:
    """Run the workers on each storage and print shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--storages", nargs="+", choices=STORAGES, default=SERVED_HERE)
    parser.add_argument("--sampler", choices=["grid", "RandomSampler", "TPESampler"], default="grid")
    parser.add_argument("--pruner", choices=PRUNERS, default="none")
    parser.add_argument("--items", type=int, default=1103, help="items, of which 70%% train")
    parser.add_argument("--width", type=int, default=384, help="numbers an embedding")
    options = parser.parse_args()
    for name in options.storages:
        with tempfile.TemporaryDirectory() as folder, served(name, Path(folder)) as address:
            sweep = settings(options.trials, options.sampler, options.pruner)
            task = Task(address, Path(folder), options.items, options.width, sweep)
            task.data().prepare_data()
            alone = creation_seconds(address)
            start = time.perf_counter()
            with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
                times = pool.map(work, [task] * options.workers, chunksize=1)
            shares = [waiting / (waiting + training) for waiting, training in times]
            total = sum(waiting for waiting, _ in times)
            print(
                f"{name:>11}: {task.sweep.trials} trials ({options.sampler}, pruner {options.pruner}), "
                f"{options.workers} workers, "
                f"{time.perf_counter() - start:6.1f} s in all; waiting for storage {min(shares):.1%} to "
                f"{max(shares):.1%} of a worker's time, {1e3 * total / task.sweep.trials:.1f} ms a trial; "
                f"{1e3 * alone:.1f} ms to create a trial on the idle storage",
                flush=True,
            )


if __name__ == "__main__":
    main()
