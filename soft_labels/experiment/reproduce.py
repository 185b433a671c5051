"""The whole experiment: on each data set search for every arm, choose, repeat over seeds and over splits, judge."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

import torch
from torch import Tensor

from soft_labels.annotations.describe import summarise
from soft_labels.data import AnnotationDataModule
from soft_labels.data.dataset import Dataset
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SPLIT_NAMES
from soft_labels.distributions import label_distribution, normalized_entropy
from soft_labels.errors import ConfigError
from soft_labels.experiment.arms import Arms
from soft_labels.experiment.budget import FOLDER as BUDGET
from soft_labels.experiment.budget_runs import ExperimentBudget, run_budget
from soft_labels.experiment.examples import choose_examples
from soft_labels.experiment.index import ArmRuns, DatasetIndex, Examples, ExperimentIndex
from soft_labels.metrics import Judged
from soft_labels.runs.checkpoints import BestFiles, BestHeads
from soft_labels.runs.predictions import mean_logits
from soft_labels.runs.record import RunRecord, best_record
from soft_labels.runs.runner import Runner, Task
from soft_labels.runs.store import RecordStore
from soft_labels.runs.tensorboard import ARMS, log_curves, log_items, log_trials
from soft_labels.sweep import PlannedSearch, open_storage, run_ids, search
from soft_labels.training.objectives import Objective
from soft_labels.training.projector import PART, ProjectorSettings, item_map
from soft_labels.training.spec import CONFIG_KEYS, Engine, RunSpec

logger = logging.getLogger(__name__)
_BINS = 20


@dataclass(frozen=True)
class DatasetPlan:
    """One data set of an experiment, as its configuration says it.

    Args:
        datamodule: The data.
        searches: By name of a sweep and then of an arm, what is searched; the first sweep chooses.
        fit_config: Of a spec and a calibration, the YAML that ``fit --config`` takes to train it on the data.
    """

    datamodule: AnnotationDataModule
    searches: Mapping[str, Mapping[str, PlannedSearch]]
    fit_config: Callable[[RunSpec, str], str]

    def __post_init__(self) -> None:
        for name, planned in self.searches.items():
            for arm, one in planned.items():
                other = set(one.sweep.space) - set(CONFIG_KEYS.values())
                if other:
                    raise ConfigError(
                        f"sweep {name} searches {', '.join(sorted(other))} for {arm}: an experiment compares heads on "
                        "the same features; name the other features as a data set of its own, or use soft-labels sweep"
                    )

    def check_losses(self) -> None:
        """Refuse an arm whose loss the classes do not define, before anything is trained."""
        for planned in self.searches.values():
            for one in planned.values():
                Objective(one.base).check(self.datamodule.ordinal)


@dataclass(frozen=True)
class Experiment:
    """An experiment in a folder; what its records hold already is not run again.

    Args:
        name: The title of the report.
        arms: What is compared.
        seeds: How often the chosen configuration is trained again, with seeds 0 to S - 1.
        redraw_splits: Repeat on S other splits as well, the same for every arm; on folds where the data have folds.
        keep_texts: Keep the texts of the few items that the report shows.
        folder: Where records, index and best configurations are written.
        engine: What trains.
        projector: Which items TensorBoard's projector shows.
        budget: How curves against annotators an item are made, if they are.
    """

    name: str
    arms: Arms
    seeds: int
    redraw_splits: bool
    keep_texts: bool
    folder: Path
    engine: Engine
    projector: ProjectorSettings
    budget: ExperimentBudget | None = None

    def __post_init__(self) -> None:
        if self.budget is not None:
            self.budget.chosen(self.arms)
        if self.seeds < 2:
            raise ConfigError(f"wanted at least 2 seeds, for a spread and a test, got {self.seeds}")

    def run(self, plans: Sequence[DatasetPlan]) -> ExperimentIndex:
        """Run what is missing, and write ``experiment.json`` when all is done.

        Args:
            plans: The data sets.

        Raises:
            SoftLabelsError: Two data sets have the same name, or their data cannot be read.
        """
        if not plans:
            raise ConfigError("wanted at least one data set, got none; name it in the configuration")
        runner = Runner(RecordStore(self.folder / "records"), self.engine)
        _check_names([plan.datamodule.dataset.name for plan in plans])
        for plan in plans:
            plan.check_losses()
            plan.datamodule.dataset.check_test()
            if self.redraw_splits:
                plan.datamodule.dataset.check_redrawn()
        sets = [DatasetRuns(self, runner, plan) for plan in plans]
        for sweep in plans[0].searches:
            self._search(sweep, runner, sets)
        self._repeat(runner, sets)
        found = [own.index() for own in sets]
        arms = {name: self.arms[name].form for name in self.arms.names}
        index = ExperimentIndex(self.name, arms, self.arms.baseline, found)
        index.save(self.folder)
        return index

    def _search(self, sweep: str, runner: Runner, sets: Sequence["DatasetRuns"]) -> None:
        """Search for every arm on every data set, together."""
        planned = {study: one for own in sets for study, one in own.studies(sweep).items()}
        found = search(runner, planned, open_storage())
        for own in sets:
            own.trials[sweep] = {arm: run_ids(found[own.study(sweep, arm)]) for arm in own.plan.searches[sweep]}

    def _repeat(self, runner: Runner, sets: Sequence["DatasetRuns"]) -> None:
        """Train what every arm chose again, with every seed and on every split, on all data sets together."""
        tasks = [own.repeats() for own in sets]
        found = iter(runner.run_all(list(chain.from_iterable(tasks)), judged=True))
        for own, each in zip(sets, tasks, strict=True):
            own.take_repeats(list(islice(found, len(each))))


class DatasetRuns:
    """One data set of an experiment, step by step from its search to its examples.

    Args:
        experiment: What it is part of.
        runner: Trains, and keeps the records.
        plan: The data, and how they are searched.
    """

    def __init__(self, experiment: Experiment, runner: Runner, plan: DatasetPlan) -> None:
        self.experiment = experiment
        self.runner = runner
        self.plan = plan
        self.arms = experiment.arms
        self.trials: dict[str, dict[str, list[str]]] = {}  # run ids by sweep and arm, in the order they were asked
        self.seeds: dict[str, list[str]] = {}
        self.splits: dict[str, list[str]] = {}

    @property
    def data(self) -> EmbeddedDataset:
        """The data on the fixed split."""
        return self.plan.datamodule.embedded

    def study(self, sweep: str, arm: str) -> str:
        """The name of the study of an arm."""
        return f"{self.plan.datamodule.dataset.name} {sweep} {arm}"

    def studies(self, sweep: str) -> dict[str, PlannedSearch]:
        """What a sweep searches, by name of a study; all sweeps have the same data."""
        planned = self.plan.searches[sweep]
        return {
            self.study(sweep, arm): one._replace(datamodule_of=lambda _: self.plan.datamodule)
            for arm, one in planned.items()
        }

    @cached_property
    def best(self) -> dict[str, RunRecord]:
        """What each arm chose among the trials of the first sweep."""
        records = self.runner.store.read()
        chosen = next(iter(self.trials.values()))
        return {arm.name: best_record(records[run] for run in chosen[arm.name]) for arm in self.arms.trained}

    @cached_property
    def heads(self) -> BestHeads:
        """Where what was chosen is written."""
        return BestHeads(((record, self._best_files(name, record)) for name, record in self.best.items()), self.data)

    def repeats(self) -> list[Task]:
        """Each arm's choice with every seed on the fixed split, then, if it is asked for, each seed on another one.

        Another split is the same for every arm.
        """
        seeded = [self._seeded(record) for record in self.best.values()]
        fixed = Task(self.data, list(chain.from_iterable(seeded)), trained=self.heads.take)
        if not self.experiment.redraw_splits:
            return [fixed]
        first = self.data.dataset.first_redrawn
        others = [Task(self.data.redrawn(first + seed), specs) for seed, specs in enumerate(zip(*seeded, strict=True))]
        return [fixed, *others]

    def take_repeats(self, found: Sequence[Sequence[RunRecord]]) -> None:
        """Take the records of :meth:`repeats`, task by task."""
        self.heads.train(self.runner.engine)
        seeds = self.experiment.seeds
        fixed, *others = [[record.id for record in records] for records in found]
        self.seeds = {arm: fixed[place * seeds :][:seeds] for place, arm in enumerate(self.best)}
        self.splits = {arm: [runs[place] for runs in others] for place, arm in enumerate(self.best)}
        told = f" and {len(others)} redrawn splits" if others else ""
        logger.info("%s: %d seeds of each arm on the fixed split%s", self.data.name, seeds, told)

    def index(self) -> DatasetIndex:
        """Show all runs in TensorBoard, draw annotators if it is asked for, and say which runs belong to what."""
        own = {
            arm: ArmRuns({sweep: runs[arm] for sweep, runs in self.trials.items()}, record.id, self.seeds[arm],
                         self.splits[arm])
            for arm, record in self.best.items()
        }  # fmt: skip
        self._log(own)
        self._draw_annotators()
        dataset = self.data.dataset
        return DatasetIndex(
            dataset=dataset.name,
            encoder=self.data.encoder_name,
            class_names=list(dataset.data.class_names),
            ordinal=dataset.ordinal,
            description=_describe(dataset),
            entropy_histogram=_entropy_histogram(dataset),
            arms={name: self._runs_of(name, own) for name in self.arms.names},
            examples=self._examples(own),
        )

    def _runs_of(self, name: str, own: Mapping[str, ArmRuns]) -> ArmRuns:
        """An arm's runs: its own, or those of the arm that it is derived from, whose search is not its own."""
        arm = self.arms[name]
        if arm.derived_from is None:
            return own[name]
        runs = replace(own[arm.derived_from], trials={})
        return replace(runs, splits=[]) if arm.ensemble else runs  # a redrawn split has one seed

    def _best_files(self, name: str, record: RunRecord) -> list[BestFiles]:
        """Where a chosen configuration goes for ``fit``, with its head, for the arm and for those derived from it."""
        own = [arm for arm in self.arms.every if (arm.derived_from or arm.name) == name and not arm.ensemble]
        return [
            BestFiles(
                self.experiment.folder / f"best-{self.data.name}-{arm.name}.yaml",
                f"# run {record.id}\n{self.plan.fit_config(record.run_spec, arm.calibration)}",
                arm.calibration,
            )
            for arm in own
        ]

    def _draw_annotators(self) -> None:
        """Draw the budget curves, with records of their own: the report needs none of them."""
        plan = self.experiment.budget
        if plan is None:
            return
        folder, arms = self.experiment.folder, plan.chosen(self.arms)
        specs = {arm.name: self.best[arm.name].run_spec for arm in arms.trained}
        runner = Runner(RecordStore(folder / BUDGET / "records"), self.runner.engine)
        run_budget(runner, self.data, arms, specs, plan).save(folder)

    def _seeded(self, record: RunRecord) -> list[RunSpec]:
        """The record's spec with each seed; the same each time where its head has none."""
        spec, seeds = record.run_spec, range(self.experiment.seeds)
        return [spec if spec.kind.solved else replace(spec, seed=seed) for seed in seeds]

    def _log(self, own: Mapping[str, ArmRuns]) -> None:
        """Show the search's trials and the repeats' curves in TensorBoard."""
        records = self.runner.store.read()
        for arm, runs in own.items():
            log_trials(self.experiment.folder, arm, (records[run] for ids in runs.trials.values() for run in ids))
            log_curves(self.experiment.folder, arm, (records[run] for run in runs.seeds))
        seen = own if self.experiment.projector.items else {}
        means = {arm: self._mean_dist([records[run] for run in runs.seeds]) for arm, runs in seen.items()}
        shown = item_map(self.data, means, self.experiment.projector)
        log_items(self.experiment.folder / ARMS / self.data.name, shown)

    def _mean_dist(self, seeds: Sequence[RunRecord]) -> Tensor:
        """What the heads of an arm predict for the items of the projector, as the mean over seeds."""
        judged = [self.runner.store.judged(record) for record in seeds]
        return mean_logits([{part: one.logits for part, one in each.items()} for each in judged])[PART].exp()

    def _examples(self, own: Mapping[str, ArmRuns]) -> Examples:
        """The items of the figures, from the first seed of the baseline and of the arm that reports set beside it."""
        base = self.arms[self.arms.baseline].derived_from or self.arms.baseline
        store = self.runner.store
        records = store.read()
        others = [name for name in own if name != base]
        soft = [name for name in others if records[own[name].best].run_spec.plain_target == "soft"]
        shown = [base, *[*soft, *others][:1]]
        judged: dict[str, Judged] = {name: store.judged(records[own[name].seeds[0]])["test"] for name in shown}
        return choose_examples(self.data.dataset, judged, self.experiment.keep_texts)


def _check_names(names: Sequence[str]) -> None:
    """Results are told apart by the name of their data set."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"wanted data sets of different names, got {', '.join(twice)} more than once; give one of them another "
            "data.dataset_name"
        )


def _describe(dataset: Dataset) -> dict[str, float]:
    """The data set in numbers."""
    stats = summarise(dataset.data, dataset.tie)
    return {
        "items": stats.items,
        "annotations_per_item": stats.annotations_mean,
        "normalized_entropy_mean": stats.entropy_mean,
        "normalized_entropy_sd": stats.entropy_std,
        "tied_items": stats.ties,
        **{split: len(getattr(dataset.split, split)) for split in SPLIT_NAMES},
    }


def _entropy_histogram(dataset: Dataset) -> list[int]:
    """Items in each of twenty equal bins of normalised entropy."""
    entropies = normalized_entropy(label_distribution(dataset.data.label_counts))
    return [int(count) for count in torch.histc(entropies, _BINS, 0, 1).tolist()]
