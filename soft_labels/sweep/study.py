"""The search of one target: Optuna is asked for a batch of trials, they train together, and it is told what came."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import optuna
from optuna.distributions import distribution_to_json
from optuna.exceptions import DuplicatedStudyError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from soft_labels.datamodules import AnnotationDataModule
from soft_labels.errors import SweepError
from soft_labels.records import RunRecord, rounded
from soft_labels.runner import Pruning, Runner
from soft_labels.runs import RunSpec
from soft_labels.sweep.settings import SweepSettings
from soft_labels.sweep.space import DataChoice, data_choice, grid_points, spec_fields
from soft_labels.sweep.storage import Storage

RUN = "run"  # a trial's user attribute: the id of its run's record
_POINT = "point"  # a trial's user attribute: the number of its point in the grid
_SEARCH = "search"  # a study's user attribute: what is searched; set when all points of a grid are queued
_SECONDS_TO_QUEUE = 60
_STARTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)

logger = logging.getLogger(__name__)


class Arm(NamedTuple):
    """A study, and the settings that its search leaves alone."""

    study: Study
    base: RunSpec


class Asked(NamedTuple):
    """A trial that was asked for."""

    arm: Arm
    trial: Trial


def search(
    runner: Runner,
    datamodule_of: Callable[[DataChoice], AnnotationDataModule],
    bases: Mapping[str, RunSpec],
    sweep: SweepSettings,
    storage: Storage,
) -> dict[str, Study]:
    """Search until no trial is left to start; any number of workers may do so on one storage.

    Studies that are searched together, as for both targets, are asked for a batch each, and the batches train together.
    What is minimised is the lowest validation loss of a run; nothing of the test split is looked at. A run whose record
    is there already is not trained again, so that a search in memory that was interrupted goes on where it was.

    Args:
        runner: Trains, and keeps the records.
        datamodule_of: Gives the data for the searched values of the data's keys, none where none is searched.
        bases: By the name of a study, the settings that are not searched, the target among them.
        sweep: What is searched and how.
        storage: Where the studies live.

    Returns:
        The studies by name; each finished trial carries the id of its run (see :func:`run_ids`).

    Raises:
        SweepError: The sampler cannot serve a batch, or a study is there already and searches something else.
    """
    arms = [
        Arm(_open_study(sweep, storage, name, _purpose(datamodule_of, base, sweep)), base)
        for name, base in bases.items()
    ]
    while batch := [Asked(arm, trial) for arm in arms for trial in _ask(arm.study, sweep, storage)]:
        with _given_back(batch):
            for choice, group in groupby(
                sorted(batch, key=_choice_text), key=lambda one: data_choice(one.trial.params)
            ):
                _train(list(group), runner, datamodule_of(choice), sweep)
        for arm in arms:
            logger.info("%s: %d of %d trials", arm.study.study_name, len(finished(arm.study)), sweep.trials)
    return {arm.study.study_name: arm.study for arm in arms}


def finished(study: Study) -> list[FrozenTrial]:
    """Trials that have trained, in the order in which they were asked for."""
    return [
        trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished() and RUN in trial.user_attrs
    ]


def run_ids(study: Study) -> list[str]:
    """Record ids of the finished trials, in the order in which they were asked for; trials may share one."""
    return [trial.user_attrs[RUN] for trial in finished(study)]


def _choice(asked: Asked) -> DataChoice:
    """What decides a trial's data."""
    return data_choice(asked.trial.params)


def _choice_text(asked: Asked) -> str:
    """What sorts trials by their data."""
    return repr(_choice(asked))


def _purpose(
    datamodule_of: Callable[[DataChoice], AnnotationDataModule], base: RunSpec, sweep: SweepSettings
) -> dict[str, str]:
    """What a worker must agree on with those that search already."""
    identity = datamodule_of(()).identity()
    fixed = {key: value for key, value in base.settings().items() if key not in spec_fields(dict.fromkeys(sweep.space))}
    space = {key: json.loads(distribution_to_json(value)) for key, value in sweep.space.items()}
    data = {key: identity[key] for key in ("dataset", "split")}
    return {
        "data": json.dumps(data, sort_keys=True),
        "fixed settings": json.dumps(fixed, sort_keys=True),
        "space": json.dumps(space, sort_keys=True),
        "sampler": sweep.sampler_name,
    }


