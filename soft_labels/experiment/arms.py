"""Arms: the ways to make a head that an experiment or a comparison sets side by side."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from soft_labels.errors import ConfigError
from soft_labels.experiment.index import ArmForm
from soft_labels.training.calibration import CALIBRATIONS
from soft_labels.training.kinds import HEADS, MLP
from soft_labels.training.objectives import known
from soft_labels.training.spec import CONFIG_KEYS

Forms = dict[str, dict[str, Any]]
# The paper's pair.
DEFAULT_ARMS: Forms = {"soft": {"model.target": "soft"}, "hard": {"model.target": "hard"}}
DEFAULT_BASELINE = "hard"
_FROM, _CALIBRATION, _SPACE, _ENSEMBLE = "from", "calibration", "space", "ensemble"
_NAME = re.compile(r"\w[\w.+-]*")  # it names files, and --only lists names with commas


@dataclass(frozen=True)
class Arm:
    """One way to make a head.

    Args:
        name: What it is called everywhere.
        overlay: Settings of fit, by key, that it has of its own; empty where it is derived.
        space: Keys that its search changes beside those of the sweep, in the form of ``configs/sweep``.
        derived_from: The arm whose trained heads it takes; ``None`` where it trains its own.
        calibration: What follows its heads: a row of ``soft_labels.training.calibration.CALIBRATIONS``.
        ensemble: Whether it takes the mean of what the heads of all seeds predict, as one model.
    """

    name: str
    overlay: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    derived_from: str | None = None
    calibration: str = "none"
    ensemble: bool = False

    @property
    def form(self) -> ArmForm:
        """What an experiment's index says of it."""
        return ArmForm(dict(self.overlay), self.derived_from, self.calibration, self.ensemble)


@dataclass(frozen=True)
class Arms:
    """Arms, and the one that all others are compared with.

    Args:
        every: In the order in which they were written.
        baseline: The name of one of them.
    """

    every: tuple[Arm, ...]
    baseline: str

    def __getitem__(self, name: str) -> Arm:
        """The arm of a name."""
        return next(arm for arm in self.every if arm.name == name)

    @property
    def trained(self) -> tuple[Arm, ...]:
        """The arms that train heads of their own, in the order in which they were written."""
        return tuple(arm for arm in self.every if arm.derived_from is None)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the baseline first."""
        return (self.baseline, *self.compared)

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of the arms that are compared with the baseline."""
        return tuple(arm.name for arm in self.every if arm.name != self.baseline)

    def only(self, names: Sequence[str]) -> "Arms":
        """Some of the arms; the baseline is the first of them where it is not among them.

        Raises:
            ConfigError: There is no such arm, one is named twice, or one is derived from an arm that is left out.
        """
        for name in names:
            known("arm", name, [arm.name for arm in self.every])
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"wanted each arm once, got {', '.join(names) or 'none'}")
        chosen = tuple(arm for arm in self.every if arm.name in names)
        baseline = self.baseline if self.baseline in names else chosen[0].name
        return _checked(Arms(chosen, baseline))


def read_arms(forms: Forms, baseline: str) -> Arms:
    """The arms of a configuration, checked.

    Args:
        forms: By name, settings of fit by key; beside them ``space``, or ``from`` and ``calibration``, ``ensemble`` or
            both.
        baseline: The arm that all others are compared with.

    Raises:
        ConfigError: A form does not say how a head is made, or names an arm or a calibration that there is not.

    Example:
        >>> read_arms({"hard": {"model.target": "hard"}, "hard_t": {"from": "hard", "calibration": "temperature"}},
        ...           "hard").compared
        ('hard_t',)
    """
    if not forms:
        raise ConfigError("wanted at least one arm, got none; write arms: {NAME: {model.target: soft}, ...}")
    known("baseline", baseline, list(forms))
    return _checked(Arms(tuple(_arm(name, form) for name, form in forms.items()), baseline))


def _arm(name: str, form: Mapping[str, Any]) -> Arm:
    """One arm."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"wanted an arm's name that can name a file, got {name!r}; use letters, digits, - and _")
    space = form.get(_SPACE, {})
    if not isinstance(space, Mapping) or not all(isinstance(one, Mapping) for one in space.values()):
        raise ConfigError(f"arm {name}: wanted space: {{KEY: {{categorical: [...]}}}} or the like, got {space}")
    own = {key: value for key, value in form.items() if key not in {_FROM, _CALIBRATION, _SPACE, _ENSEMBLE}}
    ensemble = form.get(_ENSEMBLE, False)
    if not isinstance(ensemble, bool):
        raise ConfigError(f"arm {name}: wanted ensemble: true or false, got {ensemble}")
    arm = Arm(name, own, space, form.get(_FROM), form.get(_CALIBRATION, "none"), ensemble)
    known("calibration", arm.calibration, CALIBRATIONS)
    if arm.derived_from is not None and (own or arm.space or not (ensemble or arm.calibration != "none")):
        raise ConfigError(
            f"arm {name}: wanted from with calibration, ensemble or both, got {dict(form)}; nothing is trained again"
        )
    if arm.derived_from is None and (ensemble or arm.calibration != "none"):
        what = "an ensemble is made of the seeds" if ensemble else "a calibration follows the heads"
        way = "ensemble: true" if ensemble else f"calibration: {arm.calibration}"
        raise ConfigError(f"arm {name}: {what} of another arm; write {{from: ARM, {way}}}")
    return arm


def _checked(arms: Arms) -> Arms:
    """Arms whose derived ones find the arm that they come from, and whose baseline has a run for each seed."""
    trained = [arm.name for arm in arms.trained]
    for arm in arms.every:
        if arm.derived_from is not None:
            known(f"from (arm {arm.name}) that trains its own heads, one", arm.derived_from, trained)
        if arm.ensemble:
            _check_ensemble(arms, arm)
    return arms


def _check_ensemble(arms: Arms, arm: Arm) -> None:
    """Refuse an ensemble of one, and one that others would be paired with seed by seed."""
    head = arms[str(arm.derived_from)].overlay.get(CONFIG_KEYS["head"], MLP)
    if head in HEADS and HEADS[head].solved:
        raise ConfigError(f"arm {arm.name}: wanted an ensemble of an arm that has seeds, got {arm.derived_from}, whose "
                          f"head {head} has none")  # fmt: skip
    if arm.name == arms.baseline:
        raise ConfigError(f"wanted a baseline with a head for each seed, got the ensemble {arm.name}; choose another")
