from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soft_labels.errors import ConfigError
from soft_labels.runs import CONFIG_KEYS, RunSpec
from soft_labels.sweep import base_spec, parse_sweep
from soft_labels.sweep.space import grid_points

MakeOptions = Callable[..., Any]
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
OTHER = RunSpec("hard", 32, 0.1, 0.02, 1e-3, "plateau", 0.3, 7, False, 11, 4, 9, 6, 1e-2)


def test_the_base_takes_over_every_field_of_a_configuration(make_options: MakeOptions) -> None:
    values = OTHER.settings()
    assert all(value != getattr(RunSpec(), field) for field, value in values.items()), "each differs from its default"
    options = make_options(*(f"--{CONFIG_KEYS[field]}={value}" for field, value in values.items()))
    assert base_spec(options.cli.config) == options.base == OTHER


@pytest.mark.parametrize(
    "option",
    ["trainer.gradient_clip_val=1", "trainer.min_epochs=3", "early_stopping.monitor=val/kl", "checkpoint.mode=max"],
)
def test_a_setting_that_no_record_would_show_is_refused(make_options: MakeOptions, option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option.partition('=')[0]} can be set for fit only"):
        _ = make_options(f"--{option}").base


@pytest.mark.parametrize("targets", ["soft,soft", "both", ""])
def test_other_targets_are_refused(make_options: MakeOptions, targets: str) -> None:
    with pytest.raises(ConfigError, match="wanted --targets soft, hard or soft,hard"):
        _ = make_options(f"--targets={targets}").targets


def test_a_choice_of_data_has_one_data_module_on_the_same_split(
    make_options: MakeOptions, tiny_chaosnli_root: Path, toy_text: str
) -> None:
    data = f"--config={CONFIGS}/data/chaosnli.yaml", f"--data.root={tiny_chaosnli_root}", f"--data.encoder={toy_text}"
    options = make_options(*data)
    choice = (("data.init_args.pair_features", "one_text"),)
    joined = options.datamodule(choice)
    assert joined is options.datamodule(choice)
    assert (joined.embedding_dim, options.datamodule().embedding_dim) == (6, 24)
    assert joined.split == options.datamodule().split


def test_nothing_is_read_to_parse(toy_options: tuple[str, ...], tmp_path: Path) -> None:
    options = parse_sweep([*toy_options, f"--data.store={tmp_path}/store", f"--sweep={CONFIGS}/sweep/tpe.yaml"])
    assert options.sweep.trials == 36
    assert not (tmp_path / "store").exists()


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
