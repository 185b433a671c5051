"""``soft-labels runs list`` and ``soft-labels runs clean``: what lies in ``lightning_logs``, and what may go."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from soft_labels.commands.output import json_text
from soft_labels.errors import ConfigError, did_you_mean
from soft_labels.runs.cleaning import Choice, Removal, days_ago, plan, remove
from soft_labels.runs.found import Found, Lying, find

Order = Literal["folder", "started", "size", "kl"]
_SHOWN = 20
_HEADINGS = ("folder", "kind", "data set", "arms", "seed", "started", "size", "state", "lowest")
_RIGHT = ("seed", "size")
_IN_THE_FOLDERS_NAME = ("folder", "data set", "seed")


def show(
    logs: Path = Path("lightning_logs"), dataset: str | None = None, sort: Order = "started", json: bool = False
) -> None:
    """List what every command left: data set, arms, seed, start, size, whether it ended, lowest KL.

    Args:
        logs: The folder to look through.
        dataset: Only what is of this data set.
        sort: By folder, by started or size with the last and largest first, or by kl with the lowest first.
        json: Print one JSON object.
    """
    lying = _lying(logs)
    found = _sorted(_of(lying, dataset), sort)
    if json:
        others = {"leftovers": lying.leftovers, "others": lying.others}
        told = {key: [path.relative_to(logs).as_posix() for path in paths] for key, paths in others.items()}
        print(json_text({"logs": str(logs), "found": [one.values() for one in found], **told}))  # noqa: T201
        return
    _print(found, lying)


def clean(
    names: Sequence[str] = (),
    logs: Path = Path("lightning_logs"),
    dataset: str | None = None,
    older_than: float | None = None,
    events: bool = False,
    yes: bool = False,
) -> None:
    """Remove runs that were stopped, and what killed processes left half-written; shows first, asks, or wants --yes.

    Args:
        names: Folders as runs list shows them, to be removed whatever they are: finished experiments too.
        logs: The folder to look through.
        dataset: Only what is of this data set alone.
        older_than: Days; only what is older, and of that single runs that ended too.
        events: Only the event files of what ended: TensorBoard forgets it, nothing else does.
        yes: Remove without asking.
    """
    lying = _lying(logs)
    _of(lying, dataset)
    before = None if older_than is None else days_ago(older_than)
    removals, kept = plan(lying, Choice(tuple(names), dataset, before, events))
    for one in removals:
        print(f"{_in_bytes(one.size):>9}  {logs / one.name}  ({one.why})")  # noqa: T201
    for line in kept:
        print(f"kept: {logs}/{line}")  # noqa: T201
    if not removals:
        print("nothing to remove")  # noqa: T201
    elif yes or _agreed(removals):
        print(f"removed: {_in_bytes(remove(removals, logs))} are free again")  # noqa: T201
    else:
        whole = _in_bytes(sum(one.size for one in removals))
        print(f"nothing was removed; with --yes {whole} would be free again")  # noqa: T201


def _lying(logs: Path) -> Lying:
    """What lies in a folder.

    Raises:
        ConfigError: There is no such folder.
    """
    if not logs.is_dir():
        raise ConfigError(f"there is no folder {logs}; give --logs the folder that runs were written to")
    return find(logs)


def _of(lying: Lying, dataset: str | None) -> list[Found]:
    """What is of a data set.

    Raises:
        ConfigError: Nothing is.
    """
    known = {name for one in lying.found for name in one.datasets}
    if dataset is not None and dataset not in known:
        raise ConfigError(f"nothing in {lying.root} is of a data set {dataset}: there are "
                          f"{', '.join(sorted(known)) or 'none'}{did_you_mean(dataset, known)}")  # fmt: skip
    return [one for one in lying.found if dataset is None or dataset in one.datasets]


def _sorted(found: list[Found], sort: Order) -> list[Found]:
    """In the order that was asked for; what has no KL comes last."""
    if sort == "started":
        return sorted(found, key=lambda one: one.started, reverse=True)
    if sort == "size":
        return sorted(found, key=lambda one: one.size, reverse=True)
    if sort == "kl":
        return sorted(found, key=lambda one: next((v for k, v in one.best.items() if "kl" in k), float("inf")))
    return found


def _print(found: list[Found], lying: Lying) -> None:
    """The table, and what else lies there."""
    for line in _table(found, shutil.get_terminal_size().columns if sys.stdout.isatty() else None):
        print(line)  # noqa: T201
    print(f"{len(found):,} in {lying.root}, {_in_bytes(sum(one.size for one in found))}")  # noqa: T201
    if lying.leftovers:
        print(f"half-written by killed processes: {len(lying.leftovers):,}; soft-labels runs clean removes them")  # noqa: T201
    if lying.others:
        shown = ", ".join(path.relative_to(lying.root).as_posix() for path in lying.others[:_SHOWN])
        more = f" and {len(lying.others) - _SHOWN:,} more" if len(lying.others) > _SHOWN else ""
        print(f"not of soft-labels, and never touched: {shown}{more}")  # noqa: T201


def _table(found: list[Found], width: int | None) -> Iterator[str]:
    """A line each; where that is wider than the terminal, the folder stands above, and what it says is left out."""
    rows = [_HEADINGS, *map(_row, found)] if found else []
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    apart = width is not None and sum(sizes) + 2 * (len(sizes) - 1) > width
    for row in rows:
        cells = {
            heading: cell.rjust(size) if heading in _RIGHT else cell.ljust(size)
            for heading, cell, size in zip(_HEADINGS, row, sizes, strict=True)
            if not (apart and heading in _IN_THE_FOLDERS_NAME)
        }
        if apart and row is not _HEADINGS:
            yield row[0]
        yield f"{'  ' if apart else ''}{'  '.join(cells.values())}".rstrip()


def _row(one: Found) -> tuple[str, ...]:
    """What the table says of one."""
    best = "".join(f"{name} {value:.4f}" for name, value in one.best.items())
    started, seed = one.started.strftime("%Y-%m-%d %H:%M"), "" if one.seed is None else str(one.seed)
    datasets = ", ".join(one.datasets) if len(one.datasets) < 2 else f"{len(one.datasets)} data sets"
    return one.name, one.kind, datasets, _arms(one), seed, started, _in_bytes(one.size), one.state, best


def _arms(one: Found) -> str:
    """The arms, or how many there are."""
    many = one.arms.count(",") + 1
    return one.arms if many <= 3 else f"{many} arms"


def _in_bytes(size: int) -> str:
    """A size as people say it.

    Example:
        >>> _in_bytes(512), _in_bytes(4_114_594)
        ('512 B', '4.1 MB')
    """
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def _agreed(removals: list[Removal]) -> bool:
    """Whether a person at a terminal says yes."""
    if not sys.stdin or not sys.stdin.isatty():
        return False
    sys.stderr.write(f"remove these {len(removals):,}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def run_runs(arguments: list[str]) -> None:
    """``soft-labels runs list | clean``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="soft-labels runs", description="What lies in lightning_logs, and what may go.", exit_on_error=False
    )
    commands = parser.add_subcommands()
    for name, function in _COMMANDS.items():
        words = (function.__doc__ or "").partition("\n")[0]
        own = ArgumentParser(description=words, exit_on_error=False)
        own.add_function_arguments(function, as_group=False, as_positional=False, skip={"names"})
        if function is clean:
            own.add_argument("names", nargs="*", type=str, default=[], help="folders as runs list shows them")
        commands.add_subcommand(name, own, help=words)
    if arguments[1:] == ["--help"]:
        print("\n".join(commands.choices[name].format_help() for name in _COMMANDS))  # noqa: T201
        return
    config = parser.parse_args(arguments[1:])
    _COMMANDS[config.subcommand](**config[config.subcommand].as_dict())


_COMMANDS: dict[str, Callable[..., None]] = {"list": show, "clean": clean}
