"""What ``soft-labels data stats`` says of a configuration beside its annotations."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data import AnnotationDataModule
from soft_labels.data.describe import SplitStats, split_as_json, split_in_words, summarise_split
from soft_labels.encoders.images import DEFAULTS, conversions
from soft_labels.errors import EncoderError, SoftLabelsError


class SplitAndPictures:
    """What a configuration says beside the annotations: its split, and what becomes of its pictures.

    Args:
        datamodule: Of the configuration.
        data: What it reads.
    """

    def __init__(self, datamodule: AnnotationDataModule, data: AnnotatedData) -> None:
        self.class_names = data.class_names
        self.split: SplitStats | str
        with _heard("soft_labels.data.given") as self.said, _heard("soft_labels.data.split"):
            try:
                self.split = summarise_split(datamodule.split_data(data), data.class_names)
            except SoftLabelsError as error:
                self.split = str(error)
        self.pictures = _conversions(datamodule, data)

    def as_json(self) -> dict[str, Any]:
        """Keys of an entry."""
        split = None if isinstance(self.split, str) else split_as_json(self.split, self.class_names)
        return {"split": split, "split_notes": self._notes(), "pictures": self.pictures}

    def in_words(self) -> list[str]:
        """The same as lines."""
        split = [] if isinstance(self.split, str) else split_in_words(self.split, self.class_names)
        pictures = [f"pictures: {items:,} {step}" for step, items in (self.pictures or {}).items()]
        return [*split, *(f"split: {note}" for note in self._notes()), *pictures]

    def _notes(self) -> list[str]:
        """What was said of a given split besides its warnings, or why there is none."""
        if isinstance(self.split, str):
            return [f"cannot be split: {self.split}"]
        warnings = self.split.warnings
        return [note for note in self.said if not any(warning in note for warning in warnings)]


@contextmanager
def _heard(name: str) -> Iterator[list[str]]:
    """What a logger warns of, kept to be told in another place."""
    logger, said = logging.getLogger(name), list[str]()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.propagate, before = False, logger.propagate
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def _conversions(datamodule: AnnotationDataModule, data: AnnotatedData) -> dict[str, int] | None:
    """What is done to how many pictures before they are encoded; ``None`` where there are no picture files."""
    paths = [one for one in data.inputs if isinstance(one, Path | bytes)]
    if not paths:
        return None
    settings = getattr(datamodule.encoder, "pictures", DEFAULTS)
    try:
        return conversions(paths, settings)
    except EncoderError as error:
        return {f"or more cannot be encoded: {error}": 1}
