"""A bar on stderr while a person watches; in a log file a line every so often; nothing where quiet was asked for."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Value = TypeVar("Value")
LINE_SECONDS = 20.0
_quiet = False


def set_quiet(quiet: bool) -> None:
    """Leave progress and notes out from now on, or show them again.

    Args:
        quiet: Whether ``--quiet`` was given.
    """
    global _quiet  # noqa: PLW0603 # one process has one standard error
    _quiet = quiet


def is_quiet() -> bool:
    """Whether progress and notes are left out."""
    return _quiet


def is_watched() -> bool:
    """Whether a person looks at stderr, and wants to see progress."""
    return not _quiet and bool(sys.stderr) and sys.stderr.isatty()


def duration(seconds: float) -> str:
    """A time as people say it.

    Example:
        >>> duration(42), duration(300), duration(9_000)
        ('42 s', '5 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7_200 else f"{seconds / 3_600:,.1f} h"


class Pace:
    """Lines on stderr where nobody watches: what is done, how fast, and what is left, at most one every so often.

    Args:
        total: How much there is.
        what: What is counted, as ``items predicted``.
        line_seconds: Least time between two lines.
    """

    def __init__(self, total: int, what: str, line_seconds: float = LINE_SECONDS) -> None:
        self.total = total
        self.what = what
        self.line_seconds = line_seconds
        self.done = 0
        self._started = self._said = time.monotonic()

    def advance(self, more: int, remark: str = "") -> None:
        """Count, and say so if it is time.

        Args:
            more: How much more is done.
            remark: What a line says besides.
        """
        self.done += more
        now = time.monotonic()
        if self.done and not (_quiet or is_watched()) and now - self._said >= self.line_seconds:
            self._said = now
            rate = self.done / max(now - self._started, 1e-9)
            speed = f"{rate:,.0f} a second" if rate >= 2 else f"{duration(1 / rate)} each"
            left = f"about {duration((self.total - self.done) / rate)} left"
            sys.stderr.write(f"{self.done:,} of {self.total:,} {self.what}, {speed}, {left}{remark}\n")
            sys.stderr.flush()


def tracked(values: Iterable[Value], total: int, what: str) -> Iterator[Value]:
    """The values, counted as :func:`counting` does.

    Args:
        values: What is gone through.
        total: How many there are.
        what: What is counted, as ``heads trained``.
    """
    with counting(total, what) as advance:
        for value in values:
            yield value
            advance(1)


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

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    pace = Pace(total, what, line_seconds)
    with Progress(*columns, console=Console(stderr=True), disable=not is_watched(), transient=True) as progress:
        bar = progress.add_task(what, total=total)

        def advance(more: int) -> None:
            progress.advance(bar, more)
            pace.advance(more)

        yield advance
