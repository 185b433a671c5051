import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from soft_labels.commands.sweep_options import base_spec, parse_sweep
from soft_labels.errors import ConfigError, SweepError
from soft_labels.sweep import PlannedSearch
from soft_labels.sweep.space import grid_points
from soft_labels.training.spec import CONFIG_KEYS, RunSpec
from tests.conftest import MakeOptions

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
OTHER = RunSpec(
    target="hard", hidden_width=32, dropout=0.1, lr=0.02, weight_decay=1e-3, scheduler="plateau", plateau_factor=0.3,
    plateau_patience=7, standardize=False, seed=11, batch_size=4, max_epochs=9, patience=6, min_delta=1e-2,
    loss="brier", smoothing=0.3, shrinkage=2.0, head="logistic", neighbours=3,
)  # fmt: skip
RANDOM = {"class_path": "optuna.samplers.RandomSampler"}
TPE = {"sampler": {"class_path": "optuna.samplers.TPESampler"}, "trials": 5}


def test_the_base_takes_over_every_field_of_a_configuration(make_options: MakeOptions) -> None:
    values = OTHER.settings()
    same = {field for field, value in values.items() if value == getattr(RunSpec(), field)}
    assert not same, "all fields differ from their defaults"
    options = make_options(*(f"--{CONFIG_KEYS[field]}={value}" for field, value in values.items()))
    assert base_spec(options.cli.config, options.cli.parser.get_defaults()) == options.base == OTHER


@pytest.mark.parametrize(
    "option",
    [
        "trainer.gradient_clip_val=1",
        "trainer.min_epochs=3",
        "early_stopping.monitor=val/kl",
        "checkpoint.monitor=val/kl",
        "model.calibration=temperature",
    ],
)
def test_a_setting_that_no_record_would_show_is_refused(make_options: MakeOptions, option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option.partition('=')[0]} can be set for fit only"):
        _ = make_options(f"--{option}").base


@pytest.mark.parametrize(
    ("only", "message"), [("soft,soft", "wanted each arm once"), ("both", "wanted an arm of"), ("", "wanted an arm of")]
)
def test_other_arms_are_refused(make_options: MakeOptions, only: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _ = make_options(f"--only={only}").arms


def test_a_derived_arm_has_nothing_to_search_for(make_options: MakeOptions) -> None:
    arms = {"soft": {"model.target": "soft"}, "soft_t": {"from": "soft", "calibration": "temperature"}}
    options = make_options(f"--arms={json.dumps(arms)}", "--baseline=soft")
    with pytest.raises(ConfigError, match="arm soft_t is derived from another and has nothing to search for"):
        _ = options.arms
    assert make_options(f"--arms={json.dumps(arms)}", "--baseline=soft", "--only=soft").arms.names == ("soft",)


def planned(make_options: MakeOptions, arms: dict[str, Any], **settings: Any) -> dict[str, PlannedSearch]:
    options = make_options(f"--arms={json.dumps(arms)}", f"--baseline={next(iter(arms))}", **settings)
    return options.planned(options.arms)


@pytest.mark.slow
def test_each_arm_has_its_own_settings_on_top_of_the_base(make_options: MakeOptions) -> None:
    arms = {"soft": {"model.target": "soft"}, "narrow": {"model.hidden_width": 4, "trainer.max_epochs": 7}}
    found = planned(make_options, arms)
    base = make_options().base
    assert {name: one.base for name, one in found.items()} == {
        "soft": base, "narrow": replace(base, hidden_width=4, max_epochs=7),
    }  # fmt: skip
    assert found["soft"].sweep is found["narrow"].sweep


@pytest.mark.slow
def test_an_arm_may_search_keys_of_its_own_within_the_same_budget(make_options: MakeOptions) -> None:
    own = {"model.dropout": {"float": [0, 0.5]}}
    arms = {"soft": {"model.target": "soft"}, "dropped": {"model.target": "soft", "space": own}}
    found = planned(make_options, arms, **TPE)
    assert list(found["soft"].sweep.space) == ["model.lr", "data.init_args.batch_size"]
    assert list(found["dropped"].sweep.space) == ["model.lr", "data.init_args.batch_size", "model.dropout"]
    assert [one.sweep.trials for one in found.values()] == [5, 5]


@pytest.mark.slow
def test_an_arm_may_search_a_key_in_another_range(make_options: MakeOptions) -> None:
    own = {"model.lr": {"categorical": [0.2, 0.3, 0.4]}, "data.init_args.batch_size": {"categorical": [4, 5]}}
    found = planned(make_options, {"soft": {}, "fast": {"space": own}})
    choices = [getattr(each, "choices", None) for each in found["fast"].sweep.space.values()]
    assert choices == [(0.2, 0.3, 0.4), (4, 5)]
    assert [one.sweep.trials for one in found.values()] == [6, 6]


@pytest.mark.slow
def test_a_head_that_is_solved_searches_and_has_what_it_reads_alone(make_options: MakeOptions) -> None:
    ranges = {"space": {"model.weight_decay": {"float": [1e-3, 1.0], "log": True}}}
    arms = {"soft": {"model.target": "soft"}, "convex": {"model.head": "logistic", **ranges}}
    given = make_options(f"--arms={json.dumps(arms)}", "--baseline=soft", "--seed_everything=4", **TPE)
    planned = given.planned(given.arms)
    assert given.base.hidden_width == 8 != RunSpec.hidden_width, "the toy options set it for all arms"
    assert planned["convex"].base == RunSpec(head="logistic")
    assert list(planned["convex"].sweep.space) == ["model.weight_decay"]
    assert list(planned["soft"].sweep.space) == ["model.lr", "data.init_args.batch_size"]
    assert planned["soft"].sweep.trials == planned["convex"].sweep.trials == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"model.head": "logistic"}, "its head logistic reads nothing that the sweep searches; .* of weight_decay"),
        ({"model.head": "logistic", "space": {"model.lr": {"float": [1e-3, 1]}}}, "does not honour lr: .*got a search"),
        ({"model.head": "logistic", "model.lr": 0.1, "space": {"model.weight_decay": {"float": [0, 1]}}}, "honour lr"),
        ({"model.head": "logistik"}, "wanted a head of mlp, logistic, neighbours, got logistik; did you mean logistic"),
    ],
)
def test_what_a_solved_head_does_not_read_is_refused_where_its_own_arm_says_it(
    make_options: MakeOptions, arm: dict[str, Any], message: str
) -> None:
    arms = {"soft": {"model.target": "soft"}, "convex": arm}
    options = make_options(f"--arms={json.dumps(arms)}", "--baseline=soft", **TPE)
    with pytest.raises(ConfigError, match=f"arm convex.*{message}"):
        options.planned(options.arms)


