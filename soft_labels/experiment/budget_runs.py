"""Trains every arm on a few annotators of each item, for a ladder of numbers, and judges by all of the test items'."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from soft_labels.data.dataset import Dataset
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.distributions import has_tie
from soft_labels.errors import ConfigError, DataError
from soft_labels.experiment.arms import Arms
from soft_labels.experiment.budget import Budget, BudgetCurve
from soft_labels.metrics import METRICS, Judged, core_names
from soft_labels.metrics.table import defined_for
from soft_labels.runs.record import RunRecord
from soft_labels.runs.runner import Runner, Task
from soft_labels.runs.store import RecordStore
from soft_labels.training.calibration import calibrated
from soft_labels.training.spec import RunSpec
from soft_labels.trust.inputs import Floats
from soft_labels.trust.intervals import Interval, correlation_values, seed_interval

logger = logging.getLogger(__name__)
_STEPS = (1, 2, 3, 5)
_NEAR_THE_TOP = 0.8  # a step this near to the median tells nothing that the median does not


@dataclass(frozen=True)
class BudgetPlan:
    """How often annotators are drawn, and how many.

    Args:
        ladder: Annotators an item; by default 1, 2, 3, 5, 10, 20, 50, ... up to the median of training and validation
            items.
        draws: How often annotators are drawn for each step.
        seeds: Heads of each arm for each draw, every one with a seed of its own.
        price: Of an annotation, in any currency.

    Raises:
        ConfigError: A number is too small.
    """

    ladder: list[int] | None = None
    draws: int = 5
    seeds: int = 2
    price: float | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        if self.ladder is not None and (not self.ladder or min(self.ladder) < 1):
            raise ConfigError(f"wanted a ladder of at least one number, each at least 1, got {self.ladder}")
        if self.draws < 2 or self.seeds < 1:
            raise ConfigError(
                f"wanted at least 2 draws, for an interval, and 1 seed of each, got {self.draws} and {self.seeds}"
            )
        if self.price is not None and not self.price > 0:
            raise ConfigError(f"wanted a price above 0, got {self.price}; leave it out where it is not known")

    def steps(self, dataset: Dataset) -> tuple[int, ...]:
        """The ladder, in ascending order.

        Args:
            dataset: Whose annotators are drawn.
        """
        if self.ladder is not None:
            return tuple(sorted(set(self.ladder)))
        return default_ladder(int(np.median(_learning_counts(dataset).sum(1).numpy())))


@dataclass(frozen=True)
class ExperimentBudget(BudgetPlan):
    """What an experiment says of its budget curves; each arm has the settings that its search chose.

    Args:
        arms: Names of some of the experiment's arms; all if not given.

    The other fields are those of :class:`BudgetPlan`.
    """

    arms: list[str] | None = None

    def chosen(self, arms: Arms) -> Arms:
        """The arms to draw curves of.

        Args:
            arms: Of the experiment.

        Raises:
            ConfigError: There is no such arm.
        """
        return arms if self.arms is None else arms.only(self.arms)


def default_ladder(most: int) -> tuple[int, ...]:
    """1, 2, 3, 5 and from there 1, 2 and 5 of each power of ten, up to a number that is its last step.

    Example:
        >>> default_ladder(7), default_ladder(51)
        ((1, 2, 3, 5, 7), (1, 2, 3, 5, 10, 20, 51))
    """
    powers = (step * 10**power for power in range(1, 7) for step in (1, 2, 5))
    return (*(step for step in (*_STEPS, *powers) if step < _NEAR_THE_TOP * most), max(1, most))


def run_budget(
    runner: Runner, data: EmbeddedDataset, arms: Arms, specs: Mapping[str, RunSpec], plan: BudgetPlan
) -> Budget:
    """Train what is missing, and judge it.

    Args:
        runner: Trains, and keeps the records.
        data: The data, with all annotations.
        arms: What is compared.
        specs: By name of an arm that trains, its settings, the same for every number of annotators.
        plan: How often annotators are drawn, and how many.

    Raises:
        DataError: Counts are no whole numbers of annotators.
    """
    ladder = plan.steps(data.dataset)
    tasks = list(_tasks(data, ladder, specs, plan))
    with warnings.catch_warnings():  # one annotator leaves no entropy to correlate with while a head learns
        warnings.filterwarnings("ignore", "entropy_corr is nan: the label entropy")
        records = runner.run_all(tasks, judged=True)
    judged = _Judge(runner.store, arms, list(specs)).judged(records, (len(ladder), plan.draws, plan.seeds))
    logger.info(
        "%s: %d heads for %s annotators an item", data.name, sum(map(len, records)), ", ".join(map(str, ladder))
    )
    learning, test = _learning_counts(data.dataset), data.dataset.observed.label_counts[data.dataset.rows("test")]
    drawn = [_learning_counts(task.data.dataset) for task in tasks]
    return Budget(
        dataset=data.name,
        encoder=data.encoder_name,
        baseline=arms.baseline,
        arms=arms.names,
        annotators=ladder,
        annotations=tuple(int(counts.sum()) for counts in drawn[:: plan.draws]),
        short=tuple(int((learning.sum(1) < step).sum()) for step in ladder),
        tied=tuple(_tied(tasks[place * plan.draws :][: plan.draws]) for place in range(len(ladder))),
        draws=plan.draws,
        seeds=plan.seeds,
        price=plan.price,
        learning_items=len(learning),
        test_items=len(test),
        test_annotators=float(test.sum(1).mean()),
        curves=tuple(_curves(arms, judged, data.ordinal)),
    )


def _learning_counts(dataset: Dataset) -> Tensor:
    """Counts of the training and validation items."""
    return dataset.observed.label_counts[torch.cat([dataset.rows("train"), dataset.rows("val")])]


def _tied(tasks: Sequence[Task]) -> float:
    """Share of training items whose annotators tie."""
    trained = [task.data.dataset.observed.label_counts[task.data.dataset.rows("train")] for task in tasks]
    return float(torch.stack([has_tie(counts).double().mean() for counts in trained]).mean())


def _tasks(
    data: EmbeddedDataset, ladder: Sequence[int], specs: Mapping[str, RunSpec], plan: BudgetPlan
) -> Iterator[Task]:
    """For each step of the ladder and each draw, the heads of every arm; no two draws share a seed."""
    for annotators in ladder:
        for draw in range(plan.draws):
            seeds = range(draw * plan.seeds, (draw + 1) * plan.seeds)
            own = [replace(spec, seed=spec.seed + seed) for spec in specs.values() for seed in seeds]
            yield Task(data.drawn(annotators, draw), own)


@dataclass(frozen=True)
class _Judge:
    """What arms predict for the test items."""

    store: RecordStore
    arms: Arms
    trained: Sequence[str]

    def judged(self, records: Sequence[Sequence[RunRecord]], shape: tuple[int, int, int]) -> dict[str, list[Judged]]:
        """By arm, for each step of the ladder, logits ``[D, S, N, C]``."""
        steps, draws, seeds = shape
        found: dict[str, list[Judged]] = {}
        for name in self.arms.names:
            place = self.trained.index(self.arms[name].derived_from or name)
            own = [self._judged(name, one) for each in records for one in each[place * seeds :][:seeds]]
            logits = torch.stack([one.logits for one in own])
            logits = logits.reshape(steps, draws, seeds, *logits.shape[1:])
            found[name] = [own[0]._replace(logits=part).precise() for part in logits]
        return found

    def _judged(self, arm: str, record: RunRecord) -> Judged:
        """One run: the head's word, or what a calibration makes of it, fitted to the annotators that were drawn."""
        judged, val = self.store.judged(record), self.store.observed(record)["val"].observed
        after = calibrated(self.arms[arm].calibration, judged["val"].logits, val, judged["test"].logits)
        return judged["test"]._replace(logits=after)


