"""An experiment of made-up records that costs nothing: heads' predictions are mixtures that the test decides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import rel_entr
from scipy.stats import entropy

from soft_labels.experiment_index import Arm, DatasetPart, Examples, ExperimentIndex, ItemExample
from soft_labels.objectives import Target
from soft_labels.records import SCHEMA, ItemScores, RecordStore, RunRecord, run_id
from soft_labels.runs import RunSpec

TARGETS: tuple[Target, ...] = ("hard", "soft")
# How far a head's predictions lie from the annotations: share of a peaked distribution, and noise.
CLOSE, FAR = 0.1, 0.7


@dataclass(frozen=True)
class ToySet:
    """One data set.

    Args:
        name: Its name.
        class_names: ``[C]``.
        seeds: Repeats on the fixed split.
        splits: Repeats on redrawn splits.
        far: The target whose head lies farther from the annotations.
        constant: A target whose head always says the same.
        text: Of the items that are shown.
    """

    name: str = "chaosnli"
    class_names: tuple[str, ...] = ("entailment", "neutral", "contradiction")
    seeds: int = 6
    splits: int = 5
    far: Target = "hard"
    constant: Target | None = None
    text: str | None = "A man sits by the road. [SEP] Nobody is there, or so it seems to those who pass by <b>late</b>."
    items: int = 60
    ordinal: bool = False


def write_experiment(folder: Path, sets: Sequence[ToySet]) -> None:
    """Write ``experiment.json`` and the records of some data sets."""
    store = RecordStore(folder / "records")
    parts = [_Writer(one, store).write() for one in sets]
    ExperimentIndex("toy experiment", parts).save(folder)


class _Writer:
    """Writes one data set."""

    def __init__(self, toy: ToySet, store: RecordStore) -> None:
        self.toy, self.store = toy, store
        self.generator = np.random.default_rng(len(toy.name))
        leaning = 0.6 * np.ones(len(toy.class_names))
        self.dist = self.generator.dirichlet(leaning, 4 * toy.items)

    def write(self) -> DatasetPart:
        arms = {target: self._arm(target) for target in TARGETS}
        normalized = entropy(self.dist, axis=1) / np.log(len(self.toy.class_names))
        described = {
            "items": 4 * self.toy.items, "annotations_per_item": 6.7, "normalized_entropy_mean": normalized.mean(),
            "normalized_entropy_sd": normalized.std(), "tied_items": 3, "train": 2 * self.toy.items,
            "val": self.toy.items, "test": self.toy.items,
        }  # fmt: skip
        histogram = np.histogram(normalized, bins=20, range=(0, 1))[0].tolist()
        by_entropy = normalized.argsort()[np.linspace(0, len(normalized) - 1, 6).astype(int)]
        spread = [self._example(row, with_heads=False) for row in by_entropy]
        examples = Examples(spread, self._example(5), self._example(9) if self.toy.name != "popquorn" else None)
        return DatasetPart(
            self.toy.name, "PackagedEncoder toy", list(self.toy.class_names), described, histogram, arms, examples
        )

    def _example(self, row: int, with_heads: bool = True) -> ItemExample:
        heads: dict[Target, list[float]] = {
            target: self._predict(target, self.dist[row]).tolist() for target in TARGETS
        }
        return ItemExample(f"item-{row}", self.toy.text, self.dist[row].tolist(), heads if with_heads else {})

    def _arm(self, target: Target) -> Arm:
        grid = [self._record(RunSpec(target, lr=lr, max_epochs=epochs)) for lr in (1e-3, 1e-4) for epochs in (10, 20)]
        best = min(grid, key=lambda record: record.value)
        judged = [
            self._judged(target, seed, split) for split, count in ((False, self.toy.seeds), (True, self.toy.splits))
            for seed in range(count)
        ]  # fmt: skip
        records = [record for record, _ in judged]
        self.store.add(f"{self.toy.name}-{target}-search", grid, {})
        self.store.add(f"{self.toy.name}-{target}", records, {record.id: scores for record, scores in judged})
        keys = [record.id for record in records]
        trials = {"grid": [record.id for record in grid], "tpe": [best.id, grid[0].id]}
        return Arm(trials, best.id, keys[: self.toy.seeds], keys[self.toy.seeds :])

    def _record(self, spec: RunSpec, split: int = 7, test: dict[str, float | None] | None = None) -> RunRecord:
        data = {
            "dataset": self.toy.name,
            "split": {"ratios": [0.7, 0.15, 0.15], "seed": split, "stratified_by": "majority class, ties to lowest"},
        }
        epochs = np.arange(spec.max_epochs)
        low = {"soft": 0.95, "hard": 1.05}[spec.target] + spec.lr + spec.seed / 1000
        loss: list[float | None] = (low + 0.3 * np.exp(-epochs / 3) + 0.004 * epochs).round(6).tolist()
        best = min(range(len(loss)), key=lambda epoch: loss[epoch] or 9)
        environment = {"torch": "2.14.1", "git": "abc", "machine": {"system": "Linux", "cores": 2, "accelerator": None}}
        return RunRecord(
            SCHEMA, run_id(spec, data, test is not None), "lightning", spec.settings(), data, {"val/loss": loss}, best,
            "max_epochs", test, environment, "2026-11-24T13:00:00+00:00",
        )  # fmt: skip

    def _judged(self, target: Target, seed: int, redrawn: bool) -> tuple[RunRecord, ItemScores]:
        rows = np.random.default_rng(seed).permutation(len(self.dist))[: self.toy.items]
        rows = rows if redrawn else np.arange(self.toy.items)
        label, pred = self.dist[rows], self._predict(target, self.dist[rows])
        scores = ItemScores(
            uids=tuple(f"item-{row}" for row in rows), label_entropy=entropy(label, axis=1),
            pred_entropy=entropy(pred, axis=1), kl=rel_entr(label, pred).sum(1),
            correct=label.argmax(1) == pred.argmax(1), pred_dist=pred.astype(np.float32),
        )  # fmt: skip
        correlation = None
        if np.ptp(scores.pred_entropy) > 1e-12:
            correlation = float(np.corrcoef(scores.label_entropy, scores.pred_entropy)[0, 1])
        test: dict[str, float | None] = {
            "accuracy": float(scores.correct.mean()), "kl": float(scores.kl.mean()), "entropy_corr": correlation,
            "js": float(scores.kl.mean()) / 4, "brier": float(((label - pred) ** 2).sum(1).mean()),
        }  # fmt: skip
        if self.toy.ordinal:
            test["rps"] = 0.2
        spec = RunSpec(target, seed=seed)
        return self._record(spec, seed if redrawn else 7, test), scores

    def _predict(self, target: Target, label: np.ndarray) -> np.ndarray:
        classes = len(self.toy.class_names)
        if target == self.toy.constant:
            return np.broadcast_to(np.linspace(1, 2, classes) / np.linspace(1, 2, classes).sum(), label.shape)
        peaked = 0.9 * (label == label.max(-1, keepdims=True)) + 0.1 / classes
        share = FAR if target == self.toy.far else CLOSE
        noise = self.generator.dirichlet(np.ones(classes), label.shape[:-1] or None)
        mixed: np.ndarray = 0.7 * ((1 - share) * label + share * peaked) + 0.3 * noise
        normalized: np.ndarray = mixed / mixed.sum(-1, keepdims=True)
        return normalized


def losing(toy: ToySet) -> ToySet:
    """The same data set where the soft head lies farther from the annotations."""
    return replace(toy, far="soft")
