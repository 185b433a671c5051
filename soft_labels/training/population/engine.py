"""Plans which specs share a head and which heads share a program, then runs the programs."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

import numpy as np
import torch

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.errors import ConfigError
from soft_labels.training.heads import BYTES_TO_TRAIN, numbers_of
from soft_labels.training.objectives import Objective
from soft_labels.training.population.program import Member, PopulationData, Program
from soft_labels.training.solved_runs import solved_runs
from soft_labels.training.spec import Engine, EpochHook, RunResult, RunSpec, Start, check_honoured
from soft_labels.training.trainer import device_of

# Fields of a spec that a program trains with; a field that is new is refused until it is honoured and named here.
HONOURED = ("target", "hidden_width", "dropout", "lr", "weight_decay", "scheduler", "plateau_factor",
            "plateau_patience", "standardize", "seed", "loss", "head", "neighbours", "batch_size", "max_epochs",
            "patience", "min_delta")  # fmt: skip
_MEBIBYTE = 2**20
_PROGRAMS_A_WORKER = 2  # more lose more work when a process is killed, fewer leave workers idle at a part's end
# Heads a program. More heads share what a step costs besides their products: on two workers of a CPU 12 take a tenth
# less time than 8 at 384 inputs, and no less than 18; so do 7 in place of 3 at 1,536, and 3 in place of 1 at 3,840
# (tests/benchmarks/population_chunk.py). An accelerator wants many heads to hide its launches.
_CHUNK_ON_CPU, _MEBIBYTES_ON_CPU = 12, 48
_CHUNK_ON_ACCELERATOR = 256


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
        with self.at_work() as start:
            found = dict(start(data, specs, monitor_test=monitor_test, keep_heads=keep_heads, after_epoch=after_epoch))
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

    def _start(
        self,
        pool: Executor,
        stop: Event,
        data: EmbeddedDataset,
        specs: Sequence[RunSpec],
        *,
        monitor_test: bool = False,
        keep_heads: bool = False,
        after_epoch: EpochHook | None = None,
    ) -> Iterator[tuple[int, RunResult]]:
        """Hand all programs to the workers; where there is a hook, each is run here when its results are asked for."""
        for spec in specs:
            check_honoured("the population engine", HONOURED, spec)
            Objective(spec).check(data.ordinal)
        prepared = {
            standardize: PopulationData(data, standardize, self.device)
            for standardize in {spec.standardize for spec in specs if not spec.kind.solved}
        }

        def run(positions: list[int]) -> tuple[list[RunResult], int]:
            own = [specs[position] for position in positions]
            hook = None if after_epoch is None else lambda run, *rest: after_epoch(positions[run], *rest)
            if own[0].kind.solved:
                return solved_runs(data, own, monitor_test=monitor_test, keep_heads=keep_heads, after_epoch=hook), 0
            program = Program(prepared[own[0].standardize], own, _members(own, self.share), monitor_test=monitor_test,
                              keep_heads=keep_heads, after_epoch=hook, stop=stop)  # fmt: skip
            return program.train(), program.member_steps

        plan = self.programs(data, specs)
        done = map(run, plan) if after_epoch is not None else pool.map(run, plan)
        return self._results(plan, done, len(data.dataset.split.train))

    def _results(
        self, plan: list[list[int]], done: Iterable[tuple[list[RunResult], int]], train_items: int
    ) -> Iterator[tuple[int, RunResult]]:
        """Each result with the place of its spec, program by program."""
        for positions, (own, member_steps) in zip(plan, done, strict=True):
            self.work.done += member_steps
            self.work.asked += sum(
                len(result.curve["lr"]) * math.ceil(train_items / result.spec.batch_size)
                for result in own
                if not result.spec.kind.solved
            )
            yield from zip(positions, own, strict=True)

    def together(self, data: EmbeddedDataset, specs: Sequence[RunSpec]) -> list[list[int]]:
        """Whole programs, two for each worker."""
        programs = self.programs(data, specs)
        size = _PROGRAMS_A_WORKER * self.workers
        return [
            sorted(itertools.chain.from_iterable(programs[start : start + size]))
            for start in range(0, len(programs), size)
        ]

    def programs(self, data: EmbeddedDataset, specs: Sequence[RunSpec]) -> list[list[int]]:
        """How specs are dealt out: positions of the runs of each program, small mini-batches (the longest) first.

        A head that is solved is a program of its own, after all others. Which heads share a program changes no number.
        """
        shapes: dict[tuple[int, int, bool, str], list[int]] = {}
        for position, spec in enumerate(specs):
            if spec.kind.solved:
                continue
            shapes.setdefault((spec.batch_size, spec.hidden_width, spec.standardize, spec.loss), []).append(position)
        members = {
            shape: _members([specs[position] for position in positions], self.share)
            for shape, positions in shapes.items()
        }
        a_worker = math.ceil(sum(map(len, members.values())) / self.workers)
        programs = []
        for shape in sorted(shapes):
            own = sorted(
                members[shape], key=lambda member: (member.spec.seed, member.spec.lr, member.spec.weight_decay)
            )
            most = min(self._members_a_program(data, hidden_width=shape[1]), self.chunk or a_worker)
            for some in np.array_split(np.arange(len(own)), math.ceil(len(own) / most)):
                runs = itertools.chain.from_iterable(own[place].runs for place in some)
                programs.append([shapes[shape][run] for run in runs])
        return [*programs, *([position] for position, spec in enumerate(specs) if spec.kind.solved)]

    def _members_a_program(self, data: EmbeddedDataset, hidden_width: int) -> int:
        """How many heads fit the chunk and the memory: weights, gradients and two moments each."""
        size = BYTES_TO_TRAIN * numbers_of(data.embedding_dim, data.num_classes, hidden_width)
        small_enough = max(1, _MEBIBYTES_ON_CPU * _MEBIBYTE // size)
        usual = min(_CHUNK_ON_CPU, small_enough) if self.device.type == "cpu" else _CHUNK_ON_ACCELERATOR
        return max(1, min(self.chunk or usual, self.memory_mb * _MEBIBYTE // size))


def _members(specs: Sequence[RunSpec], share: bool) -> list[Member]:
    """The heads that specs begin with: one for all that have the same path until a rule parts them."""
    runs: dict[RunSpec | int, list[int]] = {}
    for position, spec in enumerate(specs):
        runs.setdefault(_path(spec) if share else position, []).append(position)
    return [Member(specs[own[0]], specs[own[0]].lr, own) for own in runs.values()]


def _path(spec: RunSpec) -> RunSpec:
    """The spec without what only rules read: equal paths give equal weights until a cut or an end."""
    plain = RunSpec()
    rules = ("scheduler", "plateau_factor", "plateau_patience", "max_epochs", "patience", "min_delta")
    return replace(spec, **{name: getattr(plain, name) for name in rules})


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
