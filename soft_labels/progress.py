"""A bar on stderr while a person watches; in a log file nothing, or a line every so often."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Value = TypeVar("Value")
LINE_SECONDS = 20.0


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


@contextmanager
def counting(total: int, what: str, line_seconds: float = LINE_SECONDS) -> Iterator[Callable[[int], None]]:
    """What takes how much more is done: a bar with an estimate on a terminal, elsewhere a line every so often.

    Args:
        total: How much there is.
        what: What is counted, as ``items predicted``.
        line_seconds: Least time between two lines.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = said = time.monotonic()
    done = 0
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task(what, total=total)

        def advance(more: int) -> None:
            nonlocal done, said
            done += more
            progress.advance(bar, more)
            now = time.monotonic()
            if not console.is_terminal and now - said >= line_seconds:
                said = now
                rate = done / (now - started)
                left = f"about {(total - done) / rate:,.0f} s left" if rate else "no estimate yet"
                sys.stderr.write(f"{done:,} of {total:,} {what}, {rate:,.0f} a second, {left}\n")

        yield advance
