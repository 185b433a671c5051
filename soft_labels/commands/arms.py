"""The options of commands that set arms side by side."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from soft_labels.errors import ConfigError, SweepError
from soft_labels.experiment.arms import DEFAULT_ARMS, DEFAULT_BASELINE, Arm, Arms, Forms, read_arms
from soft_labels.sweep.space import overlay_keys

OF_ARMS = ("arms", "baseline", "only")


def add_arms(parser: LightningArgumentParser, arms: Forms = DEFAULT_ARMS) -> None:
    """Add the options.

    Args:
        parser: Of the command.
        arms: What is compared if not given.
    """
    derived = "{from: ARM, calibration: temperature, ensemble: true}"
    what = f"by name, settings of fit by key, as {{soft: {{model.target: soft}}}}; or {derived}, the last two or either"
    parser.add_argument("--arms", type=Forms, default=arms, help=what)
    parser.add_argument("--baseline", type=str, default=DEFAULT_BASELINE, help="the arm that others are compared with")
    parser.add_argument("--only", type=str, help="names of the arms to take, as soft,hard; all if not given")


def arms_of(own: Mapping[str, Any]) -> Arms:
    """The arms that a command was asked for.

    Args:
        own: The values of the options.

    Raises:
        ConfigError: An arm does not say how a head is made, or there is no such arm.
    """
    arms = read_arms(own["arms"], own["baseline"])
    return arms if own["only"] is None else arms.only(own["only"].split(","))


def overlay_of(arm: Arm, known: Iterable[str]) -> dict[str, Any]:
    """What an arm sets, by keys of ``fit`` in full.

    Args:
        arm: The arm.
        known: Every key of ``fit``, in full.

    Raises:
        ConfigError: It sets what is no setting of a head, as the data, which all arms must share.
    """
    try:
        return overlay_keys(arm.overlay, known)
    except SweepError as error:
        raise ConfigError(f"arm {arm.name}: {error}") from error


def as_options(values: Mapping[str, Any]) -> list[str]:
    """Settings by key as they are written on the command line.

    Args:
        values: By key in full.

    Example:
        >>> as_options({"model.target": "soft", "model.lr": 0.1})
        ['--model.target=soft', '--model.lr=0.1']
    """
    return [f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()]
