"""``soft-labels reproduce``: an experiment from its configuration to its report."""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from jsonargparse import ArgumentParser, get_loader

from soft_labels.commands.configs import path_of
from soft_labels.commands.configurations import check_text
from soft_labels.commands.fit import show_progress
from soft_labels.commands.interrupted import keeps
from soft_labels.commands.sweep_options import SweepOptions, parse_sweep
from soft_labels.errors import ConfigError
from soft_labels.experiment.arms import DEFAULT_ARMS, DEFAULT_BASELINE, Arms, Forms, read_arms
from soft_labels.experiment.budget_runs import ExperimentBudget
from soft_labels.experiment.reproduce import DatasetPlan, Experiment
from soft_labels.runs.tensorboard import ARMS, ArmResult, log_arms
from soft_labels.training.engines import EngineName, make_engine
from soft_labels.training.projector import ProjectorSettings
from soft_labels.training.spec import RunSpec

if TYPE_CHECKING:
    from soft_labels.report.evidence import Evidence, Repeats
    from soft_labels.report.summary import SetSummary, Summary

_OF_FIT = ("--data.", "--model.", "--trainer.", "--early_stopping.")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExperimentSettings:
    """What an experiment consists of.

    Args:
        name: The title of the report; the folder of the results is named after it.
        datasets: For each data set the configuration files of ``fit`` that describe it, or their names.
        sweeps: By name, files as in ``configs/sweep``, or their names; the first one chooses, further ones are compared
            with it.
        arms: By name, settings of ``fit`` by key, beside them ``space`` for keys that only this arm searches; or
            ``from`` with ``calibration``, ``ensemble: true`` (the mean prediction of its seeds) or both for an arm that
            is derived from another. Each arm that trains is searched with the same budget; of the sweep's keys those
            that its head does not read are left out.
        baseline: The arm that all others are compared with.
        seeds: How often the chosen configuration is trained again, with seeds 0 to S - 1.
        redraw_splits: Repeat on S other splits as well, the same for every arm.
        keep_texts: Keep the texts of the few items that the report shows, and texts, shortened, or thumbnails of those
            that TensorBoard's projector shows.
        projector: The most validation items of a data set that the projector shows, drawn with seed 0; 0 for none.
        budget: Train the chosen configurations on a few annotators of each item as well, for the curves of ``budget``.
    """

    name: str
    datasets: list[list[str]]
    sweeps: dict[str, str]
    arms: Forms = field(default_factory=lambda: DEFAULT_ARMS)
    baseline: str = DEFAULT_BASELINE
    seeds: int = 10
    redraw_splits: bool = True
    keep_texts: bool = True
    projector: int = ProjectorSettings.items
    budget: ExperimentBudget | None = None

    def __post_init__(self) -> None:
        if not self.datasets or not self.sweeps:
            raise ConfigError("wanted at least one data set and one sweep, got none; name them in the configuration")
        for name in (self.name, *self.sweeps):
            if not name or name.startswith(".") or set(name) & {"/", "\\", "\0"}:
                raise ConfigError(f"wanted a name that can name a file, got {name!r}; leave out / and \\")


def run_reproduce(arguments: list[str]) -> None:
    """``soft-labels reproduce``."""
    show_progress()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    experiment, plans = parse_reproduce(arguments[1:])
    keeps(experiment.folder)
    experiment.run(plans)

    from soft_labels.commands.report import report_of
    from soft_labels.report.evidence import load_evidence

    folder = experiment.folder
    evidence = load_evidence(folder)
    _show_arms(folder / ARMS, evidence, report_of(evidence, folder, folder / "report"))
    print(f"Next: tensorboard --logdir {folder / ARMS}  (a line an arm; curves and trials lie beside it)")  # noqa: T201


def _show_arms(folder: Path, evidence: "Evidence", summary: "Summary") -> None:
    """Show every arm in TensorBoard with the numbers of the report."""
    for one, found in zip(evidence.sets, summary.sets, strict=True):
        log_arms(folder / one.name, {name: _arm_result(name, one.fixed, found) for name in evidence.arms})


def _arm_result(arm: str, repeats: "Repeats", found: "SetSummary") -> ArmResult:
    """One arm on the fixed split; a derived one has no curves of its own."""
    summary, runs = found.arms[arm], {record.id: record.curve for record in repeats.records[arm]}
    curves = [] if summary.form.derived_from else list(runs.values())
    return ArmResult(curves, {name: repeats.metric(arm, name) for name in repeats.metrics()}, summary.fixed)


