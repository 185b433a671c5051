"""The classes of a table, in order: as they are named, as a scale, or as the labels say; and what looks odd in them."""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from soft_labels.annotations.table.cells import cleaned
from soft_labels.annotations.table.settings import Label, TableSettings
from soft_labels.errors import ConfigError, DataError

MOST_CLASSES = 1000
NO_ANSWERS = frozenset({"na", "n/a", "nan", "null", "none", "nil", "#n/a", "<na>", "-", "?", "unknown", "missing"})
_DOUBT = re.compile(
    r"(don'?t|do not|not|un) ?(know|sure|clear)|can'?t (tell|say|decide)|unsure|skip(ped)?|prefer not", re.IGNORECASE
)
_LEADING = re.compile(r"^\s*([+-]?\d+(?:\.\d+)?)\b")
_LIST = re.compile(r"^[\[{(].*[\]})]$|^[^\s,;|#]+([,;|#])[^\s,;|#]+(\1[^\s,;|#]+)*$")
_TRUE = frozenset({"true", "yes", "on", "y"})
_FALSE = frozenset({"false", "no", "off", "n"})


def resolve_classes(
    labels: Sequence[str], settings: TableSettings, where: str
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes in order, and each label's class.

    Args:
        labels: The labels that occur, cleaned.
        settings: Of the table.
        where: The table, for messages.

    Returns:
        Names of the classes, and for each cleaned name its position.

    Raises:
        ConfigError: Ordered words without an order, or a name that YAML has made a truth value.
        DataError: Fewer than two classes, or one named twice.

    Example:
        >>> resolve_classes(["10", "9"], TableSettings(label_column="label"), "t.csv")
        (('9', '10'), {'9': 0, '10': 1})
    """
    if settings.scale is not None:
        names = [str(number) for number in range(settings.scale[0], settings.scale[1] + 1)]
    elif settings.class_names is not None:
        names = as_written(settings.class_names, labels)
    else:
        names = in_order(labels, settings.ordinal, where)
    checked = checked_classes(names, where)
    return checked, {cleaned(name): place for place, name in enumerate(checked)}


def checked_classes(names: Sequence[str], where: str) -> tuple[str, ...]:
    """At least two classes, each named once.

    Raises:
        DataError: They are fewer, more than a table of labels has, or one is named twice.
    """
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"{where}: {len(names):,} different labels, such as {', '.join(map(repr, names[:3]))}; label_column names "
            f"a column of labels, at most {MOST_CLASSES:,}"
        )
    if len(names) < 2 or len({cleaned(name) for name in names}) < len(names):
        raise DataError(f"{where}: wanted at least two classes, each named once, got {list(names)}; set class_names")
    return tuple(names)


def as_written(class_names: Sequence[Label], labels: Sequence[str], key: str = "class_names") -> list[str]:
    """Names of classes as a person wrote them, though YAML reads a bare No as false and 1 as a number.

    Args:
        class_names: What came out of the configuration.
        labels: Labels or columns that occur.
        key: The setting that names them, for messages.

    Raises:
        ConfigError: A truth value stands for no label, or for several.

    Example:
        >>> as_written([False, "Unsure", True, 2.0], ["No", "Yes", "Unsure"])
        ['No', 'Unsure', 'Yes', '2']
    """
    truths = {name: _written(name, labels, key) for name in class_names if isinstance(name, bool)}
    return [truths[name] if isinstance(name, bool) else name if isinstance(name, str) else cleaned(str(name))
            for name in class_names]  # fmt: skip


def _written(truth: bool, labels: Sequence[str], key: str) -> str:
    """The one label that a truth value can stand for."""
    words = _TRUE if truth else _FALSE
    fitting = [label for label in labels if label.lower() in words]
    if len(fitting) == 1:
        return fitting[0]
    seen = f"labels {', '.join(fitting)}" if fitting else "no label"
    raise ConfigError(
        f"{key}: YAML reads a bare {'yes, on or true' if truth else 'no, off or false'} as {str(truth).lower()}, which "
        f'stands for {seen} here; put the word in quotes: "{"yes" if truth else "no"}"'
    )


def in_order(labels: Sequence[str], ordinal: bool, where: str) -> list[str]:
    """Labels in the order of their numbers, of the numbers they begin with, or, as names only, of text.

    Raises:
        ConfigError: The classes are ordered but their names do not say how.

    Example:
        >>> in_order(["10 (high)", "9", "2 (low)"], ordinal=True, where="t.csv")
        ['2 (low)', '9', '10 (high)']
    """
    with suppress(ValueError):
        if all(math.isfinite(float(label)) for label in labels):
            return sorted(labels, key=lambda label: (float(label), label))
    numbers = [_LEADING.match(label) for label in labels]
    leading = {label: float(found.group(1)) for label, found in zip(labels, numbers, strict=True) if found}
    if len(leading) == len(labels) == len(set(leading.values())):
        return sorted(labels, key=leading.__getitem__)
    if ordinal:
        shown = ", ".join(sorted(labels)[:12])
        raise ConfigError(
            f"{where}: the classes are ordinal but their names do not say in which order; set class_names: [{shown}] "
            "in the right order, or ordinal: false"
        )
    return sorted(labels)


def label_warnings(annotations: Mapping[str, float], items: int, single: bool, ordered: bool) -> list[str]:
    """What looks odd in the labels of a table.

    Args:
        annotations: For each class its annotations, in order.
        items: How many items there are.
        single: Whether every item has one annotation.
        ordered: Whether the order of the classes is known from settings.

    Returns:
        Sentences that name classes and settings.
    """
    names = list(annotations)
    found = [*_twins(names), *_no_answers(annotations), *_lists(names)]
    if not ordered:
        found += _gaps(names)
    if unchosen := [name for name, count in annotations.items() if not count]:
        found.append(f"nobody chose {', '.join(unchosen)}")
    if len(names) >= items > 2:
        found.append(
            f"{len(names):,} classes for {items:,} items: does label_column hold labels, and not a text or an id?"
        )
    if single:
        found.append(
            "every item has one annotation, so that soft and hard labels are the same; does uid_column name the item, "
            "and not the row?"
        )
    return found


def _twins(names: Sequence[str]) -> list[str]:
    """Names that differ in case or blanks only."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault("".join(name.casefold().split()), []).append(name)
    twins = [" and ".join(group) for group in alike.values() if len(group) > 1]
    return (
        [f"classes that differ in case only: {'; '.join(twins)}; set rename_labels to make them one"] if twins else []
    )


def _no_answers(annotations: Mapping[str, float]) -> list[str]:
    """Names that look like no answer."""
    odd = [name for name in annotations if name.lower() in NO_ANSWERS or _DOUBT.search(name)]
    counted = ", ".join(f"{name} ({annotations[name]:g})" for name in odd)
    return [f"classes that look like no answer: {counted}; set ignore_labels to leave them out"] if odd else []


def _lists(names: Sequence[str]) -> list[str]:
    """Names that look like lists of labels."""
    odd = [
        name
        for name in names
        if _LIST.match(name) and any(part in names for part in re.split(r"[,;|#\[\]{}\s]+", name))
    ]
    many = odd or [name for name in names if name[:1] in "[{" and name[-1:] in "]}"]
    numeric = many or [name for name in names if re.fullmatch(r"\d+([,;|]\d+)+", name)]
    cure = "set form: list, or label_separator where each row is one answer"
    return [f"classes that look like lists: {', '.join(numeric[:5])}; {cure}"] if numeric else []


def _gaps(names: Sequence[str]) -> list[str]:
    """Whole numbers that nobody chose between those that somebody did."""
    if not all(re.fullmatch(r"-?\d+", name) for name in names):
        return []
    numbers = sorted(map(int, names))
    missing = sorted(set(range(numbers[0], numbers[-1])) - set(numbers)) if numbers[-1] - numbers[0] <= 20 else []
    if not missing or len(numbers) < 3:
        return []
    listed = ", ".join(map(str, missing))
    return [f"nobody chose {listed}; if the labels are a scale, set scale: [{numbers[0]}, {numbers[-1]}]"]
