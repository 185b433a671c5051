"""Plans which specs share a head and which heads share a program, then runs the programs."""

import ctypes
import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import NamedTuple

import numpy as np
import torch

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SPLIT_NAMES
from soft_labels.errors import ConfigError
from soft_labels.training.heads import BYTES_TO_TRAIN, numbers_of
from soft_labels.training.objectives import Objective
from soft_labels.training.population.program import Member, PopulationData, Program
from soft_labels.training.solved import forget
from soft_labels.training.solved_runs import solved_runs
from soft_labels.training.spec import (
    Engine,
    EpochHook,
    Job,
    RunResult,
    RunSpec,
    Start,
    at_places,
    check_honoured,
)
from soft_labels.training.trainer import device_of

# Fields of a spec that a program trains with; a field that is new is refused until it is honoured and named here.
HONOURED = ("target", "hidden_width", "dropout", "lr", "weight_decay", "scheduler", "plateau_factor",
            "plateau_patience", "standardize", "seed", "loss", "head", "neighbours", "batch_size", "max_epochs",
            "patience", "min_delta")  # fmt: skip
_MEBIBYTE = 2**20
# Heads a program. Heads share what a step costs besides their products. Two workers of a CPU take for one head's work
# at 8, 24 and 36 heads a program 14, 8 and 8% of what it takes alone at 21 inputs, and 33, 28 and 30% at 384; for 3, 7
# and 12 heads of 1,536 inputs 75, 72 and 70% (tests/benchmarks/population_chunk.py). An accelerator wants many heads to
# hide its launches.
_CHUNK_ON_CPU, _MEBIBYTES_ON_CPU = 24, 48
_CHUNK_ON_ACCELERATOR = 256
_LEAST_PROGRAMS = 4  # of what trains together, on a CPU, so that its workers have something to do


@dataclass
class Work:
    """What an engine has done so far.

    Args:
        asked: Steps of one head that the runs would have taken one by one.
        done: Steps of one head that were really taken.
    """

    asked: int = 0
    done: int = 0


