"""Studies in files that are damaged, gone, another program's or another search's."""

import sqlite3
from pathlib import Path

from tests.faults.case import Case, Outcome
from tests.faults.damage import (
    Damage,
    a_folder,
    cut,
    each,
    emptied,
    gone,
    halved,
    noise,
    of_file,
    replaced,
    writing,
    zeroed,
)

KIND = "studies"
SWEEP = ("sweep", "--config", "data.yaml", "--sweep", "grid.yaml", "--study", "s", "--out", "sweep")
FILES = {
    "studies.journal": (*SWEEP, "--storage", "journal:studies.journal"),
    "studies.db": (*SWEEP, "--storage", "sqlite:///studies.db"),
}


def _sql(*statements: str) -> Damage:
    """The database after some statements."""

    def spoil(folder: Path) -> None:
        with sqlite3.connect(folder / "studies.db") as database:
            for statement in statements:
                database.execute(statement)
        database.close()

    return spoil


def _line(number: int, content: bytes) -> Damage:
    """One line of the journal is another."""

    def spoil(folder: Path) -> None:
        path = folder / "studies.journal"
        lines = path.read_bytes().split(b"\n")
        lines[number] = content
        path.write_bytes(b"\n".join(lines))

    return spoil


def _searched(outcome: Outcome, folder: Path) -> None:
    """Both arms have their best."""
    assert all((folder / "sweep" / f"best-{arm}.yaml").is_file() for arm in ("soft", "hard"))
    assert "2 done" in outcome.out


def _notes_kept(outcome: Outcome, folder: Path) -> None:
    """The search is in the database, beside what another program has there."""
    _searched(outcome, folder)
    with sqlite3.connect(folder / "studies.db") as database:
        assert database.execute("SELECT * FROM notes").fetchall() == [("kept",)]
    database.close()


def cases() -> list[Case]:
    """All of the kind."""
    damaged = [
        Case(KIND, f"{file}, {damage.__name__}", command, file, of_file(file, damage))
        for file, command in FILES.items()
        for damage in (halved, noise, zeroed, a_folder)
        if (file, damage) != ("studies.journal", halved)  # that is a torn line
    ]
    fine = [
        Case(KIND, f"{file}, {damage.__name__}", command, None, of_file(file, damage), _searched)
        for file, command in FILES.items()
        for damage in (gone, emptied)
    ]
    journal, sqlite = FILES["studies.journal"], FILES["studies.db"]
    lines = {
        "a line of no JSON": (3, b"{no json"),
        "a line of another JSON": (3, b"[1, 2]"),
        "a line of an operation that is none": (3, b'{"op_code": 99, "worker_id": "x"}'),
        "zero bytes in a line": (3, bytes(50)),
    }
    return [
        *damaged,
        *fine,
        *(Case(KIND, f"journal, {name}", journal, "studies.journal", _line(*change)) for name, change in lines.items()),
        Case(KIND, "journal, the last line torn", journal, None, of_file("studies.journal", cut), _searched),
        Case(KIND, "journal, halved", journal, None, of_file("studies.journal", halved), _searched),
        Case(KIND, "a text of one line for a journal", journal, "studies.journal",
             writing("studies.journal", "my notes, which nobody may touch")),
        Case(KIND, "SQLite, a table gone", sqlite, "studies.db", _sql("DROP TABLE trials")),
        Case(KIND, "SQLite of another program too", sqlite, None,
             each(of_file("studies.db", gone), _sql("CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('kept')")),
             _notes_kept),
        Case(KIND, "SQLite of an older revision", sqlite, "studies.db|version|upgrade",
             _sql("UPDATE alembic_version SET version_num = 'v1.3.0.a'")),
        Case(KIND, "SQLite, a state that is none", sqlite, "studies.db|state", _sql("UPDATE trials SET state = 'X'")),
        Case(KIND, "SQLite, a distribution of no JSON", sqlite, "studies.db|distribution",
             _sql("UPDATE trial_params SET distribution_json = '{'")),
        Case(KIND, "of another search", (*journal, "--model.hidden_width=9"), "study|other"),
        Case(KIND, "of other data", (*journal, "--data.split_seed=7"), "study|other"),
        Case(KIND, "of another sampler", journal, "study|sampler|other",
             of_file("grid.yaml", replaced("sampler: grid", "sampler: {class_path: optuna.samplers.RandomSampler}\n"
                                                            "trials: 2"))),
        Case(KIND, "of another space", journal, "study|space|other", of_file("grid.yaml", replaced("0.01", "0.02"))),
        Case(KIND, "a study whose records are elsewhere", (*journal[:-3], "new", *journal[-2:]), "--out"),
        Case(KIND, "an address that is none", (*SWEEP, "--storage", "studies"), "wanted journal:PATH"),
        Case(KIND, "an address of nobody", (*SWEEP, "--storage", "grpc://127.0.0.1:1"), "grpc|127.0.0.1"),
        Case(KIND, "a database of nobody", (*SWEEP, "--storage", "postgresql://u:hunter2@127.0.0.1:1/s"), "127.0.0.1"),
        Case(KIND, "a database of another kind", (*SWEEP, "--storage", "oracle://127.0.0.1/s"), "oracle|storage"),
        Case(KIND, "a port beyond all", (*SWEEP, "--storage", "grpc://127.0.0.1:99999"), "grpc|port"),
        Case(KIND, "a journal in no folder", (*SWEEP, "--storage", "journal:/dev/null/x"), "null: .*a file stands"),
        Case(KIND, "a database in no folder", (*SWEEP, "--storage", "sqlite:////dev/null/x.db"), "/dev/null"),
        Case(KIND, "storage of no folder", ("storage", "--storage=sqlite:////dev/null/x.db", "--port=1"), "/dev/null"),
        Case(KIND, "storage on no port", ("storage", "--storage=sqlite:///studies.db", "--port=-1"), "database server"),
    ]  # fmt: skip
