"""Runs specs with an engine and keeps a record of each; what is recorded already is never run again."""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
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
from soft_labels.training.spec import Engine, EpochHook, RunResult, RunSpec, Start, head_of

_AHEAD = 1  # bundles that train on while the results of another are written
logger = logging.getLogger(__name__)


class Runner:
    """Trains specs bundle by bundle, and writes one when all its runs are done.

    The next bundle trains on while one is written, so that a run that is killed loses two at most.

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
        bundles = [
            bundle
            for task, kind, own in zip(tasks, kinds, ids, strict=True)
            for bundle in self._missing(task, own, known, kind, owner)
        ]
        if bundles:
            self._train_all(bundles)
        records = self.store.read() if bundles else known
        return [[records[key] for key in own] for own in ids]

    def _missing(
        self, task: "Task", ids: Sequence[str], known: Mapping[str, RunRecord], kind: "_Kind", owner: str | None
    ) -> list["_Bundle"]:
        """The bundles of a task that are not all known."""
        distinct = sorted(dict(zip(reversed(ids), reversed(range(len(ids))), strict=True)).values())
        found = []
        for places in self.engine.together(task.data, [task.specs[position] for position in distinct]):
            positions = [distinct[place] for place in places if ids[distinct[place]] not in known]
            if positions:
                digest = hashlib.sha256("".join(ids[position] for position in positions).encode()).hexdigest()[:12]
                name = f"{task.data.name}-{digest}{'' if owner is None else f'-{owner}'}"
                found.append(_Bundle(name, task, positions, kind))
        return found

    def _train_all(self, bundles: Sequence["_Bundle"]) -> None:
        """Train first what nobody else is training, then what others leave or have left."""
        self.store.folder.mkdir(parents=True, exist_ok=True)
        runs = sum(len(bundle.positions) for bundle in bundles)
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
        if self.store.has(bundle.name):
            return _UnderWay(bundle, claim, None)
        kind, specs = bundle.kind, [bundle.task.specs[position] for position in bundle.positions]
        hook = kind.hook(bundle.positions)
        training = start(bundle.task.data, specs, monitor_test=kind.judged, keep_heads=kind.judged, after_epoch=hook)
        return _UnderWay(bundle, claim, training)

    def _finish(self, begun: "_UnderWay", advance: Callable[[int], None]) -> None:
        """Wait for the results of a bundle, write them, and give the bundle free."""
        with begun.claim:
            if begun.results is None:
                advance(len(begun.bundle.positions))
                return
            found = {}
            for place, result in begun.results:
                found[place] = result
                advance(1)
            self._write(begun.bundle, [found[place] for place in range(len(found))])

    def _write(self, bundle: "_Bundle", results: Sequence[RunResult]) -> None:
        """Write what came of one bundle."""
        data, kind = bundle.task.data, bundle.kind
        observed = observations(data.dataset) if kind.judged else None
        described = data.record()
        records, logits = [], {}
        for result in results:
            bundle.task.trained(result)
            key = kind.id_of(result.spec, described)
            if kind.judged:
                judged = _finite(judged_logits(data, result), data, result)
                logits[key] = {part: kept(each) for part, each in judged.items()}
            records.append(self._record(key, described, result, kind, observed, logits.get(key)))
        self.store.add(bundle.name, records, logits, observed)

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

    def hook(self, positions: list[int]) -> EpochHook | None:
        """The rule for a bundle's runs, which are at these positions among all."""
        if self.pruning is None:
            return None
        after_epoch = self.pruning.after_epoch
        return lambda run, epoch, loss: after_epoch(positions[run], epoch, loss)


class _Bundle(NamedTuple):
    """Runs of a task, by position, that train together and are written together."""

    name: str
    task: Task
    positions: list[int]
    kind: _Kind


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