def _open_study(sweep: SweepSettings, storage: Storage, name: str, purpose: dict[str, str]) -> Study:
    """Create the study and queue its grid, or join the workers that have done so."""
    sampler = sweep.new_sampler(storage.shared)
    with storage.lock:
        try:
            study = optuna.create_study(
                storage=storage.backend, study_name=name, sampler=sampler, pruner=sweep.pruner, direction="minimize"
            )
        except DuplicatedStudyError:
            study = optuna.load_study(study_name=name, storage=storage.backend, sampler=sampler, pruner=sweep.pruner)
            _check_purpose(study, purpose)
            return study
        for number, point in enumerate(grid_points(sweep.space) if sweep.sampler is None else []):
            study.enqueue_trial(point, user_attrs={_POINT: number})
        study.set_user_attr(_SEARCH, purpose)
    return study


def _check_purpose(study: Study, purpose: dict[str, str]) -> None:
    """Wait for the worker that creates the study; refuse to search something else in it."""
    until = time.monotonic() + _SECONDS_TO_QUEUE
    while _SEARCH not in study.user_attrs:
        if time.monotonic() > until:
            raise SweepError(f"study {study.study_name} was left half-made; choose another name with --study")
        time.sleep(0.1)
    for part, wanted in purpose.items():
        there = study.user_attrs[_SEARCH][part]
        if there != wanted:
            raise SweepError(
                f"study {study.study_name} has another {part}: {there}, not {wanted}; choose another name with --study"
            )


def _ask(study: Study, sweep: SweepSettings, storage: Storage) -> list[Trial]:
    """The next trials, at most a batch."""
    batch = sweep.batch_size(storage.shared)
    with storage.lock, _served_by(sweep):
        asked = [study.ask(dict(sweep.space)) for _ in range(min(batch, _left(study, sweep)))]
    if sweep.sampler is not None:
        return asked
    for trial in asked:  # another worker was faster, and Optuna made a trial that no point stands for
        if _POINT not in trial.user_attrs:
            study.tell(trial, state=TrialState.FAIL)
    return [trial for trial in asked if _POINT in trial.user_attrs]


def _left(study: Study, sweep: SweepSettings) -> int:
    """How many trials nobody has started."""
    trials = study.get_trials(deepcopy=False)
    if sweep.sampler is None:
        return sum(trial.state == TrialState.WAITING for trial in trials)
    return sweep.trials - sum(trial.state in _STARTED or RUN in trial.user_attrs for trial in trials)


@contextmanager
def _served_by(sweep: SweepSettings) -> Iterator[None]:
    """Say which sampler could not do what a batch asks of it."""
    try:
        yield
    except (ImportError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise SweepError(
            f"{sweep.sampler_name} cannot serve this search in batches: {error}; "
            "choose another sampler, such as optuna.samplers.TPESampler"
        ) from error


@contextmanager
def _given_back(batch: list[Asked]) -> Iterator[None]:
    """Queue trials again that an error or an interruption keeps from being finished."""
    try:
        yield
    except BaseException:
        for (study, _), trial in batch:
            if study.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING:
                study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)
                study.tell(trial, state=TrialState.FAIL)
        raise


def _train(batch: list[Asked], runner: Runner, datamodule: AnnotationDataModule, sweep: SweepSettings) -> None:
    """Train trials that share their data, and tell their studies of each."""
    reports = _Reports([trial for _, trial in batch])
    specs = [replace(arm.base, **spec_fields(trial.params)) for arm, trial in batch]
    pruning = Pruning(sweep.pruner_name, reports.after_epoch) if sweep.prunes else None
    records = runner.run(datamodule, specs, pruning=pruning)
    for position, ((arm, trial), record) in enumerate(zip(batch, records, strict=True)):
        reports.complete(position, record)
        trial.set_user_attr(RUN, record.id)
        with _served_by(sweep):
            _tell(arm.study, trial, record)


def _tell(study: Study, trial: Trial, record: RunRecord) -> None:
    """Finish a trial; a run without a finite validation loss has failed."""
    if record.ending == "pruned":
        study.tell(trial, state=TrialState.PRUNED)
    elif rounded(record.value) is None:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, record.value)


class _Reports:
    """Reports each epoch of each trial once: as it ends where trials can be pruned, otherwise from the record."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = trials
        self._reported: set[tuple[int, int]] = set()

    def after_epoch(self, position: int, epoch: int, loss: float) -> bool:
        """Report an epoch; true if the trial should end."""
        self._report(position, epoch, rounded(loss))
        return self._trials[position].should_prune()

    def complete(self, position: int, record: RunRecord) -> None:
        """Report the epochs that were not reported yet."""
        for epoch, loss in enumerate(record.curve["val/loss"]):
            self._report(position, epoch, loss)

    def _report(self, position: int, epoch: int, loss: float | None) -> None:
        """Report an epoch unless that was done or it has no finite loss."""
        if loss is not None and (position, epoch) not in self._reported:
            self._trials[position].report(loss, epoch)
            self._reported.add((position, epoch))
