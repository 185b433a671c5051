"""The records that an experiment names, joined and checked: what every table and figure is made from."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from soft_labels.data.split import SPLIT_NAMES, SplitName
from soft_labels.errors import ConfigError, RecordError
from soft_labels.experiment.index import ArmForm, DatasetIndex, ExperimentIndex
from soft_labels.metrics import METRICS, Judged
from soft_labels.metrics.table import Metric, defined_for
from soft_labels.report.paired import Floats
from soft_labels.runs.predictions import JUDGED_PARTS, Logits, Observations, mean_logits
from soft_labels.runs.record import RunRecord, rounded
from soft_labels.runs.store import RecordStore
from soft_labels.training.calibration import make_calibration

TEMPERATURE = "temperature"


@dataclass(frozen=True)
class PartCounts:
    """Label counts of each part of one split, ``[N, C]`` float64."""

    train: Floats
    val: Floats
    test: Floats


@dataclass(frozen=True)
class Repeats:
    """The repeated runs of every arm on one data set, seed by seed; the arms that the report adds come last.

    Args:
        records: By arm, the baseline first, ``[S]`` runs; the same position has the same seed and split. Those of a
            derived arm are the runs of the arm that it comes from; an arm without a seed has the same run S times.
        judged: By arm, ``[S]`` predictions for the test items, in the dtype of metrics, beside what was observed; the
            same ones S times of an ensemble of S heads.
        val: The same for the validation items, after the same calibration.
        counts: ``[S]`` label counts of the split that each position has.
        values: By arm and by metric that is defined for the data, ``[S]``.
        single: Arms that are one model, whatever the seed that they stand beside: S equal predictions.
        same_items: Whether all have the same split.
        overlap: Items in test divided by items in train where splits are redrawn, else 0.
    """

    records: Mapping[str, Sequence[RunRecord]]
    judged: Mapping[str, Sequence[Judged]]
    val: Mapping[str, Sequence[Judged]]
    counts: Sequence[PartCounts]
    values: Mapping[str, Mapping[str, Floats]]
    single: frozenset[str]
    same_items: bool
    overlap: float

    def __len__(self) -> int:
        return len(next(iter(self.records.values())))

    def metric(self, arm: str, name: str) -> Floats:
        """``[S]`` a test metric, nan where it is not defined."""
        return self.values[arm][name]

    def metrics(self) -> list[str]:
        """Names of the metrics that are defined for the data."""
        return list(next(iter(self.values.values())))


@dataclass(frozen=True)
class SetEvidence:
    """All runs on one data set.

    Args:
        index: What the experiment says of it.
        trials: By arm that trains and by sampler, the runs of the search in the order they were asked.
        best: By arm that trains, the chosen run.
        fixed: Repeats on the fixed split.
        redrawn: Repeats on redrawn splits, if there are any.
        observed: What was observed of the items of the fixed split, and what describes them.
    """

    index: DatasetIndex
    trials: Mapping[str, Mapping[str, Sequence[RunRecord]]]
    best: Mapping[str, RunRecord]
    fixed: Repeats
    redrawn: Repeats | None
    observed: Observations

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.index.dataset


@dataclass(frozen=True)
class Evidence:
    """A whole experiment with its runs.

    Args:
        name: The experiment's name.
        arms: By name, the baseline first.
        baseline: The arm that all others are compared with.
        sets: In the order of the report.
        added: Arms that the experiment does not have and the report adds, since they cost nothing: what one temperature
            would do to the baseline and to the paper's arms.
    """

    name: str
    arms: Mapping[str, ArmForm]
    baseline: str
    sets: Sequence[SetEvidence]
    added: Mapping[str, ArmForm]

    @property
    def trained(self) -> list[str]:
        """The arms that train heads of their own."""
        return [name for name, form in self.arms.items() if form.derived_from is None]

    @property
    def paper_arms(self) -> dict[str, str]:
        """By name of an arm, the paper's arm that it is: the first that trains towards a target as the paper does."""
        found: dict[str, str] = {}
        for arm, record in self.sets[0].best.items():
            target = record.run_spec.plain_target
            if target is not None and target not in found.values():
                found[arm] = target
        return found

    @property
    def compared(self) -> list[str]:
        """The arms that are compared with the baseline."""
        return [name for name in self.arms if name != self.baseline]

    @property
    def shown(self) -> str | None:
        """The arm that sentences and slices set beside the baseline: the paper's soft one, else the first, if any."""
        soft = [arm for arm, target in self.paper_arms.items() if target == "soft" and arm != self.baseline]
        return next(iter([*soft, *self.compared]), None)

    @property
    def pair(self) -> list[str]:
        """The baseline and the arm that is set beside it."""
        return [self.baseline, *([] if self.shown is None else [self.shown])]


