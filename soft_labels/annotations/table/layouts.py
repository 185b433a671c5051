"""One row an annotation, from a table of any form.

Each form makes the ``answers``: who answered what about which item, with the labels of the answer as a list (one label
in most tables) and how many annotations it stands for. From there on all forms are one.
"""

from collections.abc import Sequence

from soft_labels.annotations.base import MOST_COUNT
from soft_labels.annotations.table.answers import NOBODY, make_answers, parts_of, spelled
from soft_labels.annotations.table.cells import as_text, cleaned
from soft_labels.annotations.table.classes import as_written
from soft_labels.annotations.table.names import literal
from soft_labels.annotations.table.rows import ROW, Work, keep, require
from soft_labels.annotations.table.settings import Label

YES = "('1', 'true', 'yes', 'y', 't', 'x', 'on', 'checked', 'selected')"
NO = "('0', 'false', 'no', 'n', 'f', 'off')"


def roles_of(work: Work) -> dict[str, str]:
    """The columns that a table's form reads, under our names."""
    settings = work.settings
    single = {
        "grp": settings.group_column,
        "part": settings.split_column,
        "annotator": settings.annotator_column,
        "label": settings.label_column,
        "n": settings.count_column,
    }
    many = {
        "label": settings.label_columns,
        "count": settings.count_columns,
        "item_about": settings.about_items,
        "annotator_about": settings.about_annotators,
    }
    found = {ours: column for ours, column in single.items() if column is not None}
    return found | {f"{ours}_{place}": name for ours, names in many.items() for place, name in enumerate(names or ())}


def make_annotations(work: Work) -> None:
    """Make the view ``annotations``: numbers of ``item`` and ``who`` (or null), ``label``, ``class`` and ``n``.

    In the forms that count, a label is the position of its class where the table does not name it. The classes are
    still open: they come into the table ``meanings``, which has a row for each label of an answer.

    Raises:
        DataError: A label or count is missing or malformed, or an annotator labels an item again.
    """
    {
        "long": _long,
        "counts": _counts,
        "wide": _wide,
        "one_hot": _one_hot,
        "list": _list,
        "by_annotator": _by_annotator,
        "by_label": _by_label,
    }[work.settings.form](work)
    _ignore(work)
    _several(work)
    _repeats(work)
    work.run(
        "CREATE TABLE meanings AS SELECT answer, unnest(labels) AS label, len(labels) AS labels, "
        "NULL::SMALLINT AS class FROM spelled"
    )
    n = "g.n / m.labels" if work.settings.several == "share" else "g.n"
    work.run(
        f"CREATE VIEW annotations AS SELECT g.{ROW}, g.item, g.who, m.label, m.class, {n} AS n FROM given g "
        "JOIN meanings m USING (answer) WHERE g.n > 0"
    )


def settle_uids(work: Work) -> None:
    """Where a row is all that is said of an item, another row of its uid is refused or left out (``repeats``)."""
    settings = work.settings
    whole = settings.form in {"counts", "by_label"} or (settings.form == "list" and settings.annotator_column is None)
    if not whole or settings.repeats == "all":
        return
    if not work.rows("SELECT uid FROM rows GROUP BY uid HAVING count(*) > 1 LIMIT 1"):
        return
    first = "min" if settings.repeats in {"error", "first"} else "max"
    work.run(
        "CREATE OR REPLACE TEMP VIEW again AS "
        f"SELECT *, {ROW} <> {first}({ROW}) OVER (PARTITION BY uid) AS other FROM rows"
    )
    if settings.repeats == "error":
        work.refuse("again", "other", "uid {0!r} occurs again; uids must be unique", _CURE, "uid")
    work.leave_out(
        "rows", f"{ROW} IN (SELECT {ROW} FROM again WHERE other)", f"a uid again (repeats: {settings.repeats})"
    )


_CURE = "keep one of the rows, or set repeats: first, last or all"


def _annotator(work: Work) -> str:
    """The column of annotators, where the table has one."""
    return "annotator" if work.settings.annotator_column else NOBODY


def _long(work: Work) -> None:
    """An annotation a row."""
    n = "1.0"
    if work.settings.count_column is not None:
        require(work, "n", work.settings.count_column)
        _check_counts(work, "n", work.settings.count_column)
        n = "trimmed(n)::DOUBLE"
    make_answers(work, "label", _annotator(work), n)
    _no_labels(work)


