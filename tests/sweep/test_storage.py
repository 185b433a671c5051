from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage, JournalStorage, RDBStorage

from soft_labels.errors import SweepError
from soft_labels.sweep import open_storage


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
        ("sqlite:///{}/a/studies.db", RDBStorage),
    ],
)
def test_a_file_keeps_studies_and_is_locked_while_trials_are_claimed(tmp_path: Path, address: str, kind: type) -> None:
    storage = open_storage(address.format(tmp_path))
    assert isinstance(storage.backend, kind)
    assert storage.shared
    with storage.lock:
        optuna.create_study(storage=storage.backend, study_name="kept")
    assert optuna.get_all_study_names(open_storage(address.format(tmp_path)).backend) == ["kept"]


@pytest.mark.parametrize("address", ["nowhere", "nosuch://me:hunter2@host/studies"])
def test_a_storage_that_cannot_be_opened_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(SweepError, match="cannot open the storage") as refused:
        open_storage(address)
    assert "hunter2" not in str(refused.value)
