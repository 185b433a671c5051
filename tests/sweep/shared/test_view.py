"""What a sampler or pruner chooses through a view is what it chooses on the storage itself, and all of it is stored."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, PatientPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from soft_labels.sweep.shared import view
from soft_labels.sweep.shared.view import StudyView

SPACE: dict[str, BaseDistribution] = {"lr": FloatDistribution(1e-5, 1, log=True), "width": IntDistribution(1, 100)}
SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=3),
    "tpe": lambda: TPESampler(seed=3, n_startup_trials=4),
    "tpe of joint values": lambda: TPESampler(seed=3, n_startup_trials=4, multivariate=True, constant_liar=True),
    "gaussian process": lambda: GPSampler(seed=3, n_startup_trials=4),
    "quasi-random": lambda: QMCSampler(seed=3, scramble=True, warn_asynchronous_seeding=False),
    "genetic": lambda: NSGAIISampler(seed=3, population_size=4),
}
SLOW = {"gaussian process": pytest.mark.slow}
PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "median": lambda: MedianPruner(n_startup_trials=2),
    "successive halving": lambda: SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    "hyperband": lambda: HyperbandPruner(min_resource=1, max_resource=8, reduction_factor=2),
    "patient": lambda: PatientPruner(MedianPruner(n_startup_trials=2), patience=1),
}


class Counted(InMemoryStorage):
    """A storage that counts calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def create_new_trial(self, *arguments: Any, **named: Any) -> int:
        self.calls["create"] += 1
        return super().create_new_trial(*arguments, **named)

    def get_all_trials(self, *arguments: Any, **named: Any) -> list[FrozenTrial]:
        self.calls["read"] += 1
        return super().get_all_trials(*arguments, **named)

    def set_trial_param(self, *arguments: Any, **named: Any) -> None:
        self.calls["param"] += 1
        super().set_trial_param(*arguments, **named)

    def get_study_id_from_name(self, study_name: str) -> int:
        self.calls["study"] += 1
        return super().get_study_id_from_name(study_name)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        self.calls["study"] += 1
        return super().get_study_directions(study_id)


def new_study(sampler: BaseSampler | None = None, pruner: BasePruner | None = None) -> Study:
    return optuna.create_study(storage=Counted(), study_name="study", sampler=sampler, pruner=pruner)


def loss(trial: FrozenTrial, epoch: int = 0) -> float:
    """What gets worse, the sooner the larger it is."""
    return float((trial.params["lr"] - 0.1) ** 2 + trial.params["width"] / 100) * (1 + epoch / 10)


def begun(studied: StudyView, study: Study, asked: list[FrozenTrial]) -> list[FrozenTrial]:
    """Create the trials that were asked for."""
    before = len(study.trials)
    for trial in asked:
        study.add_trial(
            create_trial(
                state=TrialState.RUNNING, params=trial.params, distributions=SPACE, system_attrs=trial.system_attrs
            )
        )
    trials = studied.look()[before:]
    for trial in trials:
        studied.begin(trial)
    return trials


def plainly(study: Study, count: int) -> list[FrozenTrial]:
    """Ask as Optuna's users do."""
    before = len(study.trials)
    for _ in range(count):
        study.ask(SPACE)
    return study.trials[before:]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in SAMPLERS])
def test_a_sampler_chooses_what_it_chooses_on_the_storage(name: str) -> None:
    direct, through = (new_study(SAMPLERS[name]()) for _ in range(2))
    studied = StudyView(through)
    for _ in range(4):
        studied.look()
        asked, trials = plainly(direct, 3), begun(studied, through, studied.ask(SPACE, 3))
        assert [trial.params for trial in trials] == [trial.params for trial in asked]
        assert [trial.system_attrs for trial in trials] == [trial.system_attrs for trial in asked]
        for trial in trials:
            direct.tell(trial.number, loss(trial))
            through.sampler.after_trial(through, trial, TrialState.COMPLETE, [loss(trial)])
            studied.end(trial._trial_id, TrialState.COMPLETE, [loss(trial)])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", PRUNERS)
