"""Where a study lives: in memory, in a file, or on a database server that many workers share."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from soft_labels.errors import SweepError

_SQLITE = "sqlite:///"
_JOURNAL = "journal:"


@dataclass(frozen=True)
class Storage:
    """A storage of studies.

    Args:
        backend: Optuna's storage.
        lock: Held by a worker while it creates a study or claims trials. A file needs it: two workers of SQLite claim
            the same trial without it. A server needs none.
        shared: Whether other workers can see it.
    """

    backend: BaseStorage
    lock: AbstractContextManager[Any]
    shared: bool


def open_storage(address: str | None = None) -> Storage:
    """Open a storage.

    Args:
        address: ``None`` for memory; ``journal:PATH``, or a path that ends in ``.journal`` or ``.log``, for a journal
            file; otherwise a database URL such as ``sqlite:///studies.db`` or ``postgresql://...``.

    Raises:
        SweepError: No storage can be opened there.
    """
    if address is None:
        return Storage(InMemoryStorage(), nullcontext(), shared=False)
    try:
        return _shared(address)
    except Exception as error:  # each database driver has errors of its own
        raise SweepError(
            f"cannot open the storage {_without_password(address)}: {type(error).__name__}; wanted journal:PATH, "
            "sqlite:///PATH, or the URL of a server that runs and whose driver is installed"
        ) from error


def _shared(address: str) -> Storage:
    """A storage that other workers can open too."""
    if address.startswith(_JOURNAL) or address.endswith((".journal", ".log")):
        path = Path(address.removeprefix(_JOURNAL))
        lock = _lock_beside(path)
        return Storage(JournalStorage(JournalFileBackend(str(path))), lock, shared=True)
    if address.startswith(_SQLITE):
        lock = _lock_beside(Path(address.removeprefix(_SQLITE)))
        with lock:  # two workers that make the same tables fail
            return Storage(RDBStorage(address), lock, shared=True)
    return Storage(RDBStorage(address), nullcontext(), shared=True)


def _lock_beside(path: Path) -> FileLock:
    """A lock beside a storage's file; the journal has one of its own by the plainer name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f"{path.name}.claims.lock"))


def _without_password(address: str) -> str:
    """The address without what stands before the server's name."""
    scheme, mark, rest = address.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
