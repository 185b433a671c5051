"""Items, annotators and answers of a table as numbers, so that an annotation is a few bytes and not a row of texts.

``items`` has each uid once, ``people`` each annotator and ``spelled`` each answer as the table writes it, with the
labels that it stands for; ``given`` names all three by number. ``answers`` shows the same under their names, for
messages.
"""

from soft_labels.annotations.table.names import literal
from soft_labels.annotations.table.rows import ROW, Work

NOBODY = "NULL::VARCHAR"
_NESTED = "(raw LIKE '[%' OR raw LIKE '{%')"


def make_answers(
    work: Work, label: str, who: str = NOBODY, n: str = "1.0", source: str = "rows", listed: bool = False
) -> None:
    """Make the tables of answers from columns of a table that has one row an answer.

    Args:
        work: The table; its ``rows`` have all the items that there are.
        label: The answer; a cell that holds a list is one answer of several labels.
        who: The annotator.
        n: How many annotations the answer stands for.
        source: Where these columns lie, beside the row's number and uid.
        listed: Whether ``label`` is a list of cleaned labels already.
    """
    _number_items(work)
    _number_people(work, who, source)
    _spell(work, label, source, listed)
    work.run(
        f"CREATE TABLE given AS SELECT s.{ROW}, s.place, i.item, p.who, a.answer, s.n FROM "
        f"(SELECT {ROW}, rowid AS place, uid, {label} AS label, {who} AS who, {n} AS n FROM {source}) s "
        "JOIN items i USING (uid) LEFT JOIN people p ON p.raw = s.who "
        "JOIN spelled a ON a.raw IS NOT DISTINCT FROM s.label"
    )
    work.run(
        f"CREATE VIEW answers AS SELECT g.{ROW}, g.place, i.uid, p.annotator, a.labels, g.n FROM given g "
        "JOIN items i USING (item) LEFT JOIN (SELECT DISTINCT who, annotator FROM people) p USING (who) "
        "JOIN spelled a USING (answer)"
    )


def _number_items(work: Work) -> None:
    """Make ``items``: each uid, and its place in the order of these."""
    work.run("CREATE TABLE uids AS SELECT DISTINCT uid FROM rows ORDER BY uid")
    work.run("CREATE VIEW items AS SELECT rowid::INTEGER AS item, uid FROM uids")


def _number_people(work: Work, who: str, source: str) -> None:
    """Make ``people``: each annotator as the table writes it, cleaned, and the place in the order of these."""
    work.run(f"CREATE TABLE written AS SELECT DISTINCT {who} AS raw FROM {source}")  # by itself: few are cleaned
    work.run(
        "CREATE TABLE people AS SELECT raw, annotator, (dense_rank() OVER (ORDER BY annotator) - 1)::INTEGER AS who "
        "FROM (SELECT raw, cleaned(raw) AS annotator FROM written) WHERE annotator IS NOT NULL"
    )


def _spell(work: Work, label: str, source: str, listed: bool) -> None:
    """Make ``spelled``: each answer as it is written, and its labels, cleaned."""
    work.run(
        "CREATE TABLE spelled AS SELECT raw, (row_number() OVER ())::INTEGER AS answer, NULL::VARCHAR[] AS labels "
        f"FROM (SELECT DISTINCT {label} AS raw FROM {source})"
    )
    labels = "raw" if listed else "[cleaned(raw)]"
    nested = f"SELECT count(*) FROM spelled WHERE {_NESTED}"
    if not listed and (work.settings.label_separator or work.value(nested)):
        cell = f"CASE WHEN {_NESTED} THEN cell_list(raw) ELSE {parts_of(work, 'raw')} END"
        labels = f"list_transform({cell}, lambda one: cleaned(one))"
    work.run(f"UPDATE spelled SET labels = {labels}")


def parts_of(work: Work, label: str) -> str:
    """The labels of a cell that is no list, as SQL."""
    separator = work.settings.label_separator
    return f"string_split({label}, {literal(separator)})" if separator else f"[{label}]"


def spelled(condition: str) -> str:
    """A condition on the labels of answers, for the table ``given``."""
    return f"answer IN (SELECT answer FROM spelled WHERE {condition})"