def test_a_pruner_ends_what_it_ends_on_the_storage(name: str) -> None:
    direct, through = (new_study(RandomSampler(seed=3), PRUNERS[name]()) for _ in range(2))
    studied = StudyView(through)
    for _ in range(4):
        plainly(direct, 4)
        training = begun(studied, through, studied.ask(SPACE, 4))
        for epoch in range(8):
            for trial in list(training):
                value = loss(trial, epoch)
                direct._storage.set_trial_intermediate_value(trial._trial_id, epoch, value)
                studied.set_trial_intermediate_value(trial._trial_id, epoch, value)
                ends = studied.should_prune(trial._trial_id)
                assert ends == direct.pruner.prune(direct, direct.trials[trial.number])
                if ends:
                    direct.tell(trial.number, state=TrialState.PRUNED)
                    studied.end(trial._trial_id, TrialState.PRUNED, [value])
                    training.remove(trial)
        for trial in training:
            direct.tell(trial.number, loss(trial))
            studied.end(trial._trial_id, TrialState.COMPLETE, [loss(trial)])
    assert {trial.state for trial in direct.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    for stored, plain in zip(through.trials, direct.trials, strict=True):
        assert stored.intermediate_values == plain.intermediate_values
        assert stored.system_attrs == plain.system_attrs
        assert stored.state == plain.state


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", PRUNERS)
def test_a_batch_costs_one_look_a_call_for_each_trial_and_none_for_an_epoch(name: str) -> None:
    study = new_study(TPESampler(seed=3, n_startup_trials=0), PRUNERS[name]())
    studied = StudyView(study)
    studied.look()
    calls = storage_of(study).calls
    calls.clear()
    asked = studied.ask(SPACE, 5)
    assert calls == {}
    trials = begun(studied, study, asked)
    assert calls.pop("create") == 5
    calls.clear()
    for trial in trials:
        studied.set_trial_intermediate_value(trial._trial_id, 0, 0.5)
        studied.should_prune(trial._trial_id)
    assert calls == {}


def test_trials_that_somebody_put_in_a_queue_are_left_there() -> None:
    study = new_study(TPESampler(seed=3))
    study.enqueue_trial({"lr": 0.1, "width": 5})
    studied = StudyView(study)
    studied.look()
    asked = studied.ask(SPACE, 2)
    assert [trial.number for trial in asked] == [1, 2]
    assert study.trials[0].state == TrialState.WAITING


def storage_of(study: Study) -> Counted:
    assert isinstance(study._storage, Counted)
    return study._storage


def test_what_other_workers_report_is_seen_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    study = new_study(RandomSampler(seed=3), MedianPruner(n_startup_trials=1))
    one, two = StudyView(study), StudyView(study)
    (good,) = begun(one, study, one.ask(SPACE, 1))
    (bad,) = begun(two, study, two.ask(SPACE, 1))
    for epoch in range(2):
        one.set_trial_intermediate_value(good._trial_id, epoch, 0.1)
    one.end(good._trial_id, TrialState.COMPLETE, [0.1])
    two.set_trial_intermediate_value(bad._trial_id, 1, 0.9)
    assert not two.should_prune(bad._trial_id)
    monkeypatch.setattr(view, "_SECONDS", 0)
    two.look()
    assert two.should_prune(bad._trial_id)


def test_a_trial_that_was_taken_back_stays_as_it_was_left() -> None:
    study = new_study(RandomSampler(seed=3))
    one = StudyView(study)
    (trial,) = begun(one, study, one.ask(SPACE, 1))
    study.tell(trial.number, state=TrialState.FAIL)
    one.set_trial_intermediate_value(trial._trial_id, 0, 0.5)
    with pytest.raises(UpdateFinishedTrialError):
        one.end(trial._trial_id, TrialState.COMPLETE, [0.5])
    assert study.trials[0].state == TrialState.FAIL
    assert study.trials[0].intermediate_values == {}
