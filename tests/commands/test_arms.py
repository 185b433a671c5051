import json
from typing import Any

import pytest

from soft_labels.commands.arms import arms_of, overlay_of
from soft_labels.errors import ConfigError
from soft_labels.experiment.arms import DEFAULT_ARMS, Arm
from soft_labels.training.spec import CONFIG_KEYS
from tests.conftest import MakeOptions

KNOWN = [*CONFIG_KEYS.values(), "data.init_args.split_seed", "trainer.precision"]


def own(**values: Any) -> dict[str, Any]:
    return {"arms": DEFAULT_ARMS, "baseline": "hard", "only": None, **values}


def test_all_arms_are_taken_unless_some_are_named() -> None:
    assert arms_of(own()).names == ("hard", "soft")
    assert arms_of(own(baseline="soft")).names == ("soft", "hard")
    assert arms_of(own(only="soft")).names == ("soft",)
    assert arms_of(own(only="soft,hard")).names == ("hard", "soft")


@pytest.mark.parametrize("only", ["both", "", "soft,", "soft, hard"])
def test_names_that_are_no_arms_are_refused(only: str) -> None:
    with pytest.raises(ConfigError, match="wanted an arm of soft, hard, got "):
        arms_of(own(only=only))


def test_arms_are_read_from_the_command_line(make_options: MakeOptions) -> None:
    arms = {"narrow": {"model.hidden_width": 4}, "wide": {"model.hidden_width": 64}}
    options = make_options(f"--arms={json.dumps(arms)}", "--baseline=narrow")
    assert options.arms.names == ("narrow", "wide")
    assert options.arms["wide"].overlay == {"model.hidden_width": 64}


def test_an_arm_may_set_whatever_decides_how_a_head_is_made_but_its_seed() -> None:
    keys = [key for key in CONFIG_KEYS.values() if key != "seed_everything"]
    short = [key.replace(".init_args", "") for key in keys]
    assert list(overlay_of(Arm("all", dict.fromkeys(short)), KNOWN)) == keys


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model.learning_rate", "arm odd: model.learning_rate is no key of fit"),
        ("seed_everything", "arm odd: wanted settings of the head, got seed_everything; an arm can set model.target, "),
        ("data.split_seed", "arm odd: wanted settings of the head, got data.init_args.split_seed; an arm can set"),
        ("trainer.precision", "arm odd: wanted settings of the head, got trainer.precision; an arm can set"),
    ],
)
def test_an_arm_that_sets_something_else_is_refused_in_words(key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        overlay_of(Arm("odd", {key: 1}), KNOWN)
