"""Runs of heads that are solved at once: the results that an engine gives, with one epoch in their curves."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SplitName
from soft_labels.metrics import Judged
from soft_labels.metrics.inputs import STATE_DTYPE
from soft_labels.metrics.table import core_values
from soft_labels.training.objectives import Objective, item_losses
from soft_labels.training.predict import predict
from soft_labels.training.solved import SolvedHead
from soft_labels.training.spec import EpochHook, RunResult, RunSpec


def solved_runs(
    data: EmbeddedDataset,
    specs: Sequence[RunSpec],
    *,
    monitor_test: bool,
    keep_heads: bool,
    after_epoch: EpochHook | None,
) -> list[RunResult]:
    """Solve every spec, each by itself, on the CPU; see :class:`~soft_labels.training.spec.Engine`.

    Args:
        data: The data.
        specs: Specs of heads that are solved.
        monitor_test: Whether curves have the test split.
        keep_heads: Whether results carry the heads.
        after_epoch: Called once for each run.
    """
    splits: tuple[SplitName, ...] = ("train", "val", "test") if monitor_test else ("train", "val")
    results = []
    for position, spec in enumerate(specs):
        head = _solved(data, spec)
        curve = {"lr": [math.nan]}
        ask = head if keep_heads else head.again  # a search solves on the same items again and again
        for split in splits:
            curve.update(_judged(data, spec, ask, split))
        pruned = after_epoch is not None and after_epoch(position, 0, curve["val/loss"][0])
        state = head.state_dict() if keep_heads else None
        results.append(RunResult(spec, curve, 0, "pruned" if pruned else "solved", state))
    return results


def _solved(data: EmbeddedDataset, spec: RunSpec) -> SolvedHead:
    """The head that the training items give."""
    head = spec.kind.make(data.embedding_dim, data.num_classes, spec)
    assert isinstance(head, SolvedHead)  # noqa: S101 (as its kind says)
    if spec.standardize:
        head.set_feature_statistics(*data.feature_statistics)
    rows = data.dataset.rows("train")
    aim = Objective(spec).trained_by(data.dataset.observed, spec.seed, 0).take(rows)
    head.solve(torch.cat(list(data.features.batches(rows.numpy()))), aim)
    return head


def _judged(
    data: EmbeddedDataset, spec: RunSpec, ask: Callable[[Tensor], Tensor], split: SplitName
) -> dict[str, list[float]]:
    """Loss and metrics of a split, as a trained run logs them."""
    rows, objective = data.dataset.rows(split), Objective(spec)
    observed = data.dataset.observed
    aim = objective.trained_by(observed, spec.seed, 0) if split == "train" else objective.judged_by(observed)
    logits = predict(ask, data.features, rows)
    values = {
        "loss": item_losses(objective.loss, aim.take(rows), logits).mean(dtype=STATE_DTYPE),
        **core_values(Judged(logits, observed.label_dist[rows], observed.majority_label[rows])),
    }
    return {f"{split}/{name}": [value.float().item()] for name, value in values.items()}
