"""``soft-labels reproduce``: an experiment from its configuration to its report."""

from pathlib import Path

import optuna
from jsonargparse import ArgumentParser

from soft_labels.cli import show_progress
from soft_labels.engines import EngineName
from soft_labels.errors import ConfigError
from soft_labels.experiment.reproduce import Experiment, ExperimentSettings

_OF_FIT = ("--data.", "--model.", "--trainer.", "--early_stopping.")


def run_reproduce(arguments: list[str]) -> None:
    """``soft-labels reproduce``."""
    from soft_labels.report.command import run_report

    show_progress()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    own, of_fit = _divided(arguments[1:])
    parser = _parser()
    config = parser.parse_args(own)
    settings = parser.instantiate_classes(config).experiment
    folder = Path(config.out or f"lightning_logs/{settings.name}")
    Experiment(settings, of_fit, folder, config.engine, config.share).run()
    run_report(["report", str(folder)])


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
