"""One bad input or fault: what was spoilt, the command line that meets it, and the right ending."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self, cast

from soft_labels.errors import ConfigError
from soft_labels.files import PARTIAL_PREFIX
from soft_labels.training.best import read_checkpoint
from tests.conftest import REPOSITORY
from tests.fake_openai import Answer, FakeOpenAI
from tests.faults.server import HUNG

Spoil = Callable[[Path], object]
Check = Callable[["Outcome", Path], object]
ENDINGS = ("ended well", "traceback", "hung", "silently wrong", "other words")


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr, and how long it took."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Case:
    """A command line in a folder that was spoilt.

    Args:
        kind: The row of the table.
        name: What is wrong, in a few words.
        command: The command line after ``soft-labels``; relative paths lead into the case's folder.
        says: A pattern of the one message, for exit code 2; ``None`` where it is right to go on.
        spoil: What is done to a copy of the sound folder before.
        check: What must hold where it is right to go on; an AssertionError is silently wrong.
        limits: Limits of the system, as ``{"RLIMIT_FSIZE": 10_000}``.
        environment: Variables beside the usual ones.
        output: Where standard output goes: a file, a full disk (``full``), or nowhere (``closed``).
        flock: The error that locks end in, as ``ENOLCK``.
        answer: What a service on loopback answers; ``{service}`` in the command is its address.
        seconds: After these it hangs.
    """

    kind: str
    name: str
    command: tuple[str, ...]
    says: str | None
    spoil: Spoil | None = None
    check: Check | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    output: str = "file"
    flock: str = ""
    answer: Answer | None = None
    seconds: float = 240.0

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


class Forks:
    """Runs command lines in children of one prepared process; use it in a ``with`` block.

    Args:
        scratch: A folder for what the children print.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    def __enter__(self) -> Self:
        environment = {
            **os.environ, "PYTHONPATH": str(REPOSITORY), "SOFT_LABELS_TRUST": "tests", "OMP_NUM_THREADS": "1",
            "POLARS_MAX_THREADS": "1", "COLUMNS": "200",
        }  # fmt: skip
        command = (sys.executable, "-m", "tests.faults.server")
        self._server = subprocess.Popen(command, stdin=-1, stdout=-1, env=environment, cwd=REPOSITORY, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cast("IO[str]", self._server.stdin).close()
        self._server.wait(60)
        cast("IO[str]", self._server.stdout).close()

    def run(self, folder: Path, *arguments: object, **options: Any) -> Outcome:
        """Run a command line.

        Args:
            folder: Where it runs.
            arguments: The command line.
            options: Of a :class:`Case`, by name, and ``prepare``: what the child calls before.
        """
        with tempfile.TemporaryDirectory(dir=self.scratch) as logs:
            request = {
                "limits": {}, "environment": {}, "output": "file", "flock": "", "prepare": "", "learn": False,
                "seconds": 60.0, **options, "folder": str(folder), "logs": logs,
                "arguments": [*map(str, arguments)],
            }  # fmt: skip
            requests, answers = cast("IO[str]", self._server.stdin), cast("IO[str]", self._server.stdout)
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            return Outcome(**json.loads(answers.readline()))


class Runner(Protocol):
    """What runs a command line in a folder, as :class:`Forks` does."""

    scratch: Path

    def run(self, folder: Path, *arguments: object, **options: Any) -> Outcome:
        """Run it."""


def tried(case: Case, sound: Path, runner: Runner) -> tuple[str, str]:
    """Spoil a copy of the sound folder and run the case in it; how it ended, and what shows it.

    Args:
        case: The case.
        sound: A folder in which everything is right.
        runner: What runs it.
    """
    with tempfile.TemporaryDirectory(dir=runner.scratch) as place:
        folder = Path(place) / "work"
        shutil.copytree(sound, folder)
        if case.spoil is not None:
            case.spoil(folder)
        before = _files(folder)
        with FakeOpenAI(answer=case.answer) as service:
            outcome = runner.run(
                folder, *(word.replace("{service}", service.url) for word in case.command), limits=dict(case.limits),
                environment=dict(case.environment), output=case.output, flock=case.flock, seconds=case.seconds,
            )  # fmt: skip
        try:
            return _verdict(case, outcome, folder, before), _shown(outcome)
        finally:
            for path in (folder, *folder.rglob("*")):  # what a case made unreadable goes away too
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o700)


def _verdict(case: Case, outcome: Outcome, folder: Path, before: set[str]) -> str:
    """One of ENDINGS."""
    if outcome.code == HUNG:
        return "hung"
    if "Traceback (most recent call last)" in outcome.err or outcome.code not in {0, 2}:
        return "traceback"
    if case.says is None:
        return _went_on(case, outcome, folder)
    if outcome.code == 0:
        return "silently wrong"
    torn = [name for name in _files(folder) - before if _is_torn(folder / name)]
    once = len(re.findall(r"^soft-labels: error: ", outcome.err, re.MULTILINE)) == 1
    said = re.search(case.says, outcome.err.partition("soft-labels: error: ")[2], re.DOTALL)
    return "silently wrong" if torn else "ended well" if once and said else "other words"


def _is_torn(path: Path) -> bool:
    """Whether a file was left half-written."""
    if path.suffix != ".ckpt":
        return path.name.startswith(PARTIAL_PREFIX)
    try:
        read_checkpoint(path)
    except ConfigError:
        return True
    return False


def _went_on(case: Case, outcome: Outcome, folder: Path) -> str:
    """The ending of a case that is right to go on."""
    if outcome.code:
        return "other words"
    try:
        cast("Check", case.check)(outcome, folder)
    except AssertionError:
        return "silently wrong"
    return "ended well"


def _files(folder: Path) -> set[str]:
    """The names of all files below."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _shown(outcome: Outcome) -> str:
    """The end of what was printed, for whoever mends it."""
    return f"exit code {outcome.code} after {outcome.seconds:.1f} s\n{outcome.out[-1500:]}\n{outcome.err[-4000:]}"
