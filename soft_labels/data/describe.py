"""A split in numbers: classes by part, parts too small to judge by, and what stands in several parts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.duplicates import normalised, same_inputs
from soft_labels.data.dataset import Dataset
from soft_labels.data.given import NO_TEST, torn_groups
from soft_labels.data.split import SMALL_TEST, SPLIT_NAMES, SplitName, class_counts


@dataclass(frozen=True)
class SplitStats:
    """The parts of a data set in numbers.

    Args:
        settings: What decided the split.
        items: Items of each part.
        classes: ``[C]`` items of each part whose majority is the class.
        annotations: ``[C]`` annotations of the class in each part.
        duplicates: Items of val and test whose input stands in another part too.
        shared_firsts: Items of val and test whose first text (a premise) stands in another part too; ``None`` where
            inputs are no pairs.
        shared_seconds: The same of second texts.
        warnings: What looks odd.
    """

    settings: dict[str, object]
    items: dict[SplitName, int]
    classes: dict[SplitName, list[int]]
    annotations: dict[SplitName, list[float]]
    duplicates: int
    shared_firsts: int | None
    shared_seconds: int | None
    warnings: tuple[str, ...]


def summarise_split(dataset: Dataset, class_names: Sequence[str]) -> SplitStats:
    """Summarise a split.

    Args:
        dataset: The data and how they are split.
        class_names: ``[C]``.

    Returns:
        Counts by class and part, and what a head could know of val and test from train.

    Raises:
        DataError: The data cannot be split as they are to be.
    """
    data, split = dataset.data, dataset.split
    labels = dataset.observed.majority_label.numpy()
    counts = dataset.observed.label_counts
    classes = class_counts(split, data.uids, labels, len(class_names))
    pairs = data.modality == "text_pair"
    return SplitStats(
        settings=dataset.split_settings(),
        items={part: len(getattr(split, part)) for part in SPLIT_NAMES},
        classes=classes,
        annotations={part: counts[dataset.rows(part)].sum(0).tolist() for part in SPLIT_NAMES},
        duplicates=_shared(dataset, [int(group) or None for group in same_inputs(data.inputs)]),
        shared_firsts=_shared(dataset, _texts(data, 0)) if pairs else None,
        shared_seconds=_shared(dataset, _texts(data, 1)) if pairs else None,
        warnings=tuple(_odd(dataset, classes, class_names)),
    )


def _texts(data: AnnotatedData, place: int) -> list[object]:
    """One text of each pair."""
    return [normalised(one[place]) for one in data.inputs if isinstance(one, tuple)]


def _shared(dataset: Dataset, shown: Sequence[object]) -> int:
    """Items of val and test that show what an item of another part shows."""
    rows = {part: dataset.rows(part).tolist() for part in SPLIT_NAMES}
    held = {part: {shown[row] for row in own if shown[row] is not None} for part, own in rows.items()}
    return sum(
        any(shown[row] in held[other] for other in SPLIT_NAMES if other != part)
        for part in SPLIT_NAMES[1:]
        for row in rows[part]
    )


def _odd(dataset: Dataset, classes: dict[SplitName, list[int]], class_names: Sequence[str]) -> list[str]:
    """Small parts, classes that a part lacks, and groups that stand in several."""
    found = []
    for part, own in classes.items():
        if 0 < sum(own) < SMALL_TEST:
            found.append(f"{part} has {sum(own)} items: each one is {100 / sum(own):.1f}% of a mean over them")
        lacking = [name for name, items in zip(class_names, own, strict=True) if items == 0]
        if sum(own) and lacking:
            found.append(f"{part} has no item whose majority is {', '.join(lacking)}")
    if not dataset.split.test:
        found.append(NO_TEST)
    if leak := torn_groups(dataset.data, dataset.split):
        found.append(leak)
    return found


def split_as_json(stats: SplitStats, class_names: Sequence[str]) -> dict[str, object]:
    """The same as plain values.

    Args:
        stats: A split in numbers.
        class_names: ``[C]``.
    """
    plain = asdict(stats)
    for key in ("classes", "annotations"):
        plain[key] = {part: dict(zip(class_names, own, strict=True)) for part, own in plain[key].items()}
    return plain


def split_in_words(stats: SplitStats, class_names: Sequence[str]) -> list[str]:
    """The same as lines.

    Args:
        stats: A split in numbers.
        class_names: ``[C]``.
    """
    settings = ", ".join(f"{name} {value}" for name, value in stats.settings.items())
    lines = [f"split ({settings}), items by majority class:"]
    for part, own in stats.classes.items():
        counted = ", ".join(f"{name} {items:,}" for name, items in zip(class_names, own, strict=True))
        lines.append(f"  {part} {stats.items[part]:,}: {counted}")
    shared = {
        "input": stats.duplicates, "first text (premise)": stats.shared_firsts, "second text": stats.shared_seconds,
    }  # fmt: skip
    told = [f"{items:,} share their {what}" for what, items in shared.items() if items]
    if told:
        lines.append(f"  of the items of val and test, {', '.join(told)} with another part")
    return [*lines, *(f"warning: {warning}" for warning in stats.warnings)]
