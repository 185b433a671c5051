"""What a configuration may be and may name, whoever wrote it.

A class path in a configuration imports a module and calls a class. Only this package and the libraries that training
is made of may be named so. Code of another package is run where the user typed its class path as an option of the
command, or named the package in the environment variable ``SOFT_LABELS_TRUST``.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader, set_parsing_settings

from soft_labels.consent import trusted_packages
from soft_labels.errors import ConfigError

LIBRARIES = ("lightning", "optuna", "soft_labels", "torch", "torchmetrics")
RUN_CODE = (
    "torch.hub",
    "torch.jit",
    "torch.load",
    "torch.package",
    "torch.serialization",
    "torch.utils.cpp_extension",
    "torch.utils.model_zoo",
)
"""What of the libraries fetches, builds or unpickles code."""
MOST_LEVELS = 50
MOST_VALUES = 100_000
"""Values of one configuration; what an alias stands for counts wherever it stands."""
_CLASS_PATH = re.compile(r"(?:.*=)?([A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)+")
_SUFFIXES = (".yaml", ".yml", ".json")
_CONFIG = ("-c", "--config")
_plain = get_loader("yaml")


def guard(arguments: Sequence[str]) -> None:
    """Check the configurations that a command line names, and limit what all configurations may name from now on.

    Args:
        arguments: The command line; a class path that stands there may be imported.

    Raises:
        ConfigError: A file is not UTF-8 text.
    """
    for path in _named_files(arguments):
        check_text(path)
    set_loader("yaml", _load, (yaml.YAMLError,))
    set_parsing_settings(
        import_path_denylist=["*", *RUN_CODE],
        import_path_allowlist=[*LIBRARIES, *trusted_packages(), *_typed(arguments)],
    )


def check_text(path: Path) -> None:
    """Refuse a configuration that is no text.

    Args:
        path: The file.

    Raises:
        ConfigError: It is not UTF-8.
    """
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: wanted UTF-8 text, got {error}; save the file as UTF-8") from error


def _named_files(arguments: Sequence[str]) -> Iterator[Path]:
    """The configuration files among the arguments."""
    for before, argument in pairwise(("", *arguments)):
        name, _, value = argument.rpartition("=")
        path = Path(value)
        if (path.suffix in _SUFFIXES or {name, before} & {*_CONFIG}) and path.is_file():
            yield path


def _typed(arguments: Sequence[str]) -> set[str]:
    """The packages of class paths among the arguments; Python's own modules are for no configuration."""
    found = {match[1] for match in map(_CLASS_PATH.fullmatch, arguments) if match}
    return found - sys.stdlib_module_names - {"jsonargparse"}


def _load(text: str) -> Any:
    """A value or a file as YAML, unless it would grow beyond all measure."""
    check_structure(text)
    value = _plain(text)
    if "\n" in text and isinstance(value, dict):
        _check_keys(yaml.compose(text, Loader=yaml.SafeLoader))
    return value


def check_structure(text: str) -> None:
    """Refuse YAML that no reader should be given: nested without measure, or that grows so.

    Args:
        text: A value or a file.

    Raises:
        ConfigError: It is nested too deeply, or its aliases stand within themselves or for too much.
        yaml.YAMLError: It is no YAML.
    """
    _check_depth(text)
    if "*" in text and "&" in text:
        _check_aliases(text)


def _check_depth(text: str) -> None:
    """Refuse what is nested more deeply than any setting is, before a reader that calls itself meets it."""
    depth = 0
    with suppress(yaml.YAMLError):  # what is no YAML is told where it is read
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_LEVELS:
                raise ConfigError(
                    f"a configuration is nested more than {MOST_LEVELS} levels deep; it is broken, or not to be trusted"
                )


def _check_aliases(text: str) -> None:
    """Count the values with every alias written out, before anything is."""
    sizes: dict[int, int] = {}
    within: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in within:
            raise ConfigError("an alias (*NAME) of a configuration stands within what it stands for; write it out")
        if id(node) not in sizes:
            within.add(id(node))
            sizes[id(node)] = 1 + sum(map(size, _children(node)))
            within.remove(id(node))
        return sizes[id(node)]

    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is not None and (values := size(node)) > MOST_VALUES:
        raise ConfigError(
            f"a configuration holds {values:,} values once its aliases (*NAME) are written out, more than "
            f"{MOST_VALUES:,}; it is broken, or not to be trusted"
        )


def _check_keys(node: yaml.Node) -> None:
    """Refuse a mapping that says two things of one key, of which YAML would take the last."""
    if isinstance(node, yaml.MappingNode):
        counted = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [key for key, times in counted.items() if times > 1]:
            line = node.start_mark.line + 1
            raise ConfigError(f"a configuration has the key {twice[0]!r} twice in one mapping (from line {line} on); "
                              "keep one of them")  # fmt: skip
    for child in _children(node):
        _check_keys(child)


def _children(node: yaml.Node) -> list[yaml.Node]:
    """The values of a list, or the keys and values of a mapping."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
