"""The options of ``soft-labels sweep``: those of ``fit`` as the fixed base, and what is searched on top of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, Namespace
from jsonargparse.typing import SecretStr
from lightning.pytorch.cli import ArgsType, LightningArgumentParser

from soft_labels.commands.arms import OF_ARMS, add_arms, arms_of, as_options, overlay_of
from soft_labels.commands.fit import SoftLabelCLI
from soft_labels.data import AnnotationDataModule
from soft_labels.errors import ConfigError, SweepError
from soft_labels.experiment.arms import Arm, Arms
from soft_labels.sweep import PlannedSearch
from soft_labels.sweep.settings import SweepForm, SweepSettings, check_size, sweep_settings
from soft_labels.sweep.space import Choice, DataChoice, data_choice, read_space, spec_fields, without
from soft_labels.sweep.study import check_budgets
from soft_labels.training.engines import EngineName
from soft_labels.training.heads import check_memory
from soft_labels.training.kinds import unread
from soft_labels.training.lightning_engine import HONOURED
from soft_labels.training.spec import CONFIG_KEYS, RunSpec, check_honoured

_OWN = (*OF_ARMS, "sweep", "storage", "study", "engine", "out", "json")
_NOT_OF_FIT = (*_OWN, "config", "ckpt_path")
_CALIBRATION = "model.calibration"
# Settings of `fit` that would change a head and that no run's record has; they must stay as they are.
_FIXED = (
    _CALIBRATION,
    "trainer.accumulate_grad_batches", "trainer.callbacks", "trainer.check_val_every_n_epoch", "trainer.fast_dev_run",
    "trainer.gradient_clip_algorithm", "trainer.gradient_clip_val", "trainer.limit_train_batches",
    "trainer.limit_val_batches", "trainer.max_steps", "trainer.max_time", "trainer.min_epochs", "trainer.min_steps",
    "trainer.overfit_batches", "trainer.plugins", "trainer.precision", "trainer.val_check_interval",
    "early_stopping.check_finite", "early_stopping.check_on_train_epoch_end", "early_stopping.divergence_threshold",
    "early_stopping.mode", "early_stopping.monitor", "early_stopping.stopping_threshold", "checkpoint.monitor",
)  # fmt: skip


class SweepCLI(SoftLabelCLI):
    """Parses the options of a sweep; nothing is read, encoded or trained."""

    prog = "soft-labels sweep"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the search, and where it is kept."""
        super().add_arguments_to_parser(parser)
        parser.add_class_arguments(SweepForm, "sweep", sub_configs=True)
        add_arms(parser)
        where = "journal:PATH, a database URL, or grpc://HOST:PORT, for many workers; in memory if not given"
        parser.add_argument("--storage", type=SecretStr | None, help=where)
        parser.add_argument("--study", type=str, help="name of the study; the sweep file's name by default")
        parser.add_argument("--engine", type=EngineName, default="population", help="what trains")
        parser.add_argument("--out", type=str, help="where results go; else lightning_logs/DATASET/sweep-STUDY")
        parser.add_argument("--json", type=bool, default=False, help="print the result, sweep.json, as JSON alone")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Keep the sweep's own options apart from the configuration of ``fit``."""
        super().parse_arguments(parser, args)
        self.own: dict[str, Any] = {key: self.config.pop(key) for key in _OWN}

    def instantiate_classes(self) -> None:
        """Make nothing."""


def base_spec(config: Namespace, defaults: Namespace) -> RunSpec:
    """The spec that a parsed configuration of ``fit`` describes.

    Args:
        config: The configuration, with every key.
        defaults: What it would be if nothing were set.

    Raises:
        ConfigError: A value is missing or out of its range, or a setting is given that changes training but that no
            run's record has.
    """
    for key in _FIXED:
        if config.get(key) != defaults.get(key):
            raise ConfigError(
                f"{key} can be set for fit only: wanted its default {defaults.get(key)}, got {config.get(key)}; "
                "leave it out"
            )
    values = {field: config[key] for field, key in CONFIG_KEYS.items()}
    for field, value in values.items():
        if value is None:
            raise ConfigError(f"wanted a value of {CONFIG_KEYS[field]} for every run, got none; set it")
    return RunSpec(**values)


def datamodule_of(config: Namespace) -> AnnotationDataModule:
    """The data module that a parsed configuration of ``fit`` describes; nothing is read or encoded yet.

    Args:
        config: The configuration.
    """
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AnnotationDataModule, "data", required=True)
    found: AnnotationDataModule = parser.instantiate_classes(
        Namespace(data=config.data)  # type: ignore[no-untyped-call]
    ).data
    return found