def _no_labels(work: Work) -> None:
    """An answer without a label is a missing value."""
    column = str(work.settings.label_column)
    work.settle(
        "given", spelled("labels IS NULL OR len(labels) = 0 OR len(list_filter(labels, lambda one: one IS NULL)) > 0"),
        f"no value in column {_braces(column)!r}", f"no value in column {column!r}", "fill it in or remove the row",
    )  # fmt: skip


def _braces(text: str) -> str:
    """A text that stands in a format."""
    return text.replace("{", "{{").replace("}", "}}")


def _check_counts(work: Work, ours: str, column: str) -> None:
    """A count is a finite number that is not negative."""
    number = f"try_cast(trimmed({ours}) AS DOUBLE)"
    work.refuse(
        "rows", f"{ours} IS NOT NULL AND NOT coalesce(isfinite({number}) AND {number} >= 0, false)",
        f"column {_braces(column)!r} wants a finite count that is not negative, got {{0!r}}", "correct the row", ours,
    )  # fmt: skip
    _check_most(work, "rows", number, ours, column)


def _check_most(work: Work, table: str, number: str, shown: str, column: str) -> None:
    """A count is one that a double holds exactly."""
    most = f"wants counts up to {MOST_COUNT:,}, since no larger one is exact, got {{0!r}}"
    work.refuse(table, f"{number} > {MOST_COUNT}", f"column {_braces(column)!r} {most}", "divide them all", shown)


def _counts(work: Work) -> None:
    """A column of counts for each class; a blank is 0."""
    columns = work.settings.count_columns or ()
    for place, column in enumerate(columns):
        _check_counts(work, f"count_{place}", column)
    numbers = [f"coalesce(trimmed(count_{place})::DOUBLE, 0)" for place in range(len(columns))]
    _refuse_zero(work, " + ".join(numbers))
    blanks = work.value(
        f"SELECT sum({' + '.join(f'(count_{place} IS NULL)::INT' for place in range(len(columns)))}) FROM rows"
    )
    if blanks:
        work.notes.append(f"{blanks:,} blank counts are 0")
    one = f"abs({' + '.join(numbers)} - 1) < 1e-3"
    shares = work.value(f"SELECT bool_and({one}) AND bool_or(greatest({', '.join(numbers)}) < 1 - 1e-3) FROM rows")
    if shares and len(numbers) > 1:
        work.warnings.append("each row sums to 1: these are shares, and how many annotators there were is not known")
    _count_answers(work, [f"{{'label': '{place}', 'n': {number}}}" for place, number in enumerate(numbers)])


def _refuse_zero(work: Work, total: str) -> None:
    """An item that nobody annotated."""
    work.settle(
        "rows", f"({total}) = 0", "all counts are zero", "all counts are zero", "remove the item or give it annotations"
    )


def _count_answers(work: Work, counted: Sequence[str]) -> None:
    """One answer a class of each row, from structs of label and number."""
    work.run(f"CREATE TABLE unfolded AS SELECT {ROW}, uid, unnest([{', '.join(counted)}], recursive := true) FROM rows")
    make_answers(work, "label", n="n", source="unfolded")
    work.run("DROP TABLE unfolded")


def _wide(work: Work) -> None:
    """A column an annotator; a blank means that this one did not annotate the item."""
    columns = work.settings.label_columns or ()
    filled = " + ".join(f"(label_{place} IS NOT NULL)::INT" for place in range(len(columns)))
    work.settle("rows", f"({filled}) = 0", "no annotation", "no annotation", "remove the item or give it annotations")
    cells = ", ".join(f"{{'who': {literal(name)}, 'label': label_{place}}}" for place, name in enumerate(columns))
    work.run(f"CREATE TABLE unfolded AS SELECT {ROW}, uid, unnest([{cells}], recursive := true) FROM rows")
    work.run("DELETE FROM unfolded WHERE label IS NULL")
    make_answers(work, "label", "who", source="unfolded")
    work.run("DROP TABLE unfolded")


