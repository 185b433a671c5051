"""A guess of what the columns of an undescribed table mean: said aloud, and never more than a guess."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from soft_labels.annotations.table import objects, roles
from soft_labels.annotations.table.arrays import ARRAY, ROW_OF_ARRAY
from soft_labels.annotations.table.cells import cleaned
from soft_labels.annotations.table.classes import NO_ANSWERS
from soft_labels.annotations.table.database import working_database
from soft_labels.annotations.table.encoding import suffix_of
from soft_labels.annotations.table.hub import located
from soft_labels.annotations.table.names import identifier
from soft_labels.annotations.table.presets import nested_records, recognise
from soft_labels.annotations.table.profile import Column, profile
from soft_labels.annotations.table.rows import Work, join, load, open_lists, prepare
from soft_labels.annotations.table.settings import Guess, TableSettings
from soft_labels.annotations.table.source import Source, open_source
from soft_labels.annotations.table.tools import DOUBTS, UNUSED
from soft_labels.annotations.table.words import ANNOTATOR, is_uid
from soft_labels.errors import ConfigError, DataError

_STAND_IN = TableSettings(label_column="label")


def guess_table(path: Path, second: Path | None = None, given: Mapping[str, Any] | None = None) -> Guess:
    """Look at a table and guess its layout.

    Args:
        path: A file or folder, or tables of the Hub, as in :func:`hub.located`.
        second: Another file: one that describes the items, or more of the same.
        given: Settings that are known; nothing is guessed about them.

    Returns:
        Settings that can be tried; whether they are right only a person can say.

    Raises:
        ConfigError: A given key is none of the reader's.
        DataError: A file cannot be read, or nothing in it looks like a text, an image or a label.
    """
    given = dict(given or {})
    unknown = sorted(set(given) - {one.name for one in fields(TableSettings)})
    if unknown:
        known = ", ".join(one.name for one in fields(TableSettings))
        raise ConfigError(f"no setting {', '.join(unknown)} of tables; those are {known}")
    place = located(path)
    with working_database() as (database, folder):
        guess = _guess(second and second.expanduser(), given, prepare(place.files, database, _STAND_IN), folder)
    if place.pinned is not None:
        guess.path, guess.notes = place.pinned, [*place.notes, *guess.notes]
        guess.settings.setdefault("name", place.name)
    return guess


def _guess(second: Path | None, given: dict[str, Any], work: Work, folder: Path) -> Guess:
    """The same within a database."""
    path = work.path
    options = {"encoding": given.get("encoding"), "header": given.get("header")}
    (first_folder := folder / "first").mkdir()
    source = open_source(path, work.database, first_folder, **options)
    guess = Guess(path, dict(given), [*source.notes], [*source.warnings])
    if second is None:
        columns = load(work, source, list(source.columns), "records")
    else:
        (second_folder := folder / "second").mkdir()
        columns = _with_second(work, guess, source, open_source(second, work.database, second_folder))
    if suffix_of(path) == ARRAY:
        classes = [name for name in source.columns if name != ROW_OF_ARRAY]
        guess.settings = {"form": "counts", "count_columns": classes} | guess.settings
        guess.doubts.append("the classes of an array have no names; they are numbered (class_names)")
    found = _recognised(work, guess, columns)
    roles.fill(work, guess, found, _opened(work, guess, columns))
    _labels(guess, found)
    if "header" not in given and columns != [str(number) for number in range(len(columns))]:
        _check_header(guess, found)
    return guess


def _with_second(work: Work, guess: Guess, first: Source, second: Source) -> list[str]:
    """Two files joined by columns of the same values, or, where their columns are the same, one after the other."""
    if set(first.columns) == set(second.columns):
        return _appended(work, guess, first, second)
    keys = _keys(work, guess, first, second)
    if keys is None:
        raise DataError(
            f"{first.path} and {second.path}: no column of one has the values of a column of the other; set uid_column "
            "and items_uid_column"
        )
    uid, key = keys
    if {objects.KEY, objects.VALUE} == set(first.columns):
        _check_turned(work, guess, first, f"(SELECT cleaned({second.columns[key]}) AS k FROM {second.relation})")
    work.settings = TableSettings(label_column="label", uid_column=uid, items_path=second.path, items_uid_column=key,
                                  missing="drop")  # fmt: skip
    guess.settings |= {"uid_column": uid, "items_path": second.path} | ({"items_uid_column": key} if key != uid else {})
    guess.notes.append(f"{second.path.name} describes the items: its {key} is {uid} of {first.path.name}")
    names = [*first.columns, *(name for name in second.columns if name not in first.columns)]
    columns = join(work, first, second, names)
    for why, rows in work.dropped.items():
        guess.settings.setdefault("missing", "drop")
        guess.doubts.append(f"{rows:,} rows: {why}; they are left out (missing: drop)")
    return columns


def _check_turned(work: Work, guess: Guess, answers: Source, items: str) -> None:
    """Answers by item name items outside and annotators inside; what names more items inside is turned over."""
    keys = f"SELECT DISTINCT cleaned({answers.columns[objects.KEY]}) AS k FROM {answers.relation}"
    pairs = f"json_keys(as_json({answers.columns[objects.VALUE]}))"
    inner = f"SELECT DISTINCT cleaned(unnest({pairs})) AS k FROM {answers.relation}"
    outside, inside, strange = (
        work.value(f"SELECT count(*) FROM ({one}) WHERE k {known} (SELECT k FROM {items})")
        for one, known in ((keys, "IN"), (inner, "IN"), (inner, "NOT IN"))
    )
    if inside > outside:
        raise DataError(
            f"{answers.path}: {inside:,} of the items are named within the answers and {outside:,} as their keys: this "
            "is {annotator: {item: label}}; write it as {item: {annotator: label}}"
        )
    if inside == outside and not strange:
        guess.doubts.append("keys are taken for items and what lies within for annotators, though both fit")


def _appended(work: Work, guess: Guess, first: Source, second: Source) -> list[str]:
    """Two parts of one table."""
    guess.path = [first.path, second.path]
    guess.notes.append("both files have the same columns: they are read one after the other")
    guess.settings.setdefault("name", first.path.resolve().parent.name)
    names = list(first.columns)
    parts = [f"SELECT {', '.join(f'{part.columns[name]} AS {identifier(name)}' for name in names)} FROM {part.relation}"
             for part in (first, second)]  # fmt: skip
    both = Source(first.path, f"({' UNION ALL '.join(parts)})", {name: identifier(name) for name in names})
    return load(work, both, names, "records")


def _keys(work: Work, guess: Guess, first: Source, second: Source) -> tuple[str, str] | None:
    """The columns that join two tables: the second's is unique, and each has most values of the other."""
    given = guess.settings.get("uid_column"), guess.settings.get("items_uid_column")
    ours = _values(work, first, [given[0]] if given[0] else list(first.columns), "first")
    theirs = _values(work, second, [given[1]] if given[1] else list(second.columns), "second")
    rows = work.value(f"SELECT count(*) FROM {second.relation}")
    best: tuple[tuple[bool, float, bool, bool], tuple[str, str]] | None = None
    for key, values in theirs.items():
        unique = work.value(f"SELECT count(*) FROM {values}") == rows
        for uid, own in ours.items() if unique else ():
            known = f"SELECT (k IN (SELECT k FROM {values}))::INT AS known FROM {own}"
            share, number = work.rows(f"SELECT avg(known), sum(known) FROM ({known})")[0]
            no_person = not ANNOTATOR.search(uid.lower())
            rank = (no_person, round((share or 0) * (number or 0), 1), uid == key, is_uid(uid))
            if (share or 0) >= 0.5 and (best is None or rank > best[0]):
                best = rank, (uid, key)
    return None if best is None else best[1]


