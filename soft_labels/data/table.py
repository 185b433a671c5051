"""Your own annotations."""

from functools import cached_property
from pathlib import Path
from typing import Any

from soft_labels.annotations.base import AnnotatedData, Items
from soft_labels.annotations.table.read import read_items, read_table
from soft_labels.annotations.table.settings import (
    Form,
    Label,
    Marks,
    Missing,
    Repeats,
    Several,
    TableSettings,
)
from soft_labels.data.lightning import AnnotationDataModule
from soft_labels.embeddings import Features, known_rows


class TableDataModule(AnnotationDataModule):
    """Your own annotations: a table in any layout.

    A name may lead into nested values: ``example.premise``, ``answers[0].label``, ``results[*].tone``.

    Args:
        path: A .csv, .tsv, .json, .jsonl or .parquet file, compressed (.gz) or not, a folder of such files, or several;
            or ``hf://datasets/ORGANISATION/NAME[@REVISION][/FILE]`` on the Hugging Face Hub.
        form: ``long`` has one annotation a row; ``one_hot`` too, its label marked in one of several columns; ``counts``
            has one item a row and a column of counts for each class; ``wide`` a column for each annotator; ``list`` a
            cell of labels; ``by_annotator`` a cell {annotator: label}; ``by_label`` a cell {label: count}, or a list of
            counts in the order of class_names.
        uid_column: Column of the item's id; several columns make one id together; null makes it from the text.
        text_column: Column of the text, or of the first text of a pair.
        second_text_column: Column of the second text of a pair.
        text_template: One text made of several columns, such as "{post} [reply] {reply}".
        image_column: Column of image paths, relative to the table's folder, or of the images' bytes.
        annotator_column: Column of the annotator's id; with form list the cell of annotators.
        label_column: Column of the chosen class, or the cell that holds the labels.
        count_column: Form long: column that says how many annotations a row stands for.
        label_columns: Form wide: the columns of labels, one an annotator.
        count_columns: Forms counts and one_hot: the columns of the classes, in their order.
        marks: Form one_hot: what marks a class: yes (1, true, x and the like), or filled, which is any value but false.
        rows_from: Lists of records within a record, the outer first; each of their entries becomes a row.
        items_path: A second table that describes the items, joined by their id.
        items_uid_column: Column of the id in that table; by default named as in the first.
        class_names: Names and order of the classes; by default the labels found, sorted, or the count columns.
        scale: Least and greatest of a scale of whole numbers; each number is a class, chosen or not.
        ordinal: Whether the classes are ordered, as ratings are.
        rename_labels: Labels that stand for another, as {old: new}.
        ignore_labels: Labels that are no answer; their annotations are left out.
        label_separator: What stands between the labels of one cell, as # in polite#kind.
        where: Rows to keep, as {column: value}, {column: [values]} or {column: {not: value}}.
        several: What becomes of an answer of several labels: error, each counts, they share one annotation, or drop.
        repeats: Which annotation counts where an annotator labels an item again: error, first, last or all.
        missing: Whether a row without a wanted value is an error or left out: error or drop.
        group_column: Column of groups that a split may keep together.
        about_items: Further columns that describe the item; the report slices test items by them.
        about_annotators: Further columns that describe the annotator, such as gender; the report says by them whom
            heads agree with, and records keep how often each group chose each class of an item.
        encoding: Encoding of the file; found out by default.
        header: Names of the columns of a file that has no line of names.
        predict_path: Table of new items for ``predict``, with the same columns for id and input; labels are not needed.
        split_column: Column that names each item's part; ``file`` or ``folder`` where a file or a folder is a part.
        kwargs: See :class:`AnnotationDataModule`.
    """

    def __init__(
        self,
        path: Path | list[Path],
        form: Form = "long",
        uid_column: str | list[str] | None = "item",
        text_column: str | None = None,
        second_text_column: str | None = None,
        text_template: str | None = None,
        image_column: str | None = None,
        annotator_column: str | None = None,
        label_column: str | None = None,
        count_column: str | None = None,
        label_columns: list[str] | None = None,
        count_columns: list[Label] | None = None,
        marks: Marks = "yes",
        rows_from: list[str] | None = None,
        items_path: Path | None = None,
        items_uid_column: str | None = None,
        class_names: list[Label] | None = None,
        scale: list[int] | None = None,
        ordinal: bool = False,
        rename_labels: dict[str, Label] | None = None,
        ignore_labels: list[Label] | None = None,
        label_separator: str | None = None,
        where: dict[str, Any] | None = None,
        several: Several = "error",
        repeats: Repeats = "error",
        missing: Missing = "error",
        group_column: str | None = None,
        about_items: list[str] | None = None,
        about_annotators: list[str] | None = None,
        encoding: str | None = None,
        header: list[str] | None = None,
        predict_path: Path | None = None,
        split_column: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(split_column=split_column, **kwargs)
        self.path = [Path(one) for one in path] if isinstance(path, list) else Path(path)
        self.predict_path = None if predict_path is None else Path(predict_path)
        self.settings = TableSettings(
            form=form,
            uid_column=uid_column,
            text_column=text_column,
            second_text_column=second_text_column,
            text_template=text_template,
            image_column=image_column,
            annotator_column=annotator_column,
            label_column=label_column,
            count_column=count_column,
            label_columns=label_columns,
            count_columns=count_columns,  # type: ignore[arg-type] # the settings see to numbers
            marks=marks,
            rows_from=rows_from or (),
            items_path=items_path,
            items_uid_column=items_uid_column,
            class_names=class_names,
            scale=scale,
            ordinal=ordinal,
            rename_labels=rename_labels or {},
            ignore_labels=ignore_labels or (),
            label_separator=label_separator,
            where=where or {},
            several=several,
            repeats=repeats,
            missing=missing,
            group_column=group_column,
            about_items=about_items or (),
            split_column=split_column,
            about_annotators=about_annotators or (),
            encoding=encoding,
            header=header,
            name=kwargs.get("dataset_name"),
        )

    def read(self) -> AnnotatedData:
        """Read the table."""
        return read_table(self.path, self.settings)

    @property
    def item_columns(self) -> dict[str, Any]:
        """Those of this table."""
        named = ("uid_column", "text_column", "second_text_column", "text_template", "image_column")
        found = {name: getattr(self.settings, name) for name in named}
        return {name: value for name, value in found.items() if value is not None or name == "uid_column"}

    @cached_property
    def items_to_predict(self) -> Items:
        """The items of the second table where there is one."""
        if self.predict_path is None:
            return super().items_to_predict
        items = read_items(self.predict_path, self.settings)
        return items.take(known_rows(items.uids, self.source.encoder, self.predict_path.name))

    def _features_to_predict(self) -> Features:
        """Those of the second table where there is one."""
        if self.predict_path is None:
            return super()._features_to_predict()
        features, self.encoded = self.source.features(self.items_to_predict, self.dataset.name)
        return features
