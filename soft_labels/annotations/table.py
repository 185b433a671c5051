"""Any table of annotations: CSV, JSON lines or Parquet, one row an annotation or one row an item."""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import polars as pl
import torch

from soft_labels.annotations._rows import at, read_rows
from soft_labels.annotations.base import AnnotatedData, Input, Items, Modality
from soft_labels.errors import ConfigError, DataError

Form = Literal["long", "counts"]
_WHOLE_AS_FLOAT = re.compile(r"^([+-]?\d+)\.0+$")


def read_table(
    path: Path,
    *,
    form: Form,
    uid_column: str,
    text_column: str | None = None,
    second_text_column: str | None = None,
    image_column: str | None = None,
    annotator_column: str | None = None,
    label_column: str | None = None,
    count_columns: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    ordinal: bool = False,
    group_column: str | None = None,
    name: str | None = None,
) -> AnnotatedData:
    """Read a table of one's own; its items come ordered by uid as text, whatever the order of its rows.

    The inputs are a text (``text_column``), a pair of texts (``second_text_column`` too) or an image
    (``image_column``). Labels are compared as text; a whole number written as a float is that number, so ``3.0``
    is ``3``.

    Args:
        path: A ``.csv`` (UTF-8, commas, a header), ``.jsonl``, ``.ndjson`` or ``.parquet`` file.
        form: ``long`` has one row an annotation, ``counts`` one row an item.
        uid_column: The item's id.
        text_column: The text, or the first of two.
        second_text_column: The second text of a pair.
        image_column: An image file, relative to the table's folder.
        annotator_column: Long form: who annotated. Without it an annotator who labels an item twice goes unnoticed.
        label_column: Long form: the class chosen.
        count_columns: Counts form: one column a class, in the order of the classes.
        class_names: The classes in order. The default is, in long form, the labels that occur (sorted as numbers
            where all are numbers, else as text), and in counts form the names of ``count_columns``.
        ordinal: Whether the classes are ordered, as ratings are.
        group_column: Items of one value form a group that grouped splits keep together.
        name: The data set's name; by default the file's name without its suffix.

    Returns:
        One item for each uid.

    Raises:
        ConfigError: The columns asked for do not fit the form, or describe no input or several.
        DataError: The file or a column is missing; a value is missing; a label is none of the classes; an annotator
            labels an item twice; a count is no finite number or negative, or all are zero; a uid occurs twice
            (counts) or has two inputs or groups (long); an image is missing.
    """
    path = path.expanduser()
    _check_form(form, label_column, annotator_column, count_columns)
    shown, modality = _input_columns(text_column, second_text_column, image_column)
    wanted = {"uid": uid_column, **shown, "group": group_column, "annotator": annotator_column, "label": label_column}
    columns = {ours: column for ours, column in wanted.items() if column is not None}
    if count_columns is None:
        rows, classes = _with_class_index(read_rows(path, columns), path, class_names)
        items = _tally(rows, path, len(classes))
    else:
        classes = _checked_classes(class_names or count_columns, len(count_columns))
        counts = {_count(index): column for index, column in enumerate(count_columns)}
        items = _counted(read_rows(path, columns | counts), path, counts)
    items = items.sort("uid")
    return AnnotatedData(
        name=name or path.stem,
        uids=tuple(items["uid"]),
        inputs=_inputs(items, modality, path),
        label_counts=torch.from_numpy(items.select(map(_count, range(len(classes)))).to_numpy(writable=True)),
        class_names=classes,
        modality=modality,
        ordinal=ordinal,
        groups=None if group_column is None else tuple(items["group"]),
    )


def read_items(
    path: Path,
    *,
    uid_column: str,
    text_column: str | None = None,
    second_text_column: str | None = None,
    image_column: str | None = None,
) -> Items:
    """Read items to predict; a table of annotations serves as well as one row an item.

    Args:
        path: As in :func:`read_table`.
        uid_column: The item's id.
        text_column: The text, or the first of two.
        second_text_column: The second text of a pair.
        image_column: An image file, relative to the table's folder.

    Returns:
        One item for each uid, ordered by uid as text.

    Raises:
        ConfigError: The columns describe no input or several.
        DataError: The file, a column, a value or an image is missing, or a uid has two inputs.
    """
    path = path.expanduser()
    shown, modality = _input_columns(text_column, second_text_column, image_column)
    rows = read_rows(path, {"uid": uid_column, **shown})
    _check_one_input(rows, path, list(shown))
    items = rows.unique("uid").sort("uid")
    return Items(tuple(items["uid"]), _inputs(items, modality, path), modality)


def _count(index: int) -> str:
    """Our name for the column that counts class ``index``."""
    return f"count_{index}"


def _check_form(
    form: Form, label_column: str | None, annotator_column: str | None, count_columns: Sequence[str] | None
) -> None:
    """Each form has columns that it needs and columns that mean nothing to it."""
    if form == "long" and (label_column is None or count_columns is not None):
        raise ConfigError(
            "a table of form 'long' wants label_column and no count_columns; set them so, or form: counts"
        )
    if form == "counts" and (not count_columns or label_column is not None or annotator_column is not None):
        raise ConfigError(
            "a table of form 'counts' wants count_columns, and neither label_column nor annotator_column; "
            "set them so, or form: long"
        )


