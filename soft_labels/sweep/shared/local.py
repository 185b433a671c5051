"""Studies in files: a journal or a SQLite database, and what to do when the disk or the file is at fault."""

import errno
import json
import os
import sqlite3
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from soft_labels.errors import REMEDIES, SweepError
from soft_labels.files import NamedLock, naming

_PRIMARY = 0xFF  # of SQLite's codes, whose other bits say more
_REMEDY_OF_SQLITE = {
    sqlite3.SQLITE_FULL: f"it, or its disk, is full: {REMEDIES[errno.ENOSPC]}",
    sqlite3.SQLITE_READONLY: "it cannot be written: check who may write there, or choose another place",
    sqlite3.SQLITE_READONLY_DBMOVED: "it was moved or deleted while it was in use: put it back, or run this again",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that it is a file, and who may read and write there",
    sqlite3.SQLITE_IOERR: "the disk, or the network to it, failed: see to it, and run the same command again",
    sqlite3.SQLITE_NOLFS: "it is too large for its file system: choose another storage",
}
_ANEW = "put back a copy, or move it away and run the same command again: runs that have a record are not trained again"


def lock_beside(path: Path, use: str) -> NamedLock:
    """A lock beside a storage's file, free again when a process that held it was killed."""
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return NamedLock(path.with_name(f"{path.name}.{use}.lock"), poll_interval=0.005)


def damaged(place: Path | str, what: str) -> SweepError:
    """The error of a file or a database that holds something else than studies."""
    return SweepError(f"{place} is no storage of studies, or is damaged ({what}); {_ANEW}")


def of_sqlite(path: Path, error: sqlite3.Error) -> SweepError:
    """The error of a SQLite file, with what to do.

    Args:
        path: The file.
        error: What SQLite said of it.
    """
    code = getattr(error, "sqlite_errorcode", None) or 0
    remedy = _REMEDY_OF_SQLITE.get(code) or _REMEDY_OF_SQLITE.get(code & _PRIMARY)
    return damaged(path, str(error)) if remedy is None else SweepError(f"{path}: {error}; {remedy}")


class Journal(JournalFileBackend):
    """Optuna's journal file, whose errors say which file and which line.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with naming(path):
            super().__init__(str(path), JournalLock(path))

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """What was written from a line on.

        Raises:
            SweepError: A line is damaged.
            OSError: The file is gone or cannot be read.
        """
        try:
            with naming(self._path):
                yield from super().read_logs(log_number_from)
        except (ValueError, RecursionError) as error:
            raise self.damaged() from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines; what a full disk takes of them is removed by whoever writes next.

        Raises:
            OSError: The file cannot be written.
        """
        with naming(self._path):
            super().append_logs(logs)

    def damaged(self) -> SweepError:
        """The error of a journal that cannot be read, with the first line that is none of Optuna's."""
        with self._path.open("rb") as lines:
            bad = next((number for number, line in enumerate(lines, start=1) if not _is_operation(line)), None)
        return damaged(self._path, "lines are missing" if bad is None else f"line {bad} is none of a journal")


def _is_operation(line: bytes) -> bool:
    """Whether a line of a journal says what was done."""
    try:
        return isinstance(json.loads(line)["op_code"], int)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


class JournalLock(JournalFileOpenLock):
    """Held while a line is appended, and removes the half line that a worker left that was killed while it wrote.

    Optuna's own lock stays for 30 seconds when its holder was killed, and a line appended to half a line makes a
    journal unreadable (optuna/optuna#5138).
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._lock = lock_beside(path, "writes")

    def acquire(self) -> bool:
        """Wait for the lock and leave the journal with whole lines."""
        self._lock.acquire()
        with self._path.open("rb+") as journal:
            size = journal.seek(0, os.SEEK_END)
            journal.seek(max(size - 1, 0))
            if journal.read() not in (b"", b"\n"):
                journal.seek(0)
                content = journal.read()
                whole = content.rfind(b"\n") + 1
                if not content.startswith(b"{", whole):
                    self._lock.release()
                    raise damaged(self._path, "its end is none of a journal")
                journal.truncate(whole)
        return True

    def release(self) -> None:
        """Let others write."""
        self._lock.release()
