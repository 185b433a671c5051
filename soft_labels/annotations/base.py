"""The one record that every data set is read into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.annotations.annotators import About, Annotations, Reading
from soft_labels.errors import DataError

Modality = Literal["text", "text_pair", "image"]
ImageInput = Path | bytes | NDArray[np.uint8]
_NOT_IN_FILE_NAMES = set("/\\\0")
MOST_COUNT = 2**53
"""A double holds every whole number up to here."""
Input = str | tuple[str, str] | ImageInput


@dataclass(frozen=True)
class Items:
    """Items that nobody need have annotated, for a head to predict.

    Args:
        uids: ``[N]`` the items' ids, unique.
        inputs: ``[N]`` a text, a pair of texts, or an image.
        modality: What every entry of ``inputs`` is.
    """

    uids: tuple[str, ...]
    inputs: Sequence[Input]
    modality: Modality

    def take(self, rows: Sequence[int]) -> "Items":
        """The items at ``rows``, in that order."""
        return replace(self, uids=tuple(self.uids[row] for row in rows), inputs=[self.inputs[row] for row in rows])


@dataclass(frozen=True)
class AnnotatedData:
    """Items, what was shown to the annotators, and how many of them chose each class.

    Args:
        name: The data set's name; it appears in every result, log and error, and in file names.
        uids: ``[N]`` the items' ids in their source, unique; every join is by uid, never by position.
        inputs: ``[N]`` a text, a pair of texts, or an image (a path, a file's bytes, or ``uint8``
            ``[H, W, 3]``).
        label_counts: ``[N, C]`` float64, annotations that chose each class; finite, not negative, no empty row.
        class_names: ``[C]`` in the order of the columns.
        modality: What every entry of ``inputs`` is.
        ordinal: Whether the classes are ordered, as ratings are.
        groups: ``[N]`` items of one group never straddle splits when grouping is on; ``None`` where there are none.
        true_dist: ``[N, C]`` the distribution that generated the annotations, known for simulated data only.
        annotations: Every annotation by itself, where annotators are known; ``label_counts`` are their sums.
        about: Columns that describe the items, one value an item.
        reading: How a file became these data, where one did.

    Raises:
        DataError: A name, a length, a shape, a count or a uid is not as said above.
    """

    name: str
    uids: tuple[str, ...]
    inputs: Sequence[Input]
    label_counts: Tensor
    class_names: tuple[str, ...]
    modality: Modality
    ordinal: bool = False
    groups: tuple[str, ...] | None = None
    true_dist: Tensor | None = None
    annotations: Annotations | None = None
    about: About = field(default_factory=dict)
    reading: Reading | None = None

    def __post_init__(self) -> None:
        """Check everything that later stages rely on."""
        wanted = (len(self.uids), len(self.class_names))
        if not self.name or self.name.startswith(".") or set(self.name) & _NOT_IN_FILE_NAMES:
            raise DataError(f"wanted a data set's name that can name a file, got {self.name!r}; leave out / and \\")
        if wanted[0] == 0:
            raise DataError(f"{self.name}: no items; check that the file holds rows")
        if tuple(self.label_counts.shape) != wanted:
            raise DataError(
                f"{self.name}: wanted label counts of shape {wanted} (items, classes), "
                f"got {tuple(self.label_counts.shape)}; give one column a class"
            )
        if len(self.inputs) != wanted[0]:
            raise DataError(f"{self.name}: {wanted[0]} uids but {len(self.inputs)} inputs")
        self._check_uids()
        self._check_counts()

    def _check_uids(self) -> None:
        """Every uid names one item."""
        if len(set(self.uids)) < len(self.uids):
            seen: set[str] = set()
            twice = next(uid for uid in self.uids if uid in seen or seen.add(uid))  # type: ignore[func-returns-value]
            raise DataError(f"{self.name}: uid {twice!r} occurs more than once; uids must be unique")

    def _check_counts(self) -> None:
        """Counts are finite and not negative, and each item has at least one annotation."""
        counts = self.label_counts
        rules = (
            (~torch.isfinite(counts).all(1), "a count that is not a finite number", "correct the row"),
            ((counts > MOST_COUNT).any(1), f"a count above {MOST_COUNT:,}", "no larger one is exact: divide them all"),
            ((counts < 0).any(1), "a negative count", "counts say how many annotators chose a class: correct the row"),
            (counts.sum(1) == 0, "no annotation at all", "remove the item or give it annotations"),
        )
        for bad, what, cure in rules:
            if bad.any():
                row = int(bad.nonzero()[0])
                raise DataError(f"{self.name}: item {self.uids[row]!r} has {what}: {counts[row].tolist()}; {cure}")

    def __len__(self) -> int:
        """Number of items, N."""
        return len(self.uids)

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return len(self.class_names)

    @cached_property
    def duplicates(self) -> Mapping[str, NDArray[np.int32]]:
        """By kind of likeness, the group of each item, ``[N]``; see :mod:`soft_labels.annotations.duplicates`."""
        from soft_labels.annotations.duplicates import duplicate_groups

        return duplicate_groups(self.inputs)

    @property
    def items(self) -> Items:
        """The items without their annotations."""
        return Items(self.uids, self.inputs, self.modality)

    def take(self, rows: Sequence[int]) -> "AnnotatedData":
        """The items at ``rows``, in that order."""
        index = torch.as_tensor(rows, dtype=torch.long)
        return replace(
            self,
            uids=tuple(self.uids[row] for row in rows),
            inputs=[self.inputs[row] for row in rows],
            label_counts=self.label_counts[index],
            groups=None if self.groups is None else tuple(self.groups[row] for row in rows),
            true_dist=None if self.true_dist is None else self.true_dist[index],
            annotations=None if self.annotations is None else self.annotations.take(rows, len(self)),
            about={name: tuple(values[row] for row in rows) for name, values in self.about.items()},
        )

    def sorted_by_uid(self) -> "AnnotatedData":
        """The same items ordered by uid, so that nothing downstream depends on the order of a file's rows."""
        order = sorted(range(len(self)), key=self.uids.__getitem__)
        return self if order == list(range(len(self))) else self.take(order)
