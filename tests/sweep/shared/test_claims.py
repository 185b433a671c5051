"""Claims of two workers on one study, with every order of steps that a server without a lock allows."""

import random
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from soft_labels.runs.record import RunRecord
from soft_labels.sweep import SweepSettings, run_ids
from soft_labels.sweep.shared.claims import Claim, JoinedStudy
from soft_labels.sweep.shared.storage import Storage, open_storage
from tests.conftest import MakeOptions

TPE = {"sampler": {"class_path": "optuna.samplers.TPESampler"}, "trials": 4}


def joins(sweep: SweepSettings) -> tuple[JoinedStudy, JoinedStudy]:
    storage = open_storage()
    study = optuna.create_study(storage=storage.backend, sampler=sweep.new_sampler(shared=False))
    return JoinedStudy(study, sweep, storage, "one"), JoinedStudy(study, sweep, storage, "two")


def record(loss: float | None = 0.5, ending: str = "max_epochs") -> RunRecord:
    fields: dict[str, Any] = dict.fromkeys(RunRecord.__dataclass_fields__)
    curve = {"lr": [0.1, 0.1], "val/loss": [0.7, loss]}
    return RunRecord(**{**fields, "id": "abc", "curve": curve, "best_epoch": 1, "ending": ending})


def numbers(claims: list[Claim]) -> list[int]:
    return [claim.trial.number for claim in claims]


def states(joined: JoinedStudy) -> list[str]:
    return [trial.state.name.lower() for trial in joined.study.trials]


def test_of_two_workers_that_start_the_same_points_at_once_the_first_trains_them(make_options: MakeOptions) -> None:
    one, two = joins(make_options(batch=3).sweep)
    two._start_points([], 3)
    one._start_points([], 3)
    assert one._kept(0) == []
    assert numbers(two._kept(0)) == [0, 1, 2]
    assert states(one) == ["running"] * 3 + ["fail"] * 3
    assert len(one.claim()) == 3
    assert two.claim() == []


def test_workers_that_ask_at_once_train_no_more_trials_than_planned(make_options: MakeOptions) -> None:
    one, two = joins(make_options(**TPE).sweep)
    one._ask(3)
    two._ask(3)
    assert numbers(two._kept(0)) == [3]
    assert numbers(one._kept(0)) == [0, 1, 2]
    assert states(one) == ["running"] * 4 + ["fail"] * 2


@pytest.mark.parametrize("settings", [{"batch": 6}, TPE], ids=["grid", "sampler"])
def test_a_trial_that_was_taken_back_is_run_again_and_its_first_worker_is_not_heard(
    make_options: MakeOptions, settings: dict[str, Any]
) -> None:
    one, two = joins(make_options(**settings).sweep)
    first, *others = one.claim()
    for claim in others:
        claim.finish(record())
    assert two.claim() == []
    Claim(two, first.trial).give_up()
    assert not one.complete()
    (again,) = two.claim()
    first.report(0, 0.1)
    first.finish(record(0.1))
    first.give_up()
    again.finish(record(0.3))
    assert one.complete()
    assert states(one) == ["fail"] + ["complete"] * one.sweep.trials
    assert one.study.trials[first.trial.number].intermediate_values == {}
    assert one.view.get_all_trials(0)[first.trial.number].state == TrialState.FAIL
    assert one.study.best_value == 0.3
    if one.sweep.sampler is None:
        assert again.trial.params == first.trial.params


def test_a_worker_that_finished_before_it_was_taken_back_is_heard(make_options: MakeOptions) -> None:
    one, two = joins(make_options(batch=6).sweep)
    claims = one.claim()
    for claim in claims:
        claim.finish(record())
        Claim(two, claim.trial).give_up()
    assert two.complete()
    assert two.claim() == []


def test_a_run_that_broke_down_or_was_pruned_is_done(make_options: MakeOptions) -> None:
    one, _ = joins(make_options(space={"model.lr": {"categorical": [1e-3, 1e-2]}}).sweep)
    broken, pruned = one.claim()
    broken.finish(replace(record(None), curve={"lr": [0.1, 0.1], "val/loss": [None, None]}))
    pruned.finish(record(ending="pruned"))
    assert one.complete()
    assert run_ids(one.study) == ["abc", "abc"]
    assert [(trial.state, trial.value) for trial in one.study.trials] == [
        (TrialState.FAIL, None), (TrialState.PRUNED, 0.5),
    ]  # fmt: skip


def test_a_call_that_was_sent_twice_starts_a_point_once(make_options: MakeOptions) -> None:
    class Twice(InMemoryStorage):
        """Answers that were lost, so that each trial was created twice."""

        def create_new_trial(self, *arguments: Any, **named: Any) -> int:
            super().create_new_trial(*arguments, **named)
            return super().create_new_trial(*arguments, **named)

    one, _ = joins(make_options(batch=2).sweep)
    backend = Twice()
    storage = Storage(backend, one.storage.lock, shared=False)
    joined = replace(one, storage=storage, study=optuna.create_study(storage=backend))
    assert numbers(joined.claim()) == [0, 2]
    assert numbers(joined.claim()) == [4, 6]
    assert states(joined) == ["running", "fail"] * 4


@pytest.mark.parametrize("settings", [{"batch": 2}, {**TPE, "batch": 2}], ids=["grid", "sampler"])
def test_trials_that_are_still_being_told_are_not_claimed_again(
    make_options: MakeOptions, settings: dict[str, Any]
) -> None:
    one, _ = joins(make_options(**settings).sweep)
    assert numbers(one.claim()) == [0, 1]
    assert numbers(one.claim()) == [2, 3]
    assert states(one) == ["running"] * 4


@pytest.mark.slow
def test_points_are_claimed_ahead_while_there_are_plenty_for_every_worker(make_options: MakeOptions) -> None:
    space = {"model.lr": {"categorical": [k / 100 for k in range(1, 11)]}}
    one, two = joins(make_options(space=space, batch=2).sweep)
    assert numbers(one.claim(ahead=True)) == [0, 1]
    assert numbers(two.claim()) == [2, 3]
    assert numbers(one.claim(ahead=True)) == [4, 5]
    assert two.claim(ahead=True) == []
    assert numbers(two.claim()) == [6, 7]


def test_no_trial_is_asked_for_ahead_of_what_its_sampler_could_learn(make_options: MakeOptions) -> None:
    one, _ = joins(make_options(**{**TPE, "trials": 40, "batch": 2}).sweep)
    assert one.claim(ahead=True) == []
    assert numbers(one.claim()) == [0, 1]


@pytest.mark.slow
def test_workers_that_were_seeded_alike_start_different_points(make_options: MakeOptions) -> None:
    sweep = make_options(space={"model.lr": {"categorical": [k / 1000 for k in range(1, 101)]}}, batch=20).sweep
    started = []
    for _ in range(2):
        one, _ = joins(sweep)
        random.seed(0)
        claims = replace(one, storage=replace(one.storage, shared=True)).claim()
        started.append([claim.trial.params["model.lr"] for claim in claims])
    assert started[0] != started[1]