def _curves(arms: Arms, judged: Mapping[str, Sequence[Judged]], ordinal: bool) -> Iterator[BudgetCurve]:
    """The arms' own, then their differences from the baseline."""
    known = judged[arms.baseline][0].true_dist is not None
    metrics = [*core_names(), *(name for name in defined_for(ordinal, known) if METRICS[name].needs_truth)]
    values = {(arm, name): [_items(name, one) for one in judged[arm]] for arm in arms.names for name in metrics}
    for (arm, name), own in values.items():
        yield _curve(arm, None, name, own)
    for arm in arms.compared:
        for name in metrics:
            pairs = zip(values[arm, name], values[arms.baseline, name], strict=True)
            yield _curve(arm, arms.baseline, name, [own - base for own, base in pairs])


def _items(name: str, judged: Judged) -> Floats:
    """Items' values of a metric, mean over seeds, ``[D, N]``: their mean is the metric of a draw."""
    metric = METRICS[name]
    if metric.correlates is None:
        return metric.items(judged).double().mean(1).numpy()
    observed, predicted = (each.numpy() for each in metric.correlates(judged))
    return np.asarray(correlation_values(predicted, observed).mean(1))


def _curve(arm: str, less: str | None, metric: str, values: Sequence[Floats]) -> BudgetCurve:
    """A curve from ``[D, N]`` values at each step of the ladder."""
    found = [_interval(each) for each in values]
    return BudgetCurve(
        arm,
        less,
        metric,
        tuple(one.value for one in found),
        tuple(one.low for one in found),
        tuple(one.high for one in found),
        tuple(tuple(each.mean(1).tolist()) for each in values),
    )


def _interval(values: Floats) -> Interval:
    """Over draws, with their seeds, and items; nothing is known where a metric is not defined."""
    try:
        return seed_interval(values)
    except DataError:
        return Interval(float("nan"), float("nan"), float("nan"))
