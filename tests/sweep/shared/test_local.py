"""Files that are full, gone, damaged or another program's: one message that says which and what to do."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from soft_labels.errors import SweepError, in_words
from soft_labels.sweep import open_storage
from tests.conftest import Mount, resize

KINDS = {"journal": "journal:{}", "sqlite": "sqlite:///{}"}
IN_WORDS = (SweepError, OSError)


def asked(address: str, trials: int = 3) -> int:
    """How many trials a study has after some more were completed."""
    study = optuna.create_study(storage=open_storage(address).backend, study_name="one", load_if_exists=True)
    for _ in range(trials):
        study.tell(study.ask(), 1.0)
    return len(study.trials)


def message(call: Callable[[], object]) -> str:
    with pytest.raises(IN_WORDS) as refused:
        call()
    return (in_words(refused.value) if isinstance(refused.value, OSError) else str(refused.value)) or ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_named_and_the_study_goes_on_when_there_is_room(small_disk: Mount, kind: str) -> None:
    folder = small_disk("256k")
    address = KINDS[kind].format(folder / "studies")
    said = message(lambda: asked(address, 3_000))
    assert str(folder / "studies") in said
    assert "make room there" in said
    resize(folder, "size=20m")
    before = asked(address, 0)
    assert before > 100
    assert asked(address, 2) == before + 2


@pytest.mark.parametrize("content", [b"my notes, which nobody may touch", bytes(4_000)], ids=["text", "zeros"])
def test_what_is_no_journal_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    said = message(lambda: asked(f"journal:{path}"))
    assert f"{path} is no storage of studies, or is damaged (its end is none of a journal)" in said
    assert path.read_bytes() == content


def test_a_value_in_a_database_that_is_none_of_a_studys_is_named(tmp_path: Path) -> None:
    path = tmp_path / "studies"
    asked(f"sqlite:///{path}")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE trials SET state = 'X'")
    database.close()
    study = optuna.load_study(storage=open_storage(f"sqlite:///{path}").backend, study_name="one")
    said = message(lambda: study._storage.get_all_trials(study._study_id))
    assert f"{path} is no storage of studies, or is damaged (a value is none of a study's: 'X'" in said


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_storage_that_was_deleted_or_cannot_be_written_is_named(small_disk: Mount, kind: str) -> None:
    folder = small_disk("20m")
    path = folder / "studies"
    study = optuna.create_study(storage=open_storage(KINDS[kind].format(path)).backend)
    path.unlink()
    said = message(study.ask)
    assert str(path) in said
    assert ("moved or deleted" if kind == "sqlite" else "No such file") in said
    fixed = small_disk("ro")
    said = message(lambda: asked(KINDS[kind].format(fixed / "studies")))
    assert str(fixed / "studies") in said
    assert "cannot be" in said or "Read-only file system; nothing can be written there; choose another place" in said


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    return content[:5_000] + os.urandom(len(content) - 5_000)


@pytest.mark.parametrize(
    "damage", [halved, overwritten, lambda _: b"no database at all" * 99], ids=["cut", "noise", "text"]
)
def test_a_damaged_database_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "studies.db"
    asked(f"sqlite:///{path}")
    path.write_bytes(damage(path.read_bytes()))
    said = message(lambda: asked(f"sqlite:///{path}"))
    assert f"{path} is no storage of studies, or is damaged (" in said
    assert "move it away and run the same command again" in said


def test_a_database_of_another_program_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    with other:
        other.execute("create table studies (name text)")
    other.close()
    assert f"{path} is no storage of studies, or is damaged (table" in message(lambda: asked(f"sqlite:///{path}"))


@pytest.mark.parametrize(
    "line",
    [b'x{"op_code":6}', b"{}", b"[1]", b"\xff\xfe", b"\0" * 99, b"[" * 100_000 + b"]" * 100_000, b'{"op_code":"x"}'],
    ids=["text", "no operation", "list", "not UTF-8", "zeros", "nested", "word"],
)  # fmt: skip
def test_a_damaged_line_of_a_journal_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "studies"
    asked(f"journal:{path}")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:4], line, *lines[5:]]))
    said = message(lambda: asked(f"journal:{path}"))
    assert f"{path} is no storage of studies, or is damaged (line 5 is none of a journal); put back a copy" in said


def test_a_line_damaged_while_a_worker_reads_on_is_named(tmp_path: Path) -> None:
    path = tmp_path / "studies"
    study = optuna.create_study(storage=open_storage(f"journal:{path}").backend)
    with path.open("ab") as journal:
        journal.write(b"half a li\nne\n")
    assert f"{path} is no storage of studies, or is damaged (line 2" in message(study.ask)
