"""``soft-labels data stats`` and ``soft-labels data fetch``."""

from collections.abc import Callable
from pathlib import Path

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.annotations.cifar10h import read_cifar10h
from soft_labels.annotations.popquorn import read_popquorn
from soft_labels.annotations.sources import LICENCES, DatasetName, fetch_dataset
from soft_labels.annotations.stats import entropy_figure, print_stats, save_figure, summarise
from soft_labels.distributions import TiePolicy, label_distribution, normalized_entropy
from soft_labels.errors import DataError

READERS: dict[str, Callable[[Path], AnnotatedData]] = {
    "chaosnli": read_chaosnli,
    "popquorn": read_popquorn,
    "cifar10h": read_cifar10h,
}


def stats(
    root: Path = Path("data"),
    tie: TiePolicy = "lowest",
    figure: Path = Path("lightning_logs/data_stats/entropy.png"),
    config: list[str] | None = None,
) -> None:
    """Print the paper's Table 1 for the data on disk and draw its Figure 3.

    Args:
        root: Folder that holds the data sets; those that are absent are left out.
        tie: Which class wins a tied majority.
        figure: Where the histograms of entropy go, as PNG, PDF or SVG.
        config: Describe the data of these configuration files of fit instead, your own table for example.
    """
    found = [_of_config(config)] if config else _on_disk(root)
    print_stats([summarise(data, tie) for data in found])
    entropies = [(data.name, normalized_entropy(label_distribution(data.label_counts))) for data in found]
    save_figure(entropy_figure(entropies), figure)
    print(f"entropy of each data set drawn in {figure}")  # noqa: T201


def _of_config(config: list[str]) -> AnnotatedData:
    """The data that a configuration describes; nothing is encoded, so any encoder stands in for one not yet chosen."""
    from soft_labels.cli import parse_datamodule

    arguments = [option for path in config for option in ("--config", path)]
    arguments.append("--data.encoder=soft_labels.encoders.OpenAIEncoder")
    return parse_datamodule(arguments, "soft-labels data stats", "The data of a configuration.").read().sorted_by_uid()


def _on_disk(root: Path) -> list[AnnotatedData]:
    """Every data set whose folder lies below the root."""
    present = [name for name in READERS if (root / name).is_dir()]
    if not present:
        raise DataError(
            f"no data set below {root}: wanted a folder {', '.join(READERS)}; "
            'run "soft-labels data fetch NAME --root DIR" or give another --root'
        )
    return [READERS[name](root) for name in present]


def fetch(name: DatasetName, root: Path = Path("data")) -> None:
    """Download a data set's official files, verified against pinned checksums.

    Args:
        name: Which data set.
        root: Folder that data sets lie in; files that are there already are verified, not downloaded again.
    """
    print(LICENCES[name])  # noqa: T201
    for path in fetch_dataset(name, root):
        print(f"ready: {path}")  # noqa: T201


def run_data(arguments: list[str]) -> None:
    """``soft-labels data stats | fetch``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="soft-labels data", description="Describe or download data sets.", exit_on_error=False)
    commands = parser.add_subcommands()
    describe = ArgumentParser(description="Print the paper's Table 1 and draw its Figure 3.", exit_on_error=False)
    describe.add_function_arguments(stats, as_group=False, skip={"config"})
    describe.add_argument(
        "-c", "--config", action="append", help="configuration of fit whose data to describe instead; several overlay"
    )
    commands.add_subcommand("stats", describe, help="describe annotations")
    download = ArgumentParser(description="Download a data set's official files.", exit_on_error=False)
    download.add_function_arguments(fetch, as_group=False, as_positional=True)
    commands.add_subcommand("fetch", download, help="download a data set's official files")
    chosen = parser.parse_args(arguments[1:])
    functions: dict[str, Callable[..., None]] = {"stats": stats, "fetch": fetch}
    functions[chosen.subcommand](**chosen[chosen.subcommand].as_dict())
