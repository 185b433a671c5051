"""Soft against hard: two heads that differ in their target alone, over a few seeds, side by side."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lightning.pytorch.cli import ArgsType, LightningArgumentParser
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray

from soft_labels.cli import SoftLabelCLI, show_progress
from soft_labels.distributions import has_tie
from soft_labels.errors import ConfigError
from soft_labels.metric_names import HIGHER_IS_BETTER, LABELS
from soft_labels.objectives import TARGETS, Target
from soft_labels.progress import tracked


class CompareCLI(SoftLabelCLI):
    """The options of ``fit``, and how many seeds; target and seed are set for each run."""

    prog = "soft-labels compare"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the number of seeds."""
        super().add_arguments_to_parser(parser)
        parser.add_argument("--seeds", type=int, default=5, help="train each target with seeds 0 to N - 1")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Keep the number of seeds out of the configuration that is saved beside a run, which ``fit`` takes."""
        super().parse_arguments(parser, args)
        self.seeds: int = self.config.pop("seeds")


class _Options(CompareCLI):
    """The parsed options alone: nothing is read, encoded or trained."""

    def instantiate_classes(self) -> None:
        """Make nothing."""


@dataclass(frozen=True)
class Comparison:
    """Test metrics of both targets over seeds.

    Args:
        dataset: The data set's name.
        notes: What the numbers depend on, a line each.
        metrics: By target, by metric name: one value a seed, ``[S]``.
        folder: Where the runs lie.
    """

    dataset: str
    notes: tuple[str, ...]
    metrics: dict[Target, dict[str, NDArray[np.float64]]]
    folder: Path


def compare(arguments: list[str], seeds: int) -> Comparison:
    """Train and test each target with seeds 0 to S-1 on the same split, through the ordinary ``fit`` and ``test``.

    Args:
        arguments: Options of ``fit``, such as ``--config``; target and seed are set here.
        seeds: How many seeds, S.

    Raises:
        ConfigError: Fewer than one seed.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, got {seeds}")
    found: dict[Target, list[dict[str, float]]] = {target: [] for target in TARGETS}
    runs = [(seed, target) for seed in range(seeds) for target in TARGETS]
    for seed, target in tracked(runs, len(runs), "training heads"):
        cli, metrics = _fit_and_test(arguments, seed, target)
        found[target].append(metrics)
        _hush()  # what the first run said of data and embeddings holds for all
    return Comparison(
        cli.datamodule.dataset,
        _notes(cli, seeds),
        {target: {name: np.array([row[name] for row in rows]) for name in rows[0]} for target, rows in found.items()},
        Path(cli.trainer.log_dir or ".").parent,
    )


def _fit_and_test(arguments: list[str], seed: int, target: Target) -> tuple[SoftLabelCLI, dict[str, float]]:
    """One ordinary run, tested at its best epoch."""
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    cli = CompareCLI([*quiet, *arguments, f"--model.target={target}", f"--seed_everything={seed}"], run=False)
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", '`.test\\(ckpt_path="best"\\)`')
        metrics = cli.trainer.test(cli.model, ckpt_path="best", datamodule=cli.datamodule, verbose=False)[0]
    return cli, {key.removeprefix("test/"): value for key, value in metrics.items()}


def _hush() -> None:
    """Leave out what every run would say again."""
    for name in ("soft_labels", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _notes(cli: SoftLabelCLI, seeds: int) -> tuple[str, ...]:
    """What a reader must know to judge the numbers."""
    datamodule, hparams = cli.datamodule, cli.model.hparams
    sizes = " / ".join(f"{len(datamodule.rows(part)):,}" for part in ("train", "val", "test"))
    settings = ("hidden_width", "dropout", "lr", "weight_decay", "scheduler", "standardize")
    return (
        f"{len(datamodule.data):,} items, train / val / test {sizes}, split seed {datamodule.split_seed}",
        f"majority class: ties to the {datamodule.tie}, {int(has_tie(datamodule.data.label_counts).sum()):,} items",
        f"encoder {datamodule.encoder_name}, {datamodule.embedding_dim:,} features",
        f"head {', '.join(f'{key} {hparams[key]}' for key in settings)}, batch {datamodule.batch_size}",
        f"best epoch by validation loss; mean and standard deviation over {seeds} seed(s); KL(annotators || model)",
    )


def print_comparison(comparison: Comparison) -> None:
    """Print the table, what it rests on, and what to open next."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{comparison.dataset}: test split", title_justify="left")
    table.add_column("metric")
    for target in ("hard", "soft", "soft - hard"):
        table.add_column(target, justify="right")
    soft, hard = comparison.metrics["soft"], comparison.metrics["hard"]
    for name, label in LABELS.items():
        if name in soft:
            arrow = "↑" if name in HIGHER_IS_BETTER else "↓"
            table.add_row(f"{label} {arrow}", *(_cell(values) for values in (hard[name], soft[name])),
                          _cell(soft[name] - hard[name], signed=True))  # fmt: skip
    console = Console()
    console.print(table)
    for line in comparison.notes:
        console.print(line, highlight=False)
    console.print(
        f"Next: tensorboard --logdir {comparison.folder.parent}  "
        f"(curves and figures of these runs, under {comparison.folder})",
        highlight=False,
        soft_wrap=True,
    )


def _cell(values: NDArray[np.float64], signed: bool = False) -> str:
    """Mean and sample standard deviation; one value has no spread."""
    mean = f"{values.mean():{'+' if signed else ''}.3f}"
    return f"{mean} ± {values.std(ddof=1):.3f}" if len(values) > 1 else mean


def run_compare(arguments: list[str]) -> None:
    """``soft-labels compare``."""
    show_progress()
    rest = arguments[1:]
    seeds = _Options(rest, run=False).seeds
    rank_zero_only(print_comparison)(compare(rest, seeds))