def _input_columns(text: str | None, second: str | None, image: str | None) -> tuple[dict[str, str], Modality]:
    """The columns that were shown to the annotators, under our names."""
    if image is not None and text is None and second is None:
        return {"input_0": image}, "image"
    if text is not None and image is None:
        if second is None:
            return {"input_0": text}, "text"
        return {"input_0": text, "input_1": second}, "text_pair"
    raise ConfigError(
        "wanted one kind of input: text_column, or text_column and second_text_column, or image_column; got "
        f"text_column={text!r}, second_text_column={second!r}, image_column={image!r}"
    )


def _with_class_index(
    rows: pl.DataFrame, path: Path, class_names: Sequence[str] | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The rows with a column ``class``, the label's index among the classes, and the classes."""
    label = pl.col("label").str.strip_chars().str.replace(_WHOLE_AS_FLOAT.pattern, "$1")
    rows = rows.with_columns(label)
    classes = _checked_classes(class_names or _sorted_labels(rows["label"].unique().to_list()))
    index = {_WHOLE_AS_FLOAT.sub(r"\1", name): number for number, name in enumerate(classes)}
    rows = rows.with_columns(pl.col("label").replace_strict(index, default=None, return_dtype=pl.Int32).alias("class"))
    unknown = rows.filter(pl.col("class").is_null())
    if not unknown.is_empty():
        raise DataError(
            f"{at(path, unknown)}: label {unknown['label'][0]!r} is none of the classes {', '.join(classes)}; "
            "correct the row or class_names"
        )
    return rows, classes


def _sorted_labels(labels: list[str]) -> list[str]:
    """In the order of numbers where all labels are numbers, else in the order of text."""
    with suppress(ValueError):
        if all(math.isfinite(float(label)) for label in labels):
            return sorted(labels, key=lambda label: (float(label), label))
    return sorted(labels)


def _checked_classes(class_names: Sequence[str], columns: int | None = None) -> tuple[str, ...]:
    """At least two classes, each named once; as many as there are columns of counts."""
    if columns is not None and len(class_names) != columns:
        raise ConfigError(f"{columns} count_columns but {len(class_names)} class_names; give each column one name")
    if len(class_names) < 2 or len(set(class_names)) < len(class_names):
        raise DataError(f"wanted at least two classes, each named once, got {list(class_names)}; set class_names")
    return tuple(class_names)


def _tally(rows: pl.DataFrame, path: Path, classes: int) -> pl.DataFrame:
    """One row an item from one row an annotation."""
    if "annotator" in rows.columns:
        again = rows.filter(~pl.struct("uid", "annotator").is_first_distinct())
        if not again.is_empty():
            who, uid = again["annotator"][0], again["uid"][0]
            raise DataError(f"{at(path, again)}: annotator {who!r} labels item {uid!r} again; keep one of the rows")
    shared = [column for column in rows.columns if column in {"input_0", "input_1", "group"}]
    _check_one_input(rows, path, shared)
    chosen = [(pl.col("class") == index).sum().cast(pl.Float64).alias(_count(index)) for index in range(classes)]
    return rows.group_by("uid").agg(pl.col(shared).first(), *chosen)


def _check_one_input(rows: pl.DataFrame, path: Path, shared: Sequence[str]) -> None:
    """All rows of an item agree on the columns that describe it."""
    for column in shared:
        other = rows.filter(pl.col(column) != pl.col(column).first().over("uid"))
        if not other.is_empty():
            raise DataError(
                f"{at(path, other)}: item {other['uid'][0]!r} has another {column.partition('_')[0]} than in its first "
                "row; a uid names one item: correct the row or its uid"
            )


def _counted(rows: pl.DataFrame, path: Path, counts: Mapping[str, str]) -> pl.DataFrame:
    """One row an item already; its counts as numbers."""
    again = rows.filter(~pl.col("uid").is_first_distinct())
    if not again.is_empty():
        raise DataError(f"{at(path, again)}: uid {again['uid'][0]!r} occurs again; uids must be unique")
    items = rows.with_columns(pl.col(list(counts)).str.strip_chars().cast(pl.Float64, strict=False))
    for ours, column in counts.items():
        good = items[ours].is_finite() & (items[ours] >= 0)
        wrong = rows.filter(~good.fill_null(value=False))
        if not wrong.is_empty():
            raise DataError(
                f"{at(path, wrong)}: column {column!r} wants a finite count that is not negative, "
                f"got {wrong[ours][0]!r}; correct the row"
            )
    empty = items.filter(pl.sum_horizontal(list(counts)) == 0)
    if not empty.is_empty():
        raise DataError(f"{at(path, empty)}: all counts are zero; remove the item or give it annotations")
    return items


def _inputs(items: pl.DataFrame, modality: Modality, path: Path) -> Sequence[Input]:
    """What was shown to the annotators, one entry an item."""
    first = items["input_0"].to_list()
    if modality == "text":
        return first
    if modality == "text_pair":
        return list(zip(first, items["input_1"].to_list(), strict=True))
    images = [path.parent / name for name in first]
    missing = [image for image in images if not image.is_file()]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(images)} images are not there, the first is {missing[0]}; "
            "image paths are relative to the table's folder"
        )
    return images
