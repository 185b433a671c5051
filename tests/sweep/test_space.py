from collections.abc import Mapping
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from soft_labels.errors import SweepError
from soft_labels.sweep.space import Choice, data_choice, grid_points, read_space, spec_fields
from tests.conftest import MakeOptions


def test_each_form_becomes_optunas_distribution(make_options: MakeOptions) -> None:
    space = make_options(
        space={
            "model.lr": {"float": [1e-5, 1e-2], "log": True},
            "model.hidden_width": {"int": [64, 512], "step": 64},
            "model.scheduler": {"categorical": ["none", "plateau"]},
        },
        sampler={"class_path": "optuna.samplers.RandomSampler"},
        trials=1,
    ).sweep.space
    assert space == {
        "model.lr": FloatDistribution(1e-5, 1e-2, log=True),
        "model.hidden_width": IntDistribution(64, 512, step=64),
        "model.scheduler": CategoricalDistribution(("none", "plateau")),
    }


def test_values_are_those_that_fit_would_read(make_options: MakeOptions) -> None:
    space = make_options(space={"model.lr": {"categorical": ["1e-3", 1]}, "trainer.max_epochs": {"categorical": ["5"]}})
    choices = {key: vars(distribution)["choices"] for key, distribution in space.sweep.space.items()}
    assert choices == {"model.lr": (1e-3, 1.0), "trainer.max_epochs": (5,)}
    assert [type(value) for values in choices.values() for value in values] == [float, float, int]


@pytest.mark.parametrize("key", ["data.batch_size", "data.init_args.batch_size"])
def test_a_key_may_be_short_where_it_may_be_in_fit(make_options: MakeOptions, key: str) -> None:
    assert list(make_options(space={key: {"categorical": [8]}}).sweep.space) == ["data.init_args.batch_size"]


def test_the_parser_is_asked_once_for_a_value_of_each_key_not_once_a_point() -> None:
    asked: list[Mapping[str, Any]] = []

    def read(values: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(values)
        return values

    forms: dict[str, dict[str, Any]] = {"model.lr": {"categorical": [1, 2, 3]}, "model.dropout": {"float": [0.1, 0.5]}}
    read_space(forms, forms, read)
    assert [list(values.values()) for values in asked] == [[1, 0.1], [2, 0.5], [3, 0.5]]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "at least one key, got none"),
        ({"model.weight_decai": {"categorical": [0]}},
         "model.weight_decai is no key of fit; did you mean model.weight_decay"),
        ({"model.lr": {"categorical": []}}, "model.lr: wanted at least one value, got"),
        ({"model.lr": {"choice": [1]}}, "model.lr: wanted {categorical"),
        ({"model.lr": {"int": [1, 2], "float": [1, 2]}}, "model.lr: wanted {categorical"),
        ({"model.lr": {"float": [1, 2, 3]}}, "model.lr: wanted two bounds"),
        ({"model.lr": {"float": [0.1, 0.01]}}, "model.lr.* is no search space: .low <= high"),
        ({"model.lr": {"float": [0.1, 0.2], "steps": 3}}, "model.lr.* is no search space: .*steps"),
        ({"model.lr": {"categorical": [1, "fast"]}}, "a value that fit refuses: .*model.lr"),
        ({"model.dropout": {"float": [0, 1.5]}}, "a value that fit refuses: wanted a dropout from 0 to below 1"),
        ({"model.target": {"categorical": ["soft", "hard"]}}, "must not name model.target: .*--arms"),
        ({"model.head": {"categorical": ["mlp", "logistic"]}}, "must not name model.head: .*--arms"),
        ({"seed_everything": {"int": [0, 9]}}, "must not name seed_everything: .*luck"),
        ({"data.split_seed": {"int": [0, 9]}}, "must not name data.split_seed: it would change which items"),
        ({"data.tie": {"categorical": ["lowest"]}}, "must not name data.tie: it would change which items"),
        ({"trainer.gradient_clip_val": {"float": [0, 1]}}, "gradient_clip_val: it is no part of a run's record"),
    ],
)  # fmt: skip
def test_a_space_that_cannot_be_searched_is_refused_in_words(
    make_options: MakeOptions, space: dict[str, Any], message: str
) -> None:
    with pytest.raises(SweepError, match=f"(?s){message}"):
        _ = make_options(space=space).sweep


def test_a_grid_has_every_point_once_and_the_last_key_changes_fastest() -> None:
    points = grid_points({"a": CategoricalDistribution((1, 2)), "b": CategoricalDistribution(("x", "y"))})
    assert [tuple(point.values()) for point in points] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_a_grid_of_ranges_is_refused(make_options: MakeOptions) -> None:
    with pytest.raises(SweepError, match=r"model\.lr: a grid wants"):
        _ = make_options(space={"model.lr": {"float": [0.1, 0.2]}}).sweep


def test_values_are_either_fields_of_the_spec_or_a_choice_of_data() -> None:
    values: dict[str, Choice] = {
        "model.lr": 0.1,
        "data.init_args.pair_features": "one_text",
        "data.init_args.batch_size": 8,
    }
    assert spec_fields(values) == {"lr": 0.1, "batch_size": 8}
    assert data_choice(values) == (("data.init_args.pair_features", "one_text"),)
