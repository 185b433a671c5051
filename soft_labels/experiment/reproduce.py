"""The whole experiment: on each data set search for both targets, choose, repeat over seeds and over splits, judge."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from soft_labels.annotations.stats import summarise
from soft_labels.checkpoints import save_best
from soft_labels.curves import log_curves, log_trials
from soft_labels.datamodules import AnnotationDataModule
from soft_labels.distributions import label_distribution, normalized_entropy
from soft_labels.engines import EngineName, make_engine
from soft_labels.errors import ConfigError
from soft_labels.experiment.examples import choose_examples
from soft_labels.experiment_index import Arm, DatasetPart, Examples, ExperimentIndex
from soft_labels.objectives import TARGETS, Target
from soft_labels.records import ItemScores, RecordStore, RunRecord, best_record
from soft_labels.runner import Job, Runner
from soft_labels.runs import CONFIG_KEYS, RunSpec
from soft_labels.splits import SPLIT_NAMES
from soft_labels.sweep import SweepOptions, open_storage, parse_sweep, run_ids, search

logger = logging.getLogger(__name__)
_BINS = 20


@dataclass(frozen=True)
class ExperimentSettings:
    """What an experiment consists of.

    Args:
        name: The title of the report; the folder of the results is named after it.
        datasets: For each data set the configuration files of ``fit`` that describe it.
        sweeps: By name, files of ``configs/sweep``; the first one chooses, further ones are compared with it.
        seeds: How often the chosen configuration is trained again, with seeds 0 to S - 1.
        redraw_splits: Repeat on S other splits as well, the same for both targets.
        keep_texts: Keep the texts of the few items that the report shows.
    """

    name: str
    datasets: list[list[str]]
    sweeps: dict[str, str]
    seeds: int = 10
    redraw_splits: bool = True
    keep_texts: bool = True

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise ConfigError(f"wanted at least 2 seeds, for a spread and a test, got {self.seeds}")
        if not self.datasets or not self.sweeps:
            raise ConfigError("wanted at least one data set and one sweep, got none; name them in the configuration")


@dataclass(frozen=True)
class Experiment:
    """An experiment in a folder; what its records hold already is not run again.

    Args:
        settings: What it consists of.
        options: Options of ``fit`` for every data set, as ``--data.root=data``.
        folder: Where records, index and best configurations are written.
        engine: What trains.
        share: Whether runs share heads where they can.
    """

    settings: ExperimentSettings
    options: Sequence[str]
    folder: Path
    engine: EngineName = "population"
    share: bool = True

    def run(self) -> ExperimentIndex:
        """Run what is missing, and write ``experiment.json`` when all is done.

        Raises:
            SoftLabelsError: The settings do not fit together; said before anything is trained.
        """
        searches = [self._searches_of(configs) for configs in self.settings.datasets]
        accelerator = searches[0].chooser.cli.config.trainer.accelerator
        runner = Runner(RecordStore(self.folder / "records"), make_engine(self.engine, accelerator, self.share))
        datamodules = [search.chooser.datamodule() for search in searches]
        _check_names([datamodule.dataset for datamodule in datamodules])
        parts = []
        while searches:  # features of a data set that is done need not stay in memory
            part = DatasetRuns(self.settings, self.folder, runner, searches.pop(0), datamodules.pop(0))
            parts.append(part.run())
        index = ExperimentIndex(self.settings.name, parts)
        index.save(self.folder)
        return index

    def _searches_of(self, configs: list[str]) -> "Searches":
        """The searches of one data set, checked."""
        files = [f"--config={path}" for path in configs]
        found = {
            name: parse_sweep([*files, *self.options, f"--sweep={path}"]) for name, path in self.settings.sweeps.items()
        }
        for name, options in found.items():
            _ = options.base
            other = set(options.sweep.space) - set(CONFIG_KEYS.values())
            if other:
                raise ConfigError(
                    f"sweep {name} searches {', '.join(sorted(other))}: an experiment compares heads on the same "
                    "features; name the other features as a data set of its own, or use soft-labels sweep"
                )
        return Searches(found)


@dataclass(frozen=True)
class Searches:
    """The searches of one data set, by name; the first one chooses."""

    by_name: dict[str, SweepOptions]

    @property
    def chooser(self) -> SweepOptions:
        """The options of the search that chooses."""
        return next(iter(self.by_name.values()))


@dataclass(frozen=True)
class DatasetRuns:
    """One data set of an experiment, from its search to its examples.

    Args:
        settings: What the experiment consists of.
        folder: Where best configurations and event files are written.
        runner: Trains, and keeps the records.
        searches: How it is searched.
        datamodule: Its data.
    """

    settings: ExperimentSettings
    folder: Path
    runner: Runner
    searches: Searches
    datamodule: AnnotationDataModule

    def run(self) -> DatasetPart:
        """Run what is missing of this data set."""
        trials = {name: self._search(name, options) for name, options in self.searches.by_name.items()}
        records = self.runner.store.read()
        chosen = next(iter(trials.values()))
        best = {target: best_record(records[run] for run in chosen[target]) for target in TARGETS}
        for target, record in best.items():
            self._write_best(target, record)
        seeds = self._repeat(best)
        splits = self._on_other_splits(best) if self.settings.redraw_splits else {}
        arms: dict[Target, Arm] = {
            target: Arm(
                {name: runs[target] for name, runs in trials.items()},
                best[target].id, seeds[target], splits.get(target, []),
            )
            for target in TARGETS
        }  # fmt: skip
        self._log(arms)
        return DatasetPart(
            dataset=self.datamodule.dataset,
            encoder=self.datamodule.encoder_name,
            class_names=list(self.datamodule.data.class_names),
            description=_describe(self.datamodule),
            entropy_histogram=_entropy_histogram(self.datamodule),
            arms=arms,
            examples=self._examples({target: runs[0] for target, runs in seeds.items()}),
        )

    def _search(self, name: str, options: SweepOptions) -> dict[Target, list[str]]:
        """Run ids of the trials of each target, in the order they were asked."""
        names: dict[Target, str] = {target: f"{self.datamodule.dataset} {name} {target}" for target in TARGETS}
        bases = {study: replace(options.base, target=target) for target, study in names.items()}
        studies = search(self.runner, lambda _: self.datamodule, bases, options.sweep, open_storage())
        return {target: run_ids(studies[study]) for target, study in names.items()}

    def _write_best(self, target: Target, record: RunRecord) -> None:
        """Write a target's chosen configuration for ``fit``, and its head as a checkpoint."""
        path = self.folder / f"best-{self.datamodule.dataset}-{target}.yaml"
        text = f"# run {record.id}\n{self.searches.chooser.fit_config(record.run_spec, ())}"
        save_best(path, text, self.datamodule, record, self.runner.engine)

    def _repeat(self, best: dict[Target, RunRecord]) -> dict[Target, list[str]]:
        """Train each target's chosen configuration with every seed on the fixed split, and judge it."""
        specs = [spec for target in TARGETS for spec in self._seeded(best[target])]
        runs = [record.id for record in self.runner.run(self.datamodule, specs, judged=True)]
        logger.info("%s: %d seeds of each target on the fixed split", self.datamodule.dataset, self.settings.seeds)
        seeds = self.settings.seeds
        return {target: runs[place * seeds :][:seeds] for place, target in enumerate(TARGETS)}

    def _on_other_splits(self, best: dict[Target, RunRecord]) -> dict[Target, list[str]]:
        """The same with another split for each seed, the same split for both targets."""
        pairs = zip(*(self._seeded(best[target]) for target in TARGETS), strict=True)
        first = self.datamodule.split_seed + 1
        jobs = [Job(self.datamodule.redrawn(first + seed), specs) for seed, specs in enumerate(pairs)]
        found = self.runner.run_all(jobs, judged=True)
        logger.info("%s: %d redrawn splits", self.datamodule.dataset, len(jobs))
        return {target: [records[place].id for records in found] for place, target in enumerate(TARGETS)}

    def _seeded(self, record: RunRecord) -> list[RunSpec]:
        """The record's spec with each seed."""
        return [replace(record.run_spec, seed=seed) for seed in range(self.settings.seeds)]

    def _log(self, arms: dict[Target, Arm]) -> None:
        """Show the search's trials and the repeats' curves in TensorBoard."""
        records = self.runner.store.read()
        for arm in arms.values():
            log_trials(self.folder, (records[run] for runs in arm.trials.values() for run in runs))
            log_curves(self.folder, (records[run] for run in arm.seeds))

    def _examples(self, runs: dict[Target, str]) -> Examples:
        """The items of the figures, from one run of each target."""
        store = self.runner.store
        items = store.items()
        scores: dict[Target, ItemScores] = {target: items[run] for target, run in runs.items()}
        predictions = {target: store.predictions(run) for target, run in runs.items()}
        return choose_examples(self.datamodule, scores, predictions, self.settings.keep_texts)


def _check_names(names: Sequence[str]) -> None:
    """Results are told apart by the name of their data set."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"wanted data sets of different names, got {', '.join(twice)} more than once; make an experiment for each "
            "encoder, or give a table another data.dataset_name"
        )


def _describe(datamodule: AnnotationDataModule) -> dict[str, float]:
    """The data set in numbers."""
    stats = summarise(datamodule.data, datamodule.tie)
    return {
        "items": stats.items,
        "annotations_per_item": stats.annotations_mean,
        "normalized_entropy_mean": stats.entropy_mean,
        "normalized_entropy_sd": stats.entropy_std,
        "tied_items": stats.ties,
        **{split: len(getattr(datamodule.split, split)) for split in SPLIT_NAMES},
    }


def _entropy_histogram(datamodule: AnnotationDataModule) -> list[int]:
    """Items in each of twenty equal bins of normalised entropy."""
    entropies = normalized_entropy(label_distribution(datamodule.data.label_counts))
    return [int(count) for count in torch.histc(entropies, _BINS, 0, 1).tolist()]
