"""Runs specs with an engine and keeps a record of each; what is recorded already is never run again."""

import hashlib
import logging
from collections.abc import Callable, Sequence
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
        part_size: Most runs a part.
    """

    def __init__(self, store: RecordStore, engine: Engine, part_size: int | None = None) -> None:
        self.store = store
        self.engine = engine
        self.part_size = part_size or engine.part_size

    def run(
        self,
        datamodule: AnnotationDataModule,
        specs: Sequence[RunSpec],
        *,
        judged: bool = False,
        pruning: "Pruning | None" = None,
    ) -> list[RunRecord]:
        """The records of specs, in their order; equal specs share one.

        Parts are the same however often a run was interrupted, so that what trains together does not depend on it.

        Args:
            datamodule: The data.
            specs: What to train.
            judged: Whether to judge the best epoch's head on test and keep its items.
            pruning: What may end runs early; such runs have ids of their own. Positions are those of ``specs``.
        """
        data = data_record(datamodule)
        kind = _Kind(judged, pruning)
        ids = [kind.id_of(spec, data) for spec in specs]
        known = self.store.read()
        distinct = sorted(dict(zip(reversed(ids), reversed(range(len(specs))), strict=True)).values())
        parts = [distinct[start : start + self.part_size] for start in range(0, len(distinct), self.part_size)]
        missing = [new for part in parts if (new := [position for position in part if ids[position] not in known])]
        for wait in (False, True):  # first what nobody else is training, then what others leave or have left
            for part in missing:
                work = _Part(f"{datamodule.dataset}-{_digest([ids[position] for position in part])}", part)
                self._claim(work, wait, lambda work: self._train(work, datamodule, data, specs, kind))
        records = self.store.read() if missing else known
        return [records[key] for key in ids]

    def _claim(self, part: "_Part", wait: bool, train: Callable[["_Part"], None]) -> None:
        """Train a part that is not done, unless another process is at it."""
        self.store.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.store.folder / f".{part.name}.lock", blocking=wait):
                if not self.store.has(part.name):
                    train(part)
        except Timeout:
            logger.info("%s: another process trains this part", part.name)

    def _train(
        self,
        part: "_Part",
        datamodule: AnnotationDataModule,
        data: dict[str, Any],
        specs: Sequence[RunSpec],
        kind: "_Kind",
    ) -> None:
        """Train one part and write it."""
        results = self.engine.train(
            datamodule,
            [specs[position] for position in part.positions],
            monitor_test=kind.judged,
            keep_heads=kind.judged,
            after_epoch=kind.hook(part.positions),
        )
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

    def hook(self, positions: list[int]) -> EpochHook | None:
        """The rule for a part's runs, which are at these positions among all."""
        if self.pruning is None:
            return None
        after_epoch = self.pruning.after_epoch
        return lambda run, epoch, loss: after_epoch(positions[run], epoch, loss)


class _Part(NamedTuple):
    """Runs that train together and are written together."""

    name: str
    positions: list[int]


def _digest(ids: Sequence[str]) -> str:
    """12 hex digits of some run ids."""
    return hashlib.sha256("".join(ids).encode()).hexdigest()[:12]


def data_record(datamodule: AnnotationDataModule) -> dict[str, Any]:
    """What a run is trained on, as plain JSON values."""
    return {**datamodule.identity(), "content": datamodule.content_digest}


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
