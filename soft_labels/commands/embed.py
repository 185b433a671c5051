"""``soft-labels embed``: the embedding stage by itself, on one device or on many."""

import inspect
from argparse import SUPPRESS
from functools import partial

from jsonargparse import Namespace
from lightning import Trainer
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser
from torch.distributed import DistError

from soft_labels.commands.fit import add_ignored, datamodule_parser, show_progress
from soft_labels.commands.interrupted import keeps
from soft_labels.data import AnnotationDataModule
from soft_labels.embeddings import Ranks
from soft_labels.encoders.hosted import HostedEncoder
from soft_labels.errors import ConfigError
from soft_labels.training.trainer import TRAINER_DEFAULTS

_ENCODES = (
    "Encode a data set's inputs once and keep the embeddings. Exit code 75: a service that was asked for them answers "
    "later; run the same command again."
)
_OF_TRAINER = ("accelerator", "strategy", "devices", "num_nodes")  # what is taken of its settings
_OF_NOTEBOOKS = ("ddp_spawn", "ddp_fork", "ddp_notebook")  # copies of this process, whose errors come as tracebacks


def run_embed(arguments: list[str]) -> None:
    """``soft-labels embed``: encode what the store lacks, and say what is there now; or say what it would take."""
    show_progress()
    parser = datamodule_parser("soft-labels embed", _ENCODES)
    _add_devices(parser)
    parser.add_argument(
        "--dry_run", action="store_true", default=SUPPRESS, help="say what is missing and what it would cost, then stop"
    )
    config: Namespace = parser.parse_args(arguments[1:])
    datamodule: AnnotationDataModule = parser.instantiate_classes(config).data
    if "dry_run" in config:
        print(_planned(datamodule))  # noqa: T201
        return
    fabric = _fabric(config.trainer, datamodule)
    keeps(datamodule.store)
    try:
        fabric.launch(partial(_embed, datamodule=datamodule))
    except DistError as error:
        what = str(error).partition("\n")[0]
        raise ConfigError(
            f"the processes did not meet: {what}; "
            "wanted one free MASTER_PORT on the first node, its MASTER_ADDR, and a NODE_RANK for each node"
        ) from error


def _add_devices(parser: LightningArgumentParser) -> None:
    """The Trainer's settings of devices; its others may stand in the file and are not read."""
    others = set(inspect.signature(Fabric).parameters) - set(_OF_TRAINER)
    parser.add_class_arguments(Fabric, "trainer", skip=others, instantiate=False)
    parser.set_defaults({"trainer.devices": TRAINER_DEFAULTS["devices"]})
    ignored = [name for name in inspect.signature(Trainer).parameters if name not in _OF_TRAINER]
    add_ignored(parser, tuple(f"trainer.{name}" for name in ignored))


def _fabric(trainer: Namespace, datamodule: AnnotationDataModule) -> Fabric:
    """What starts a process for each device.

    Raises:
        ConfigError: There are no such devices, a cluster started another number of processes, the encoder has no use
            for several, or the strategy is a notebook's.
    """
    if trainer.strategy in _OF_NOTEBOOKS:
        raise ConfigError(f"--trainer.strategy={trainer.strategy} is there for notebooks; set --trainer.strategy=ddp")
    try:
        fabric = Fabric(**{name: trainer[name] for name in _OF_TRAINER})
        if isinstance(strategy := fabric.strategy, DDPStrategy) and (cluster := strategy.cluster_environment):
            cluster.validate_settings(strategy.num_processes, strategy.num_nodes)
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise ConfigError(f"wanted devices to encode on: {error}; correct --trainer") from error
    hosted = any(isinstance(part, HostedEncoder) for part in datamodule.source.encoders)
    if fabric.world_size > 1 and hosted:
        raise ConfigError(
            f"{datamodule.source.name} is computed by a service, where {fabric.world_size} processes are no faster; "
            "set --trainer.devices=1 and --trainer.num_nodes=1, and raise the encoder's concurrency instead"
        )
    return fabric


def _embed(fabric: Fabric, datamodule: AnnotationDataModule) -> None:
    """One process's share; the first process says what is stored then."""
    for encoder in datamodule.source.encoders:
        if fabric.world_size > 1 and encoder.device == "auto":
            encoder.device = str(fabric.device)
    with Ranks(fabric.global_rank, fabric.world_size, fabric.local_rank) as ranks:
        with ranks.together():
            _ = datamodule.dataset.split  # data that cannot be split are not worth encoding
        stored = _embedded(datamodule, ranks)
    if ranks.first:
        print(stored)  # noqa: T201


def _embedded(datamodule: AnnotationDataModule, ranks: Ranks) -> str:
    """Encode what is missing; what is stored now, and what was paid; nothing, where another process says it."""
    source, name, items = datamodule.source, datamodule.dataset.name, datamodule.dataset.data.items
    encoded = source.encode(items, ranks)
    if not ranks.first:
        return ""
    features = source.open(encoded, name)
    folders = " + ".join(str(store.folder) for store in source.stores)
    lines = [
        f"{name}: {len(features):,} items x {features.dim} numbers in {folders}",
        f"checksum {features.checksum}",
        *([f"paid: {encoded.report.usage}"] if encoded.report.usage else []),
    ]
    return "\n".join(lines)


def _planned(datamodule: AnnotationDataModule) -> str:
    """What encoding would take."""
    source, dataset = datamodule.source, datamodule.dataset
    lines = []
    for plan, store in zip(source.plans(dataset.data.items), source.stores, strict=True):
        stored = f"{plan.inputs - plan.missing:,} stored in {store.folder}, {plan.missing:,} missing"
        lines += [
            f"{dataset.name}: {len(dataset.data):,} items, {plan.inputs:,} distinct inputs, {stored}",
            *([plan.submitted] if plan.submitted else []),
            *([str(plan.paid)] if plan.paid else []),
        ]
    return "\n".join([*lines, "dry run: nothing was encoded or sent"])
