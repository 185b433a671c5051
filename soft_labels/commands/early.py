"""Mistakes that can be seen before anything heavy is imported: wrong options, and files that are not there."""

from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from soft_labels.annotations.sources import datasets_below
from soft_labels.commands.configurations import check_structure
from soft_labels.commands.options import OWN, WITHIN, groups_of, is_known, keys_of
from soft_labels.commands.run_files import files_of_run
from soft_labels.errors import ConfigError, DataError, RecordError, did_you_mean
from soft_labels.heads.source import folder_of

_CONFIG = ("--config", "-c")
_OURS = "soft_labels."
_LINKS = ("://", "*", "?", "[", "{")  # of addresses and patterns, which are no files


def check(arguments: Sequence[str]) -> None:
    """Refuse what the command would refuse later, in the same words.

    Args:
        arguments: The command line, with paths in place of names of configurations.

    Raises:
        ArgumentError: There is no such option; the nearest one is for whoever prints it.
        SoftLabelsError: A file or a folder is not there, a command that is several is not told which, or a
            configuration is nested or grows without measure.
    """
    command, *own = arguments
    if {"-h", "--help"} & set(own):
        return
    _check_within(command, own)
    configs = [_mapping(Path(value)) for name, value in _values(own) if name in _CONFIG]
    if command in OWN:
        _check_options(command, own, configs)
    _check_paths(command, own, configs)


def _check_within(command: str, own: Sequence[str]) -> None:
    """A command that is several wants to know which."""
    choices = WITHIN.get(command, ())
    word = own[0] if own else "nothing"
    if choices and word not in choices:
        raise ConfigError(f"{command} wants one of {', '.join(choices)}, got {word}{did_you_mean(word, choices)}")


def _check_options(command: str, own: Sequence[str], configs: Sequence[dict[str, Any]]) -> None:
    """Every option must be one, and every key that a configuration gives to a class of ours."""
    strangers = any(_is_strange(value) for value in own) or any(map(_names_strangers, configs))
    for argument in own:
        if not argument.startswith("--") or argument == "--":
            continue
        name = argument.removeprefix("--").partition("=")[0]
        if not is_known(command, name) and not (strangers and name.startswith("data.")):
            raise ArgumentError(None, f"unrecognized arguments: {argument}")
    for config in configs:
        for group in groups_of(command):
            for key in _keys(config.get(group)):
                if isinstance(key, str) and key not in keys_of(group) and not (strangers and group == "data"):
                    raise ArgumentError(None, f"the configuration does not accept option '{group}.{key}'")


def _keys(part: Any) -> Iterator[Any]:
    """The arguments of a group in a configuration; a named file or a class path alone has none."""
    if isinstance(part, dict):
        yield from (key for key in part if key not in {"class_path", "init_args"})
        yield from _keys(part.get("init_args"))


def _is_strange(value: str) -> bool:
    """Whether an argument is the class path of a data module that is not ours."""
    name, _, given = value.rpartition("=")
    return name in {"", "--data"} and "." in given and given.replace(".", "").replace("_", "").isalnum() and (
        not given.startswith(_OURS) and not Path(given).exists()
    )  # fmt: skip


def _names_strangers(config: dict[str, Any]) -> bool:
    """Whether a configuration's data module is not ours."""
    data = config.get("data")
    path = data.get("class_path") if isinstance(data, dict) else data
    return isinstance(path, str) and "." in path and not path.startswith(_OURS)


def _mapping(path: Path) -> dict[str, Any]:
    """A configuration; an empty one where the file is for the parser to refuse."""
    try:
        text = path.read_text(encoding="utf-8")
        check_structure(text)
        content = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _values(own: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options with their values, in both forms."""
    for argument, following in pairwise((*own, "")):
        name, equals, value = argument.partition("=")
        if name.startswith("-") and (equals or not following.startswith("-")):
            yield name, value if equals else following


def _check_paths(command: str, own: Sequence[str], configs: Sequence[dict[str, Any]]) -> None:
    """Files and folders that are named must be there."""
    first = own[0] if own and not own[0].startswith("-") else None
    given = dict(_values(own))
    if (checkpoint := given.get("--ckpt_path")) and not Path(checkpoint).is_file() and command in OWN:
        raise ConfigError(f"no checkpoint at {checkpoint}; give the path of a .ckpt file below lightning_logs/")
    if command == "report" and first is not None and not (Path(first) / "experiment.json").is_file():
        raise RecordError(f"no experiment.json in {first}; give the folder that soft-labels reproduce wrote")
    if command == "export" and first is not None:
        files_of_run(Path(first))
    if command == "compare" and (shown := given.get("--show")) and not (Path(shown) / "compare.json").is_file():
        raise RecordError(f"no compare.json in {shown}; give the folder that soft-labels compare said it saved to")
    tables = [given.get("--data.path"), *(own[1:2] if (command, first) == ("data", "init") else ())]
    if command == "predict" and first is not None:
        folder_of(first)
        tables += own[1:2]
    if (command, first) == ("data", "stats") and (root := given.get("--root")):
        datasets_below(Path(root))
    if given.get("--data.path") is None:
        tables += [path for config in reversed(configs) if (path := _path_of(config)) is not None][:1]
    for table in tables:
        if table and not table.startswith("-") and not any(link in table for link in _LINKS):
            _check_table(Path(table).expanduser())


def _path_of(config: dict[str, Any]) -> str | None:
    """The table of a configuration."""
    data = config.get("data")
    settings = data.get("init_args") if isinstance(data, dict) else None
    path = settings.get("path") if isinstance(settings, dict) else None
    return path if isinstance(path, str) else None


def _check_table(path: Path) -> None:
    """A table must be there."""
    if not path.exists():
        raise DataError(f"{path}: no such table; give the path of an existing file or folder")
