import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage, JournalStorage, get_storage
from optuna.storages._cached_storage import _CachedStorage
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError, ProgrammingError

from soft_labels.errors import SweepError
from soft_labels.sweep import Storage, open_storage
from soft_labels.sweep.shared.storage import StorageLostError, _patient
from tests.mysql import LACKS_MYSQL, MySQL
from tests.postgres import Postgres
from tests.servers import SERVERS


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Postgres | MySQL]:
    if request.param == "mysql" and LACKS_MYSQL:
        pytest.skip(LACKS_MYSQL)
    with SERVERS[request.param]() as server:
        yield server


def engine_of(storage: Storage) -> Engine:
    assert isinstance(storage.backend, _CachedStorage)
    return storage.backend._backend.engine


def test_no_address_is_memory_that_nobody_shares() -> None:
    storage = open_storage()
    assert isinstance(storage.backend, InMemoryStorage)
    assert not storage.shared


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("journal:{}/a/studies", JournalStorage),
        ("{}/a/studies.journal", JournalStorage),
        ("{}/a/studies.log", JournalStorage),
        ("sqlite:///{}/a/studies.db", type(get_storage("sqlite://"))),
        ("sqlite+pysqlite:///{}/a/studies.db?timeout=5", type(get_storage("sqlite://"))),
    ],
)
def test_a_file_keeps_studies_and_is_locked_while_trials_are_claimed(tmp_path: Path, address: str, kind: type) -> None:
    storage = open_storage(address.format(tmp_path))
    assert isinstance(storage.backend, kind)
    assert storage.shared
    with storage.lock:
        assert len(list((tmp_path / "a").glob("studies*.claims.lock"))) == 1
        assert not list((tmp_path / "a").glob("*timeout*.lock"))
        optuna.create_study(storage=storage.backend, study_name="kept")
    assert optuna.get_all_study_names(open_storage(address.format(tmp_path)).backend) == ["kept"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "address",
    [
        "nowhere",
        "nosuch://me:hunter2@host/studies",
        "grpc://nowhere",
        "postgresql://me:hunter2@127.0.0.1:1/studies",
        "postgresql:/me:hunter2@host/db",
        "mysql+pymysql://me:hunter2@127.0.0.1:1/studies",
        "mysql+nosuch://me:hunter2@host/studies",
    ],
)
def test_a_storage_that_cannot_be_opened_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(SweepError, match="cannot open the storage") as refused:
        open_storage(address)
    assert "hunter2" not in str(refused.value)


def test_half_a_line_of_a_killed_worker_is_removed_before_another_is_written(tmp_path: Path) -> None:
    address = f"journal:{tmp_path}/studies"
    optuna.create_study(storage=open_storage(address).backend, study_name="first")
    at_work = open_storage(address).backend
    with (tmp_path / "studies").open("a", encoding="utf-8") as journal:
        journal.write('{"op_code":0,"worker_id":"kil')
    for backend, name in ((at_work, "second"), (open_storage(address).backend, "third")):
        optuna.create_study(storage=backend, study_name=name)
    assert optuna.get_all_study_names(open_storage(address).backend) == ["first", "second", "third"]
    assert optuna.get_all_study_names(at_work) == ["first", "second", "third"]


@pytest.mark.slow
def test_a_worker_killed_while_it_writes_does_not_keep_others_from_writing(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from soft_labels.sweep.shared.local import JournalLock;"
        "JournalLock(Path(sys.argv[1])).acquire(); os.kill(os.getpid(), 9)"
    )
    (tmp_path / "studies").touch()
    killed = subprocess.run([sys.executable, "-c", code, tmp_path / "studies"], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    optuna.create_study(storage=open_storage(f"journal:{tmp_path}/studies").backend, study_name="written")


class Away:
    """A server that is away for some calls."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def answer(self, *_: Any) -> list[Any]:
        self.calls -= 1
        if self.calls >= 0:
            raise StorageInternalError from OperationalError("select", {}, Exception("no route to hunter2@host"))
        return []


def test_a_call_waits_for_a_server_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    storage, away = InMemoryStorage(), Away(3)
    monkeypatch.setattr(storage, "get_all_studies", away.answer)
    assert _patient(storage, "postgresql://host/studies").get_all_studies() == []
    assert away.calls == -1


def test_a_server_that_stays_away_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soft_labels.sweep.shared.storage._PATIENCE", 0.3)
    storage = InMemoryStorage()
    monkeypatch.setattr(storage, "get_all_studies", Away(1000).answer)
    with pytest.raises(StorageLostError, match=r"storage postgresql://host/studies has not answered for 0.3") as lost:
        _patient(storage, "postgresql://me:hunter2@host/studies?password=hunter2").get_all_studies()
    assert "hunter2" not in str(lost.value)


def test_an_error_that_no_waiting_mends_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    storage, calls = InMemoryStorage(), []

    def fail() -> None:
        calls.append(1)
        raise StorageInternalError from ProgrammingError("select", {}, Exception("no such table"))

    monkeypatch.setattr(storage, "get_all_studies", fail)
    with pytest.raises(StorageInternalError):
        _patient(storage, "postgresql://host/studies").get_all_studies()
    assert calls == [1]


@pytest.mark.slow
@pytest.mark.parametrize("server", ["mysql"], indirect=True)  # on the others, see test_workers
def test_many_open_a_new_database_at_once(server: Postgres | MySQL) -> None:
    with ThreadPoolExecutor(3) as pool:
        storages = list(pool.map(open_storage, [server.url] * 3))
    optuna.create_study(storage=storages[0].backend, study_name="seen by all")
    for storage in storages:
        assert "seen by all" in optuna.get_all_study_names(storage.backend)
        engine_of(storage).dispose()


@pytest.mark.slow
def test_a_server_may_die_while_trials_are_read(server: Postgres | MySQL) -> None:
    storage = open_storage(server.url)
    study = optuna.create_study(storage=storage.backend, study_name="read")
    study.ask()
    deaths: list[str] = []

    def die(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "FROM trials" in statement and not deaths:
            deaths.append(statement)
            server.stop()
            server.start()

    event.listen(engine_of(storage), "before_cursor_execute", die)
    assert [trial.number for trial in study.get_trials()] == [0]
    assert deaths
    engine_of(storage).dispose()


@pytest.mark.slow
def test_what_a_database_has_no_room_for_is_named(server: Postgres | MySQL) -> None:
    storage = open_storage(server.url)
    with pytest.raises(SweepError, match=r"127.0.0.1:\d+/\w+ cannot hold a value: .*too long.*; shorten") as refused:
        optuna.create_study(storage=storage.backend, study_name="x" * 1000)
    assert "hunter2" not in str(refused.value)
    engine_of(storage).dispose()