def _values(work: Work, source: Source, names: Sequence[str], prefix: str) -> dict[str, str]:
    """For each column a table of its values."""
    tables = {name: f"{prefix}_{place}" for place, name in enumerate(names)}
    for name, table in tables.items():
        work.run(
            f"CREATE TEMP TABLE {table} AS SELECT DISTINCT cleaned({source.columns[name]}) AS k FROM {source.relation} "
            "WHERE k IS NOT NULL"
        )
    return tables


def _recognised(work: Work, guess: Guess, columns: Sequence[str]) -> dict[str, Column]:
    """What the columns hold, with the settings of the tool that wrote them."""
    found = profile(work, columns)
    if {"form", "label_column"} & set(guess.settings):
        return found
    known = recognise(found)
    records = nested_records(found) if known is None and not roles.has_label(found) else None
    if records:
        guess.notes.append(f"each entry of {records['rows_from'][0]} is an annotation")
        guess.settings = records | guess.settings
    if known is not None:
        tool, settings = known
        guess.notes.append(f"looks like an export of {tool}")
        guess.doubts += settings.pop(DOUBTS, [])
        unused = set(settings.pop(UNUSED, ()))
        found = {name: column for name, column in found.items() if name not in unused}
        guess.settings = settings | guess.settings
    return found


def _opened(work: Work, guess: Guess, columns: Sequence[str]) -> list[str]:
    """The columns after lists of records have become rows."""
    opened = list(columns)
    for name in guess.settings.get("rows_from", ()):
        opened = open_lists(work, name, opened)
    return opened


def _labels(guess: Guess, before: Mapping[str, Column]) -> None:
    """Settings that the labels ask for: blanks and words for no answer left out, a scale with a gap."""
    column = before.get(str(guess.settings.get("label_column")))
    if column is None or column.kind != "scalar" or guess.settings.get("form", "long") != "long":
        return
    odd = [value for value in column.values if value.lower() in NO_ANSWERS]
    if odd and len(column.values) - len(odd) >= 2:
        guess.settings.setdefault("ignore_labels", odd)
        guess.doubts.append(f"labels {', '.join(odd)} are taken for no answer (ignore_labels)")
    numbers = sorted(int(cleaned(value)) for value in column.values if value not in odd) if _whole(column, odd) else []
    gaps = len(numbers) >= 3 and len(numbers) <= numbers[-1] - numbers[0] <= 10
    if gaps and not {"class_names", "scale"} & set(guess.settings):
        guess.settings["scale"] = [numbers[0], numbers[-1]]
        guess.doubts.append(
            f"not every number from {numbers[0]} to {numbers[-1]} was chosen; taken for a scale with classes that "
            "nobody chose (scale)"
        )


def _check_header(guess: Guess, found: Mapping[str, Column]) -> None:
    """Columns whose names stand among their own values: the first row may be no line of names."""
    keys = ("label_column", "text_column", "annotator_column", "uid_column")
    columns = [found[name] for key in keys if (name := str(guess.settings.get(key))) in found]
    odd = [one.name for one in columns if one.name in one.values and not one.name.isidentifier()]
    if odd:
        raise DataError(
            f"{guess.path}: the first row is no line of names, since {', '.join(map(repr, odd))} stand among the "
            "values below; name the columns with --data.header=[...]"
        )


def _whole(column: Column, odd: Sequence[str]) -> bool:
    """Whether all labels but those that are no answer are whole numbers."""
    rest = [value for value in column.values if value not in odd]
    return bool(rest) and all(value.lstrip("+-").isdigit() for value in rest)
