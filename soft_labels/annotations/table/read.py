"""Any table of annotations as one record."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

import torch

from soft_labels.annotations.annotators import Reading
from soft_labels.annotations.base import AnnotatedData, Input, Items, Modality
from soft_labels.annotations.table.classes import as_written, checked_classes, label_warnings, resolve_classes
from soft_labels.annotations.table.database import working_database
from soft_labels.annotations.table.encoding import stem_of
from soft_labels.annotations.table.gather import Flags, about, annotations_of, counts_of, inputs_of, named_about
from soft_labels.annotations.table.hub import located
from soft_labels.annotations.table.layouts import make_annotations, roles_of, settle_uids
from soft_labels.annotations.table.pictures import check_images, images_of
from soft_labels.annotations.table.rows import Work, check_one_value, prepare, take_rows
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.errors import ConfigError


def read_table(path: Path | Sequence[Path], settings: TableSettings) -> AnnotatedData:
    """Read a table of one's own; its items come ordered by uid as text, whatever the order of its rows.

    Labels and ids are compared as text without blanks around it; a whole number written as a float is that number, so
    ``3.0`` is ``3``. DuckDB reads and counts, so that a file may be larger than memory.

    Args:
        path: A file, compressed or not, a folder of files, or several files, as in :func:`source.open_source`; or
            tables of the Hub, as in :func:`hub.located`.
        settings: What its columns mean.

    Returns:
        One item for each uid, with its annotations where annotators are known, and how the file was read.

    Raises:
        ConfigError: The settings do not fit together or not to the table.
        DataError: The file or a column is missing or malformed, a value is missing, a label is none of the classes, an
            annotator labels an item twice, a count is no finite number, or an item has two inputs.
    """
    place = located(path)
    settings = replace(settings, name=settings.name or place.name)
    with working_database() as (database, folder):
        work = prepare(place.files, database, settings)
        work.notes += place.notes
        take_rows(work, folder, roles_of(work))
        shown, modality = settings.shown
        shared = [
            *shown, *(["grp"] if settings.group_column else []), *(["part"] if settings.split_column else [])
        ]  # fmt: skip
        settle_uids(work)
        check_one_value(work, shared)
        make_annotations(work)
        classes = _with_classes(work)
        return _gather(work, classes, modality, len(shown))


def read_items(path: Path | Sequence[Path], settings: TableSettings) -> Items:
    """Read items to predict; a table of annotations serves as well as one row an item.

    Args:
        path: As in :func:`read_table`.
        settings: Those of the table that the head was trained on; what they say about labels is not read.

    Returns:
        One item for each uid, ordered by uid as text.

    Raises:
        ConfigError: The columns describe no input or several.
        DataError: The file, a column, a value or an image is missing, or a uid has two inputs.
    """
    with working_database() as (database, folder):
        work = prepare(located(path).files, database, settings.of_inputs())
        take_rows(work, folder, {})
        shown, modality = settings.shown
        check_one_value(work, list(shown))
        items = inputs_of(work, len(shown))
    return Items(tuple(items[0]), _inputs(work.path, items[0], items[1:], modality), modality)


def _with_classes(work: Work) -> tuple[str, ...]:
    """The classes; each label of an answer gets its ``class``, the position among them."""
    settings = work.settings
    labels = [label for (label,) in work.rows("SELECT DISTINCT label FROM annotations ORDER BY label")]
    names, place_of = _named(work, labels)
    work.run("CREATE TABLE classes (label VARCHAR, class SMALLINT)")
    work.database.executemany(
        "INSERT INTO classes VALUES (?, ?)", [[label, place] for label, place in place_of.items()]
    )
    work.run("UPDATE meanings SET class = c.class FROM classes c WHERE meanings.label = c.label")
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    cure = "correct the row or class_names, or set rename_labels or ignore_labels"
    if settings.scale is not None:
        cure = "correct the row or scale"
    work.refuse(
        "annotations", "class IS NULL", f"label {{0!r}} is none of the classes {_format(listed)}", cure, "label"
    )
    return names


def _format(text: str) -> str:
    """A text that stands in a format."""
    return text.replace("{", "{{").replace("}", "}}")


def _named(work: Work, labels: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes' names, and the position of each label that the annotations may have."""
    settings = work.settings
    columns = settings.count_columns
    if columns is not None:
        names = columns if settings.class_names is None else as_written(settings.class_names, columns)
        if len(names) != len(columns):
            raise ConfigError(f"{len(columns)} count_columns but {len(names)} class_names; give each column one name")
        return checked_classes(names, str(work.path)), {str(place): place for place in range(len(columns))}
    numbered = work.class_names if settings.class_names is None else None
    if numbered is not None and all(label.isdigit() and int(label) < len(numbered) for label in labels):
        work.notes.append("the classes' names are those that the file gives its numbers")
        return checked_classes(numbered, str(work.path)), {str(place): place for place in range(len(numbered))}
    if (
        settings.form == "by_label"
        and settings.class_names is not None
        and _are_positions(labels, settings.class_names)
    ):
        names = as_written(settings.class_names, [])
        return checked_classes(names, str(work.path)), {str(place): place for place in range(len(names))}
    return resolve_classes(labels, settings, str(work.path))


def _are_positions(labels: Sequence[str], class_names: Sequence[object]) -> bool:
    """Whether counts stood in lists: their labels are positions, and not the classes' own names."""
    positions = {str(place) for place in range(len(class_names))}
    return set(labels) <= positions and not set(labels) <= {str(name) for name in class_names}


def _gather(work: Work, classes: tuple[str, ...], modality: Modality, inputs: int) -> AnnotatedData:
    """The record, from the tables of rows and chosen classes."""
    settings = work.settings
    counts = counts_of(work, len(classes))
    kept: Flags = counts.sum(1) > 0
    if lost := len(kept) - int(kept.sum()):
        work.warnings.append(f"{lost:,} items have lost all their annotations and are left out")
    counts = counts[kept] if lost else counts
    uids, *shown = (list(compress(column, kept)) if lost else column for column in inputs_of(work, inputs))
    totals = dict(zip(classes, counts.sum(0).tolist(), strict=True))
    single = bool((counts.sum(1) == 1).all()) and len(uids) > 2
    known = settings.scale is not None or settings.class_names is not None
    groups = about(work, ["grp"], "uid", uids)["grp"] if settings.group_column else None
    described = dict(named_about(work, settings.about_items, "item_about", "uid", uids))
    if settings.split_column is not None:
        described[settings.split_column] = about(work, ["part"], "uid", uids)["part"]
    annotations = annotations_of(work, kept)
    return AnnotatedData(
        name=settings.name or (work.path.name if work.path.is_dir() else stem_of(work.path)),
        uids=tuple(uids),
        inputs=_inputs(work.path, uids, shown, modality),
        label_counts=torch.from_numpy(counts),
        class_names=classes,
        modality=modality,
        ordinal=settings.ordinal,
        groups=groups,  # type: ignore[arg-type]
        annotations=annotations,
        about=described,
        reading=Reading(
            work.rows_read,
            work.dropped,
            tuple(work.notes),
            (*work.warnings, *label_warnings(totals, len(uids), single, known)),
        ),
    )


def _inputs(path: Path, uids: Sequence[str], shown: Sequence[Sequence[str]], modality: Modality) -> Sequence[Input]:
    """What was shown to the annotators, one entry an item."""
    if modality == "text":
        return shown[0]
    if modality == "text_pair":
        return list(zip(*shown, strict=True))
    images = images_of(path, shown[0])
    check_images(path, uids, images)
    return images
