"""The whole experiment: on each data set search for both targets, choose, repeat over seeds and over splits, judge."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from soft_labels.annotations.stats import summarise
from soft_labels.checkpoints import save_checkpoint
from soft_labels.curves import log_curves, log_trials
from soft_labels.datamodules import AnnotationDataModule
from soft_labels.distributions import label_distribution, normalized_entropy
from soft_labels.errors import ConfigError
from soft_labels.experiment.examples import choose_examples
from soft_labels.experiment_index import Arm, DatasetPart, ExperimentIndex
from soft_labels.files import write_text
from soft_labels.objectives import TARGETS, Target
from soft_labels.records import ItemScores, RecordStore, RunRecord, best_record
from soft_labels.runner import Runner
from soft_labels.runs import Engine
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
        engine: What trains.
        folder: Where records, index and best configurations are written.
    """

    settings: ExperimentSettings
    options: Sequence[str]
    engine: Engine
    folder: Path
    store: RecordStore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "store", RecordStore(self.folder / "records"))

    def run(self) -> ExperimentIndex:
        """Run what is missing, and write ``experiment.json`` when all is done."""
        searches = [self._options_of(configs) for configs in self.settings.datasets]  # mistakes show before work
        index = ExperimentIndex(self.settings.name, [self._dataset(options) for options in searches])
        index.save(self.folder)
        return index

    def _options_of(self, configs: list[str]) -> dict[str, SweepOptions]:
        """The searches of one data set, by name."""
        files = [f"--config={path}" for path in configs]
        found = {
            name: parse_sweep([*files, *self.options, f"--sweep={path}"]) for name, path in self.settings.sweeps.items()
        }
        for options in found.values():
            _ = options.base, options.sweep
        return found

    def _dataset(self, searches: dict[str, SweepOptions]) -> DatasetPart:
        """One data set, from its search to its examples."""
        chooser = next(iter(searches.values()))
        datamodule = chooser.datamodule()
        trials = {name: self._search(name, options) for name, options in searches.items()}
        records = self.store.read()
        chosen = next(iter(trials.values()))
        best = {target: best_record(records[run] for run in chosen[target]) for target in TARGETS}
        self._write_best(chooser, datamodule, best)
        seeds = self._repeat(datamodule, best)
        splits = self._on_other_splits(datamodule, best) if self.settings.redraw_splits else {}
        first: dict[Target, str] = {target: runs[0] for target, runs in seeds.items()}
        items = self.store.items()
        scores: dict[Target, ItemScores] = {target: items[run] for target, run in first.items()}
        predictions = {target: self.store.predictions(run) for target, run in first.items()}
        arms: dict[Target, Arm] = {
            target: Arm(
                {name: runs[target] for name, runs in trials.items()},
                best[target].id, seeds[target], splits.get(target, []),
            )
            for target in TARGETS
        }  # fmt: skip
        self._log(arms)
        return DatasetPart(
            dataset=datamodule.dataset,
            encoder=datamodule.encoder_name,
            class_names=list(datamodule.data.class_names),
            description=_describe(datamodule),
            entropy_histogram=_entropy_histogram(datamodule),
            arms=arms,
            examples=choose_examples(datamodule, scores, predictions, self.settings.keep_texts),
        )

    def _search(self, name: str, options: SweepOptions) -> dict[Target, list[str]]:
        """Run ids of the trials of each target, in the order they were asked."""
        names: dict[Target, str] = {target: f"{options.datamodule().dataset} {name} {target}" for target in TARGETS}
        bases = {study: replace(options.base, target=target) for target, study in names.items()}
        runner = Runner(self.store, self.engine)
        studies = search(runner, options.datamodule, bases, options.sweep, open_storage())
        return {target: run_ids(studies[study]) for target, study in names.items()}

    def _write_best(
        self, options: SweepOptions, datamodule: AnnotationDataModule, best: dict[Target, RunRecord]
    ) -> None:
        """Write each target's chosen configuration for ``fit``, and its head as a checkpoint."""
        for target, record in best.items():
            path = self.folder / f"best-{datamodule.dataset}-{target}.yaml"
            write_text(path, options.fit_config(record.run_spec, ()))
            if not path.with_suffix(".ckpt").is_file():
                (result,) = self.engine.train(datamodule, [record.run_spec], keep_heads=True)
                save_checkpoint(datamodule, result, path.with_suffix(".ckpt"))

    def _log(self, arms: dict[Target, Arm]) -> None:
        """Show the search's trials and the repeats' curves in TensorBoard."""
        records = self.store.read()
        for arm in arms.values():
            log_trials(self.folder, (records[run] for runs in arm.trials.values() for run in runs))
            log_curves(self.folder, (records[run] for run in arm.seeds))

    def _repeat(self, datamodule: AnnotationDataModule, best: dict[Target, RunRecord]) -> dict[Target, list[str]]:
        """Train each target's chosen configuration with every seed on the fixed split, and judge it."""
        seeds = range(self.settings.seeds)
        specs = [replace(best[target].run_spec, seed=seed) for target in TARGETS for seed in seeds]
        runs = [record.id for record in Runner(self.store, self.engine).run(datamodule, specs, judged=True)]
        logger.info("%s: %d seeds of each target on the fixed split", datamodule.dataset, len(seeds))
        return {target: runs[place * len(seeds) :][: len(seeds)] for place, target in enumerate(TARGETS)}

    def _on_other_splits(
        self, datamodule: AnnotationDataModule, best: dict[Target, RunRecord]
    ) -> dict[Target, list[str]]:
        """The same with another split for each seed, the same split for both targets."""
        runs: dict[Target, list[str]] = {target: [] for target in TARGETS}
        for seed in range(self.settings.seeds):
            specs = [replace(best[target].run_spec, seed=seed) for target in TARGETS]
            records = Runner(self.store, self.engine).run(datamodule.redrawn(seed), specs, judged=True)
            for target, record in zip(TARGETS, records, strict=True):
                runs[target].append(record.id)
        logger.info("%s: %d redrawn splits", datamodule.dataset, self.settings.seeds)
        return runs


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
