import difflib
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from soft_labels.errors import ConfigError
from soft_labels.training.module import HONOURED
from soft_labels.training.objectives import TARGETS, Target
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import CONFIG_KEYS, HeadSpec, RunResult, RunSpec, check_honoured, head_of
from tests.toys import SeededData, SeededEncoder


@dataclass(frozen=True)
class Wider(RunSpec):
    """A spec with a field that nobody honours yet."""

    margin: float = 0.0


@pytest.mark.parametrize(("settings", "words"), [
    ({"target": "softt"}, r"wanted a target of soft, hard.*, got softt; did you mean soft\?"),
    ({"loss": "cross_entropi"}, r"wanted a loss of cross_entropy.*, got cross_entropi; did you mean cross_entropy\?"),
    ({"head": "logistics"}, r"wanted a head of mlp, logistic, neighbours, got logistics; did you mean logistic\?"),
    ({"neighbours": 0}, "neighbours of at least 1"),
    ({"scheduler": "plateaux"}, r"wanted a scheduler of none, plateau, got plateaux; did you mean plateau\?"),
    ({"scheduler": "cosine"}, "wanted a scheduler of none, plateau, got cosine"),
    ({"dropout": 1.0}, "a dropout from 0 to below 1"),
    ({"dropout": -0.1}, "a dropout from 0 to below 1"),
    ({"plateau_factor": 1.0}, "a plateau_factor above 0 and below 1"),
    ({"lr": 0.0}, "a finite lr above 0"),
    ({"lr": float("nan")}, "a finite lr above 0"),
    ({"lr": math.inf}, "a finite lr above 0"),
    ({"lr": None}, "a value of lr"),
    ({"weight_decay": math.nan}, "a finite weight_decay of at least 0"),
    ({"weight_decay": -1e-9}, "a finite weight_decay of at least 0"),
    ({"hidden_width": 0}, "a hidden_width of at least 1"),
    ({"plateau_patience": -1}, "a plateau_patience and a seed of at least 0"),
    ({"smoothing": 1.0}, "a smoothing from 0 to below 1"),
    ({"smoothing": -0.1}, "a smoothing from 0 to below 1"),
    ({"shrinkage": -0.1}, "a shrinkage of at least 0"),
    ({"shrinkage": float("inf")}, "a shrinkage of at least 0"),
    ({"seed": -1}, "a plateau_patience and a seed of at least 0"),
    ({"batch_size": 0}, "a batch_size of at least 1"),
    ({"max_epochs": 0}, "max_epochs and patience of at least 1"),
    ({"patience": 0}, "max_epochs and patience of at least 1"),
    ({"min_delta": -1e-9}, "a finite min_delta of at least 0"),
])  # fmt: skip
def test_a_value_out_of_its_range_is_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RunSpec(**settings)


def test_every_field_has_a_key_of_the_command_line_and_the_heads_fields_are_the_modules() -> None:
    spec = RunSpec("hard", hidden_width=8, seed=4, batch_size=32, patience=7)
    assert CONFIG_KEYS.keys() == spec.settings().keys() == {field.name for field in fields(RunSpec)}
    assert len(set(CONFIG_KEYS.values())) == len(CONFIG_KEYS)
    assert RunSpec(**spec.settings()) == spec
    assert HeadSpec(**spec.of_module()).settings() == spec.of_module()
    assert spec.settings().keys() - spec.of_module().keys() == {"batch_size", "max_epochs", "patience", "min_delta"}


def test_a_field_that_is_not_honoured_is_refused_unless_it_is_at_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    honoured = [field.name for field in fields(RunSpec)]
    check_honoured("a trainer", honoured, Wider(lr=0.1))
    with pytest.raises(ConfigError, match=(
        r"a trainer with target soft does not honour margin: wanted its default 0\.0, got 0\.2; leave it out, or "
        "choose a target or a head that reads it"
    )):  # fmt: skip
        check_honoured("a trainer", honoured, Wider(margin=0.2))
    monkeypatch.setitem(TARGETS, "reader", Target("reads it", TARGETS["soft"].dist, reads=("margin",)))
    check_honoured("a trainer", honoured, Wider("reader", margin=0.2))


@pytest.mark.parametrize(("target", "other", "field"), [
    ("smoothed", "hard", "smoothing"), ("shrunk", "soft", "shrinkage"), ("shrunk", "smoothed", "shrinkage"),
])  # fmt: skip
def test_a_strength_is_refused_beside_a_target_that_does_not_read_it(target: str, other: str, field: str) -> None:
    strength: dict[str, Any] = {field: 0.2}
    check_honoured("fit", HONOURED, HeadSpec(target, **strength))
    check_honoured("fit", HONOURED, HeadSpec(target), searched=[field])
    with pytest.raises(ConfigError, match=f"fit with target {other} does not honour {field}: .*, got 0.2; leave it"):
        check_honoured("fit", HONOURED, HeadSpec(other, **strength))
    with pytest.raises(ConfigError, match=f"fit with target {other} does not honour {field}: .*, got a search; leave"):
        check_honoured("fit", HONOURED, HeadSpec(other), searched=[field])


def test_the_nearest_name_is_what_difflib_says() -> None:
    assert difflib.get_close_matches("hrad", TARGETS, n=1) == ["hard"]
    with pytest.raises(ConfigError, match=r"did you mean hard\?"):
        replace(RunSpec(), target="hrad")


def test_the_head_of_a_result_has_its_weights(tmp_path: Path) -> None:
    data = SeededData(60, encoder=SeededEncoder(6), store=tmp_path).embedded
    (result,) = PopulationEngine(accelerator="cpu").train(
        data, [RunSpec(hidden_width=8, max_epochs=1)], keep_heads=True
    )
    assert result.state is not None
    head = head_of(data, result)
    assert head.state_dict().keys() == result.state.keys()
    assert all(torch.equal(value, result.state[name]) for name, value in head.state_dict().items())
    with pytest.raises(ValueError, match="wanted a result with its head, got one without"):
        head_of(data, RunResult(result.spec, result.curve, 0, "max_epochs", None))


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        (RunSpec("soft", hidden_width=8), "soft"),
        (RunSpec("hard", lr=0.1), "hard"),
        (RunSpec("soft", loss="brier"), None),
        (RunSpec("smoothed", smoothing=0.1), None),
        (RunSpec("soft", head="logistic"), None),
    ],
)
def test_an_arm_of_the_paper_is_known_by_what_it_is(spec: RunSpec, target: str | None) -> None:
    assert spec.plain_target == target