def _one_hot(work: Work) -> None:
    """A class for each column that is marked."""
    columns = work.settings.count_columns or ()
    filled = work.settings.marks == "filled"
    for place, column in enumerate(() if filled else columns):
        work.refuse(
            "rows", f"lower(cleaned(count_{place})) NOT IN {YES} AND lower(cleaned(count_{place})) NOT IN {NO}",
            f"column {_braces(column)!r} wants 0 or 1, got {{0!r}}",
            "correct the row, or set form: counts, or marks: filled if any value marks a class",
            f"count_{place}",
        )  # fmt: skip
    is_mark = "<> 'false'" if filled else f"IN {YES}"
    marked = ", ".join(
        f"CASE WHEN lower(cleaned(count_{place})) {is_mark} THEN '{place}' END" for place in range(len(columns))
    )
    make_answers(work, f"list_filter([{marked}], lambda one: one IS NOT NULL)", _annotator(work), listed=True)
    work.settle(
        "given", spelled("len(labels) = 0"), "no class is marked", "no class is marked",
        "mark one, leave the row out by where",
    )  # fmt: skip


def _list(work: Work) -> None:
    """A cell of labels, and a cell of annotators of the same length where there is one."""
    column, who = str(work.settings.label_column), work.settings.annotator_column
    require(work, "label", column)
    listed = "true" if work.settings.label_separator is None else "label LIKE '[%'"
    labels = f"CASE WHEN {listed} THEN cell_list(label) ELSE {parts_of(work, 'label')} END"
    lists = [("annotator", who, "annotators")] if who else []
    for cell, other, what in (*lists, *((cell, name, "values") for cell, name, _ in work.beside)):
        work.refuse(
            "rows", f"len({labels}) <> len(cell_list({cell}))",
            f"column {_braces(column)!r} has {{0}} labels but {_braces(other)!r} {{1}} {what}", "correct the row",
            f"len({labels})", f"len(cell_list({cell}))",
        )  # fmt: skip
    work.settle(
        "rows", f"len({labels}) = 0", "no annotation", "no annotation", "remove the item or give it annotations"
    )
    people = ", unnest(cell_list(annotator)) AS who" if who else f", {NOBODY} AS who"
    beside = "".join(f", unnest(cell_list({cell})) AS {cell}" for cell, *_ in work.beside)
    work.run(f"CREATE TABLE unfolded AS SELECT {ROW}, uid, unnest({labels}) AS label{people}{beside} FROM rows")
    for cell, column, wanted in work.beside:
        keep(work, "unfolded", cell, column, wanted)
    make_answers(work, "label", "who", source="unfolded")
    work.run("DROP TABLE unfolded")
    _no_labels(work)


def _by_annotator(work: Work) -> None:
    """A cell {annotator: label}."""
    _unfold_pairs(work, "{annotator: label}")
    make_answers(work, "pair[2]", "pair[1]", source="unfolded")
    work.run("DROP TABLE unfolded")
    _no_labels(work)


def _unfold_pairs(work: Work, wanted: str) -> None:
    """A row for each entry of a dictionary in a cell."""
    column = str(work.settings.label_column)
    require(work, "label", column)
    work.refuse(
        "rows", "cell_pairs(label) IS NULL", f"column {_braces(column)!r} wants {_braces(wanted)}, got {{0!r}}",
        "correct the row, or set another form", "left(label, 60)",
    )  # fmt: skip
    work.settle("rows", "len(cell_pairs(label)) = 0", "no annotation", "no annotation", "remove the item")
    work.run(f"CREATE TABLE unfolded AS SELECT {ROW}, uid, unnest(cell_pairs(label)) AS pair FROM rows")


def _by_label(work: Work) -> None:
    """A cell {label: count}, or a list of counts in the order of the classes."""
    column = str(work.settings.label_column)
    require(work, "label", column)
    if work.value("SELECT count(*) FROM rows WHERE cell_pairs(label) IS NULL") == 0:
        _unfold_pairs(work, "{label: count}")
        work.run(f"CREATE TABLE tallies AS SELECT {ROW}, uid, pair[1] AS label, pair[2] AS n FROM unfolded")
    else:
        _check_lists(work, column)
        work.run(f"CREATE TABLE unfolded AS SELECT {ROW}, uid, cell_list(label) AS numbers FROM rows")
        work.run(
            f"CREATE TABLE tallies AS SELECT {ROW}, uid, (unnest(range(len(numbers))))::VARCHAR AS label, "
            "unnest(numbers) AS n FROM unfolded"
        )
    work.run("DROP TABLE unfolded")
    number = "try_cast(n AS DOUBLE)"
    work.refuse(
        "tallies", f"n IS NOT NULL AND NOT coalesce(isfinite({number}) AND {number} >= 0, false)",
        f"column {_braces(column)!r} wants finite counts that are not negative, got {{0!r}}", "correct the row", "n",
    )  # fmt: skip
    _check_most(work, "tallies", number, "n", column)
    work.run(f"CREATE TEMP VIEW empty AS SELECT {ROW} FROM tallies GROUP BY 1 HAVING sum(coalesce({number}, 0)) = 0")
    _refuse_zero(work, f"SELECT count(*) - 1 FROM empty WHERE empty.{ROW} = rows.{ROW} HAVING count(*) > 0")
    make_answers(work, "label", n=f"coalesce({number}, 0)", source="tallies")
    work.run("DROP VIEW empty")
    work.run("DROP TABLE tallies")