def load_evidence(folder: Path) -> Evidence:
    """Read ``experiment.json`` and the records that it names.

    Args:
        folder: Holds ``experiment.json`` and ``records/``.

    Raises:
        RecordError: Something is missing, of another version, or runs of the arms do not pair.
    """
    index = ExperimentIndex.load(folder)
    if not index.datasets:
        raise RecordError(f"{folder}: wanted an experiment with at least one data set, got none")
    library = _Library(folder, index)
    sets = [library.evidence(one) for one in index.datasets]
    return Evidence(index.name, index.arms, index.baseline, sets, library.added)


class _Library:
    """Records and predictions by run id."""

    def __init__(self, folder: Path, index: ExperimentIndex) -> None:
        self.store = RecordStore(folder / "records")
        self.records = self.store.read()
        self.added = self._added(index)
        self.arms = {**index.arms, **self.added}

    def _added(self, index: ExperimentIndex) -> dict[str, ArmForm]:
        """What one temperature would do to the baseline and the paper's arms, where the experiment does not have it."""
        first = index.datasets[0].arms
        there = {form.derived_from for form in index.arms.values() if form.calibration == TEMPERATURE}
        specs = {
            arm: self._record(first[arm].best).run_spec
            for arm, form in index.arms.items()
            if form.derived_from is None and arm not in there
        }
        plain = [arm for arm, spec in specs.items() if arm == index.baseline or spec.plain_target is not None]
        return {f"{arm}_t": ArmForm({}, arm, TEMPERATURE) for arm in plain if f"{arm}_t" not in index.arms}

    def evidence(self, index: DatasetIndex) -> SetEvidence:
        """The runs of one data set."""
        runs_of = {**index.arms, **{name: index.arms[str(form.derived_from)] for name, form in self.added.items()}}
        trained = {arm: runs for arm, runs in index.arms.items() if self.arms[arm].derived_from is None}
        splits = {arm: runs.splits for arm, runs in runs_of.items() if not self.arms[arm].ensemble}
        return SetEvidence(
            index=index,
            trials={
                arm: {sampler: self._found(keys) for sampler, keys in runs.trials.items()}
                for arm, runs in trained.items()
            },
            best={arm: self._record(runs.best) for arm, runs in trained.items()},
            fixed=self._repeats(index, {arm: runs.seeds for arm, runs in runs_of.items()}, same_items=True),
            redrawn=self._repeats(index, splits, same_items=False) if any(splits.values()) else None,
            observed=self.store.observed(self._record(next(iter(runs_of.values())).seeds[0])),
        )

    def _found(self, keys: Sequence[str]) -> list[RunRecord]:
        """Some runs."""
        return [self._record(key) for key in keys]

    def _record(self, key: str) -> RunRecord:
        """One run."""
        if key not in self.records:
            raise RecordError(
                f"{self.store.folder} has no record of run {key} that the experiment names; "
                "copy the missing files back or run soft-labels reproduce again"
            )
        return self.records[key]

    def _repeats(self, index: DatasetIndex, keys: Mapping[str, Sequence[str]], same_items: bool) -> Repeats:
        """Judged runs of every arm, seed by seed."""
        records = {arm: self._found(runs) for arm, runs in keys.items()}
        _check_pairs(index.dataset, {arm: runs for arm, runs in records.items() if arm not in self.added})
        both = {arm: self._judged(arm, runs) for arm, runs in records.items()}
        val, judged = ({arm: [one[part] for one in runs] for arm, runs in both.items()} for part in JUDGED_PARTS)
        counts = [self._counts(record) for record in next(iter(records.values()))]
        with_truth = all(one.true_dist is not None for runs in judged.values() for one in runs)
        metrics = defined_for(index.ordinal, with_truth)
        values = {arm: {name: _values(metrics[name], runs) for name in metrics} for arm, runs in judged.items()}
        overlap = 0.0 if same_items else index.description["test"] / index.description["train"]
        one_model = [arm for arm, runs in records.items() if self.arms[arm].ensemble or unseeded(runs)]
        single = frozenset(one_model if same_items else [])
        return Repeats(records, judged, val, counts, values, single, same_items, overlap)

    def _counts(self, record: RunRecord) -> PartCounts:
        """Label counts of a run's split."""
        observed = self.store.observed(record)
        return PartCounts(*(observed[part].observed.label_counts.numpy() for part in SPLIT_NAMES))

    def _judged(self, arm: str, runs: Sequence[RunRecord]) -> list[dict[SplitName, Judged]]:
        """What an arm predicts for each run's items; an ensemble is one model, whichever seed it stands beside."""
        if self.arms[arm].ensemble:
            many = [{part: one.logits for part, one in self.store.judged(record).items()} for record in runs]
            return [self._calibrated(arm, runs[0], mean_logits(many))] * len(runs)
        distinct = {record.id: record for record in runs}
        judged = {
            key: self._calibrated(arm, record, {part: one.logits for part, one in self.store.judged(record).items()})
            for key, record in distinct.items()
        }
        return [judged[record.id] for record in runs]

    def _calibrated(self, arm: str, record: RunRecord, logits: Logits) -> dict[SplitName, Judged]:
        """The head's word on validation and test items, or what the arm's calibration makes of it."""
        observed = self.store.observed(record)
        calibration = make_calibration(self.arms[arm].calibration)
        try:
            calibration.fit(logits["val"], observed["val"].observed)
        except ConfigError as error:
            raise RecordError(
                f"arm {arm}, run {record.id}: {error}; run soft-labels reproduce without this arm"
            ) from error
        with torch.inference_mode():
            return {part: observed[part].beside(calibration(logits[part])).precise() for part in JUDGED_PARTS}


