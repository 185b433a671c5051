"""What of a folder of runs may be removed, and its removal: known files alone, never a link, never what is at work."""

import shutil
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from soft_labels.errors import ConfigError, did_you_mean
from soft_labels.runs.found import Found, Lying, size_of

_SINGLE = ("fit", "validate", "test", "predict", "run")
_WITHOUT_END = ("search", "budget")


@dataclass(frozen=True)
class Removal:
    """Files to remove together.

    Args:
        name: What they are of, as seen from the root.
        why: Why they may go.
        paths: Files, or what a killed process left.
    """

    name: str
    why: str
    paths: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(size_of, self.paths))


@dataclass(frozen=True)
class Choice:
    """What is to be removed.

    Args:
        names: Folders as ``soft-labels runs list`` shows them, to be removed whatever they are.
        dataset: Only what is of this data set, and of no other.
        before: Single runs that ended before this time as well; nothing younger.
        events: Instead of whole runs the event files of those that ended.
    """

    names: tuple[str, ...] = ()
    dataset: str | None = None
    before: datetime | None = None
    events: bool = False


def days_ago(days: float) -> datetime:
    """The time so many days ago.

    Raises:
        ConfigError: It is no number of days from 0 up.
    """
    if not 0 <= days < 36_500:
        raise ConfigError(f"wanted --older_than days from 0 up, got {days}")
    return datetime.now().astimezone() - timedelta(days=days)


def plan(lying: Lying, choice: Choice) -> tuple[list[Removal], list[str]]:
    """What would be removed, and what was asked for but is kept, with the reason.

    Without names these are runs that were stopped and what killed processes left; what an interrupted search or
    experiment has trained is kept, since the same command goes on from it.

    Args:
        lying: What lies there.
        choice: What is to be removed.

    Raises:
        ConfigError: There is no folder of such a name.
    """
    removals: list[Removal] = []
    kept: list[str] = []
    for one in _asked(lying, choice):
        if (reason := _reason_to_keep(one, choice)) is not None:
            kept.append(f"{one.name}: {reason}")
        elif paths := one.events if choice.events else one.files:
            removals.append(Removal(one.name, _why(one, choice), tuple(paths)))
    if not choice.names and choice.dataset is None and not choice.events:
        removals += [
            Removal(path.relative_to(lying.root).as_posix(), "half-written by a killed process", (path,))
            for path in lying.leftovers
            if choice.before is None or path.lstat().st_mtime < choice.before.timestamp()
        ]
    return removals, kept


def _asked(lying: Lying, choice: Choice) -> Iterator[Found]:
    """What the choice is about."""
    known = {one.name: one for one in lying.found}
    names = [_below(lying.root, name) for name in choice.names]
    for name, given in zip(names, choice.names, strict=True):
        if name not in known:
            raise ConfigError(f"{given} is nothing that soft-labels runs list shows{did_you_mean(name, known)}")
    for one in [known[name] for name in dict.fromkeys(names)] if names else lying.found:
        if choice.dataset is not None and one.datasets != (choice.dataset,):
            continue
        if choice.before is not None and one.changed >= choice.before:
            continue
        if choice.names or _may_go(one, choice):
            yield one


def _below(root: Path, name: str) -> str:
    """A folder as seen from the root, given so or as a path."""
    path = Path(name)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _may_go(one: Found, choice: Choice) -> bool:
    """Whether something may go that nobody named."""
    if choice.events:
        return one.state == "finished"
    if one.state == "finished":
        return choice.before is not None and one.kind in _SINGLE
    return one.state == "unfinished" and one.kind not in _WITHOUT_END


def _reason_to_keep(one: Found, choice: Choice) -> str | None:
    """Why something stays although it was asked for."""
    if one.state == "running":
        return "may still be at work"
    if one.foreign and not choice.events:
        first = one.foreign[0].relative_to(one.folder)
        more = f" and {len(one.foreign) - 1:,} more" if len(one.foreign) > 1 else ""
        return f"holds {first}{more}, which soft-labels did not write there; move it, or remove the folder yourself"
    if not choice.names and _is_committed(one.folder, "*tfevents*" if choice.events else "."):
        return "is committed to git; name it to remove it"
    return None


def _why(one: Found, choice: Choice) -> str:
    """Why something may go."""
    if choice.events:
        return f"event files of {one.kind}"
    return f"{one.kind}, {one.state}{', named' if choice.names else ''}"


def _is_committed(folder: Path, files: str) -> bool:
    """Whether git tracks one of these files there."""
    git = shutil.which("git")
    if git is None:
        return False
    command = [git, "-C", str(folder), "ls-files", "-z", "--", files]
    asked = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 # the arguments are written above
    return bool(asked.stdout)


def remove(removals: Collection[Removal], root: Path) -> int:
    """Remove the files, and the folders that are empty then.

    Args:
        removals: From :func:`plan`.
        root: Stays, and whatever is above it.

    Returns:
        Bytes that are free again.

    Raises:
        OSError: The system refuses to remove one.
    """
    freed = 0
    for path in (path for one in removals for path in one.paths):
        size = size_of(path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        freed += size
        _remove_empty(path.parent, root)
    return freed


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder that has nothing left, and those above it that have nothing else, up to the root."""
    while folder != root and folder.is_relative_to(root) and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
