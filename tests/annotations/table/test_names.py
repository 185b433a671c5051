import json

import duckdb
import pytest

from soft_labels.annotations.table.cells import install
from soft_labels.annotations.table.names import columns_of, expression
from soft_labels.errors import DataError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plain", "7"),
        ("deep.a.b", "x"),
        ("deep.list[1]", "2"),
        ("deep.results[*].value", '["p","q"]'),
        ("deep.none", None),
        ("deep.nan", None),
        ("deep.a", '{"b":"x"}'),
        ('odd "name".k', "v"),
        ("python.k", "w"),
        ("plain.k", None),
        ("deep.marks[keys]", '["p", "q"]'),
        ("deep.list[keys]", None),
    ],
)
def test_a_name_leads_to_its_value(name: str, value: str | None) -> None:
    deep = '{"a": {"b": "x"}, "list": [1, 2], "results": [{"value": "p"}, {"value": "q"}], "nan": NaN, '
    deep += '"marks": {"p": true, "q": "x", "r": false, "s": "", "t": null}}'
    columns = {"plain": "7", "deep": deep, 'odd "name"': json.dumps({"k": "v"}), "python": "{'k': 'w'}"}
    with duckdb.connect() as database:
        install(database)
        database.execute('CREATE TABLE t ("plain" VARCHAR, deep VARCHAR, "odd ""name""" VARCHAR, python VARCHAR)')
        database.execute("INSERT INTO t VALUES (?, ?, ?, ?)", list(columns.values()))
        found = database.execute(f"SELECT {expression(name, columns)} FROM t").fetchone()  # noqa: S608
    assert found == (value,)


def test_a_missing_column_is_named_with_those_there() -> None:
    with pytest.raises(DataError, match=r"t\.csv: no column c, d\.e; the columns there are a, b"):
        columns_of(["a.x", "c", "d.e"], ["a", "b"], "t.csv")
