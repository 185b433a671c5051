"""The embedded data set."""

from typing import Any

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.digits import make_blended_digits
from soft_labels.data.lightning import AnnotationDataModule


class BlendedDigitsDataModule(AnnotationDataModule):
    """The embedded data set: blended handwritten digits with annotators simulated from a known distribution.

    Args:
        items: How many images to make.
        data_seed: Seed of the blends and of the annotators.
        group_split: Keep every handwritten digit within one part.
        kwargs: See :class:`AnnotationDataModule`.
    """

    def __init__(self, items: int = 3000, data_seed: int = 0, group_split: bool = True, **kwargs: Any) -> None:
        super().__init__(group_split=group_split, **kwargs)
        self.items = items
        self.data_seed = data_seed

    def read(self) -> AnnotatedData:
        """Make the images and their annotations."""
        return make_blended_digits(self.items, self.data_seed)