def _check_pairs(dataset: str, records: Mapping[str, Sequence[RunRecord]]) -> None:
    """Runs at the same position have the same seed, where they have one, and were judged on the same items."""
    items = [[record.observed for record in runs] for runs in records.values()]
    seeds = [[one.spec["seed"] for one in runs] for runs in records.values() if not unseeded(runs)]
    if not items[0] or any(one != each[0] for each in (items, seeds) for one in each):
        counts = ", ".join(f"{len(runs)} of {arm}" for arm, runs in records.items())
        raise RecordError(
            f"{dataset}: wanted runs of every arm with the same seeds and test items, got {counts} that do not pair; "
            "run soft-labels reproduce again"
        )


def unseeded(runs: Sequence[RunRecord]) -> bool:
    """Whether an arm's runs have no seed: its head is solved, not trained."""
    return all(record.run_spec.kind.solved for record in runs)


def _values(metric: Metric, judged: Sequence[Judged]) -> Floats:
    """``[S]`` one metric of each run."""
    return np.array([_value(metric, one) for one in judged], dtype=np.float64)


def _value(metric: Metric, judged: Judged) -> float:
    """One metric of one run: six significant digits, so that another machine's last bits change no byte of a report.

    A mean of what is no floating-point number, such as a share of right answers, is exact: rounding would break ties.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* is nan: ")  # a report shows in its place that it is not defined
        value = float(metric.value(judged))
    if metric.correlates is None and not metric.items(judged).is_floating_point():
        return value
    kept = rounded(value)
    return math.nan if kept is None else kept


def item_values(name: str, judged: Judged) -> Floats:
    """What a metric is made of, item by item, with six decimals.

    Args:
        name: A metric.
        judged: Of one run.

    Returns:
        ``[1, N]`` what the metric is the mean of, or ``[2, N]`` what it correlates.
    """
    metric = METRICS[name]
    parts = [metric.items(judged)] if metric.correlates is None else metric.correlates(judged)
    return np.stack([part.double().numpy() for part in parts]).round(6)
