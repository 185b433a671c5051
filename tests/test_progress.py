"""Progress is drawn for a person who watches, and leaves a log file alone."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress

import pytest

from soft_labels.progress import counting, tracked

COUNTS = "from soft_labels.progress import tracked; print(sum(tracked(iter(range(5)), 5, 'counting sheep')))"


def test_the_values_come_unchanged_and_one_by_one() -> None:
    given = iter(range(3))
    values = iter(tracked(given, 3, "counting"))
    assert next(values) == 0
    assert next(given) == 1, "nothing is taken before it is asked for"
    assert list(values) == [2]


def test_a_log_file_has_no_bar(capfd: pytest.CaptureFixture[str]) -> None:
    assert sum(tracked(range(5), 5, "counting sheep")) == 10
    assert capfd.readouterr() == ("", "")


def test_a_terminal_has_a_bar_on_stderr_alone() -> None:
    watched, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", COUNTS], stdout=-1, stderr=terminal, check=True, env=environment)
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # the end of a terminal
        while part := os.read(watched, 65536):
            shown += part
    os.close(watched)
    assert done.stdout == b"10\n"
    assert b"counting sheep" in shown
    assert b"5/5" in shown


def test_a_log_file_has_a_line_every_so_often_with_what_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    with counting(1_000, "items predicted", line_seconds=0) as advance:
        advance(250)
        advance(250)
    with counting(1_000, "items predicted") as advance:
        advance(1_000)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2, "none before it is time for one"
    assert re.fullmatch(r"500 of 1,000 items predicted, [\d,]+ a second, about [\d,]+ s left", lines[1])
