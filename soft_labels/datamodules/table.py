"""Your own annotations."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from soft_labels.annotations.base import AnnotatedData, Items
from soft_labels.annotations.table import read_items, read_table
from soft_labels.datamodules.base import AnnotationDataModule
from soft_labels.embeddings import Features


class TableDataModule(AnnotationDataModule):
    """Your own annotations: a CSV, JSONL or Parquet table.

    Args:
        path: The table.
        form: ``long`` has one annotation a row; ``counts`` has one item a row and a column of counts for each class.
        uid_column: Column of the item's id.
        text_column: Column of the text, or of the first text of a pair.
        second_text_column: Column of the second text of a pair.
        image_column: Column of image paths, relative to the table's folder.
        annotator_column: Long form: column of the annotator's id, used to refuse a second annotation of one item.
        label_column: Long form: column of the chosen class.
        count_columns: Counts form: the columns of counts, in the order of the classes.
        class_names: Names and order of the classes; by default the labels found, sorted, or the count columns.
        ordinal: Whether the classes are ordered, as ratings are.
        group_column: Column of groups that a split may keep together.
        dataset_name: Name of the data set in logs and results; by default the file's name.
        predict_path: Table of new items for ``predict``, with the same columns for id and input; labels are not needed.
        kwargs: See :class:`AnnotationDataModule`.
    """

    def __init__(
        self,
        path: Path,
        form: Literal["long", "counts"] = "long",
        uid_column: str = "item",
        text_column: str | None = None,
        second_text_column: str | None = None,
        image_column: str | None = None,
        annotator_column: str | None = None,
        label_column: str | None = None,
        count_columns: list[str] | None = None,
        class_names: list[str] | None = None,
        ordinal: bool = False,
        group_column: str | None = None,
        dataset_name: str | None = None,
        predict_path: Path | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = Path(path)
        self.predict_path = None if predict_path is None else Path(predict_path)
        self.columns: dict[str, Any] = {
            "form": form,
            "uid_column": uid_column,
            "text_column": text_column,
            "second_text_column": second_text_column,
            "image_column": image_column,
            "annotator_column": annotator_column,
            "label_column": label_column,
            "count_columns": count_columns,
            "class_names": class_names,
            "ordinal": ordinal,
            "group_column": group_column,
            "name": dataset_name,
        }

    def read(self) -> AnnotatedData:
        """Read the table."""
        return read_table(self.path, **self.columns)

    @cached_property
    def items_to_predict(self) -> Items:
        """The items of the second table where there is one."""
        if self.predict_path is None:
            return super().items_to_predict
        keys = ("uid_column", "text_column", "second_text_column", "image_column")
        return read_items(self.predict_path, **{key: self.columns[key] for key in keys})

    def _features_to_predict(self) -> Features:
        """Those of the second table where there is one."""
        return super()._features_to_predict() if self.predict_path is None else self._features_of(self.items_to_predict)
