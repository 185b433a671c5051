import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from soft_labels.annotations.table import database as module
from soft_labels.annotations.table.database import ask, working_database
from soft_labels.errors import DataError
from tests.benchmarks.read_table import Cost, write

REPOSITORY = Path(__file__).resolve().parents[3]
MIB = 2**20
READ = """
import sys
from pathlib import Path
from soft_labels.annotations.table import database, source
from tests.benchmarks.read_table import read_once
database.MEMORY_MIB, source._LONGEST_LINE = 48, 2**20
print(*read_once("soft-labels", Path(sys.argv[1])))
"""
WIDE = "CREATE TABLE wide AS SELECT repeat(chr(65 + x::INTEGER % 26), 8_000_000) AS text FROM range(4) t(x)"


def test_the_working_folder_is_gone_afterwards() -> None:
    with working_database() as (database, folder):
        database.execute("CREATE TABLE t AS SELECT 1 AS x")
        assert folder.is_dir()
    assert not folder.exists()


def test_a_table_larger_than_the_limit_goes_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_MIB", 16)
    with working_database() as (database, folder):
        database.execute("CREATE TABLE t AS SELECT hash(x) AS x, hash(x + 1) AS y FROM range(3_000_000) r(x)")
        assert sum(file.stat().st_size for file in (folder / "spill").iterdir()) > 16 * MIB
        assert database.execute("SELECT count(*) FROM t WHERE x = hash(7)").fetchall() == [(1,)]


def test_what_cannot_do_with_the_memory_gets_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_MIB", 4)
    with working_database() as (database, _):
        with pytest.raises(duckdb.OutOfMemoryException):
            database.execute(WIDE)
        ask(database, WIDE)
        assert ask(database, "SELECT sum(length(text)) FROM wide").fetchall() == [(32_000_000,)]


def test_no_room_is_said_with_the_folder_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_MIB", 4)
    words = r"soft-labels-\w+: no room left to work on the table \(.*set TMPDIR"
    with pytest.raises(DataError, match=words) as refused, working_database() as (database, _):
        database.execute(WIDE)
    assert "\n" not in str(refused.value)


def peak_mib(folder: Path, rows: int) -> float:
    """Peak memory of reading so many rows within 48 MiB, in a process of its own, beyond what imports took."""
    folder.mkdir()
    write(folder / "long.csv", rows, 2_000)
    write(folder / "few.csv", 20, 4)
    command = [sys.executable, "-c", READ, str(folder / "long.csv")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment)
    return Cost(*map(float, done.stdout.split())).peak


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """10 bytes of each row stay; without a limit each wants some 200."""
    few, many = 300_000, 1_200_000
    grown = peak_mib(tmp_path / "many", many) - peak_mib(tmp_path / "few", few)
    assert grown * MIB / (many - few) < 80