def _check_lists(work: Work, column: str) -> None:
    """All lists of counts have as many entries."""
    first = work.value(f"SELECT len(cell_list(label)) FROM rows ORDER BY {ROW} LIMIT 1")
    work.run(f"CREATE TEMP VIEW sized AS SELECT *, len(cell_list(label)) AS size, {first} AS wanted FROM rows")
    work.refuse(
        "sized", "size <> wanted", f"column {_braces(column)!r} has {{0}} counts, but {{1}} in the first row",
        "give each class a count in every row", "size", "wanted",
    )  # fmt: skip


def _ignore(work: Work) -> None:
    """Rename labels, then leave out those that are no answer."""
    settings = work.settings
    if settings.rename_labels:
        pairs = ", ".join(
            f"{literal(cleaned(str(old)))}: {literal(_label(new))}" for old, new in settings.rename_labels.items()
        )
        renamed = f"coalesce((MAP {{{pairs}}})[one], one)"
        work.run(f"UPDATE spelled SET labels = list_transform(labels, lambda one: {renamed})")
    if settings.ignore_labels:
        labels = [label for (label,) in work.rows("SELECT DISTINCT unnest(labels) FROM answers")]
        wanted = [cleaned(label) for label in as_written(settings.ignore_labels, labels, "ignore_labels")]
        ignored = ", ".join(map(literal, wanted))
        counts = work.rows("SELECT one, count(*) FROM (SELECT unnest(labels) AS one FROM answers) "
                           f"WHERE one IN ({ignored}) "
                           "GROUP BY one ORDER BY one")  # fmt: skip
        work.run(f"UPDATE spelled SET labels = list_filter(labels, lambda one: one NOT IN ({ignored}))")
        work.run(f"DELETE FROM given WHERE {spelled('len(labels) = 0')}")
        for label, count in counts:
            work.dropped[f"label {label!r} is ignored"] = count
        unknown = set(wanted) - {label for label, _ in counts}
        if unknown:
            work.warnings.append(f"ignore_labels names labels that do not occur: {', '.join(sorted(unknown))}")
    work.check_left("given")


def _label(label: Label) -> str:
    """A label of a configuration as it stands in a cell."""
    return cleaned(as_text(label) or "")


def _several(work: Work) -> None:
    """Several labels in one answer: refused, or as the setting says."""
    work.run("UPDATE spelled SET labels = list_distinct(labels) WHERE len(labels) > 1")
    several = work.settings.several
    if several == "error":
        work.refuse(
            "answers", "len(labels) > 1", "{0} labels in one answer ({1})",
            "set several: each, share or drop, or another form", "len(labels)",
            "array_to_string(list_sort(labels), ', ')",
        )  # fmt: skip
    elif several == "drop":
        work.leave_out("given", spelled("len(labels) > 1"), "several labels in one answer (several: drop)")
    elif count := work.value(f"SELECT count(*) FROM given WHERE {spelled('len(labels) > 1')}"):
        work.notes.append(f"{count:,} answers of several labels (several: {several})")


def _repeats(work: Work) -> None:
    """An annotator who labels an item again: refused, or as the setting says."""
    repeats = work.settings.repeats
    again = "FROM given WHERE who IS NOT NULL"
    if repeats == "all" or not work.rows(f"SELECT item {again} GROUP BY item, who HAVING count(*) > 1 LIMIT 1"):
        return
    order = "DESC" if repeats == "last" else "ASC"
    work.run(
        f"CREATE TABLE repeated AS SELECT place {again} "
        f"QUALIFY row_number() OVER (PARTITION BY item, who ORDER BY place {order}) > 1"
    )
    repeated = "place IN (SELECT place FROM repeated)"
    if repeats == "error":
        work.refuse("answers", repeated, "annotator {0!r} labels item {1!r} again", _CURE, "annotator", "uid")
    work.leave_out("given", repeated, f"an annotator labels an item again (repeats: {repeats})")
