"""Records and predictions that nothing was trained for."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from soft_labels.data.batches import Observed
from soft_labels.data.split import SplitName
from soft_labels.distributions import label_distribution, majority_label
from soft_labels.runs.predictions import JUDGED_PARTS, ObservedItems, kept, logits_digest, observed_digest
from soft_labels.runs.record import SCHEMA, RunRecord, run_id
from soft_labels.training.spec import RunSpec

DATA = {"dataset": "toy", "class_names": ["a", "b", "c"]}
SIZES: dict[SplitName, int] = {"train": 9, "val": 5, "test": 7}


def observed_items(seed: int = 0, known: bool = True) -> dict[SplitName, ObservedItems]:
    """What was observed of a few items of each part."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[SplitName, ObservedItems] = {}
    for part, items in SIZES.items():
        counts = torch.randint(0, 5, (items, 3), generator=generator).double() + torch.tensor([1.0, 0.0, 0.0])
        true = torch.rand(items, 3, generator=generator).softmax(-1) if known else None
        observed = Observed(counts, label_distribution(counts).float(), majority_label(counts), true)
        found[part] = ObservedItems(tuple(f"{part} ü{number}" for number in range(items)), observed)
    return found


def logits(seed: int) -> dict[SplitName, Tensor]:
    """Predictions for the same items."""
    generator = torch.Generator().manual_seed(seed)
    return {part: kept(torch.randn(SIZES[part], 3, generator=generator)) for part in JUDGED_PARTS}


def record(losses: list[float | None], judged: int | None = None, **spec: Any) -> RunRecord:
    """A run with these validation losses; ``judged`` is the seed of its predictions."""
    finite = [math.inf if loss is None else loss for loss in losses]
    own = replace(RunSpec(), **spec)
    return RunRecord(
        schema=SCHEMA, id=run_id(own, DATA, judged is not None), engine="population", spec=own.settings(), data=DATA,
        curve={"val/loss": losses, "lr": [0.1] * len(losses)}, best_epoch=int(np.argmin(finite)), ending="max_epochs",
        pruner=None, observed=None if judged is None else observed_digest(observed_items()),
        predictions=None if judged is None else logits_digest(logits(judged)), environment={},
        finished_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
