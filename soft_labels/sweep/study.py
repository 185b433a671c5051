"""The search of some arms: Optuna is asked for a batch of trials, they train together, and it is told what came."""

import json
import logging
import math
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple

import optuna
from optuna.distributions import distribution_to_json
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.study import Study

from soft_labels.data import AnnotationDataModule
from soft_labels.errors import SweepError
from soft_labels.runs.record import RunRecord, rounded
from soft_labels.runs.runner import Pruning, Runner, Task
from soft_labels.sweep.settings import SweepSettings
from soft_labels.sweep.shared.claims import Claim, JoinedStudy, finished
from soft_labels.sweep.shared.storage import Storage, StorageLostError
from soft_labels.sweep.shared.workers import Heartbeat, Watch
from soft_labels.sweep.space import DataChoice, data_choice, spec_fields
from soft_labels.training.spec import RunSpec

_SEARCH = "search"  # a study's user attribute: what is searched
# By key of the data, the part of a run's data that it changes, besides the content.
_PARTS = {"encoder": "encoder", "pair_features": "pair_features", "pair_separator": "pair_features"}
_SECONDS_TO_BEGIN = 10
_LONGEST_PAUSE = 2.0  # seconds between two looks of a worker that has nothing to train

logger = logging.getLogger(__name__)


class PlannedSearch(NamedTuple):
    """What is searched, the settings that are left alone, and the data.

    Args:
        base: The settings.
        sweep: The search.
        datamodule_of: Gives the data for the searched values of the data's keys, none where none is searched.
    """

    base: RunSpec
    sweep: SweepSettings
    datamodule_of: Callable[[DataChoice], AnnotationDataModule]


class Search(NamedTuple):
    """A study, and what its search leaves alone."""

    joined: JoinedStudy
    planned: PlannedSearch


class Asked(NamedTuple):
    """A trial to train."""

    search: Search
    claim: Claim


class Done(NamedTuple):
    """A trial that has been trained."""

    claim: Claim
    record: RunRecord


def search(
    runner: Runner,
    planned: Mapping[str, PlannedSearch],
    storage: Storage,
) -> dict[str, Study]:
    """Search until every trial has been trained; any number of workers may do so on one storage.

    While a batch trains, a worker tells the storage of the last one and claims the next one, unless the sampler learns
    from it. One that finds nothing left to start waits for the others, and takes over from those that have been silent
    for the sweep's ``grace``.

    Studies that are searched together, as for several arms and data sets, are asked for a batch each, and the batches
    train together.
    What is minimised is the lowest validation loss of a run; nothing of the test split is looked at. A run whose record
    is there already is not trained again, so that a search in memory that was interrupted goes on where it was. Single
    epochs are told to a study only where a pruner wants to know; the records have all.

    Args:
        runner: Trains, and keeps the records.
        planned: By the name of a study, what it searches; all have the same budget, batches, sampler and pruner.
        storage: Where the studies live.

    Returns:
        The studies by name; each finished trial carries the id of its run (see
        :func:`~soft_labels.sweep.shared.claims.run_ids`).

    Raises:
        SweepError: The budgets differ, the sampler cannot serve a batch, or a study is there already and searches
            something else, or its storage is lost.
    """
    worker = secrets.token_hex(4)
    check_budgets(planned)
    sweep = next(iter(planned.values())).sweep  # but for the space, all have the same
    searches = []
    for name, own in planned.items():
        study = _open_study(own.sweep, storage, name, _purpose(own))
        searches.append(Search(JoinedStudy(study, own.sweep, storage, worker), own))
    pause = min(sweep.grace / 10, _LONGEST_PAUSE)
    watches = [Watch(one.joined, math.ceil(sweep.grace / pause)) for one in searches]
    heartbeat = Heartbeat([one.joined.study for one in searches], worker, sweep.grace / 4)
    batch: list[Asked] = []
    done: list[Done] = []
    with ThreadPoolExecutor(1, thread_name_prefix="storage-claims") as beside, ExitStack() as closing:
        for one in searches:
            closing.callback(one.joined.view.close)
        while True:
            batch = batch or _claim(searches)
            if batch:
                turn = beside.submit(_tell_and_claim, searches, done)
                with heartbeat.beating(), _given_back(batch, turn):
                    done = _train(batch, runner, sweep)
                    batch = turn.result()
                if sweep.learns or not storage.shared:  # in memory no choice may depend on which thread is first
                    _tell(searches, done)
                    done = []
            elif done:
                _tell(searches, done)
                done = []
            elif all(one.joined.complete() for one in searches):
                return {one.joined.study.study_name: one.joined.study for one in searches}
            else:
                time.sleep(pause)
                for watch in watches:
                    watch.look()


