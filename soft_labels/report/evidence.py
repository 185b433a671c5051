"""The records that an experiment names, joined and checked: what every table and figure is made from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from soft_labels.errors import RecordError
from soft_labels.experiment_index import Arm, DatasetPart, ExperimentIndex
from soft_labels.objectives import Target
from soft_labels.records import ItemScores, RecordStore, RunRecord
from soft_labels.stats import Floats

T = TypeVar("T")
TARGETS: tuple[Target, ...] = ("hard", "soft")  # in the order of the paper's tables


@dataclass(frozen=True)
class Repeats:
    """The repeated runs of both targets on one data set, pair by pair.

    Args:
        records: By target, ``[S]`` runs; the same position has the same seed and split.
        items: By target, ``[S]`` their test items.
        same_items: Whether all have the same split.
        overlap: Items in test divided by items in train where splits are redrawn, else 0.
    """

    records: dict[Target, list[RunRecord]]
    items: dict[Target, list[ItemScores]]
    same_items: bool
    overlap: float

    def __len__(self) -> int:
        return len(self.records["soft"])

    def metric(self, target: Target, name: str) -> Floats:
        """``[S]`` a test metric, nan where it is not defined."""
        if name == "accuracy":  # records round it, which would break ties
            return np.array([scores.correct.mean() for scores in self.items[target]])
        values = ((record.test or {}).get(name) for record in self.records[target])
        return np.array([math.nan if value is None else value for value in values])

    def metrics(self) -> list[str]:
        """Names of the metrics."""
        return list(self.records["soft"][0].test or {})


@dataclass(frozen=True)
class SetEvidence:
    """All runs on one data set.

    Args:
        part: What the experiment says of it.
        trials: By target and sampler, the runs of the search in the order they were asked.
        best: By target, the chosen run.
        fixed: Repeats on the fixed split.
        redrawn: Repeats on redrawn splits, if there are any.
    """

    part: DatasetPart
    trials: dict[Target, dict[str, list[RunRecord]]]
    best: dict[Target, RunRecord]
    fixed: Repeats
    redrawn: Repeats | None

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.part.dataset


@dataclass(frozen=True)
class Evidence:
    """A whole experiment with its runs.

    Args:
        name: The experiment's name.
        sets: In the order of the report.
    """

    name: str
    sets: list[SetEvidence]


def load_evidence(folder: Path) -> Evidence:
    """Read ``experiment.json`` and the records that it names.

    Args:
        folder: Holds ``experiment.json`` and ``records/``.

    Raises:
        RecordError: Something is missing, of another version, or soft and hard runs do not pair.
    """
    index = ExperimentIndex.load(folder)
    if not index.datasets:
        raise RecordError(f"{folder}: wanted an experiment with at least one data set, got none")
    library = _Library(folder)
    return Evidence(index.name, [library.evidence(part) for part in index.datasets])


class _Library:
    """Records and test items by run id."""

    def __init__(self, folder: Path) -> None:
        store = RecordStore(folder / "records")
        self.folder = store.folder
        self.records = store.read()
        self.items = store.items()

    def evidence(self, part: DatasetPart) -> SetEvidence:
        """The runs of one data set."""
        arms = part.arms
        seeds: dict[Target, Sequence[str]] = {target: arms[target].seeds for target in TARGETS}
        splits: dict[Target, Sequence[str]] = {target: arms[target].splits for target in TARGETS}
        return SetEvidence(
            part=part,
            trials={target: self._trials(arms[target]) for target in TARGETS},
            best={target: self._record(arms[target].best) for target in TARGETS},
            fixed=self._repeats(part, seeds, same_items=True),
            redrawn=self._repeats(part, splits, same_items=False) if any(splits.values()) else None,
        )

    def _trials(self, arm: Arm) -> dict[str, list[RunRecord]]:
        """The runs of each sampler's search."""
        return {sampler: [self._record(key) for key in keys] for sampler, keys in arm.trials.items()}

    def _record(self, key: str) -> RunRecord:
        """One run."""
        return self._found(self.records, key, "record")

    def _found(self, where: dict[str, T], key: str, thing: str) -> T:
        """What is kept of a run."""
        if key not in where:
            raise RecordError(
                f"{self.folder} has no {thing} of run {key} that the experiment names; "
                "copy the missing files back or run soft-labels reproduce again"
            )
        return where[key]

    def _repeats(self, part: DatasetPart, keys: dict[Target, Sequence[str]], same_items: bool) -> Repeats:
        """Pairs of judged runs."""
        records = {target: [self._record(key) for key in keys[target]] for target in TARGETS}
        items = {target: [self._found(self.items, key, "test items") for key in keys[target]] for target in TARGETS}
        told = {
            target: [
                (record.spec["seed"], scores.uids)
                for record, scores in zip(records[target], items[target], strict=True)
            ]
            for target in TARGETS
        }
        if told["soft"] != told["hard"] or not told["soft"]:
            raise RecordError(
                f"{part.dataset}: wanted soft and hard runs in pairs of the same seed and test items, got "
                f"{len(told['soft'])} and {len(told['hard'])} that do not pair; run soft-labels reproduce again"
            )
        overlap = 0.0 if same_items else part.description["test"] / part.description["train"]
        return Repeats(records, items, same_items, overlap)
