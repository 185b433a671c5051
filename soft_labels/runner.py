"""Runs specs with an engine and keeps a record of each; what is recorded already is never run again."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout

from soft_labels.datamodules import AnnotationDataModule
from soft_labels.distributions import entropy, entropy_from_logits, kl_divergence
from soft_labels.heads import MLPHead
from soft_labels.metrics import KLDivergence, all_metrics
from soft_labels.records import SCHEMA, ItemScores, RecordStore, RunRecord, environment, rounded, run_id
from soft_labels.runs import Engine, EpochHook, RunResult, RunSpec

logger = logging.getLogger(__name__)


class Runner:
    """Trains specs part by part; a part is written when all its runs are done, so that a killed run loses one part.

    Any number of processes may run the same specs on one folder: each takes parts that no other has, and returns when
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
        datamodule: AnnotationDataModule,
        specs: Sequence[RunSpec],
        *,
        judged: bool = False,
        pruning: "Pruning | None" = None,
        owner: str | None = None,
    ) -> list[RunRecord]:
        """The records of specs, in their order; equal specs share one.

        Args:
            datamodule: The data.
            specs: What to train.
            judged: Whether to judge the best epoch's head on test and keep its items.
            pruning: What may end runs early; such runs have ids of their own. Positions are those of ``specs``.
            owner: Who trains, where something else has divided the work already: the parts are then this owner's alone,
                and it waits for nobody.
        """
        return self._run([Job(datamodule, specs)], _Kind(judged, pruning), owner)[0]

    def run_all(self, jobs: Sequence["Job"], *, judged: bool = False) -> list[list[RunRecord]]:
        """The records of several jobs, as :meth:`run` gives them; processes that share the work share all of it.

        Args:
            jobs: What to train on which data.
            judged: Whether to judge the best epochs' heads on test and keep their items.
        """
        return self._run(jobs, _Kind(judged, None))

    def _run(self, jobs: Sequence["Job"], kind: "_Kind", owner: str | None = None) -> list[list[RunRecord]]:
        """Train what is missing, part by part.

        What is missing is divided in the same way however often a run was interrupted, since a part is there as a
        whole or not at all: what trains together does not depend on it.
        """
        environment()  # as it was before the work
        known = self.store.read()
        ids = [kind.ids(job) for job in jobs]
        parts = [part for job, own in zip(jobs, ids, strict=True) for part in self._missing(job, own, known, owner)]
        for wait in (False, True):  # first what nobody else is training, then what others leave or have left
            for part in parts:
                self._claim(part, wait, kind)
        records = self.store.read() if parts else known
        return [[records[key] for key in own] for own in ids]

    def _missing(
        self, job: "Job", ids: Sequence[str], known: Mapping[str, RunRecord], owner: str | None
    ) -> list["_Part"]:
        """The parts of a job that are not all known."""
        distinct = sorted(dict(zip(reversed(ids), reversed(range(len(ids))), strict=True)).values())
        found = []
        for places in self.engine.parts(job.datamodule, [job.specs[position] for position in distinct]):
            positions = [distinct[place] for place in places if ids[distinct[place]] not in known]
            if positions:
                digest = hashlib.sha256("".join(ids[position] for position in positions).encode()).hexdigest()[:12]
                name = f"{job.datamodule.dataset}-{digest}{'' if owner is None else f'-{owner}'}"
                found.append(_Part(name, job, positions))
        return found

    def _claim(self, part: "_Part", wait: bool, kind: "_Kind") -> None:
        """Train a part that is not done, unless another process is at it."""
        self.store.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.store.folder / f".{part.name}.lock", blocking=wait):
                if not self.store.has(part.name):
                    self._train(part, kind)
        except Timeout:
            logger.info("%s: another process trains this part", part.name)

    def _train(self, part: "_Part", kind: "_Kind") -> None:
        """Train one part and write it."""
        datamodule = part.job.datamodule
        results = self.engine.train(
            datamodule,
            [part.job.specs[position] for position in part.positions],
            monitor_test=kind.judged,
            keep_heads=kind.judged,
            after_epoch=kind.hook(part.positions),
        )
        data = data_record(datamodule)
        records, items = [], {}
        for result in results:
            key = kind.id_of(result.spec, data)
            test = None
            if kind.judged:
                test, items[key] = judge(datamodule, result)
            records.append(self._record(key, data, result, test))
        self.store.add(part.name, records, items)

    def _record(
        self, key: str, data: dict[str, Any], result: RunResult, test: dict[str, float | None] | None
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
            test=test,
            environment=environment(),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


class Job(NamedTuple):
    """Specs to train on some data.

    Args:
        datamodule: The data.
        specs: What to train.
    """

    datamodule: AnnotationDataModule
    specs: Sequence[RunSpec]


class Pruning(NamedTuple):
    """What ends runs early.

    Args:
        name: The rule, with its settings.
        after_epoch: See :class:`~soft_labels.runs.Engine`.
    """

    name: str
    after_epoch: EpochHook


class _Kind(NamedTuple):
    """What is done with runs besides training them."""

    judged: bool
    pruning: Pruning | None

    def id_of(self, spec: RunSpec, data: dict[str, Any]) -> str:
        """The id of a run of this kind."""
        return run_id(spec, data, self.judged, self.pruning.name if self.pruning else None)

    def ids(self, job: Job) -> list[str]:
        """The ids of a job's runs."""
        data = data_record(job.datamodule)
        return [self.id_of(spec, data) for spec in job.specs]

    def hook(self, positions: list[int]) -> EpochHook | None:
        """The rule for a part's runs, which are at these positions among all."""
        if self.pruning is None:
            return None
        after_epoch = self.pruning.after_epoch
        return lambda run, epoch, loss: after_epoch(positions[run], epoch, loss)


class _Part(NamedTuple):
    """Runs of a job, by position, that train together and are written together."""

    name: str
    job: Job
    positions: list[int]


def data_record(datamodule: AnnotationDataModule) -> dict[str, Any]:
    """What a run is trained on, as plain JSON values."""
    return {**datamodule.identity(), "ordinal": datamodule.ordinal, "content": datamodule.content_digest}


def judge(datamodule: AnnotationDataModule, result: RunResult) -> tuple[dict[str, float | None], ItemScores]:
    """Judge a result's head on the test split.

    Args:
        datamodule: The data that it was trained on.
        result: A result with its head.

    Returns:
        Every metric by name, and the scores of each test item.
    """
    if result.state is None:
        raise ValueError("wanted a result with its head, got one without")
    logits = _test_logits(datamodule, result.spec, result.state)
    rows = datamodule.rows("test")
    everything, labels, true_dist = datamodule.targets
    label_dist, label = everything[rows], labels[rows]
    metrics = all_metrics(datamodule.ordinal)
    metrics.update(logits=logits, label_dist=label_dist, majority_label=label)
    values = {name: value.item() for name, value in metrics.compute().items()}
    if true_dist is not None:
        to_true = KLDivergence()
        to_true.update(logits, true_dist[rows])
        values["kl_to_true"] = to_true.compute().item()
    scores = ItemScores(
        uids=datamodule.split.test,
        label_entropy=entropy(label_dist.double()).numpy(),
        pred_entropy=entropy_from_logits(logits.double()).numpy(),
        kl=kl_divergence(label_dist.double(), logits.double()).numpy(),
        correct=(logits.argmax(-1) == label).numpy(),
        pred_dist=logits.softmax(-1).numpy(),
    )
    return {name: rounded(value) for name, value in values.items()}, scores


@torch.inference_mode()
def _test_logits(datamodule: AnnotationDataModule, spec: RunSpec, state: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits of the test split, ``[N, C]``."""
    head = MLPHead(datamodule.embedding_dim, datamodule.num_classes, spec.hidden_width, spec.dropout, spec.seed)
    head.load_state_dict(state)
    return torch.cat([head(block) for block in datamodule.features.batches(datamodule.rows("test").numpy())])
