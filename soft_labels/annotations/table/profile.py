"""What the columns of an undescribed table hold: how full, how varied, texts, numbers, lists or dictionaries."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from soft_labels.annotations.table.cells import is_wrapped, read_list, read_pairs
from soft_labels.annotations.table.names import expression
from soft_labels.annotations.table.pictures import is_address
from soft_labels.annotations.table.rows import Work

Kind = Literal["scalar", "list", "pairs", "struct", "records"]
_LOOK = 400
_MOST_VALUES = 60
_IMAGE = re.compile(r"\.(jpe?g|png|gif|bmp|webp|tiff?)$", re.IGNORECASE)
_NUMBER = re.compile(r"^[+-]?\d+(\.0+)?$")
TEXT = re.compile(
    r"text|sentence|comment|tweet|post|content|body|premise|hypothesis|utterance|message|question|prompt|document|review|"
    r"title|headline|reply|response|context|statement|passage|claim|dialog|description|instruction|email|paragraph|snippet|"
    r"kommentar|satz|phrase|commentaire|comentario|frase|testo|文本|句子|内容|テキスト"
)
_DEEPEST = 4
_LIST_IN_LIST = re.compile(r"\s*\[\s*\[[^\[\],]+,")
_WITH_COMMA = re.compile(r"\s*[+-]?\d+([.,]\d+)*\s*%?\s*")
COMMA_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+(\.\d+)?|\d+,\d{3,}|\d+([.,]\d+)?\s*%)")
"""Numbers with thousands separators, decimal commas, or in percent."""


@dataclass(frozen=True)
class Column:
    """What one column holds.

    Args:
        name: Its name, nested or not.
        kind: Single values, or a structure in each cell.
        filled: Rows that have a value.
        distinct: Different values, after cleaning.
        values: The values with their numbers, most frequent first, where they are few.
        length: Mean characters.
        prose: Share of values of several words.
        whole: Whether all values are whole numbers.
        image: Whether all values name images.
        sizes: Of lists or dictionaries: how often each length occurs among those looked at.
        keys: Of dictionaries: the keys, most frequent first.
        parts: Of lists and dictionaries: the values within, most frequent first.
        json: Whether lists are written as such, and not as words between separators.
    """

    name: str
    kind: Kind
    filled: int
    distinct: int
    values: Mapping[str, int] = field(default_factory=dict)
    length: float = 0.0
    prose: float = 0.0
    whole: bool = False
    image: bool = False
    sizes: Mapping[int, int] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    json: bool = False

    @property
    def word(self) -> str:
        """The last part of the name in lower case, words parted by _."""
        last = re.sub(r"\[.*?\]", "", self.name).rsplit(".", 1)[-1]
        return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last).lower()).strip("_")


def profile(work: Work, columns: Sequence[str]) -> dict[str, Column]:
    """Look at every column of the table ``records``, and within dictionaries that all rows share.

    Args:
        work: The table.
        columns: Its columns.

    Returns:
        A description of each column and of each nested value, in order.
    """
    found: dict[str, Column] = {}
    waiting = list(columns)
    while waiting:
        name = waiting.pop(0)
        column = describe(work, name, columns)
        found[name] = column
        if column.kind == "struct" and name.count(".") < _DEEPEST:
            waiting = [f"{name}.{key}" for key in column.keys] + waiting
    return found


def describe(work: Work, name: str, columns: Sequence[str]) -> Column:
    """Look at one column or nested value.

    Args:
        work: The table.
        name: What to look at.
        columns: The columns there are.
    """
    cell = expression(name, columns)
    filled, distinct, length, whole = work.rows(
        f"SELECT count(x), count(DISTINCT x), coalesce(avg(length(x)), 0), "
        f"coalesce(bool_and(regexp_matches(x, '{_NUMBER.pattern}')), false) "
        f"FROM (SELECT cleaned({cell}) AS x FROM records)"
    )[0]
    sample = [text for (text,) in work.rows(
        f"SELECT DISTINCT ON (x) x FROM (SELECT {cell} AS x FROM records WHERE cleaned({cell}) IS NOT NULL "
        f"ORDER BY hash({cell}) LIMIT {_LOOK})"
    )]  # fmt: skip
    if sample and all(map(is_address, sample)):
        return Column(name, "scalar", filled, distinct, length=length, image=True)
    nested = _nested(name, sample)
    if nested is not None:
        return Column(name, filled=filled, distinct=distinct, **nested)
    counted = work.rows(
        f"SELECT x, count(*) AS n FROM (SELECT cleaned({cell}) AS x FROM records) WHERE x IS NOT NULL GROUP BY x "
        f"ORDER BY n DESC, x LIMIT {_MOST_VALUES}"
    ) if distinct <= _MOST_VALUES else []  # fmt: skip
    prose = sum(" " in text.strip() for text in sample) / len(sample) if sample else 0.0
    image = bool(sample) and all(_IMAGE.search(text.strip()) for text in sample)
    return Column(name, "scalar", filled, distinct, dict(counted), length, prose, whole, image)


def _nested(name: str, sample: Sequence[str]) -> dict[str, Any] | None:
    """What lists or dictionaries hold, where most cells are such."""
    pairs = [found for text in sample if not is_wrapped(text) and (found := read_pairs(text)) is not None]
    if sample and len(pairs) >= 0.8 * len(sample):
        return _dictionary(pairs)
    if any(_LIST_IN_LIST.match(text) for text in sample):
        return {"kind": "records", "sizes": Counter({1: len(sample)})}
    written = [text for text in sample if text.strip()[:1] == "[" or is_wrapped(text)]
    if sample and len(written) >= 0.8 * len(sample):
        lists = [read_list(text) or [] for text in written]
        flat = [one for values in lists for one in values if one is not None]
        kind: Kind = "records" if flat and all(one.startswith("{") for one in flat) else "list"
        return _with_parts(kind, lists, flat, is_json=True)
    people = re.search("annotat|worker|rater|user", name, re.IGNORECASE)
    if sample and not people and any(map(COMMA_NUMBER.fullmatch, sample)) and all(map(_WITH_COMMA.fullmatch, sample)):
        return None
    parted = [text for text in sample if re.fullmatch(r"[^\s,;|]+(\s*[,;|]\s*[^\s,;|]+)+", text.strip())]
    if sample and len(parted) >= 0.8 * len(sample):
        lists = [read_list(text) or [] for text in sample]
        flat = [one for values in lists for one in values if one is not None]
        if len(set(flat)) <= max(3, len(flat) // 2) or people:
            return _with_parts("list", lists, flat, is_json=False)
    return None


def _with_parts(kind: Kind, lists: Sequence[Sequence[object]], flat: Sequence[str], is_json: bool) -> dict[str, Any]:
    """Lengths and values of lists."""
    parts = tuple(value for value, _ in Counter(flat).most_common(_MOST_VALUES))
    sizes = Counter(len(values) for values in lists)
    keys: tuple[str, ...] = ()
    if kind == "records":
        keys = tuple(dict.fromkeys(key for one in flat for key, _ in read_pairs(one) or []))
    return {"kind": kind, "sizes": sizes, "parts": parts, "json": is_json, "keys": keys}


def _dictionary(pairs: Sequence[Sequence[tuple[str, str | None]]]) -> dict[str, Any]:
    """A record with fields of its own, or answers by annotator or label."""
    keys = Counter(key for one in pairs for key, _ in one)
    values = Counter(value for one in pairs for _, value in one if value is not None)
    shared = [key for key, number in keys.items() if number >= 0.5 * len(pairs)]
    answers = (
        all(len(value) <= 40 and not value.startswith("{") for value in values)
        and (all(_NUMBER.match(value) for value in values) or not any(TEXT.search(key.lower()) for key in keys))
        and len(values) <= max(20, sum(values.values()) // 3)
        and not any(" " in value.strip() and len(value) > 25 for value in values)
    )
    kind: Kind = "pairs" if answers or not shared else "struct"
    return {
        "kind": kind,
        "sizes": Counter(len(one) for one in pairs),
        "keys": tuple(key for key, _ in keys.most_common(None if kind == "struct" else _MOST_VALUES)),
        "parts": tuple(value for value, _ in values.most_common(_MOST_VALUES)),
        "json": True,
    }


def determines(work: Work, keys: Sequence[str], value: str, columns: Sequence[str]) -> bool:
    """Whether rows that agree on some columns agree on another."""
    key = " || chr(31) || ".join(f"coalesce(cleaned({expression(name, columns)}), '')" for name in keys)
    cell = f"trimmed({expression(value, columns)})"
    return not work.value(
        f"SELECT count(*) FROM (SELECT {key} AS k FROM records WHERE {cell} <> '' GROUP BY k "
        f"HAVING count(DISTINCT {cell}) > 1)"
    )


def distinct(work: Work, names: Sequence[str], columns: Sequence[str]) -> int:
    """How many different combinations of values there are."""
    key = " || chr(31) || ".join(f"coalesce(cleaned({expression(name, columns)}), '')" for name in names)
    return int(work.value(f"SELECT count(DISTINCT {key}) FROM records"))