class PopulationEngine(Engine):
    """Trains many specs at once.

    A member's curve is that of the same spec alone, to float tolerance, whatever its neighbours. Runs that are equal
    but for their number of epochs are prefixes of one member, and a run on a plateau schedule is its plain twin until
    the first cut; members of one seed share mini-batches and dropout masks.

    Args:
        chunk: Heads a program; ``None`` for a default by device and size of a head.
        memory_mb: Most MiB that a program's weights and moments may take; programs are made smaller to fit.
        workers: Programs that run at a time; ``None`` for one a thread of torch on a CPU, one on an accelerator.
        share: Whether runs share a member where they can; without it each run is a member of its own.
        accelerator: Lightning's name of the device.

    Raises:
        ConfigError: A number is too small, or there is no such device.
    """

    name = "population"

    def __init__(
        self,
        chunk: int | None = None,
        memory_mb: int = 1024,
        workers: int | None = None,
        share: bool = True,
        accelerator: str = "auto",
    ) -> None:
        if min(1 if chunk is None else chunk, memory_mb, 1 if workers is None else workers) < 1:
            raise ConfigError(
                f"wanted chunk, memory_mb and workers of at least 1, got {chunk}, {memory_mb} and {workers}"
            )
        self.device = device_of(accelerator)
        on_cpu = self.device.type == "cpu"
        self.chunk = chunk
        self.memory_mb = memory_mb
        self.workers = workers or (torch.get_num_threads() if on_cpu else 1)
        self.share = share
        self.work = Work()

    def train(
        self,
        data: EmbeddedDataset,
        specs: Sequence[RunSpec],
        *,
        monitor_test: bool = False,
        keep_heads: bool = False,
        after_epoch: EpochHook | None = None,
    ) -> list[RunResult]:
        """See :class:`~soft_labels.training.spec.Engine`; with ``after_epoch`` programs run one by one, in order."""
        jobs = [Job(data, spec) for spec in specs]
        plan = self.programs(jobs)
        order, groups = list(itertools.chain.from_iterable(plan)), [[jobs[place] for place in group] for group in plan]
        hook = at_places(after_epoch, order)
        with self.at_work() as start:
            done = start(groups, monitor_test=monitor_test, keep_heads=keep_heads, after_epoch=hook)
            found = {order[place]: result for place, result in done}
        return [found[position] for position in range(len(specs))]

    @contextmanager
    def at_work(self) -> Iterator[Start]:
        """See :class:`~soft_labels.training.spec.Engine`; programs of all that was started share the workers."""
        stop = Event()
        with _one_thread_each(self.device), ThreadPoolExecutor(self.workers) as pool:
            try:
                yield partial(self._start, pool, stop)
            finally:  # after an error or Ctrl-C nobody waits for programs that are under way
                stop.set()
                pool.shutdown(cancel_futures=True)
                forget()
                give_back()

    def _start(
        self,
        pool: Executor,
        stop: Event,
        groups: Sequence[Sequence[Job]],
        *,
        monitor_test: bool = False,
        keep_heads: bool = False,
        after_epoch: EpochHook | None = None,
    ) -> Iterator[tuple[int, RunResult]]:
        """Hand all programs to the workers; where there is a hook, each is run here when its results are asked for."""
        for data, spec in itertools.chain.from_iterable(groups):
            check_honoured("the population engine", HONOURED, spec)
            Objective(spec).check(data.ordinal)

        def run(jobs: Sequence[Job], first: int) -> tuple[list[RunResult], int]:
            specs, hook = [job.spec for job in jobs], at_places(after_epoch, range(first, first + len(jobs)))
            if specs[0].kind.solved:
                return solved_runs(jobs[0].data, specs, monitor_test=monitor_test, keep_heads=keep_heads,
                                   after_epoch=hook), 0  # fmt: skip
            parts = [PopulationData(data, specs[0].standardize, self.device) for data in _distinct(jobs)]
            program = Program(parts, specs, _members(jobs, self.share), monitor_test=monitor_test,
                              keep_heads=keep_heads, after_epoch=hook, stop=stop)  # fmt: skip
            return program.train(), program.member_steps

        firsts = [0, *itertools.accumulate(map(len, groups))][:-1]
        return self._results(groups, (map if after_epoch is not None else pool.map)(run, groups, firsts))

    def _results(
        self, groups: Sequence[Sequence[Job]], done: Iterable[tuple[list[RunResult], int]]
    ) -> Iterator[tuple[int, RunResult]]:
        """Each result with the place of its job, program by program."""
        place = itertools.count()
        for jobs, (results, member_steps) in zip(groups, done, strict=True):
            self.work.done += member_steps
            for job, result in zip(jobs, results, strict=True):
                if not job.spec.kind.solved:
                    train_items = len(job.data.dataset.split.train)
                    self.work.asked += len(result.curve["lr"]) * math.ceil(train_items / job.spec.batch_size)
                yield next(place), result

    def together(self, jobs: Sequence[Job]) -> list[list[list[int]]]:
        """Whole programs, one for each worker in a bundle."""
        programs = self.programs(jobs)
        return [programs[start : start + self.workers] for start in range(0, len(programs), self.workers)]

    def programs(self, jobs: Sequence[Job]) -> list[list[int]]:
        """How jobs are dealt out: positions of the runs of each program, small mini-batches (the longest) first.

        Runs of several data sets share a program where all its tensors have the same shapes, as those of redrawn splits
        do. A head that is solved is a program of its own, after all others. It does not depend on the machine, since
        neighbours may change the last bit of a logarithm.
        """
        shapes: dict[_Shape, list[int]] = {}
        for position, job in enumerate(jobs):
            if not job.spec.kind.solved:
                shapes.setdefault(_Shape.of(job), []).append(position)
        members = {
            shape: _members([jobs[position] for position in positions], self.share)
            for shape, positions in shapes.items()
        }
        even = math.ceil(sum(map(len, members.values())) / (_LEAST_PROGRAMS if self.device.type == "cpu" else 1))
        programs = []
        for shape in sorted(shapes):
            own = sorted(members[shape], key=_order)
            most = min(self._members_a_program(shape), self.chunk or even)
            for some in np.array_split(np.arange(len(own)), math.ceil(len(own) / most)):
                runs = itertools.chain.from_iterable(own[place].runs for place in some)
                programs.append([shapes[shape][run] for run in runs])
        return [*programs, *([position] for position, job in enumerate(jobs) if job.spec.kind.solved)]

    def _members_a_program(self, shape: "_Shape") -> int:
        """How many heads fit the chunk and the memory: weights, gradients and two moments each."""
        size = BYTES_TO_TRAIN * numbers_of(shape.embedding_dim, shape.num_classes, shape.hidden_width)
        small_enough = max(1, _MEBIBYTES_ON_CPU * _MEBIBYTE // size)
        usual = min(_CHUNK_ON_CPU, small_enough) if self.device.type == "cpu" else _CHUNK_ON_ACCELERATOR
        return max(1, min(self.chunk or usual, self.memory_mb * _MEBIBYTE // size))


class _Shape(NamedTuple):
    """What runs of a program share: their loss, and the shapes of all tensors; programs come in this order."""

    batch_size: int
    hidden_width: int
    standardize: bool
    loss: str
    embedding_dim: int
    num_classes: int
    items: tuple[int, ...]

    @classmethod
    def of(cls, job: Job) -> "_Shape":
        """That of a run; ``items`` are those of each part."""
        data, spec = job
        items = tuple(len(getattr(data.dataset.split, part)) for part in SPLIT_NAMES)
        return cls(spec.batch_size, spec.hidden_width, spec.standardize, spec.loss, data.embedding_dim,
                   data.num_classes, items)  # fmt: skip


def _distinct(jobs: Sequence[Job]) -> list[EmbeddedDataset]:
    """The data sets of some jobs, each once, in the order in which they come."""
    return list({id(job.data): job.data for job in jobs}.values())


def _order(member: Member) -> tuple[int, int, float, float]:
    """Members that share features come together, then those that share mini-batches, then those that share rates."""
    return member.part, member.spec.seed, member.spec.lr, member.spec.weight_decay


def _members(jobs: Sequence[Job], share: bool) -> list[Member]:
    """The heads that jobs begin with: one for all that have the same data and path until a rule parts them."""
    part_of = {id(data): part for part, data in enumerate(_distinct(jobs))}
    runs: dict[tuple[int, RunSpec | int], list[int]] = {}
    for position, job in enumerate(jobs):
        runs.setdefault((part_of[id(job.data)], _path(job.spec) if share else position), []).append(position)
    return [Member(jobs[own[0]].spec, jobs[own[0]].spec.lr, own, part) for (part, _), own in runs.items()]


def _path(spec: RunSpec) -> RunSpec:
    """The spec without what only rules read: equal paths give equal weights until a cut or an end."""
    plain = RunSpec()
    rules = ("scheduler", "plateau_factor", "plateau_patience", "max_epochs", "patience", "min_delta")
    return replace(spec, **{name: getattr(plain, name) for name in rules})


def give_back() -> None:
    """Return freed memory to the system, which glibc keeps in many pieces for a process that may want it again."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


@contextmanager
def _one_thread_each(device: torch.device) -> Iterator[None]:
    """On a CPU one torch thread a worker: small products gain nothing from more, and results depend on no machine."""
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