def parse_reproduce(arguments: list[str]) -> tuple[Experiment, list[DatasetPlan]]:
    """An experiment and its data sets; nothing is read, encoded or trained.

    Args:
        arguments: The command line after the command's name.

    Raises:
        ConfigError: An arm, a data set or a setting is not there.
        SweepError: A search space does not hold together, or an arm would have more trials than another.
    """
    own, of_fit = _divided(arguments)
    parser = _parser()
    config = parser.parse_args(_with_experiment(own))
    settings: ExperimentSettings = parser.instantiate_classes(config).experiment
    folder = Path(config.out or f"lightning_logs/{settings.name}")
    arms = read_arms(settings.arms, settings.baseline)
    read: dict[str, dict[str, Any]] = {}
    options = [_sweeps_of(settings, files, of_fit, read) for files in settings.datasets]
    engine = make_engine(config.engine, options[0][0].cli.config.trainer.accelerator, config.share)
    plans = [_plan(settings, each, arms) for each in options]
    experiment = Experiment(
        settings.name,
        arms,
        settings.seeds,
        settings.redraw_splits,
        settings.keep_texts,
        folder,
        engine,
        ProjectorSettings(settings.projector, settings.keep_texts),
        settings.budget,
    )
    return experiment, plans


def _with_experiment(own: list[str]) -> list[str]:
    """The arguments with an experiment of our own where the configurations describe data alone."""
    files, others = _configurations(own)
    contents = {path: _top(path) for path in files}
    if not files or any("experiment" in content for content in contents.values()):
        return own
    described = [path for path, content in contents.items() if "data" in content]
    if not described:
        raise ConfigError(
            f"{', '.join(files)}: wanted experiment, as in soft-labels configs show paper, or data, as soft-labels "
            "data init writes it, got neither"
        )
    ours = path_of("experiment")
    logger.info("no experiment is described: taking arms, search and seeds of soft-labels configs show experiment")
    name, datasets = Path(described[0]).stem, json.dumps([files])
    return [f"--config={ours}", f"--experiment.name={name}", f"--experiment.datasets={datasets}", *others]


def _configurations(own: Sequence[str]) -> tuple[list[str], list[str]]:
    """The configuration files among the arguments, and the other arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-c", "--config", action="append", default=[])
    known, others = parser.parse_known_args(own)
    return known.config, others


def _top(path: str) -> dict[str, Any]:
    """The upper keys of a configuration file; what is none is for the parser to refuse."""
    content = get_loader("yaml")(Path(path).read_text(encoding="utf-8")) if Path(path).is_file() else None
    return content if isinstance(content, dict) else {}


def _sweeps_of(
    settings: ExperimentSettings, files: Sequence[str], of_fit: Sequence[str], read: dict[str, dict[str, Any]]
) -> list[SweepOptions]:
    """The parsed sweeps of one data set, in the order of the settings."""
    configs, spaces = [path_of(path) for path in files], [path_of(path) for path in settings.sweeps.values()]
    for path in (*configs, *spaces):
        check_text(path)
    data = [f"--config={path}" for path in configs]
    sweeps = [parse_sweep([*data, *of_fit, f"--sweep={path.resolve()}"], read) for path in spaces]
    defaults = sweeps[0].cli.parser.get_defaults()
    for key, value in sweeps[0].cli.own.items():
        if key != "sweep" and value != defaults.get(key):
            raise ConfigError(
                f"{', '.join(files)}: {key} cannot stand in the configuration of a data set; leave it out, and say it "
                "under experiment or as an option of reproduce"
            )
    return sweeps


def _plan(settings: ExperimentSettings, sweeps: Sequence[SweepOptions], arms: Arms) -> DatasetPlan:
    """One data set, as the experiment takes it."""
    chooser = sweeps[0]

    def fit_config(spec: RunSpec, calibration: str) -> str:
        return chooser.fit_config(spec, (), calibration)

    searches = {name: options.planned(arms) for name, options in zip(settings.sweeps, sweeps, strict=True)}
    return DatasetPlan(chooser.datamodule(), searches, fit_config)


def _parser() -> ArgumentParser:
    """The options of the command."""
    parser = ArgumentParser(
        prog="soft-labels reproduce",
        description="Search, choose, repeat, judge and report, for every data set of an experiment.",
        epilog="Options of fit, such as --data.root=DIR, hold for every data set. A run that was interrupted goes on.",
        exit_on_error=False,
    )
    parser.add_argument("-c", "--config", action="config", help="the experiment, as configs/paper.yaml")
    parser.add_class_arguments(ExperimentSettings, "experiment")
    parser.add_argument("--engine", type=EngineName, default="population", help="what trains")
    parser.add_argument("--share", type=bool, default=True, help="let runs of the population share what they can")
    parser.add_argument("--out", type=str, help="folder of the results; lightning_logs/NAME if not given")
    return parser


def _divided(arguments: list[str]) -> tuple[list[str], list[str]]:
    """This command's own arguments, and those of ``fit``, which are written with an equals sign."""
    of_fit = [argument for argument in arguments if argument.startswith(_OF_FIT)]
    for argument in of_fit:
        if "=" not in argument:
            raise ConfigError(f"wanted {argument}=VALUE with an equals sign, got {argument} alone")
    return [argument for argument in arguments if argument not in of_fit], of_fit
