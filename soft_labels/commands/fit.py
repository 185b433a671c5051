"""Lightning's CLI over this project's module and data modules."""

import logging
import secrets
import time
from argparse import SUPPRESS
from pathlib import Path
from typing import Any, cast

from jsonargparse import Namespace
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback

from soft_labels.commands.checks import check_device, check_settings
from soft_labels.commands.interrupted import keeps
from soft_labels.commands.output import add_output, tell
from soft_labels.data import AnnotationDataModule
from soft_labels.errors import ConfigError
from soft_labels.files import naming
from soft_labels.progress import is_quiet
from soft_labels.training.best import BestCheckpoint, WholeFileIO, read_checkpoint
from soft_labels.training.callbacks import ItemProjector, PredictionFile, RunReport, results
from soft_labels.training.curves import CurveLogger
from soft_labels.training.epochs import EpochPace
from soft_labels.training.kinds import HEADS
from soft_labels.training.module import SoftLabelModule, check_identity
from soft_labels.training.prediction_table import TableFormat
from soft_labels.training.spec import RunSpec
from soft_labels.training.trainer import (
    TRAINER_DEFAULTS,
    IdleProfiler,
    in_words,
    leave_out_idle_warnings,
    leave_out_writers,
)

logger = logging.getLogger(__name__)
HIGHEST_SEED = 2**32 - 1
OF_FIT_ALONE = ("ckpt_path",)
EVALUATIONS = ("validate", "test")
_OF_LIGHTNING = ("lightning.pytorch", "lightning.fabric")


class SaveFitConfig(SaveConfigCallback):
    """Saves the configuration beside the run, when there is a run: testing an old one must not write a new file."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save before training only."""
        if stage == "fit":
            with naming(Path(trainer.log_dir or ".") / self.config_filename):
                super().setup(trainer, pl_module, stage)


