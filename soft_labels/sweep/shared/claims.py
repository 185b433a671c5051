"""Which trials a worker trains: whatever is killed, cut off or sent twice, each planned trial counts once.

There is no queue. A worker creates the trials that it will train, looks at the study again, and gives up those that an
earlier trial stands for already; the order of trial numbers, which every storage keeps, decides. A trial that was taken
back from a worker has failed, so that its point is free again, and what that worker says later changes nothing.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from soft_labels.errors import SweepError
from soft_labels.runs.record import RunRecord, rounded
from soft_labels.sweep.settings import SweepSettings
from soft_labels.sweep.shared.storage import Storage
from soft_labels.sweep.shared.view import StudyView
from soft_labels.sweep.space import Choice, grid_points

RUN = "run"  # a trial's user attribute: the id of its run's record
WORKER = "worker"  # a trial's user attribute: who trains it
_BROKEN = "no finite loss"  # a trial's user attribute: its run was trained, and failed
_CHANCE = random.SystemRandom()  # the global generator may have the same seed in every worker
_COUNTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class JoinedStudy:
    """A study that a worker has joined.

    Args:
        study: The study.
        sweep: What is searched and how.
        storage: Where the study lives.
        worker: The worker's name, which no other has.
    """

    study: Study
    sweep: SweepSettings
    storage: Storage
    worker: str

    @cached_property
    def view(self) -> StudyView:
        """The study as sampler and pruner see it."""
        return StudyView(self.study)

    def complete(self) -> bool:
        """Whether every planned trial has been trained."""
        planned = self._planned(self.view.look())
        return len(planned) == self.sweep.trials and all(trial.state.is_finished() for trial in planned)

    def claim(self, ahead: bool = False) -> list["Claim"]:
        """Create the next trials, at most a batch, and keep those that nobody else has.

        Args:
            ahead: Claim nothing where it is better to claim later: a sampler learns meanwhile, or what is left is
                not plenty for all workers.
        """
        with self.storage.lock:
            before = self.view.look()
            planned = self._planned(before)
            free = self.sweep.trials - len(planned)
            batch = min(self.sweep.batch_size(self.storage.shared), free)
            if batch == 0 or (ahead and (self.sweep.learns or free <= batch * _workers(planned))):
                return []
            if self.sweep.sampler is None:
                self._start_points(planned, batch)
            else:
                self._ask(batch)
            return self._kept(len(before))

    def _planned(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """The trials that count: the first of each point of a grid, and no more than were asked for."""
        of_grid = self.sweep.sampler is None
        first: dict[object, FrozenTrial] = {}
        for trial in filter(_counts, trials):
            first.setdefault(_point(trial.params) if of_grid else trial.number, trial)
        return list(first.values())[: self.sweep.trials]

    def _start_points(self, planned: list[FrozenTrial], batch: int) -> None:
        """Start points of the grid that no trial stands for; any of them, so that workers seldom choose the same."""
        taken = {_point(trial.params) for trial in planned}
        free = [point for point in grid_points(self.sweep.space) if _point(point) not in taken]
        for point in _CHANCE.sample(free, batch) if self.storage.shared else free[:batch]:
            self._start(point, {})

    def _ask(self, batch: int) -> None:
        """Start what the sampler chooses."""
        with served_by(self.sweep):
            asked = self.view.ask(dict(self.sweep.space), batch)
        for trial in asked:
            self._start(trial.params, trial.system_attrs)

    def _start(self, params: Mapping[str, Choice], system_attrs: dict[str, Any]) -> None:
        """Create a trial whole, so that a database is called once."""
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=dict(params),
                distributions=dict(self.sweep.space),
                user_attrs={WORKER: self.worker},
                system_attrs=system_attrs,
            )
        )

    def _kept(self, since: int) -> list["Claim"]:
        """This worker's trials from a number on that count; the others, as points sent twice, are given up."""
        trials = self.view.look()
        planned = {trial.number for trial in self._planned(trials)}
        running = [trial for trial in trials[since:] if trial.state == TrialState.RUNNING]
        own = [Claim(self, trial) for trial in running if trial.user_attrs.get(WORKER) == self.worker]
        for claim in own:
            if claim.trial.number not in planned:
                claim.give_up()
        kept = [claim for claim in own if claim.trial.number in planned]
        for claim in kept:
            self.view.begin(claim.trial)
        return kept


@dataclass(frozen=True)
class Claim:
    """A trial that a worker trains, until it is finished or taken back.

    Args:
        joined: Its study.
        trial: The trial as it was when it was claimed.
    """

    joined: JoinedStudy
    trial: FrozenTrial

    def report(self, epoch: int, loss: float | None) -> None:
        """Report an epoch's validation loss, unless it is not finite."""
        if loss is not None:
            self.joined.view.set_trial_intermediate_value(self.trial._trial_id, epoch, loss)

    def should_prune(self) -> bool:
        """Whether the pruner would end the trial now."""
        return self.joined.view.should_prune(self.trial._trial_id)

    def finish(self, record: RunRecord) -> None:
        """Say what came; a run without a finite validation loss has failed."""
        with self._ending():
            self._set(RUN, record.id)
            if record.ending == "pruned":
                self._end(TrialState.PRUNED, record.curve["val/loss"][-1])
            elif rounded(record.value) is None:
                self._set(_BROKEN, True)
                self._end(TrialState.FAIL)
            else:
                self._end(TrialState.COMPLETE, record.value)

    def give_up(self) -> None:
        """Leave the trial's place to another one."""
        with self._ending():
            self._end(TrialState.FAIL)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Change the trial for the last time, unless it was taken back meanwhile."""
        with suppress(UpdateFinishedTrialError), self.joined.storage.lock:
            yield
        self.joined.view.forget(self.trial._trial_id)

    def _set(self, key: str, value: str | bool) -> None:
        """Note something beside the trial."""
        self.joined.storage.backend.set_trial_user_attr(self.trial._trial_id, key, value)

    def _end(self, state: TrialState, value: float | None = None) -> None:
        """End the trial as ``Study.tell`` does, which reads it twice from a database."""
        values = None if value is None else [value]
        with served_by(self.joined.sweep):
            self.joined.study.sampler.after_trial(self.joined.study, self.trial, state, values)
        self.joined.view.end(self.trial._trial_id, state, values)


def _workers(trials: list[FrozenTrial]) -> int:
    """How many workers train."""
    return len({trial.user_attrs.get(WORKER) for trial in trials if trial.state == TrialState.RUNNING})


def finished(study: Study) -> list[FrozenTrial]:
    """Trials that have trained, in the order in which they were asked for."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished() and _counts(trial)]


def run_ids(study: Study) -> list[str]:
    """Record ids of the finished trials, in the order in which they were asked for; trials may share one."""
    return [trial.user_attrs[RUN] for trial in finished(study)]


def _point(params: Mapping[str, Choice]) -> str:
    """What tells points of a grid apart."""
    return repr(sorted(params.items()))


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial trains or has trained; most failed ones were given up or taken back."""
    return trial.state in _COUNTED or _BROKEN in trial.user_attrs


@contextmanager
def served_by(sweep: SweepSettings) -> Iterator[None]:
    """Say which sampler could not do what a batch asks of it.

    Raises:
        SweepError: The sampler refuses.
    """
    try:
        yield
    except (ImportError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise SweepError(
            f"{sweep.sampler_name} cannot serve this search in batches: {error}; "
            "choose another sampler, such as optuna.samplers.TPESampler"
        ) from error