@dataclass(frozen=True)
class SweepOptions:
    """What ``soft-labels sweep`` was asked for, or an experiment on one data set.

    Args:
        arguments: The command line after the command's name.
        cli: It, parsed.
        read: What values of heads' settings were read as, which is the same for all data sets of an experiment.
    """

    arguments: tuple[str, ...]
    cli: SweepCLI
    read: dict[str, dict[str, Any]]

    @cached_property
    def base(self) -> RunSpec:
        """The settings that are not searched and that no arm has of its own.

        Raises:
            ConfigError: A setting of ``fit`` is given that changes training but that no run's record has.
        """
        return base_spec(self.cli.config, self.cli.parser.get_defaults())

    @cached_property
    def arms(self) -> Arms:
        """The arms to search for.

        Raises:
            ConfigError: One is calibrated, which needs no search.
        """
        arms = arms_of(self.cli.own)
        derived = [arm.name for arm in arms.every if arm.derived_from is not None]
        if derived:
            raise ConfigError(f"arm {derived[0]} is derived from another and has nothing to search for; leave it out")
        return arms

    @property
    def form(self) -> Namespace:
        """The search as it was written."""
        form: Namespace = self.cli.own["sweep"]
        return form

    @cached_property
    def sweep(self) -> SweepSettings:
        """What is searched and how, but for what an arm has of its own."""
        return self._settings(self.form.space)

    def _settings(self, space: Mapping[str, Mapping[str, Any]]) -> SweepSettings:
        """What is searched and how, with the keys of a space."""
        check_size(self.form, space)
        return sweep_settings(self.form, read_space(space, self._known, self._read))

    @property
    def _known(self) -> list[str]:
        """Every key of fit, in full."""
        return [key for key in self.cli.config.keys() if key not in _NOT_OF_FIT]  # noqa: SIM118 # a Namespace's are nested

    def planned(self, arms: Arms) -> dict[str, PlannedSearch]:
        """By name, the search of each arm that trains its own heads.

        Args:
            arms: The arms.

        Raises:
            ConfigError: An arm sets what is no setting of a head.
            SweepError: A search space does not hold together.
        """
        planned = {arm.name: self._planned(arm) for arm in arms.trained}
        check_budgets(planned)
        return planned

    def _planned(self, arm: Arm) -> PlannedSearch:
        """The search of one arm; what its head does not read is left out of what all arms share."""
        own = overlay_of(arm, self._known)
        try:
            values = self._read(own)
            spec = replace(self.base, **spec_fields(values))
            others = unread(spec.head)
            shared = {name: getattr(RunSpec(), name) for name in others - spec_fields(values).keys()}
            spec = replace(spec, **shared)
        except SweepError as error:
            raise ConfigError(f"arm {arm.name}: {error}") from error
        space = {**without(self.form.space, others), **arm.space}
        if others and not space:
            raise ConfigError(f"arm {arm.name}: its head {spec.head} reads nothing that the sweep searches; give it "
                              f"a space of its own, of {' or '.join(spec.kind.reads)}")  # fmt: skip
        sweep = self._settings(space) if arm.space or others else self.sweep
        twice = [key for key in own if key in sweep.space]
        if twice:
            raise ConfigError(
                f"arm {arm.name} sets {', '.join(twice)}, which its search changes; leave it out of one of them"
            )
        check_honoured(f"arm {arm.name}", HONOURED, spec, spec_fields(dict.fromkeys(sweep.space)))
        return PlannedSearch(spec, sweep, self.datamodule)

    @property
    def study(self) -> str:
        """The study's name without data set and arm."""
        path = self.cli.own["sweep"].get("__path__")
        return self.cli.own["study"] or (Path(str(path)).stem if path else self.sweep.sampler_name)

    def out(self, dataset: str) -> Path:
        """The folder of the results."""
        runs = Path(self.cli.config.trainer.default_root_dir or ".") / "lightning_logs"
        return Path(self.cli.own["out"] or runs / dataset / f"sweep-{self.study}")

    def datamodule(self, choice: DataChoice = ()) -> AnnotationDataModule:
        """The data of the base configuration with some keys changed; the same ones for the same choice."""
        if choice not in self._datamodules:
            self._datamodules[choice] = datamodule_of(self._with(dict(choice)) if choice else self.cli.config)
        return self._datamodules[choice]

    @cached_property
    def _datamodules(self) -> dict[DataChoice, AnnotationDataModule]:
        """The data modules made so far."""
        return {}

    def fit_config(self, spec: RunSpec, choice: DataChoice, calibration: str = "none") -> str:
        """The YAML that ``fit --config`` takes to train a spec on some data, and to calibrate its head."""
        config = self._with(dict(choice)) if choice else self.cli.config.clone()
        for field, value in spec.settings().items():
            config[CONFIG_KEYS[field]] = value
        config[_CALIBRATION] = calibration
        # Null may differ from a default. Without the sweep it is no whole configuration.
        text: str = self.cli.parser.dump(config, skip_none=False, skip_validation=True)
        return text

    def _with(self, values: Mapping[str, Choice]) -> Namespace:
        """The configuration of ``fit`` with some keys changed."""
        config: Namespace = self.cli.parser.parse_args([*self.arguments, *as_options(values)])
        for key in _NOT_OF_FIT:
            config.pop(key, None)
        return config

    def _read(self, values: Mapping[str, Choice]) -> dict[str, Any]:
        """Values of a search space as ``fit`` understands them.

        Raises:
            SweepError: ``fit`` refuses one.
        """
        try:
            found = self._parsed(values)
            spec = RunSpec(**{**self.base.settings(), **spec_fields(found)})
            check_memory(spec.hidden_width)
        except (ArgumentError, ConfigError) as error:
            raise SweepError(f"the search space holds a value that fit refuses: {error}") from error
        return found

    def _parsed(self, values: Mapping[str, Choice]) -> dict[str, Any]:
        """Values as the parser understands them; a parse of all options takes a fifth of a second."""
        written = repr(sorted(values.items()))
        if written in self.read:
            return self.read[written]
        config = self._with(values)
        found = {key: config[key] for key in values}
        if not data_choice(values):
            self.read[written] = found
        return found


def parse_sweep(arguments: list[str], read: dict[str, dict[str, Any]] | None = None) -> SweepOptions:
    """Parse the options of ``soft-labels sweep``; nothing is read, encoded or trained.

    Args:
        arguments: The command line after the command's name.
        read: See :class:`SweepOptions`; nothing if not given.
    """
    return SweepOptions(tuple(arguments), SweepCLI(arguments, run=False), {} if read is None else read)
