"""A study as one worker sees it, for samplers and pruners, which read all trials with every value that they choose."""

import copy
import math
import time
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

_SECONDS = 1.0  # how old what others did may be, at least
_SHARE = 20  # of which looking takes at most a 20th


def _passed_on(name: str) -> Callable[..., Any]:
    """A method that asks the storage itself."""

    def call(self: "StudyView", *arguments: Any, **named: Any) -> Any:
        return getattr(self.backend, name)(*arguments, **named)

    return call


class StudyView(BaseStorage):
    """A storage of one study between its sampler and pruner, and the storage that all workers share.

    A database takes milliseconds for every call. Here all trials are read at once, new trials are collected and
    created whole, and what is noted of trials that this worker trains is seen at once and stored a little later.

    Args:
        study: The study.
    """

    def __init__(self, study: Study) -> None:
        self.backend: BaseStorage = study._storage
        self._study_id = study._study_id
        self._directions = study.directions
        self._known: list[FrozenTrial] = []
        self._look_again = -math.inf
        self._own: dict[int, FrozenTrial] = {}
        self._asked: list[FrozenTrial] = []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="storage-writes")
        self._writes: defaultdict[int, list[Future[None]]] = defaultdict(list)
        self._study = optuna.load_study(
            study_name=study.study_name, storage=self, sampler=study.sampler, pruner=study.pruner
        )

    def look(self) -> list[FrozenTrial]:
        """Read all trials as they are now."""
        begin = time.monotonic()
        trials = self.backend.get_all_trials(self._study_id, deepcopy=False)
        self._look_again = begin + max(_SECONDS, _SHARE * (time.monotonic() - begin))
        if len(trials) >= len(self._known):  # another thread may have looked since
            self._known = trials
        return trials

    def ask(self, space: dict[str, BaseDistribution], trials: int) -> list[FrozenTrial]:
        """Trials that the sampler wants next; they are in no storage yet."""
        for _ in range(trials):
            self._study.ask(space)
        asked, self._asked = self._asked, []
        return asked

    def should_prune(self, trial_id: int) -> bool:
        """Whether the pruner would end one of this worker's trials now."""
        return bool(self._study.pruner.prune(self._study, self._own[trial_id]))

    def begin(self, trial: FrozenTrial) -> None:
        """Know that this worker trains a trial."""
        self._own[trial._trial_id] = copy.deepcopy(trial)

    def end(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial once all that was noted of it is stored.

        Raises:
            UpdateFinishedTrialError: It was taken back meanwhile.
            SweepError: The storage is lost.
        """
        for write in self._writes[trial_id]:
            write.result()
        self.backend.set_trial_state_values(trial_id, state, values)
        if trial_id in self._own:
            own = self._renewed(trial_id)
            own.state, own.values = state, values
            self._known[own.number] = own

    def forget(self, trial_id: int) -> None:
        """Know no longer that this worker trained a trial."""
        self._own.pop(trial_id, None)
        self._writes.pop(trial_id, None)

    def close(self) -> None:
        """Write nothing more; a storage that is lost would be waited for with every write."""
        self._writer.shutdown(wait=False, cancel_futures=True)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials but those that wait in a queue; of other workers' they may be seconds old."""
        if time.monotonic() > self._look_again:
            self.look()
        trials = [*(self._own.get(trial._trial_id, trial) for trial in self._known), *self._asked]
        chosen = [
            trial for trial in trials if trial.state != TrialState.WAITING and (states is None or trial.state in states)
        ]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial that this worker asks for or trains."""
        return self._asked[-1 - trial_id] if trial_id < 0 else self._own[trial_id]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begin a trial that the sampler fills; those that are asked for are numbered downwards from -1."""
        trial = create_trial(state=TrialState.RUNNING)
        trial.number = len(self._known) + len(self._asked)
        trial._trial_id = -1 - len(self._asked)
        self._asked.append(trial)
        return trial._trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Fill in a value that the sampler chose."""
        trial = self._asked[-1 - trial_id]
        trial.distributions[param_name] = distribution
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Note an epoch of a trial that this worker trains."""
        own = self._renewed(trial_id)
        own.intermediate_values = {**own.intermediate_values, step: intermediate_value}
        self._write(trial_id, self.backend.set_trial_intermediate_value, step, intermediate_value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note what a sampler or pruner wants to know later."""
        if trial_id < 0:
            self._asked[-1 - trial_id].system_attrs[key] = value
            return
        own = self._renewed(trial_id)
        own.system_attrs = {**own.system_attrs, key: value}
        self._write(trial_id, self.backend.set_trial_system_attr, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """The study's number, which a pruner of brackets wants with every epoch."""
        return self._study_id

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """What is minimised."""
        return self._directions

    def _renewed(self, trial_id: int) -> FrozenTrial:
        """A copy that takes the place of a trial; whoever has read it keeps it as it was."""
        self._own[trial_id] = copy.copy(self._own[trial_id])
        return self._own[trial_id]

    def _write(self, trial_id: int, call: Callable[..., None], *arguments: Any) -> None:
        """Store something soon, in order."""
        self._writes[trial_id].append(self._writer.submit(call, trial_id, *arguments))

    set_trial_user_attr = _passed_on("set_trial_user_attr")
    set_trial_state_values = _passed_on("set_trial_state_values")
    create_new_study = _passed_on("create_new_study")
    delete_study = _passed_on("delete_study")
    get_all_studies = _passed_on("get_all_studies")
    get_study_name_from_id = _passed_on("get_study_name_from_id")
    get_study_system_attrs = _passed_on("get_study_system_attrs")
    get_study_user_attrs = _passed_on("get_study_user_attrs")
    set_study_system_attr = _passed_on("set_study_system_attr")
    set_study_user_attr = _passed_on("set_study_user_attr")
