"""``soft-labels sweep``: search for the best settings of each arm, and write them down for ``fit``."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial

from soft_labels.commands.fit import show_progress
from soft_labels.commands.interrupted import keeps
from soft_labels.commands.output import json_text
from soft_labels.commands.sweep_options import SweepOptions, parse_sweep
from soft_labels.errors import SweepError
from soft_labels.files import NamedLock, write_text
from soft_labels.runs.checkpoints import BestFiles, BestHeads
from soft_labels.runs.record import RunRecord, best_record
from soft_labels.runs.runner import Runner
from soft_labels.runs.store import RecordStore
from soft_labels.runs.tensorboard import log_trials
from soft_labels.sweep.shared.claims import RUN, finished
from soft_labels.sweep.shared.storage import open_storage
from soft_labels.sweep.space import data_choice
from soft_labels.sweep.study import PlannedSearch, search
from soft_labels.training.engines import make_engine

FILE = "sweep.json"


@dataclass(frozen=True)
class SearchOutcome:
    """What the search of one arm found.

    Args:
        arm: Its name.
        trials: Finished trials, in the order in which they were asked for.
        records: The record of each trial's run, by run id.
        best: The chosen run.
        best_file: A configuration of ``fit`` that trains it again.
    """

    arm: str
    trials: list[FrozenTrial]
    records: Mapping[str, RunRecord]
    best: RunRecord
    best_file: Path

    @property
    def best_trial(self) -> FrozenTrial:
        """The first trial of the chosen run."""
        return next(trial for trial in self.trials if trial.user_attrs[RUN] == self.best.id)

    @property
    def pruned(self) -> int:
        """How many trials ended early."""
        return sum(self.records[trial.user_attrs[RUN]].ending == "pruned" for trial in self.trials)

    @property
    def failed(self) -> int:
        """How many trials have no finite validation loss: their training broke down."""
        return sum(math.isinf(self.records[trial.user_attrs[RUN]].value) for trial in self.trials)


def run_sweep(arguments: list[str]) -> None:
    """``soft-labels sweep``."""
    show_progress()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options = parse_sweep(arguments[1:])
    outcomes = sweep(options)
    if options.cli.own["json"]:
        print(json_text(values(outcomes)))  # noqa: T201
    else:
        print_outcomes(outcomes)


def sweep(options: SweepOptions) -> list[SearchOutcome]:
    """Search for each arm with the same budget; write records, trials and the best configurations.

    Args:
        options: What is searched, on which data, and where results go.
    """
    planned = options.planned(options.arms)  # mistakes show before data are read
    address = options.cli.own["storage"]
    storage = open_storage(None if address is None else address.get_secret_value())
    dataset = options.datamodule().dataset.name
    folder = options.out(dataset)
    keeps(folder)
    engine = make_engine(options.cli.own["engine"], options.cli.config.trainer.accelerator)
    runner = Runner(RecordStore(folder / "records"), engine)
    names = {arm: f"{dataset}-{options.study}-{arm}" for arm in planned}
    studies = search(runner, {names[arm]: one for arm, one in planned.items()}, storage)
    with NamedLock(runner.store.folder / ".results.lock"):  # all workers of a study end at the same time
        found = [_outcome(options, arm, studies[names[arm]], runner, folder, one) for arm, one in planned.items()]
        write_text(folder / FILE, f"{json_text(values(found))}\n")
        return found


def values(outcomes: Sequence[SearchOutcome]) -> dict[str, Any]:
    """What was found, as plain JSON values.

    Args:
        outcomes: Of each arm.
    """
    return {
        "dataset": outcomes[0].best.data["dataset"],
        "arms": {
            one.arm: {
                "trials": len(one.trials),
                "pruned": one.pruned,
                "failed": one.failed,
                "run": one.best.id,
                "best_epoch": one.best.best_epoch,
                "val/loss": one.best.value,
                "settings": one.best_trial.params,
                "config": str(one.best_file),
                "checkpoint": str(one.best_file.with_suffix(".ckpt")),
            }
            for one in outcomes
        },
    }


def _outcome(
    options: SweepOptions, arm: str, study: Study, runner: Runner, folder: Path, planned: PlannedSearch
) -> SearchOutcome:
    """Choose by validation loss among the runs that trained to their end, and write what was found."""
    records, trials = runner.store.read(), finished(study)
    missing = sum(trial.user_attrs[RUN] not in records for trial in trials)
    if missing:
        raise SweepError(f"{folder} lacks the records of {missing} trials; give every worker of a study the same --out")
    own = [records[trial.user_attrs[RUN]] for trial in trials]
    best = best_record(own)
    outcome = SearchOutcome(arm, trials, records, best, folder / f"best-{arm}.yaml")
    write_text(folder / f"trials-{arm}.csv", _trials_text(outcome, list(planned.sweep.space)))
    log_trials(folder, arm, {record.id: record for record in own}.values())
    data = options.datamodule(data_choice(outcome.best_trial.params)).embedded
    files = [BestFiles(outcome.best_file, _best_text(options, study, outcome))]
    BestHeads([(best, files)], data).train(runner.engine)
    return outcome


def _trials_text(outcome: SearchOutcome, keys: list[str]) -> str:
    """A line for each trial."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["trial", "state", "val/loss", "best_epoch", "epochs", "ending", "run", *keys])
    for trial in outcome.trials:
        record = outcome.records[trial.user_attrs[RUN]]
        row = [trial.number, trial.state.name.lower(), record.value, record.best_epoch, len(record.curve["lr"])]
        writer.writerow([*row, record.ending, record.id, *(trial.params[key] for key in keys)])
    return file.getvalue()


def _best_text(options: SweepOptions, study: Study, outcome: SearchOutcome) -> str:
    """The configuration of the chosen run, with where it comes from."""
    best = outcome.best
    return (
        f"# The best of {len(outcome.trials)} trials of study {study.study_name}: run {best.id}, val/loss "
        f"{best.value:.6g} in epoch {best.best_epoch + 1}.\n"
        f"{options.fit_config(best.run_spec, data_choice(outcome.best_trial.params))}"
    )


def print_outcomes(outcomes: list[SearchOutcome]) -> None:
    """Print what was found for each arm, and what to run next."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="best by validation loss", title_justify="left")
    for heading in ("arm", "trials", "val/loss", "best settings"):
        table.add_column(heading)
    for outcome in outcomes:
        settings = "\n".join(f"{key} {value}" for key, value in outcome.best_trial.params.items())
        table.add_row(outcome.arm, _counts(outcome), f"{outcome.best.value:.4f}", settings)
    console = Console()
    console.print(table)
    for outcome in outcomes:
        console.print(f"Next: soft-labels fit --config {outcome.best_file}", highlight=False, soft_wrap=True)


def _counts(outcome: SearchOutcome) -> str:
    """How many trials, and what became of them."""
    told = {"pruned": outcome.pruned, "failed (validation loss not finite)": outcome.failed}
    counted = [f"{len(outcome.trials) - outcome.failed} done", *(f"{n} {what}" for what, n in told.items() if n)]
    return ", ".join(counted)
