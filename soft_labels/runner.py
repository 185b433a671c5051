"""Runs specs with an engine and keeps a record of each; what is recorded already is never run again."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from soft_labels.datamodules import AnnotationDataModule
from soft_labels.distributions import entropy, entropy_from_logits, kl_divergence
from soft_labels.heads import MLPHead
from soft_labels.metrics import KLDivergence, all_metrics
from soft_labels.records import SCHEMA, ItemScores, RecordStore, RunRecord, environment, rounded, run_id
from soft_labels.runs import Engine, EpochHook, RunResult, RunSpec


class Runner:
    """Trains specs part by part; a part is written when all its runs are done, so that a killed run loses one part.

    Args:
        store: Where records are kept and looked up.
        engine: What trains.
        part_size: Most runs a part.
    """

    def __init__(self, store: RecordStore, engine: Engine, part_size: int = 256) -> None:
        self.store = store
        self.engine = engine
        self.part_size = part_size

    def run(
        self,
        datamodule: AnnotationDataModule,
        specs: Sequence[RunSpec],
        *,
        judged: bool = False,
        after_epoch: EpochHook | None = None,
    ) -> list[RunRecord]:
        """The records of specs, in their order; equal specs share one.

        Parts are the same however often a run was interrupted, so that what trains together does not depend on it.

        Args:
            datamodule: The data.
            specs: What to train.
            judged: Whether to judge the best epoch's head on test and keep its items.
            after_epoch: See :class:`~soft_labels.runs.Engine`; positions are those of ``specs``.
        """
        data = data_record(datamodule)
        ids = [run_id(spec, data, judged) for spec in specs]
        distinct = dict(zip(reversed(ids), reversed(range(len(specs))), strict=True))
        records = self.store.read()
        positions = sorted(distinct.values())
        for start in range(0, len(positions), self.part_size):
            part = positions[start : start + self.part_size]
            if any(ids[position] not in records for position in part):
                done = self._run_part(datamodule, data, {p: specs[p] for p in part}, judged, after_epoch)
                records.update((record.id, record) for record in done)
        return [records[key] for key in ids]

    def _run_part(
        self,
        datamodule: AnnotationDataModule,
        data: dict[str, Any],
        specs: dict[int, RunSpec],
        judged: bool,
        after_epoch: EpochHook | None,
    ) -> list[RunRecord]:
        """Train one part and write it; specs by their position."""
        positions = list(specs)
        hook = None if after_epoch is None else lambda index, epoch, loss: after_epoch(positions[index], epoch, loss)
        results = self.engine.train(
            datamodule, list(specs.values()), monitor_test=judged, keep_heads=judged, after_epoch=hook
        )
        records, items = [], {}
        for result in results:
            key = run_id(result.spec, data, judged)
            test = None
            if judged:
                test, items[key] = judge(datamodule, result)
            records.append(self._record(key, data, result, test))
        digest = hashlib.sha256("".join(record.id for record in records).encode()).hexdigest()[:12]
        self.store.add(f"{datamodule.dataset}-{digest}", records, items)
        return records

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