class SoftLabelCLI(LightningCLI):
    """``fit``, ``validate``, ``test`` and ``predict``; class count, width and seeds are linked, never typed.

    Args:
        args: Command-line arguments after the program's name.
        run: Whether the first argument is a subcommand to run; otherwise the classes are only made.
    """

    prog = "soft-labels"

    def __init__(self, args: ArgsType, run: bool = True) -> None:
        self._trained: dict[str, Any] | None = None
        super().__init__(
            SoftLabelModule,
            AnnotationDataModule,
            subclass_mode_data=True,
            save_config_callback=SaveFitConfig,
            save_config_kwargs={"overwrite": True},  # a resumed run goes on in its folder
            seed_everything_default=0,
            trainer_defaults=TRAINER_DEFAULTS,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=args,
            run=run,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser that raises its errors, for the command line to print in its own words."""
        return super().init_parser(prog=self.prog, exit_on_error=False, **kwargs)

    def setup_parser(
        self, add_subcommands: bool, main_kwargs: dict[str, Any], subparser_kwargs: dict[str, Any]
    ) -> None:
        """A program that has no subcommands still takes the saved configuration of a run."""
        super().setup_parser(add_subcommands, main_kwargs, subparser_kwargs)
        if not add_subcommands:
            add_ignored(self.parser, OF_FIT_ALONE)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's; without the switch that would let a checkpoint run code."""
        return {name: {*skipped, "weights_only"} for name, skipped in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Early stopping, checkpoints, the projector, and what the data tell the model."""
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(ItemProjector, "projector")
        parser.set_defaults(
            {
                "early_stopping.monitor": "val/loss",
                "early_stopping.patience": RunSpec.patience,
                "early_stopping.min_delta": RunSpec.min_delta,
            }
        )
        for name in ("num_classes", "embedding_dim", "ordinal"):
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=_whole_seed)
        parser.link_arguments("seed_everything", "data.init_args.order_seed", compute_fn=_whole_seed)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the given arguments; Lightning's own warns when the program has others."""
        self.config = parser.parse_args(cast("list[str]", args))

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        """Lightning's, and what it prints or writes."""
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        if subcommand in EVALUATIONS:
            add_output(parser)
        if subcommand == "predict":
            parser.add_argument("--format", type=TableFormat, default="csv", help="of the table of predictions")
        return parser

    def _parse_ckpt_path(self) -> None:
        """Refuse a checkpoint that is not named, not there or not readable before anything is loaded for it."""
        command = self.config.get("subcommand")
        path = self.config.get(f"{command}.ckpt_path")
        if path is None and command in {"validate", "test", "predict"}:
            raise ConfigError(f"{command} wants --ckpt_path, the path of a .ckpt file below lightning_logs/")
        if path is not None:
            checkpoint = read_checkpoint(Path(path))
            if command == "fit" and "optimizer_states" not in checkpoint:
                raise ConfigError(
                    f"{path} is a head that a search or an experiment left: it is there for test and predict; fit goes "
                    "on from checkpoints of its own, whose optimiser is kept"
                )
            self._trained = checkpoint["data_identity"]
            self._check_model_settings(checkpoint["hyper_parameters"])
        super()._parse_ckpt_path()

    def _check_model_settings(self, trained: dict[str, Any]) -> None:
        """Refuse a model setting that differs from the checkpoint's: Lightning would silently take the latter."""
        given = self.config[self.config.subcommand].model
        defaults = self._parser(self.config.subcommand).get_defaults().model
        for key, value in trained.items():
            if key in defaults and given[key] not in (defaults[key], value):
                raise ConfigError(
                    f"model.{key} is {value} in the checkpoint but {given[key]} was asked for; leave the option out"
                )

    def before_instantiate_classes(self) -> None:
        """Refuse settings under which nothing could be chosen or judged, before data are read."""
        settings = self.config[self.subcommand] if self.subcommand else self.config
        check_device(settings)
        if self.subcommand in EVALUATIONS and settings.json:  # standard output is for the result alone
            settings.verbose = settings.trainer.enable_progress_bar = False
        if is_quiet():
            settings.trainer.enable_progress_bar = settings.trainer.enable_model_summary = False
        if self.subcommand in {None, "fit"}:
            check_settings(settings)
            head = HEADS.get(settings.model.head)
            if head is not None and head.solved:
                logger.info("head %s is solved at once: trainer.max_epochs, early_stopping and data.batch_size change "
                            "nothing", settings.model.head)  # fmt: skip

    def after_validate(self) -> None:
        """Print or keep the metrics as JSON, where that is wanted."""
        self._tell()

    def after_test(self) -> None:
        """Print or keep the metrics as JSON, where that is wanted."""
        self._tell()

    def _tell(self) -> None:
        """The first process's word."""
        settings = self.config[self.subcommand]
        if self._report.evaluated is not None:
            told = {"command": self.subcommand, "checkpoint": str(settings.ckpt_path), **self._report.evaluated}
            tell(told, settings.json, settings.out)

    def after_instantiate_classes(self) -> None:
        """Refuse a checkpoint of other data before a run's folder is made."""
        if self._trained is not None:
            check_identity(self._trained, self.datamodule.identity(), self.subcommand == "predict")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer that leaves its results behind; its default logger keeps one explicitly named folder a run."""
        settings = self._get(self.config_init, "trainer")
        self._report = RunReport()
        ours: list[Callback] = [self._report]
        if self.subcommand == "fit":
            ours.append(EpochPace())
        if self.subcommand == "predict":
            ours.append(PredictionFile(self.config["predict"]["format"]))
        kwargs["callbacks"] = [*_as_list(settings["callbacks"]), *ours]
        _check_callbacks(kwargs["callbacks"])
        kwargs["plugins"] = [*_as_list(settings["plugins"]), WholeFileIO()]
        kwargs["profiler"] = settings["profiler"] or IdleProfiler()
        if settings["logger"] is None or settings["logger"] is True:
            kwargs["logger"] = self._run_logger(Path(settings["default_root_dir"] or ".") / "lightning_logs")
        with in_words("these settings of trainer"):
            return super().instantiate_trainer(**kwargs)

    @property
    def run_prefix(self) -> str:
        """What a run's folder is named by first."""
        target: str = self.model.spec.target
        return target

    def _run_logger(self, folder: Path) -> CurveLogger:
        """A folder of its own for each run; a resumed run goes on in the folder it began in, with its best epoch."""
        run = folder / self.datamodule.dataset.name / _run_name(self.run_prefix, self.model)
        if self.subcommand == "fit" and self.config["fit"]["ckpt_path"]:
            began_in = Path(self.config["fit"]["ckpt_path"]).resolve().parent.parent
            if (began_in / "split.json").is_file():
                run = began_in
            else:
                logger.warning("the checkpoint is not in a run's folder; a new run begins, without the old best epoch")
        keeps(run if self.subcommand else run.parent)
        return CurveLogger(run.parents[1], name=run.parent.name, version=run.name, default_hp_metric=False)


def _as_list(given: Any) -> list[Any]:
    """The callbacks or plugins of a configuration, which may be none or one."""
    return given if isinstance(given, list) else [given] if given else []


def _check_callbacks(callbacks: list[Callback]) -> None:
    """Refuse a callback that would choose by the test split."""
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if str(monitor).startswith("test/"):
            raise ConfigError(
                f"{type(callback).__name__} monitors {monitor}: no choice may look at the test split; choose val/loss"
            )


def _whole_seed(seed: bool | int) -> int:
    """The seed as a number: the same one draws initial weights, dropout and order."""
    if isinstance(seed, bool) or not 0 <= seed <= HIGHEST_SEED:
        raise ConfigError(f"seed_everything must be a whole number from 0 to {HIGHEST_SEED:,}, got {seed}")
    return seed


def _run_name(prefix: str, model: SoftLabelModule) -> str:
    """Target or arm, seed, time and a random tail: runs that start together never share a folder."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return f"{prefix}-seed{model.spec.seed}-{stamp}-{secrets.token_hex(2)}"


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    """Lightning recommends its company's logger at every start."""
    return "litlogger" not in record.getMessage()


def add_ignored(parser: LightningArgumentParser, keys: tuple[str, ...]) -> None:
    """Accept keys that one file may hold for other commands.

    Args:
        parser: The parser of a command that does not read them.
        keys: The keys.
    """
    for key in keys:
        parser.add_argument(f"--{key}", type=Any, help=SUPPRESS)


class _SaidOnce(logging.Filter):
    """Lets each warning through once: runs and redrawn splits of the same data would repeat it."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is no warning, or a new one."""
        if record.levelno < logging.WARNING:
            return True
        message = record.getMessage()
        new = message not in self._said
        self._said.add(message)
        return new


def show_progress() -> None:
    """Print this package's log lines on stderr, warnings alone where quiet was asked for; leave out idle ones."""
    leave_out_idle_warnings()
    leave_out_writers()
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)
    ours = logging.getLogger("soft_labels")
    if not ours.handlers:
        ours.addHandler(logging.StreamHandler())
    for handler in ours.handlers:
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.filters = [_SaidOnce()]
    ours.setLevel(logging.WARNING if is_quiet() else logging.INFO)
    results.setLevel(logging.NOTSET)
    for name in _OF_LIGHTNING if is_quiet() else ():
        logging.getLogger(name).setLevel(logging.WARNING)


def run_lightning(arguments: list[str]) -> None:
    """``soft-labels fit | validate | test | predict``."""
    show_progress()
    results.setLevel(logging.INFO)
    SoftLabelCLI(arguments)


OF_A_RUN = ("model", "early_stopping", "checkpoint", "projector", "seed_everything")


def datamodule_parser(
    prog: str, description: str, ignored: tuple[str, ...] = (*OF_FIT_ALONE, *OF_A_RUN)
) -> LightningArgumentParser:
    """A parser of ``--data`` that takes every configuration of ``fit``, once the caller has added ``trainer``.

    Args:
        prog: The command, as the help page names it.
        description: First line of the help page.
        ignored: Keys of such a configuration that the command does not read.
    """
    parser = LightningArgumentParser(prog=prog, description=description, exit_on_error=False)
    parser.add_argument("-c", "--config", action="config", help="configuration file of fit; several overlay")
    parser.add_subclass_arguments(AnnotationDataModule, "data", required=True)
    add_ignored(parser, ignored)
    return parser


def parse_datamodule(arguments: list[str], prog: str, description: str) -> AnnotationDataModule:
    """The data module that a configuration of ``fit`` describes; nothing is read or encoded yet.

    Args:
        arguments: Command-line arguments; ``--config`` files may hold every key of ``fit``.
        prog: The command, as the help page names it.
        description: First line of the help page.
    """
    parser = datamodule_parser(prog, description)
    add_ignored(parser, ("trainer",))
    config: Namespace = parser.parse_args(arguments)
    datamodule: AnnotationDataModule = parser.instantiate_classes(config).data
    return datamodule
