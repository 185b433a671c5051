"""Names of columns and of values nested in their cells, as SQL."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from soft_labels.errors import DataError

KEYS = "[keys]"
_STEP = re.compile(r"\[(\d+|\*)\]|\.?([^.\[\]]+)")
_PLACE = re.compile(r"\{([^{}]+)\}")


def identifier(name: str) -> str:
    """A name in SQL.

    Example:
        >>> identifier('the "label" column')
        '"the ""label"" column"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL.

    Example:
        >>> literal("it's")
        "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def parquet(path: Path) -> str:
    """The rows of one Parquet file as SQL, without columns from the names of its folders.

    Example:
        >>> parquet(Path("a=1/b[2].parquet"))
        "read_parquet('a=1/b[[]2].parquet', hive_partitioning = false)"
    """
    return f"read_parquet({only(path)}, hive_partitioning = false)"


def only(path: Path) -> str:
    """A file's name as SQL, its wildcards as plain characters.

    Example:
        >>> only(Path("what?.csv"))
        "'what[?].csv'"
    """
    return literal("".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path)))


def column_of(name: str, columns: Collection[str]) -> str | None:
    """The column that a name begins with: the longest that is there.

    Args:
        name: A column, or a column and the way to a value within its cells: ``example.premise``, ``answers[0].label``,
            ``results[*].value`` for all values of a list, ``tone[keys]`` for the keys of a dictionary whose values are
            neither blank nor false.
        columns: The columns there are.

    Returns:
        ``None`` where there is none.

    Example:
        >>> column_of("Answer.tone.label", ["Answer.tone", "Answer.tone.label"])
        'Answer.tone.label'
        >>> column_of("example.premise", ["uid", "example"])
        'example'
    """
    fitting = [column for column in columns if name == column or name.startswith((f"{column}.", f"{column}["))]
    return max(fitting, key=len, default=None)


def columns_of(names: Iterable[str], columns: Collection[str], where: str) -> list[str]:
    """The columns that hold some values, each once.

    Raises:
        DataError: A name begins with none of the columns.
    """
    found = {name: column_of(name, columns) for name in names}
    if missing := [name for name, column in found.items() if column is None]:
        raise DataError(f"{where}: no column {', '.join(missing)}; the columns there are {', '.join(columns)}")
    return list(dict.fromkeys(column for column in found.values() if column is not None))


def expression(name: str, columns: Collection[str]) -> str:
    """A column, or a value nested in it, as SQL text; several values become a JSON list.

    Args:
        name: As in :func:`column_of`; its column is there.
        columns: The columns there are, each of text.
    """
    column = column_of(name, columns)
    assert column is not None  # noqa: S101 (columns_of has said so)
    rest = name[len(column) :]
    cell = identifier(column)
    if not rest:
        return cell
    path = literal("$" + "".join(_step(index, key) for index, key in _STEP.findall(rest.removesuffix(KEYS))))
    parsed = f"as_json({cell})"
    if rest.endswith(KEYS):
        return f"marked_keys(json_extract({parsed}, {path}))"
    if "[*]" in rest:
        return f"to_json(json_extract({parsed}, {path}))::VARCHAR"
    return f"CASE WHEN json_extract_string({parsed}, {path}) <> 'NaN' THEN json_extract_string({parsed}, {path}) END"


def _step(index: str, key: str) -> str:
    """One step of a JSON path."""
    return f"[{index}]" if index else '."' + key.replace('"', '\\"') + '"'


def template_names(template: str) -> list[str]:
    """The names in braces.

    Example:
        >>> template_names("Post: {post}. Reply: {reply}")
        ['post', 'reply']
    """
    return _PLACE.findall(template)


def template_expression(template: str, expressions: Mapping[str, str]) -> str:
    """A text made of others, as SQL; nothing where one of them is missing."""
    parts = _PLACE.split(template)
    return " || ".join(f"({expressions[part]})" if place % 2 else literal(part) for place, part in enumerate(parts))
