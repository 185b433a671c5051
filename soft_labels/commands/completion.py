"""Completion of commands, options and configurations in bash, zsh and fish, by argcomplete."""

import argparse
from collections.abc import Iterable
from typing import Any

from soft_labels.commands.configs import names
from soft_labels.commands.help import page
from soft_labels.commands.options import OWN, WITHIN, options_of

_OPTIONS = {
    "data": ("out", "data.path", "config", "root", "tie", "figure", "json", "yes", "help"),
    "configs": ("out", "help"),
    "runs": ("logs", "dataset", "sort", "json", "older_than", "events", "yes", "help"),
    "cluster": ("config", "submit", "help"),
    "completion": ("help",),
}
_CHOICES = {
    "engine": ("population", "lightning"),
    "format": ("csv", "parquet", "jsonl"),
    "missing": ("error", "drop"),
    "sort": ("started", "folder", "size", "kl"),
    "trainer.accelerator": ("auto", "cpu", "gpu"),
}


def complete(commands: Iterable[str]) -> None:
    """Answer a shell, and end.

    Args:
        commands: Every command.
    """
    import argcomplete

    argcomplete.autocomplete(parser_of(commands), always_complete_options="long")


def parser_of(commands: Iterable[str]) -> argparse.ArgumentParser:
    """A parser that knows names alone.

    Args:
        commands: Every command.
    """
    parser = argparse.ArgumentParser(prog="soft-labels", add_help=False, allow_abbrev=False)
    parser.add_argument("--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    every = parser.add_subparsers()
    for command in commands:
        own = every.add_parser(command, add_help=False, allow_abbrev=False)
        if command in WITHIN:
            own.add_argument("within", choices=WITHIN[command])
        own.add_argument("files", nargs="*")
        for option in options_of(command) if command in OWN else _OPTIONS[command]:
            added: Any = own.add_argument(f"--{option}", choices=_CHOICES.get(option), nargs="?")
            if option in {"config", "sweep"}:
                added.completer = _configurations
    return parser


def _configurations(prefix: str, **_: Any) -> list[str]:
    """Configurations by name, and files."""
    from argcomplete.completers import FilesCompleter

    return [*(name for name in names() if name.startswith(prefix)), *FilesCompleter(("yaml", "yml"))(prefix)]


def run_completion(arguments: list[str]) -> None:
    """``soft-labels completion bash | zsh | fish``: what the shell must read for it.

    Args:
        arguments: The command line.
    """
    from argcomplete.shell_integration import shellcode

    shell = arguments[1]
    print(page("completion") if shell.startswith("-") else shellcode(["soft-labels"], shell=shell))  # noqa: T201
