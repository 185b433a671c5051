"""``soft-labels data init``, ``soft-labels data stats`` and ``soft-labels data fetch``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.annotations.cifar10h import read_cifar10h
from soft_labels.annotations.describe import as_json, entropy_figure, print_stats, save_figure, summarise
from soft_labels.annotations.popquorn import read_popquorn
from soft_labels.annotations.sources import LICENCES, DatasetName, datasets_below, fetch_dataset
from soft_labels.commands.data_init import init
from soft_labels.commands.interrupted import keeps
from soft_labels.commands.output import json_text
from soft_labels.distributions import TiePolicy, label_distribution, normalized_entropy

if TYPE_CHECKING:
    from soft_labels.commands.data_split import SplitAndPictures

READERS: dict[DatasetName, Callable[[Path], AnnotatedData]] = {
    "chaosnli": read_chaosnli,
    "popquorn": read_popquorn,
    "cifar10h": read_cifar10h,
}


def stats(
    root: Path = Path("data"),
    tie: TiePolicy = "lowest",
    figure: Path = Path("lightning_logs/data_stats/entropy.png"),
    json: bool = False,
) -> None:
    """Print the paper's Table 1 for the data on disk and draw its Figure 3.

    Args:
        root: Folder that holds the data sets; those that are absent are left out.
        tie: Which class wins a tied majority.
        figure: Where the histograms of entropy go, as PNG, PDF or SVG.
        json: Print one JSON object and draw nothing.
    """
    _describe([READERS[name](root) for name in datasets_below(root)], tie, figure, json)


def _describe(
    found: list[AnnotatedData], tie: TiePolicy, figure: Path, as_object: bool, more: "SplitAndPictures | None" = None
) -> None:
    """The table and the figure, or one JSON object."""
    if as_object:
        whole = as_json([summarise(data, tie) for data in found])
        whole["datasets"] = [{**entry, **(more.as_json() if more else {})} for entry in whole["datasets"]]
        print(json_text(whole))  # noqa: T201
        return
    print_stats([summarise(data, tie) for data in found])
    for line in more.in_words() if more else ():
        print(f"{found[0].name}: {line}")  # noqa: T201
    entropies = [(data.name, normalized_entropy(label_distribution(data.label_counts))) for data in found]
    save_figure(entropy_figure(entropies), figure)
    print(f"entropy of each data set drawn in {figure}")  # noqa: T201


def _describe_configured(options: list[str], figure: Path, as_object: bool) -> None:
    """The data that options of fit describe; nothing is encoded, so that no encoder need be chosen yet."""
    from soft_labels.commands.data_split import SplitAndPictures
    from soft_labels.commands.fit import parse_datamodule

    datamodule = parse_datamodule(options, "soft-labels data stats", "The data of a configuration.")
    data = datamodule.annotations()
    _describe([data], datamodule.tie, figure, as_object, SplitAndPictures(datamodule, data))


def fetch(name: DatasetName, root: Path = Path("data")) -> None:
    """Download a data set's official files, verified against pinned checksums.

    Args:
        name: Which data set.
        root: Folder that data sets lie in; files that are there already are verified, not downloaded again.
    """
    keeps(root)
    print(LICENCES[name])  # noqa: T201
    for path in fetch_dataset(name, root):
        print(f"ready: {path}")  # noqa: T201


def run_data(arguments: list[str]) -> None:
    """``soft-labels data init | stats | fetch``; ``stats`` also takes ``--config`` and ``--data`` options of fit."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="soft-labels data", description="Describe, find out or download data sets.", exit_on_error=False
    )
    commands = parser.add_subcommands()
    describe = ArgumentParser(
        description="Print the paper's Table 1 and draw its Figure 3.",
        epilog="With --config FILE and --data.* options of fit it describes those data, your own table for example.",
        exit_on_error=False,
    )
    describe.add_function_arguments(stats, as_group=False)
    commands.add_subcommand("stats", describe, help="describe annotations")
    download = ArgumentParser(description="Download a data set's official files.", exit_on_error=False)
    download.add_function_arguments(fetch, as_group=False, as_positional=True)
    commands.add_subcommand("fetch", download, help="download a data set's official files")
    begin = ArgumentParser(
        description="Look at a file of annotations, guess its layout, and write a configuration for it.",
        epilog="--data.KEY=VALUE sets what is known, and nothing is guessed about it.",
        exit_on_error=False,
    )
    begin.add_function_arguments(init, as_group=False, as_positional=True, skip={"second", "given"})
    begin.add_argument("second", nargs="?", type=Path, help="a file that describes the items, or more annotations")
    commands.add_subcommand("init", begin, help="write a configuration for a file of annotations")
    own, of_fit = _apart(arguments[1:])
    chosen = parser.parse_args(own)
    settings = chosen[chosen.subcommand].as_dict()
    functions: dict[str, Callable[..., None]] = {"stats": stats, "fetch": fetch}
    if of_fit and chosen.subcommand == "stats":
        _describe_configured(of_fit, settings["figure"], settings["json"])
    elif chosen.subcommand == "init":
        init(**settings, given=of_fit)
    else:
        functions[chosen.subcommand](**settings)


def _apart(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments of ``stats`` or ``fetch``, and the options of fit among them."""
    own: list[str] = []
    of_fit: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, _, value = argument.partition("=")
        if name in {"-c", "--config", "--data"} or name.startswith("--data."):
            of_fit += [name, value or next(rest, "")]
        else:
            own.append(argument)
    return own, of_fit
