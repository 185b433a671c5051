"""Runs specs with an engine and keeps a record of each; what is recorded already is never run again."""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from filelock import Timeout
from torch import Tensor

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SplitName
from soft_labels.errors import TrainingError
from soft_labels.files import NamedLock
from soft_labels.progress import counting
from soft_labels.runs.predictions import JUDGED_PARTS, Observations, kept, logits_digest, observations, observed_digest
from soft_labels.runs.record import SCHEMA, RunRecord, environment, rounded, run_id
from soft_labels.runs.store import RecordStore
from soft_labels.training.predict import predict
from soft_labels.training.spec import Engine, EpochHook, Job, RunResult, RunSpec, Start, at_places, head_of

_AHEAD = 2  # bundles that train on while the results of another are written
logger = logging.getLogger(__name__)


class Runner:
    """Trains specs bundle by bundle, and writes one when all its runs are done.

    The next two train on while one is written, so that a run that is killed loses three at most.

    Any number of processes may run the same specs on one folder: each takes bundles that no other has, and returns when
    all are done. The lock of a process that was killed is free again.

    Args:
        store: Where records are kept and looked up.
        engine: What trains.
    """

    def __init__(self, store: RecordStore, engine: Engine) -> None:
        self.store = store
        self.engine = engine

    def run(
        self,
        data: EmbeddedDataset,
        specs: Sequence[RunSpec],
        *,
        judged: bool = False,
        pruning: "Pruning | None" = None,
        owner: str | None = None,
    ) -> list[RunRecord]:
        """The records of specs, in their order; equal specs share one.

        Args:
            data: The data.
            specs: What to train.
            judged: Whether to keep what the best epoch's head predicts for validation and test.
            pruning: As a :class:`Task` has it.
            owner: Who trains, where something else has divided the work already: the bundles are then this owner's
                alone, and it waits for nobody.
        """
        return self.run_all([Task(data, specs, pruning)], judged=judged, owner=owner)[0]

    def run_all(
        self, tasks: Sequence["Task"], *, judged: bool = False, owner: str | None = None
    ) -> list[list[RunRecord]]:
        """The records of several tasks, as :meth:`run` gives them; processes that share the work share all of it.

        What is missing is divided in the same way however often a run was interrupted, since a bundle is there as a
        whole or not at all: what trains together does not depend on it.

        Args:
            tasks: What to train on which data.
            judged: As :meth:`run` has it.
            owner: As :meth:`run` has it.
        """
        environment()  # as it was before the work
        known = self.store.read()
        kinds = [_Kind(judged, task.pruning) for task in tasks]
        ids = [kind.ids(task) for kind, task in zip(kinds, tasks, strict=True)]
        bundles = self._missing(tasks, kinds, ids, known, owner)
        if bundles:
            self._train_all(bundles)
        records = self.store.read() if bundles else known
        return [[records[key] for key in own] for own in ids]

    def _missing(
        self,
        tasks: Sequence["Task"],
        kinds: Sequence["_Kind"],
        ids: Sequence[Sequence[str]],
        known: Mapping[str, RunRecord],
        owner: str | None,
    ) -> list["_Bundle"]:
        """What trains together, of all tasks, but for what is known; a run that is wanted twice is trained once."""
        first: dict[str, tuple[int, int]] = {}
        for task, own in enumerate(ids):
            for run, key in enumerate(own):
                first.setdefault(key, (task, run))
        distinct = list(first.values())
        jobs = [Job(tasks[task].data, tasks[task].specs[run]) for task, run in distinct]
        bundles = []
        for groups in self.engine.together(jobs):
            runs: dict[int, list[int]] = {}
            for task, run in (distinct[place] for place in sorted(chain.from_iterable(groups))):
                runs.setdefault(task, []).append(run)
            missing = [(task, run) for task, own in runs.items() for run in own if ids[task][run] not in known]
            if missing:
                parts = []
                for task, same in groupby(missing, key=itemgetter(0)):
                    positions = [run for _, run in same]
                    name = _named(tasks[task].data.name, [ids[task][run] for run in positions], owner)
                    parts.append(_Part(name, tasks[task], kinds[task], positions))
                places = {one: place for place, one in enumerate(missing)}
                left = [[places[distinct[place]] for place in group if distinct[place] in places] for group in groups]
                every = [ids[task][run] for task, own in runs.items() for run in own]
                claim = _named(tasks[min(runs)].data.name, every, owner)  # whatever of it is known to whom
                bundles.append(_Bundle(claim, parts, [group for group in left if group]))
        return bundles

    def _train_all(self, bundles: Sequence["_Bundle"]) -> None:
        """Train first what nobody else is training, then what others leave or have left."""
        self.store.folder.mkdir(parents=True, exist_ok=True)
        runs = sum(bundle.size for bundle in bundles)
        with counting(runs, "heads trained") as advance, self.engine.at_work() as start, ExitStack() as claims:
            left = list(bundles)
            for wait in (False, True):
                under_way: deque[_UnderWay] = deque()
                of_others = []
                for bundle in left:
                    begun = self._begin(bundle, start, claims, wait)
                    if begun is None:
                        of_others.append(bundle)
                    else:
                        under_way.append(begun)
                    while len(under_way) > (0 if wait else _AHEAD):
                        self._finish(under_way.popleft(), advance)
                for begun in under_way:
                    self._finish(begun, advance)
                left = of_others

    def _begin(self, bundle: "_Bundle", start: Start, claims: ExitStack, wait: bool) -> "_UnderWay | None":
        """Claim a bundle and begin to train it, if it is not done; ``None`` where another process is at it."""
        claim = claims.enter_context(ExitStack())
        try:
            claim.enter_context(NamedLock(self.store.folder / f".{bundle.name}.lock", blocking=wait))
        except Timeout:
            logger.info("%s: another process trains these runs", bundle.name)
            return None
        if all(self.store.has(part.name) for part in bundle.parts):
            return _UnderWay(bundle, claim, None)
        judged = bundle.parts[0].kind.judged
        training = start(bundle.jobs, monitor_test=judged, keep_heads=judged, after_epoch=bundle.hook)
        return _UnderWay(bundle, claim, training)

    def _finish(self, begun: "_UnderWay", advance: Callable[[int], None]) -> None:
        """Wait for the results of a bundle, write them, and give the bundle free."""
        with begun.claim:
            if begun.results is None:
                advance(begun.bundle.size)
                return
            order, found = list(chain.from_iterable(begun.bundle.groups)), {}
            for place, result in begun.results:
                found[order[place]] = result
                advance(1)
            results = iter([found[run] for run in range(len(found))])
            for part in begun.bundle.parts:
                self._write(part, list(islice(results, len(part.positions))))

    def _write(self, part: "_Part", results: Sequence[RunResult]) -> None:
        """Write what came of one task's runs."""
        data, kind = part.task.data, part.kind
        observed = observations(data.dataset) if kind.judged else None
        described = data.record()
        records, logits = [], {}
        for result in results:
            part.task.trained(result)
            key = kind.id_of(result.spec, described)
            if kind.judged:
                judged = _finite(judged_logits(data, result), data, result)
                logits[key] = {name: kept(each) for name, each in judged.items()}
            records.append(self._record(key, described, result, kind, observed, logits.get(key)))
        self.store.add(part.name, records, logits, observed)

    def _record(
        self,
        key: str,
        data: dict[str, Any],
        result: RunResult,
        kind: "_Kind",
        observed: Observations | None,
        logits: dict[SplitName, Tensor] | None,
    ) -> RunRecord:
        """The record of one result."""
        return RunRecord(
            schema=SCHEMA,
            id=key,
            engine=self.engine.name,
            spec=result.spec.settings(),
            data=data,
            curve={name: [rounded(value) for value in values] for name, values in result.curve.items()},
            best_epoch=result.best_epoch,
            ending=result.ending,
            pruner=kind.pruning.name if kind.pruning else None,
            observed=None if observed is None else observed_digest(observed),
            predictions=None if logits is None else logits_digest(logits),
            environment=environment(),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _named(data: str, ids: Sequence[str], owner: str | None) -> str:
    """A name that stands for these runs and no others."""
    digest = hashlib.sha256("".join(ids).encode()).hexdigest()[:12]
    return f"{data}-{digest}{'' if owner is None else f'-{owner}'}"


def _finite(logits: dict[SplitName, Tensor], data: EmbeddedDataset, result: RunResult) -> dict[SplitName, Tensor]:
    """The logits, if a head can be judged by them.

    Raises:
        TrainingError: One is not finite.
    """
    if all(torch.isfinite(part).all() for part in logits.values()):
        return logits
    raise TrainingError(
        f"{data.name}: training broke down: wanted a head with finite predictions, got others; lower the learning rate "
        f"of {result.spec}"
    )


class Pruning(NamedTuple):
    """What ends runs early.

    Args:
        name: The rule, with its settings.
        after_epoch: See :class:`~soft_labels.training.spec.Engine`.
    """

    name: str
    after_epoch: EpochHook


class Task(NamedTuple):
    """Specs to train on some data.

    Args:
        data: The data.
        specs: What to train.
        pruning: What may end runs early; such runs have ids of their own. Positions are those of ``specs``.
        trained: Called with each result that is trained here, before it is written; a judged one has its head.
    """

    data: EmbeddedDataset
    specs: Sequence[RunSpec]
    pruning: Pruning | None = None
    trained: Callable[[RunResult], None] = lambda _: None


class _Kind(NamedTuple):
    """What is done with runs besides training them."""

    judged: bool
    pruning: Pruning | None

    def id_of(self, spec: RunSpec, data: dict[str, Any]) -> str:
        """The id of a run of this kind."""
        return run_id(spec, data, self.judged, self.pruning.name if self.pruning else None)

    def ids(self, task: Task) -> list[str]:
        """The ids of a task's runs."""
        data = task.data.record()
        return [self.id_of(spec, data) for spec in task.specs]


class _Part(NamedTuple):
    """Runs of one task, by position, that are written together."""

    name: str
    task: Task
    kind: _Kind
    positions: list[int]


class _Bundle(NamedTuple):
    """What is started and claimed together: runs of one task or of several, part after part.

    ``groups`` are those of :meth:`~soft_labels.training.spec.Engine.together`, with the places of these runs.
    """

    name: str
    parts: list[_Part]
    groups: list[list[int]]

    @property
    def size(self) -> int:
        """How many runs."""
        return sum(len(part.positions) for part in self.parts)

    @property
    def jobs(self) -> list[list[Job]]:
        """What to train, group by group."""
        jobs = [Job(part.task.data, part.task.specs[position]) for part in self.parts for position in part.positions]
        return [[jobs[place] for place in group] for group in self.groups]

    @property
    def hook(self) -> EpochHook | None:
        """What may end a run early, by its place in :attr:`jobs`, if anything may."""
        hooks = [
            (at_places(part.task.pruning and part.task.pruning.after_epoch, part.positions), own)
            for part in self.parts
            for own in range(len(part.positions))
        ]
        if all(hook is None for hook, _ in hooks):
            return None

        def after_epoch(run: int, epoch: int, loss: float) -> bool:
            hook, own = hooks[run]
            return hook is not None and hook(own, epoch, loss)

        return at_places(after_epoch, list(chain.from_iterable(self.groups)))


class _UnderWay(NamedTuple):
    """A bundle that is claimed, and its results as they come; ``None`` where it was done before."""

    bundle: _Bundle
    claim: ExitStack
    results: Iterator[tuple[int, RunResult]] | None


def judged_logits(data: EmbeddedDataset, result: RunResult) -> dict[SplitName, Tensor]:
    """What a result's head predicts for the judged parts.

    Args:
        data: The data that it was trained on.
        result: A result with its head.

    Returns:
        By part, ``[N, C]``.
    """
    head = head_of(data, result)
    return {part: predict(head, data.features, data.dataset.rows(part)) for part in JUDGED_PARTS}
