"""A bar on stderr while a person watches, nothing in a log file."""

from collections.abc import Iterable
from typing import TypeVar

Value = TypeVar("Value")


def tracked(values: Iterable[Value], total: int, what: str) -> Iterable[Value]:
    """The values, counted on a progress bar where stderr is a terminal.

    Args:
        values: What is gone through.
        total: How many there are.
        what: What stands before the bar.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(values, what, total=total, console=console, disable=not console.is_terminal, transient=True)
