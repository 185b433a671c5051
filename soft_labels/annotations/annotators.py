"""Who annotated what, kept beside the counts, and how a file was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from soft_labels.errors import DataError

About = Mapping[str, tuple[str | None, ...]]


@dataclass(frozen=True)
class Annotations:
    """Every annotation by itself.

    Args:
        item: int32 ``[A]`` positions among the data set's items.
        annotator: int32 ``[A]`` positions in ``annotators``.
        label: int16 ``[A]`` positions among the classes.
        annotators: The annotators' ids.
        about: Columns that describe the annotators, one value an annotator.
        weight: float64 ``[A]`` as how many annotations each counts; ``None`` where each counts as one.

    Raises:
        DataError: Lengths differ, or a position lies outside.
    """

    item: Tensor
    annotator: Tensor
    label: Tensor
    annotators: tuple[str, ...]
    about: About = field(default_factory=dict)
    weight: Tensor | None = None

    def __post_init__(self) -> None:
        """Check what later stages rely on."""
        if not self.item.shape == self.annotator.shape == self.label.shape or self.item.ndim != 1:
            raise DataError("annotations want item, annotator and label of one length")
        if self.weight is not None and self.weight.shape != self.item.shape:
            raise DataError("annotations want one weight each, or none")
        if len(self) and not 0 <= int(self.annotator.min()) <= int(self.annotator.max()) < len(self.annotators):
            raise DataError(f"an annotation names an annotator outside the {len(self.annotators)} there are")
        if any(len(values) != len(self.annotators) for values in self.about.values()):
            raise DataError("what is known about annotators wants one value an annotator")

    def __len__(self) -> int:
        """Number of annotations, A."""
        return len(self.item)

    def take(self, rows: Sequence[int], items: int) -> "Annotations":
        """The annotations of some items, which take the places of ``rows``.

        Args:
            rows: Positions among the ``items`` items, each at most once.
            items: How many items there were.
        """
        place = torch.full((items,), -1, dtype=torch.int32)
        place[torch.as_tensor(rows, dtype=torch.long)] = torch.arange(len(rows), dtype=torch.int32)
        moved = place[self.item]
        kept = moved >= 0
        weight = None if self.weight is None else self.weight[kept]
        return replace(self, item=moved[kept], annotator=self.annotator[kept], label=self.label[kept], weight=weight)

    def counts_by_group(self, groups: Sequence[str], shape: tuple[int, int]) -> dict[str, Tensor]:
        """Label counts of each group of annotators by itself.

        Args:
            groups: ``[annotators]`` which group each belongs to.
            shape: ``(N, C)`` of the items and classes.

        Returns:
            By group that annotated anything, in order of name, float64 ``[N, C]``; a row of zeros is an item that
            nobody of it annotated.
        """
        names = sorted(set(groups))
        group = torch.tensor([names.index(name) for name in groups], dtype=torch.long)[self.annotator]
        weight = torch.ones(len(self)).double() if self.weight is None else self.weight
        cell = self.item.long() * shape[1] + self.label
        found = {}
        for place, name in enumerate(names):
            own = group == place
            if own.any():
                found[name] = torch.bincount(cell[own], weight[own], minlength=shape[0] * shape[1]).reshape(shape)
        return found

    def by_annotator(self) -> Tensor:
        """int64 ``[annotators]`` annotations of each annotator."""
        return torch.bincount(self.annotator, minlength=len(self.annotators))

    def with_majority(self, majority: Tensor) -> Tensor:
        """``[annotators]`` share of each annotator's annotations that name the item's majority class.

        Args:
            majority: int64 ``[N]`` class of each item.

        Returns:
            From 0 to 1; nan for an annotator without annotations.
        """
        agreed = self.label == majority.to(self.label.dtype)[self.item]
        numbers = torch.bincount(self.annotator[agreed], minlength=len(self.annotators))
        return numbers.double() / self.by_annotator()


def krippendorff_alpha(
    label_counts: Tensor, level: Literal["nominal", "ordinal"], values: Sequence[float] | None = None
) -> float | None:
    """Krippendorff's alpha, by the package ``krippendorff``.

    Args:
        label_counts: ``[N, C]`` whole numbers; items with a single annotation say nothing about agreement.
        level: Whether classes are names or ordered.
        values: ``[C]`` where the classes stand; their order by default.

    Returns:
        1 for full agreement, about 0 for chance; ``None`` where it is not defined: counts that are not whole, no item
        with two annotations, or a single class chosen.

    Source:
        Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability"; the package's ``value_counts`` form.
    """
    import krippendorff

    paired = label_counts[label_counts.sum(1) >= 2]
    whole = bool((paired == paired.round()).all())
    if not whole or len(paired) == 0 or int((paired.sum(0) > 0).sum()) < 2:
        return None
    return float(
        krippendorff.alpha(
            value_counts=paired.numpy().astype(np.int64),
            value_domain=list(range(paired.shape[1]) if values is None else values),
            level_of_measurement=level,
        )
    )


@dataclass(frozen=True)
class Reading:
    """How a file became a data set.

    Args:
        rows_read: Rows of the file, or entries of its lists where each is an annotation of its own.
        rows_dropped: For each reason how many rows were left out.
        notes: What was found out about the file, in words.
        warnings: What may be wrong, in words.
    """

    rows_read: int
    rows_dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def said(self) -> list[str]:
        """What a person must know before training: rows left out and why, and all warnings."""
        return [*(f"{rows:,} rows left out: {why}" for why, rows in self.rows_dropped.items()), *self.warnings]
