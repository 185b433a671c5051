"""Where a study lives: in memory, in a file, or on a server that many machines share."""

import logging
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import wraps
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from grpc import RpcError, StatusCode  # type: ignore[import-untyped]
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import (
    BaseStorage,
    GrpcStorageProxy,
    InMemoryStorage,
    JournalStorage,
    RDBStorage,
    get_storage,
)
from sqlalchemy import make_url
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, PendingRollbackError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_after_delay
from tenacity import wait_random_exponential as wait

from soft_labels.errors import SweepError
from soft_labels.sweep.shared.local import Journal, damaged, lock_beside, of_sqlite

logger = logging.getLogger(__name__)
_JOURNAL = "journal:"
_GRPC = "grpc://"
_PATIENCE = 300.0  # seconds that a server may be away
_SECONDS_TO_ANSWER = 10.0


class StorageLostError(SweepError):
    """The server of a storage has been away for too long."""


@dataclass(frozen=True)
class Storage:
    """A storage of studies.

    Args:
        backend: Optuna's storage. Its calls wait for a server that is away.
        lock: Held by a worker while it creates a study, and claims or finishes trials. SQLite needs it: there two
            workers would change the same trial at once. A server needs none.
        shared: Whether other workers can see it.
    """

    backend: BaseStorage
    lock: AbstractContextManager[Any]
    shared: bool


def open_storage(address: str | None = None) -> Storage:
    """Open a storage.

    Args:
        address: ``None`` for memory; ``journal:PATH``, or a path that ends in ``.journal`` or ``.log``, for a journal
            file; ``grpc://HOST:PORT`` for a server that ``soft-labels storage`` runs; otherwise a database URL such as
            ``sqlite:///studies.db``, ``postgresql://...`` or ``mysql+pymysql://...``.

    Raises:
        SweepError: No storage can be opened there.
    """
    if address is None:
        return Storage(InMemoryStorage(), nullcontext(), shared=False)
    try:
        return _shared(address)
    except SweepError:
        raise
    except Exception as error:  # each database driver has errors of its own
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise SweepError(
            f"cannot open the storage {_without_password(address)}: {type(error).__name__}; wanted journal:PATH, "
            "sqlite:///PATH, grpc://HOST:PORT, or postgresql://... or mysql+pymysql://... of a server that runs; "
            "soft-labels[cluster] brings the drivers of both"
        ) from error


def _shared(address: str) -> Storage:
    """A storage that other workers can open too."""
    if address.startswith(_JOURNAL) or address.endswith((".journal", ".log")):
        path = Path(address.removeprefix(_JOURNAL))
        return Storage(_journal(path), lock_beside(path, "claims"), shared=True)
    if address.startswith(_GRPC):
        return Storage(_patient(_proxy(address.removeprefix(_GRPC)), address), nullcontext(), shared=True)
    if is_sqlite(address):
        lock = lock_beside(_file(address), "claims")
        with lock:  # two workers that make the same tables fail
            backend = _explained(lambda: get_storage(RDBStorage(address)), address)()
        return Storage(_patient(backend, address), lock, shared=True)
    return Storage(_patient(get_storage(_database(address)), address), nullcontext(), shared=True)


def _journal(path: Path) -> JournalStorage:
    """A journal, read once."""
    journal = Journal(path)
    try:
        return JournalStorage(journal)
    except (OSError, SweepError):
        raise
    except Exception as error:  # whatever a line of another kind makes of Optuna's replay
        raise journal.damaged() from error


def _file(address: str) -> Path:
    """Where a SQLite database lies."""
    return Path(make_url(address).database or "memory")


def is_sqlite(address: str) -> bool:
    """Whether a database URL is one of SQLite, which only locked workers of one machine may share."""
    return make_url(address).get_backend_name() == "sqlite"


def _proxy(server: str) -> GrpcStorageProxy:
    """A storage behind Optuna's gRPC server."""
    host, _, port = server.rpartition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        proxy = GrpcStorageProxy(host=host, port=int(port))
    proxy.wait_server_ready(_SECONDS_TO_ANSWER)
    return proxy


def _database(address: str) -> RDBStorage:
    """A database on a server; workers that make the same tables at once fail, and find them made when they retry."""
    for attempt in Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, DBAPIError | StorageInternalError)),
        stop=stop_after_attempt(5),
        wait=wait(0.2, 1),
        reraise=True,
    ):
        with attempt:
            storage = RDBStorage(address)
    return storage


def _patient(storage: BaseStorage, address: str) -> BaseStorage:
    """The storage, whose calls wait for a server that is away."""

    def lost(state: RetryCallState) -> None:
        raise StorageLostError(
            f"the storage {_without_password(address)} has not answered for {_PATIENCE:g} seconds "
            f"({type(state.outcome.exception() if state.outcome else None).__name__}); start this worker again when it "
            "does: what is finished is kept, and the rest is given to others"
        ) from (state.outcome.exception() if state.outcome else None)

    retrying = Retrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_delay(_PATIENCE),
        wait=wait(0.1, 2),
        before_sleep=_say,
        retry_error_callback=lost,
    )
    for name in BaseStorage.__abstractmethods__:
        setattr(storage, name, _explained(retrying.wraps(getattr(storage, name)), address))
    return storage


def _explained(call: Callable[..., Any], address: str) -> Callable[..., Any]:
    """The call, whose failures say what to do."""

    @wraps(call)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except KeyError:  # Optuna's word for what is not there
            raise
        except (StorageInternalError, DBAPIError, RpcError, LookupError, JSONDecodeError) as error:
            explained = _in_words(error, address)
            if explained is None:
                raise
            raise explained from error

    return run


def _in_words(error: Exception, address: str) -> SweepError | None:
    """What is wrong with a file, a value or a server, and what to do; MySQL's texts end at 64 kB."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    storage = f"the storage {_without_password(address)}"
    if isinstance(cause, RpcError):
        return SweepError(f"{storage} failed ({cause.details()}); see what its server printed, and run this again")
    if isinstance(cause, DBAPIError) and isinstance(cause.orig, sqlite3.Error):
        return of_sqlite(_file(address), cause.orig)
    if isinstance(cause, LookupError | JSONDecodeError):
        return damaged(_file(address) if is_sqlite(address) else storage, f"a value is none of a study's: {cause}")
    if isinstance(cause, DataError):
        return SweepError(
            f"{storage} cannot hold a value: {cause.orig}; shorten the study's name or the longest list of the search "
            "space, or choose another storage"
        )
    return None


def _may_pass(error: BaseException) -> bool:
    """Whether a server that comes back may answer the same call."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, RpcError):
        return cause.code() in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED)
    if isinstance(cause, OperationalError) and isinstance(cause.orig, sqlite3.Error):
        return "locked" in str(cause.orig)
    # The last one: Optuna reads on, in another way, through the connection that was lost.
    return isinstance(cause, OperationalError | InterfaceError | PendingRollbackError)


def _say(state: RetryCallState) -> None:
    """Log once that a storage is waited for."""
    if state.attempt_number == 1:
        error = state.outcome.exception() if state.outcome else None
        logger.warning("the storage does not answer (%s); trying again for %g seconds", type(error).__name__, _PATIENCE)


def _without_password(address: str) -> str:
    """The address without what stands before the server's name or after the database's."""
    scheme, mark, rest = address.partition("://")
    place = (rest if mark else scheme).rpartition("@")[2].partition("?")[0]
    return f"{scheme}{mark}{place}" if mark else place