@pytest.mark.slow
def test_a_grid_that_gives_an_arm_more_trials_is_refused(make_options: MakeOptions) -> None:
    arms = {"soft": {}, "dropped": {"space": {"model.dropout": {"categorical": [0, 0.5]}}}}
    with pytest.raises(SweepError, match="wanted the same number of trials for every arm, got 6 of soft, 12 of drop"):
        planned(make_options, arms)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "error", "message"),
    [
        ({"model.lr": 0.5}, ConfigError, "arm odd sets model.lr, which its search changes; leave it out of one"),
        ({"data.batch_size": 4}, ConfigError, "arm odd sets data.init_args.batch_size, which its search changes"),
        ({"model.dropout": 2}, ConfigError, "arm odd: .*wanted a dropout from 0 to below 1"),
        ({"model.target": "medium"}, ConfigError, "arm odd: .*wanted a target of soft, hard, .*, got medium"),
        (
            {"model.smoothing": 0.2},
            ConfigError,
            "arm odd with target soft does not honour smoothing: .*, got 0.2; leave",
        ),
        (
            {"space": {"model.shrinkage": {"float": [0, 1]}}},
            ConfigError,
            "arm odd with target soft does not honour shrinkage: .*, got a search; leave it out, or choose a target",
        ),
        ({"model.rate": 2}, ConfigError, "arm odd: model.rate is no key of fit"),
        ({"data.items": 9}, ConfigError, "arm odd: wanted settings of the head, got data.init_args.items"),
        ({"space": {"model.target": {"categorical": ["soft"]}}}, SweepError, "must not name model.target"),
        ({"space": {"model.dropout": {"range": [0, 1]}}}, SweepError, "model.dropout: wanted {categorical"),
    ],
)
def test_an_arm_that_cannot_be_searched_is_refused_in_words(
    make_options: MakeOptions, own: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"(?s){message}"):
        planned(make_options, {"soft": {}, "odd": own}, **TPE)


