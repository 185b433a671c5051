"""An experiment of made-up records that costs nothing: heads' predictions are mixtures that the test decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import entropy

from soft_labels.data.batches import Observed
from soft_labels.data.split import SplitName
from soft_labels.distributions import label_distribution
from soft_labels.experiment.index import ArmForm, ArmRuns, DatasetIndex, Examples, ExperimentIndex, ItemExample
from soft_labels.runs.predictions import JUDGED_PARTS, Logits, ObservedItems, kept, logits_digest, observed_digest
from soft_labels.runs.record import SCHEMA, RunRecord, run_id
from soft_labels.runs.store import RecordStore
from soft_labels.training.spec import RunSpec

# How far a head's predictions lie from the annotations: share of a peaked distribution, and noise.
CLOSE, FAR = 0.1, 0.7
ANNOTATORS = 50
PAIR = {
    "hard": ArmForm({"model.target": "hard"}, None, "none"),
    "soft": ArmForm({"model.target": "soft"}, None, "none"),
}
CALIBRATED = {**PAIR, "hard_t": ArmForm({}, "hard", "temperature")}


@dataclass(frozen=True)
class ToySet:
    """One data set.

    Args:
        name: Its name.
        class_names: ``[C]``.
        seeds: Repeats on the fixed split.
        splits: Repeats on redrawn splits.
        far: The arm whose head lies farther from the annotations.
        constant: An arm whose head always says the same.
        text: Of the items that are shown.
        items: In validation and in test each, a quarter of all.
        ordinal: Whether the classes are ordered.
    """

    name: str = "chaosnli"
    class_names: tuple[str, ...] = ("entailment", "neutral", "contradiction")
    seeds: int = 6
    splits: int = 5
    far: str = "hard"
    constant: str | None = None
    text: str | None = "A man sits by the road. [SEP] Nobody is there, or so it seems to those who pass by <b>late</b>."
    items: int = 60
    ordinal: bool = False


def write_experiment(
    folder: Path, sets: Sequence[ToySet], arms: Mapping[str, ArmForm] = PAIR, name: str = "toy experiment"
) -> None:
    """Write ``experiment.json`` and the records of some data sets; the first arm is the baseline."""
    store = RecordStore(folder / "records")
    parts = [_Writer(one, store, arms).write() for one in sets]
    ExperimentIndex(name, dict(arms), next(iter(arms)), parts).save(folder)


class _Writer:
    """Writes one data set."""

    def __init__(self, toy: ToySet, store: RecordStore, arms: Mapping[str, ArmForm]) -> None:
        self.toy, self.store, self.arms = toy, store, arms
        self.generator = np.random.default_rng(len(toy.name))
        leaning = 0.6 * np.ones(len(toy.class_names))
        counts = self.generator.multinomial(ANNOTATORS, self.generator.dirichlet(leaning, 4 * toy.items))
        self.counts = counts.astype(np.float64)
        self.dist = self.counts / ANNOTATORS

    def write(self) -> DatasetIndex:
        own = {name: self._arm(name) for name, form in self.arms.items() if form.derived_from is None}
        runs = {
            name: own.get(name) or replace(own[str(form.derived_from)], trials={}) for name, form in self.arms.items()
        }
        normalized = entropy(self.dist, axis=1) / np.log(len(self.toy.class_names))
        described = {
            "items": 4 * self.toy.items, "annotations_per_item": 6.7, "normalized_entropy_mean": normalized.mean(),
            "normalized_entropy_sd": normalized.std(), "tied_items": 3, "train": 2 * self.toy.items,
            "val": self.toy.items, "test": self.toy.items,
        }  # fmt: skip
        histogram = np.histogram(normalized, bins=20, range=(0, 1))[0].tolist()
        by_entropy = normalized.argsort()[np.linspace(0, len(normalized) - 1, 6).astype(int)]
        spread = [self._example(row, []) for row in by_entropy]
        shown = list(own)[:2] if len(own) > 1 else []
        same_class = self._example(5, shown) if shown else None
        median = self._example(9, shown) if shown and self.toy.name != "popquorn" else None
        return DatasetIndex(
            self.toy.name, "PackagedEncoder toy", list(self.toy.class_names), self.toy.ordinal, described, histogram,
            runs, Examples(spread, same_class, median),
        )  # fmt: skip

    def _example(self, row: int, arms: Sequence[str]) -> ItemExample:
        heads = {arm: np.nan_to_num(self._predict(arm, self.dist[row])).tolist() for arm in arms}
        return ItemExample(f"item-{row}", self.toy.text, self.dist[row].tolist(), heads)

    def _arm(self, arm: str) -> ArmRuns:
        target = str(self.arms[arm].overlay["model.target"])
        width = 128 + 16 * list(self.arms).index(arm)  # so that arms of the same target have runs of their own
        spec = RunSpec(target, hidden_width=width)
        grid = [self._record(replace(spec, lr=lr, max_epochs=epochs)) for lr in (1e-3, 1e-4) for epochs in (10, 20)]
        best = min(grid, key=lambda record: record.value)
        self.store.add(f"{self.toy.name}-{arm}-search", grid, {}, None)
        seeds = [self._judged(arm, replace(spec, seed=seed), None) for seed in range(self.toy.seeds)]
        splits = [self._judged(arm, replace(spec, seed=seed), seed) for seed in range(self.toy.splits)]
        trials = {"grid": [record.id for record in grid], "tpe": [best.id, grid[0].id]}
        return ArmRuns(trials, best.id, seeds, splits)

    def _record(
        self, spec: RunSpec, split: int | None = None, observed: str | None = None, predictions: str | None = None
    ) -> RunRecord:
        seed = 7 if split is None else split
        data = {
            "dataset": self.toy.name,
            "split": {"ratios": [0.7, 0.15, 0.15], "seed": seed, "stratified_by": "majority class"},
            "tie": "lowest",
        }
        epochs = np.arange(spec.max_epochs)
        low = {"soft": 0.95}.get(spec.target, 1.05) + spec.lr + spec.seed / 1000
        loss: list[float | None] = (low + 0.3 * np.exp(-epochs / 3) + 0.004 * epochs).round(6).tolist()
        best = min(range(len(loss)), key=lambda epoch: loss[epoch] or 9)
        environment = {"torch": "2.14.1", "git": "abc", "machine": {"system": "Linux", "cores": 2, "accelerator": None}}
        return RunRecord(
            SCHEMA, run_id(spec, data, predictions is not None), "lightning", spec.settings(), data, {"val/loss": loss},
            best, "max_epochs", None, observed, predictions, environment, "2026-11-24T13:00:00+00:00",
        )  # fmt: skip

    def _judged(self, arm: str, spec: RunSpec, split: int | None) -> str:
        """Write one judged run in a bundle of its own; its id."""
        rows = np.arange(len(self.dist)) if split is None else np.random.default_rng(split).permutation(len(self.dist))
        parts: dict[SplitName, np.ndarray] = {
            "train": rows[2 * self.toy.items :],
            "val": rows[self.toy.items : 2 * self.toy.items],
            "test": rows[: self.toy.items],
        }
        observed = {part: self._observed(places) for part, places in parts.items()}
        logits: Logits = {
            part: kept(torch.from_numpy(np.log(self._predict(arm, self.dist[places]))))
            for part, places in parts.items()
            if part in JUDGED_PARTS
        }
        record = self._record(spec, split, observed_digest(observed), logits_digest(logits))
        name = f"{self.toy.name}-{arm}-{'seed' if split is None else 'split'}{spec.seed}"
        self.store.add(name, [record], {record.id: logits}, observed)
        return record.id

    def _observed(self, places: np.ndarray) -> ObservedItems:
        counts = torch.from_numpy(self.counts[places])
        observed = Observed(counts, label_distribution(counts).float(), counts.argmax(1))
        return ObservedItems(tuple(f"item-{row}" for row in places), observed)

    def _predict(self, arm: str, label: np.ndarray) -> np.ndarray:
        classes = len(self.toy.class_names)
        if arm == self.toy.constant:
            return np.broadcast_to(np.linspace(1, 2, classes) / np.linspace(1, 2, classes).sum(), label.shape)
        peaked = 0.9 * (label == label.max(-1, keepdims=True)) + 0.1 / classes
        share = FAR if arm == self.toy.far else CLOSE
        noise = self.generator.dirichlet(np.ones(classes), label.shape[:-1] or None)
        mixed: np.ndarray = 0.7 * ((1 - share) * label + share * peaked) + 0.3 * noise
        normalized: np.ndarray = mixed / mixed.sum(-1, keepdims=True)
        return normalized


def losing(toy: ToySet) -> ToySet:
    """The same data set where the soft head lies farther from the annotations."""
    return replace(toy, far="soft")


def many_arms(count: int) -> dict[str, ArmForm]:
    """Arms ``arm-0``, the baseline, to ``arm-N`` that train towards the same target."""
    return {f"arm-{place}": ArmForm({"model.target": "soft"}, None, "none") for place in range(count)}
