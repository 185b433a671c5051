"""What each column of a table means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from soft_labels.annotations.base import Modality
from soft_labels.annotations.table.names import template_names
from soft_labels.errors import ConfigError

Form = Literal["long", "counts", "wide", "one_hot", "list", "by_annotator", "by_label"]
Repeats = Literal["error", "first", "last", "all"]
Missing = Literal["error", "drop"]
Several = Literal["error", "each", "share", "drop"]
Marks = Literal["yes", "filled"]
Label = str | int | float | bool


@dataclass(frozen=True)
class TableSettings:
    """The settings of the one reader of tables. Names may be nested (``example.premise``), see ``names.column_of``.

    Args:
        form: How the rows are laid out: ``long`` has one annotation a row; ``one_hot`` too, its label marked in one of
            several columns; ``counts`` has one item a row and a column of counts for each class; ``wide`` a column for
            each annotator; ``list`` a cell of labels for each item; ``by_annotator`` a cell {annotator: label};
            ``by_label`` a cell {label: count}, or a list of counts in the order of ``class_names``.
        uid_column: The item's id; several columns make one id together; ``None`` makes it from the item's text.
        text_column: The text, or the first of two.
        second_text_column: The second text of a pair.
        text_template: One text made of several columns: ``"{post} [reply] {reply}"``.
        image_column: An image file, relative to the table's folder, or the bytes of one.
        annotator_column: Who annotated; with ``list`` the cell of annotators.
        label_column: The class chosen, or the cell that holds the labels.
        count_column: ``long``: how many annotations a row stands for.
        label_columns: ``wide``: one column an annotator.
        count_columns: ``counts`` and ``one_hot``: one column a class, in the order of the classes.
        marks: ``one_hot``: what marks a class: ``yes`` (1, true, x and the like), or ``filled``, any value but false.
        rows_from: Lists of records within a record, the outer first: each of their entries becomes a row.
        items_path: A second table that describes the items, joined by their id.
        items_uid_column: The id in that table; by default named as in the first.
        class_names: The classes in order.
        scale: Least and greatest of a scale of whole numbers; each number is a class, chosen or not.
        ordinal: Whether the classes are ordered, as ratings are.
        rename_labels: Labels that stand for another.
        ignore_labels: Labels that are no answer.
        label_separator: What stands between the labels of one cell, as # in ``polite#kind``.
        where: For each of some columns the values that are kept, or ``{not: values}``; other rows are left out. With
            ``list`` a column may hold a list beside the labels; then it is labels that are left out.
        several: What becomes of several labels in one answer: an error, ``each`` counts, they ``share`` one
            annotation, or the answer is dropped.
        repeats: Which annotation counts where an annotator labels an item again (``counts``: which row of a uid).
        missing: Whether a row without a wanted value is an error or left out.
        group_column: Items of one value form a group that grouped splits keep together.
        split_column: The part of a split that the item belongs to.
        about_items: Further columns that describe the item.
        about_annotators: Further columns that describe the annotator.
        encoding: Of the file's text; found out by default.
        header: Names of the columns of a file that has no line of names.
        name: The data set's name; by default the file's name without its suffix.
    """

    form: Form = "long"
    uid_column: str | Sequence[str] | None = "item"
    text_column: str | None = None
    second_text_column: str | None = None
    text_template: str | None = None
    image_column: str | None = None
    annotator_column: str | None = None
    label_column: str | None = None
    count_column: str | None = None
    label_columns: Sequence[str] | None = None
    count_columns: Sequence[str] | None = None
    marks: Marks = "yes"
    rows_from: Sequence[str] = ()
    items_path: Path | None = None
    items_uid_column: str | None = None
    class_names: Sequence[Label] | None = None
    scale: Sequence[int] | None = None
    ordinal: bool = False
    rename_labels: Mapping[str, Label] = field(default_factory=dict)
    ignore_labels: Sequence[Label] = ()
    label_separator: str | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    several: Several = "error"
    repeats: Repeats = "error"
    missing: Missing = "error"
    group_column: str | None = None
    split_column: str | None = None
    about_items: Sequence[str] = ()
    about_annotators: Sequence[str] = ()
    encoding: str | None = None
    header: Sequence[str] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        """Each form has columns that it needs and columns that mean nothing to it."""
        wanted = {form for form, _ in _OF_FORM[self.form]}
        if self.count_columns is not None:
            object.__setattr__(self, "count_columns", tuple(map(_column, self.count_columns)))
        for key in ("label_column", "label_columns", "count_columns", "annotator_column", "count_column"):
            self._check_key(key, key in wanted, needed=(key, True) in _OF_FORM[self.form])
        if self.scale is not None and (len(self.scale) != 2 or not self.scale[0] < self.scale[1]):
            raise ConfigError(f"wanted scale: [least, greatest] in whole numbers, got {list(self.scale)}")
        if self.scale is not None and self.class_names is not None:
            raise ConfigError("scale and class_names both name the classes; leave one of them out")
        if self.items_uid_column is not None and self.items_path is None:
            raise ConfigError("items_uid_column names a column of a second table; set items_path too")
        if self.about_annotators and self.annotator_column is None:
            raise ConfigError("about_annotators wants annotator_column, so that it is known whom they describe")

    def _check_key(self, key: str, known: bool, needed: bool) -> None:
        """Refuse a key that the form lacks or does not know."""
        given = bool(getattr(self, key))
        if (needed and not given) or (given and not known):
            wanted = " and ".join(name for name, must in _OF_FORM[self.form] if must)
            unknown = [name for name in _KEYS if name not in {known_ for known_, _ in _OF_FORM[self.form]}]
            raise ConfigError(
                f"a table of form {self.form!r} wants {wanted} and no {', '.join(unknown)}; set them so, or another "
                "form"
            )

    def of_inputs(self) -> "TableSettings":
        """The same without what only a table of annotations has."""
        return replace(
            TableSettings(form="long", label_column="label"),
            **{key: getattr(self, key) for key in (
                "uid_column", "text_column", "second_text_column", "text_template", "image_column",
                "missing", "encoding",
            )},
        )  # fmt: skip

    @property
    def shown(self) -> tuple[dict[str, str], Modality]:
        """The columns that were shown to the annotators, under our names, and what they are.

        Raises:
            ConfigError: They describe no input or several.
        """
        text, second, template, image = (
            self.text_column, self.second_text_column, self.text_template, self.image_column,
        )  # fmt: skip
        if image is not None and text is None and second is None and template is None:
            return {"input_0": image}, "image"
        if template is not None and text is None and second is None and image is None:
            if not template_names(template):
                raise ConfigError(f"text_template wants columns in braces, such as {{post}}, got {template!r}")
            return {"input_0": template}, "text"
        if text is not None and image is None and template is None:
            return (
                ({"input_0": text}, "text") if second is None else ({"input_0": text, "input_1": second}, "text_pair")
            )
        raise ConfigError(
            "wanted one kind of input: text_column, or text_column and second_text_column, or text_template, or "
            f"image_column; got text_column={text!r}, second_text_column={second!r}, text_template={template!r}, "
            f"image_column={image!r}"
        )

    @property
    def uid_columns(self) -> list[str]:
        """The columns that make the id; none where it is made from the text."""
        if self.uid_column is None:
            return []
        return [self.uid_column] if isinstance(self.uid_column, str) else list(self.uid_column)


def _column(name: Label) -> str:
    """A column's name that YAML may have read as a number."""
    if isinstance(name, bool):
        raise ConfigError(
            f"count_columns: YAML reads a bare {'yes, on or true' if name else 'no, off or false'} as "
            f'{str(name).lower()}; put the column\'s name in quotes: "{"yes" if name else "no"}"'
        )
    return str(name)


_KEYS = ("label_column", "label_columns", "count_columns", "annotator_column", "count_column")
_OF_FORM: Mapping[Form, Sequence[tuple[str, bool]]] = {
    "long": (("label_column", True), ("annotator_column", False), ("count_column", False)),
    "counts": (("count_columns", True),),
    "wide": (("label_columns", True),),
    "one_hot": (("count_columns", True), ("annotator_column", False)),
    "list": (("label_column", True), ("annotator_column", False)),
    "by_annotator": (("label_column", True),),
    "by_label": (("label_column", True),),
}


@dataclass
class Guess:
    """What a table seems to be.

    Args:
        path: The table, or its parts.
        settings: Keys of :class:`TableSettings` with their values.
        notes: What was seen.
        doubts: What could not be known.
    """

    path: Path | list[Path]
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def table_settings(self) -> TableSettings:
        """The settings of the reader."""
        return TableSettings(**self.settings)