def test_the_best_configuration_names_its_calibration(make_options: MakeOptions) -> None:
    options = make_options()
    text = options.fit_config(options.base, (), "temperature")
    assert yaml.safe_load(text)["model"]["calibration"] == "temperature"
    assert yaml.safe_load(options.fit_config(options.base, ()))["model"]["calibration"] == "none"


def test_the_best_configuration_keeps_a_null_that_is_no_default(make_options: MakeOptions, tiny_table: Path) -> None:
    """A table without a column of uids says ``uid_column: null``; left out, it would have one of the usual name."""
    table = f"--config={CONFIGS}/data/table.yaml", f"--data.path={tiny_table}", "--data.uid_column=null"
    options = make_options(*table, "--data.encoder=tests.toys.SeededEncoder")
    data = yaml.safe_load(options.fit_config(options.base, ()))["data"]
    assert data["init_args"]["uid_column"] is None


def test_a_choice_of_data_has_one_data_module_on_the_same_split(
    make_options: MakeOptions, tiny_chaosnli_root: Path, toy_text: str
) -> None:
    data = f"--config={CONFIGS}/data/chaosnli.yaml", f"--data.root={tiny_chaosnli_root}", f"--data.encoder={toy_text}"
    options = make_options(*data)
    choice = (("data.init_args.pair_features", "one_text"),)
    joined = options.datamodule(choice)
    assert joined is options.datamodule(choice)
    assert (joined.embedding_dim, options.datamodule().embedding_dim) == (6, 24)
    assert joined.dataset.split == options.datamodule().dataset.split


@pytest.mark.slow
def test_nothing_is_read_to_parse(toy_options: tuple[str, ...], tmp_path: Path) -> None:
    options = parse_sweep([*toy_options, f"--data.store={tmp_path}/store", f"--sweep={CONFIGS}/sweep/tpe.yaml"])
    assert options.sweep.trials == 36
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_the_papers_grid_has_its_108_points_and_the_others_draw_fewer_of_them(toy_options: tuple[str, ...]) -> None:
    grid, tpe, random = (
        parse_sweep([*toy_options, f"--sweep={CONFIGS}/sweep/{name}.yaml"]).sweep
        for name in ("paper_grid", "tpe", "random")
    )
    points = {tuple(point.values()) for point in grid_points(grid.space)}
    assert points == {
        (lr, batch, decay, scheduler, epochs)
        for lr in (1e-3, 1e-4, 1e-5) for batch in (8, 16, 32) for decay in (0, 1e-4)
        for scheduler in ("none", "plateau") for epochs in (10, 15, 20)
    }  # fmt: skip
    assert grid.trials == 108
    assert (tpe.space, tpe.trials, tpe.sampler_name) == (grid.space, 36, "TPESampler")
    assert (random.space, random.trials, random.sampler_name) == (grid.space, 36, "RandomSampler")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"space": {"model.lr": {"categorical": [0.1] * 3606}, "data.batch_size": {"categorical": [8] * 3606}}},
            "a grid of 13,003,236 points for each arm would take some 36 hours and 99 GiB of memory",
        ),
        ({"sampler": RANDOM, "trials": 10**9}, "1,000,000,000 trials for each arm would take some 2,778 hours"),
        ({"space": {"model.hidden_width": {"categorical": [8, 10**12]}}}, "a head of hidden_width 1,000,000,000,000"),
    ],
)
def test_a_search_that_would_not_end_or_fit_is_refused_at_once(
    make_options: MakeOptions, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SweepError, match=message):
        make_options(**settings).sweep  # noqa: B018 # it is read


@pytest.mark.slow
def test_a_large_search_is_taken(make_options: MakeOptions) -> None:
    assert make_options(sampler=RANDOM, trials=1_000_000).sweep.trials == 1_000_000


@pytest.mark.parametrize("there", [True, False])
def test_a_sampler_says_which_package_it_wants(
    make_options: MakeOptions, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """Optuna itself asks for it only when the first trials have ended."""
    monkeypatch.setitem(sys.modules, "cmaes", ModuleType("cmaes") if there else None)
    options = make_options(
        space={"model.lr": {"float": [1e-3, 1e-1]}}, sampler={"class_path": "optuna.samplers.CmaEsSampler"}, trials=4
    )
    if there:
        assert options.sweep.sampler_name == "CmaEsSampler"
    else:
        with pytest.raises(SweepError, match=r"CmaEsSampler wants the package cmaes: pip install cmaes"):
            options.sweep  # noqa: B018 # it is read