def check_budgets(planned: Mapping[str, PlannedSearch]) -> None:
    """Refuse searches of which one would have more trials than another.

    Args:
        planned: By name, what is searched.

    Raises:
        SweepError: The numbers of trials differ.
    """
    budgets = {name: one.sweep.trials for name, one in planned.items()}
    if len(set(budgets.values())) > 1:
        told = ", ".join(f"{trials} of {name}" for name, trials in budgets.items())
        raise SweepError(
            f"wanted the same number of trials for every arm, got {told}; a grid tries every point: choose a "
            "sampler with a number of trials"
        )


def _tell_and_claim(searches: list[Search], done: list[Done]) -> list[Asked]:
    """What is left to a thread while a batch trains: the storage learns what came of the last, and gives the next.

    Nothing is claimed ahead while a worker's first batch trains: of workers that start together, none shall take two
    batches while another has none.
    """
    if not done:
        return []
    _tell(searches, done)
    return _claim(searches, ahead=True)


def _claim(searches: list[Search], ahead: bool = False) -> list[Asked]:
    """The next batch, a share of it from each study."""
    return [Asked(one, claim) for one in searches for claim in one.joined.claim(ahead)]


def _tell(searches: list[Search], done: list[Done]) -> None:
    """Tell the studies what came of trials, and say how far they are."""
    for claim, record in done:
        claim.finish(record)
    for one in searches:
        study, sweep = one.joined.study, one.joined.sweep
        logger.info("%s: %d of %d trials", study.study_name, len(finished(study)), sweep.trials)


def _purpose(planned: PlannedSearch) -> dict[str, str]:
    """What a worker must agree on with those that search already."""
    base, sweep, datamodule_of = planned
    fixed = {key: value for key, value in base.settings().items() if key not in spec_fields(dict.fromkeys(sweep.space))}
    space = {key: json.loads(distribution_to_json(value)) for key, value in sweep.space.items()}
    return {
        "data": json.dumps(_fixed_data(datamodule_of(()), sweep), sort_keys=True),
        "fixed settings": json.dumps(fixed, sort_keys=True),
        "space": json.dumps(space, sort_keys=True),
        "sampler": _sampler_text(sweep),
        "pruner": sweep.pruner_name,
    }


def _fixed_data(datamodule: AnnotationDataModule, sweep: SweepSettings) -> dict[str, Any]:
    """What all trials are trained on; where data's keys are searched, the base's data are not encoded for this."""
    searched = {_PARTS[key.split(".")[2]] for key, _ in data_choice(dict.fromkeys(sweep.space))}
    record = datamodule.identity() if searched else datamodule.embedded.record()
    return {name: value for name, value in record.items() if name not in searched}


def _sampler_text(sweep: SweepSettings) -> str:
    """The sampler's class and its arguments but for the seed, which each worker may have for itself."""
    if sweep.sampler is None:
        return sweep.sampler_name
    chosen = sweep.sampler.clone()
    chosen.pop("init_args.seed", None)
    return json.dumps(chosen.as_dict(), sort_keys=True, default=attrgetter("__qualname__"))


def _open_study(sweep: SweepSettings, storage: Storage, name: str, purpose: dict[str, str]) -> Study:
    """Create the study, or join the workers that have done so."""
    sampler = sweep.new_sampler(storage.shared)
    with storage.lock:
        try:
            study = optuna.create_study(
                storage=storage.backend, study_name=name, sampler=sampler, pruner=sweep.pruner, direction="minimize"
            )
        except DuplicatedStudyError:
            study = optuna.load_study(study_name=name, storage=storage.backend, sampler=sampler, pruner=sweep.pruner)
            _check_purpose(study, purpose)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(["val/loss"])  # for optuna-dashboard
            study.set_user_attr(_SEARCH, purpose)
    return study


