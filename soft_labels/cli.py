"""Lightning's CLI over this project's module and data modules."""

import logging
import pickle
import secrets
import time
from pathlib import Path
from typing import Any, cast

from jsonargparse import Namespace
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger

from soft_labels.callbacks import PredictionFile, RunFiles, TensorBoardReport
from soft_labels.datamodules import AnnotationDataModule
from soft_labels.errors import ConfigError
from soft_labels.module import SoftLabelModule

TRAINER_DEFAULTS = {
    "max_epochs": 20,
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
    "use_distributed_sampler": False,  # our loaders deal out the rows themselves
}


class SaveFitConfig(SaveConfigCallback):
    """Saves the configuration beside the run, when there is a run: testing an old one must not write a new file."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save before training only."""
        if stage == "fit":
            super().setup(trainer, pl_module, stage)


class SoftLabelCLI(LightningCLI):
    """``fit``, ``validate``, ``test`` and ``predict``; class count, width and seeds are linked, never typed.

    Args:
        args: Command-line arguments after the program's name.
        run: Whether the first argument is a subcommand to run; otherwise the classes are only made.
    """

    def __init__(self, args: ArgsType, run: bool = True) -> None:
        super().__init__(
            SoftLabelModule,
            AnnotationDataModule,
            subclass_mode_data=True,
            save_config_callback=SaveFitConfig,
            seed_everything_default=0,
            trainer_defaults={**TRAINER_DEFAULTS, "callbacks": [RunFiles(), TensorBoardReport(), PredictionFile()]},
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=args,
            run=run,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Early stopping, checkpoints, and what the data tell the model."""
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "early_stopping.monitor": "val/loss",
                "early_stopping.patience": 5,
                "early_stopping.min_delta": 1e-4,
                "checkpoint.monitor": "val/loss",
                "checkpoint.filename": "best",
            }
        )
        for name in ("num_classes", "embedding_dim", "ordinal"):
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=_whole_seed)
        parser.link_arguments("seed_everything", "data.init_args.order_seed", compute_fn=_whole_seed)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the given arguments; Lightning's own warns when the program has others."""
        self.config = parser.parse_args(cast("list[str]", args))

    def _parse_ckpt_path(self) -> None:
        """Refuse a checkpoint that is not there or not readable before anything is loaded for it."""
        path = self.config.get(f"{self.config.get('subcommand')}.ckpt_path")
        if path and path not in {"best", "last", "hpc", "registry"} and not Path(path).is_file():
            raise ConfigError(f"no checkpoint at {path}; give the path of a .ckpt file below lightning_logs/")
        try:
            super()._parse_ckpt_path()
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ConfigError(f"{path} is not a readable checkpoint of plain tensors and values: {error}") from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer whose default logger keeps one explicitly named folder a run."""
        settings = self._get(self.config_init, "trainer")
        if settings["logger"] in {None, True}:
            kwargs["logger"] = TensorBoardLogger(
                Path(settings["default_root_dir"] or ".") / "lightning_logs",
                name=self.datamodule.dataset,
                version=_run_name(self.model),
                default_hp_metric=False,
            )
        return super().instantiate_trainer(**kwargs)


def _whole_seed(seed: bool | int) -> int:
    """The seed as a number: the same one draws initial weights, dropout and order."""
    if isinstance(seed, bool):
        raise ValueError("seed_everything must be a whole number")  # noqa: TRY004 (the parser reports a ValueError)
    return seed


def _run_name(model: SoftLabelModule) -> str:
    """Target, seed, time and a random tail: runs that start together never share a folder."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return f"{model.target}-seed{model.hparams['seed']}-{stamp}-{secrets.token_hex(2)}"


def show_progress() -> None:
    """Print this package's log lines on stderr."""
    logger = logging.getLogger("soft_labels")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def run_lightning(arguments: list[str]) -> None:
    """``soft-labels fit | validate | test | predict``."""
    show_progress()
    SoftLabelCLI(arguments)


def parse_datamodule(arguments: list[str], description: str) -> AnnotationDataModule:
    """The data module that a configuration of ``fit`` describes; nothing is read or encoded yet.

    Args:
        arguments: Command-line arguments; ``--config`` files may hold every key of ``fit``.
        description: First line of the help page.
    """
    parser = LightningArgumentParser(description=description)
    parser.add_argument("-c", "--config", action="config", help="configuration file of fit; several overlay")
    parser.add_subclass_arguments(AnnotationDataModule, "data", required=True)
    for ignored in ("trainer", "model", "early_stopping", "checkpoint", "seed_everything", "seeds"):
        parser.add_argument(f"--{ignored}", type=Any, help="accepted so that one file serves every command")
    config: Namespace = parser.parse_args(arguments)
    datamodule: AnnotationDataModule = parser.instantiate_classes(config).data
    return datamodule


def run_embed(arguments: list[str]) -> None:
    """``soft-labels embed``: encode what the store lacks, and say what is there now."""
    show_progress()
    datamodule = parse_datamodule(arguments[1:], "Encode a data set's inputs once and keep the embeddings.")
    features = datamodule.features
    print(  # noqa: T201
        f"{datamodule.dataset}: {len(features):,} items x {features.dim} numbers in {datamodule.store.folder}\n"
        f"checksum {features.checksum()}"
    )
