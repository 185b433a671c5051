import sys
from types import ModuleType
from typing import Any

import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import MedianPruner, NopPruner, PatientPruner, SuccessiveHalvingPruner
from optuna.samplers import TPESampler

from soft_labels.errors import SweepError
from soft_labels.sweep import SweepSettings
from tests.conftest import MakeOptions

TPE = {"class_path": "optuna.samplers.TPESampler", "init_args": {"n_startup_trials": 3}}


@pytest.mark.slow
def test_sampler_and_pruner_are_given_by_class_path(make_options: MakeOptions) -> None:
    pruner = {"class_path": "optuna.pruners.SuccessiveHalvingPruner", "init_args": {"min_resource": 2}}
    sweep = make_options(sampler=TPE, pruner=pruner, trials=20, batch=5).sweep
    assert isinstance(sweep.new_sampler(shared=False), TPESampler)
    assert isinstance(sweep.pruner, SuccessiveHalvingPruner)
    assert (sweep.prunes, sweep.trials, sweep.batch_size(shared=True)) == (True, 20, 5)


@pytest.mark.slow
def test_a_grid_has_as_many_trials_as_points_and_trains_them_together_unless_others_want_some(
    make_options: MakeOptions,
) -> None:
    sweep = make_options(space={"model.lr": {"categorical": [k / 100 for k in range(1, 31)]}}).sweep
    assert (sweep.trials, sweep.batch_size(shared=False), sweep.batch_size(shared=True)) == (30, 30, 12)
    assert isinstance(sweep.pruner, NopPruner)


def test_the_command_line_overrides_the_file(make_options: MakeOptions) -> None:
    assert make_options("--sweep.trials=9", sampler=TPE, trials=20).sweep.trials == 9


@pytest.mark.parametrize(("shared", "same"), [(False, True), (True, False)])
def test_samplers_are_seeded_in_memory_and_independent_among_workers(
    make_options: MakeOptions, shared: bool, same: bool
) -> None:
    sweep = make_options(sampler={"class_path": "optuna.samplers.RandomSampler"}, trials=2, seed=5).sweep
    draws = [vars(sweep.new_sampler(shared))["_rng"].rng.random() for _ in range(2)]
    assert (draws[0] == draws[1]) is same


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trials": 5}, "a grid of 6 points has as many trials, not 5"),
        ({"sampler": TPE}, "wanted the number of trials"),
        ({"sampler": TPE, "trials": 0}, "at least 1, got 0"),
        ({"batch": 0}, "at least 1, got 6 and 0"),
        ({"grace": 0}, "wanted a grace above 0 seconds, got 0"),
        ({"space": {"model.lr": {"categorical": [0.01, 1e-2]}}}, "model.lr: a grid wants every value once"),
        ({"sampler": {"class_path": "optuna.samplers.GridSampler", "init_args": {"search_space": {}}}, "trials": 4},
         "GridSampler cannot serve a batch; write sampler: grid"),
        ({"sampler": {"class_path": "optuna.samplers.CmaEsSampler"}, "trials": 4}, "draws categories at random"),
        ({"sampler": {"class_path": "optuna.samplers.TPESampler", "init_args": {"group": True, "multivariate": False}},
          "trials": 4}, "cannot make optuna.samplers.TPESampler: "),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_are_refused_in_words(
    make_options: MakeOptions, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SweepError, match=message):
        _ = make_options(**settings).sweep


def test_no_worker_unpickles_what_another_may_have_written(
    make_options: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = {"model.lr": {"float": [1e-3, 1e-1]}, "model.dropout": {"float": [0, 0.6]}}
    monkeypatch.setitem(sys.modules, "cmaes", ModuleType("cmaes"))
    sampler = {"class_path": "optuna.samplers.CmaEsSampler"}
    sweep = make_options(space=ranges, sampler=sampler, trials=4).sweep
    with pytest.raises(SweepError, match="CmaEsSampler unpickles what it finds in a storage"):
        sweep.new_sampler(shared=True)


def test_a_pruner_within_a_pruner_has_one_name_in_every_process() -> None:
    with pytest.warns(ExperimentalWarning):
        pruners = [PatientPruner(MedianPruner(n_warmup_steps=steps), patience=1) for steps in (2, 2, 3)]
    names = {SweepSettings({}, None, pruner, 1).pruner_name for pruner in pruners}
    assert len(names) == 2
    assert not any("0x" in name for name in names)