def _check_purpose(study: Study, purpose: dict[str, str]) -> None:
    """Wait for the worker that creates the study, and go on for one that died; refuse to search something else."""
    until = time.monotonic() + _SECONDS_TO_BEGIN
    while _SEARCH not in study.user_attrs and time.monotonic() < until:
        time.sleep(0.1)
    if _SEARCH not in study.user_attrs:
        if study.get_trials(deepcopy=False):
            raise SweepError(f"study {study.study_name} is not one of soft-labels; choose another name with --study")
        study.set_user_attr(_SEARCH, purpose)
    for part, wanted in purpose.items():
        there = study.user_attrs[_SEARCH].get(part)
        if there != wanted:
            raise SweepError(
                f"study {study.study_name} has another {part}: {there}, not {wanted}; choose another name with --study"
            )


@contextmanager
def _given_back(batch: list[Asked], turn: Future[list[Asked]]) -> Iterator[None]:
    """Leave trials to others that an error or an interruption keeps from being finished, also those claimed ahead."""
    try:
        yield
    except StorageLostError:
        raise
    except BaseException:
        for _, claim in [*batch, *([] if turn.exception() else turn.result())]:
            claim.give_up()
        raise


def _train(batch: list[Asked], runner: Runner, sweep: SweepSettings) -> list[Done]:
    """Train a batch; trials that share their data are a task, and a pruner knows of each task for itself."""
    joined = batch[0].search.joined
    owner = joined.worker if joined.storage.shared else None  # a frozen worker that had these trials delays nobody
    # When a run is pruned depends on when it ran: what another worker made of the same settings is another run.
    rule = sweep.pruner_name if owner is None else f"{sweep.pruner_name} {owner}"
    tasks, reports = [], []
    groups = _by_data(batch)
    for datamodule, group in groups.items():
        reports.append(_Reports([claim for _, claim in group]))
        specs = [replace(search.planned.base, **spec_fields(claim.trial.params)) for search, claim in group]
        pruning = Pruning(rule, reports[-1].after_epoch) if sweep.prunes else None
        tasks.append(Task(datamodule.embedded, specs, pruning))
    found = runner.run_all(tasks, owner=owner)
    if sweep.prunes:
        for told, records in zip(reports, found, strict=True):
            told.complete(records)
    return [
        Done(claim, record)
        for group, records in zip(groups.values(), found, strict=True)
        for (_, claim), record in zip(group, records, strict=True)
    ]


def _by_data(batch: list[Asked]) -> dict[AnnotationDataModule, list[Asked]]:
    """The trials on each data, in the order in which they were asked."""
    groups: dict[AnnotationDataModule, list[Asked]] = {}
    for asked in batch:
        datamodule = asked.search.planned.datamodule_of(data_choice(asked.claim.trial.params))
        groups.setdefault(datamodule, []).append(asked)
    return groups


class _Reports:
    """Reports each epoch of each trial once, to a pruner: as it ends, or from a record that was there already."""

    def __init__(self, claims: list[Claim]) -> None:
        self._claims = claims
        self._reported: set[tuple[int, int]] = set()

    def after_epoch(self, position: int, epoch: int, loss: float) -> bool:
        """Report an epoch; true if the trial should end."""
        self._report(position, epoch, rounded(loss))
        return self._claims[position].should_prune()

    def complete(self, records: list[RunRecord]) -> None:
        """Report the epochs that were not reported yet, and let the pruner note what it then notes."""
        for epoch in range(max(len(record.curve["val/loss"]) for record in records)):
            for position, record in enumerate(records):
                if (position, epoch) not in self._reported and epoch < len(record.curve["val/loss"]):
                    self._report(position, epoch, record.curve["val/loss"][epoch])
                    self._claims[position].should_prune()

    def _report(self, position: int, epoch: int, loss: float | None) -> None:
        """Report an epoch."""
        self._claims[position].report(epoch, loss)
        self._reported.add((position, epoch))
