import duckdb
import pytest

from soft_labels.annotations.table.cells import cleaned, install, read_list, read_pairs

CELLS = [
    " m1 ",
    "1.0",
    "-3.00",
    "1.10",
    "0",
    "10",
    "100.0",
    "",
    "  ",
    "\u00a0x\u00a0",
    "v1.0.0",
    "é.0",
    "0.0",
    "\ufeffa",
]


def test_the_database_cleans_as_python_does() -> None:
    with duckdb.connect() as database:
        install(database)
        found = [database.execute("SELECT cleaned(?)", [cell]).fetchone() for cell in CELLS]
    assert [row and row[0] for row in found] == [cleaned(cell) or None for cell in CELLS]


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ("[1, null, NaN]", ["1", None, None]),
        ('[["a"], ["b"]]', ["a", "b"]),
        ("('a', 'b')", ["a", "b"]),
        ("['don\\'t', \"know\"]", ["don't", "know"]),
        ("[0. 1. 1.]", ["0.", "1.", "1."]),
        ("['a b' 'c']", ["a b", "c"]),
        ("a; b ;c", ["a", "b", "c"]),
        ("[]", []),
        ("[true, false]", ["true", "false"]),
        (" ", None),
        (None, None),
    ],
)
def test_lists_in_cells(cell: str | None, values: list[str | None] | None) -> None:
    assert read_list(cell) == values


def test_dictionaries_in_cells() -> None:
    assert read_pairs("{'a': 1, 'b': None, 'c': [1, 2]}") == [("a", "1"), ("b", None), ("c", "[1, 2]")]
    assert read_pairs("[1]") is None
    assert read_pairs("{broken") is None
