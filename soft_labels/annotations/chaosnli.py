"""ChaosNLI: 100 annotations for each of 3,113 sentence pairs.

Source: Nie, Zhou and Bansal (2020), "What Can We Learn from Collective Human Opinions on Natural Language
Inference Data?". Its alphaNLI part has other classes and is not read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.layout import json_lines, locate
from soft_labels.errors import ConfigError, DataError

Subset = Literal["snli", "mnli_m"]
SUBSETS: tuple[Subset, ...] = ("snli", "mnli_m")
CLASS_NAMES = ("entailment", "neutral", "contradiction")
_LETTERS = tuple(name[0] for name in CLASS_NAMES)


@dataclass(frozen=True)
class _Item:
    """One line of a ChaosNLI file, as far as it is used."""

    uid: str
    premise: str
    hypothesis: str
    counts: tuple[int, ...]


def read_chaosnli(root: Path, subsets: Sequence[Subset] = SUBSETS) -> AnnotatedData:
    """Read ChaosNLI's sentence pairs, ordered by uid; items that share a premise form one group.

    Args:
        root: Folder that holds ``chaosnli/chaosNLI_v1.0/chaosNLI_{snli,mnli_m}.jsonl``, or any folder on the
            way down to the files.
        subsets: The parts to read. Both together are the paper's set; one alone carries its name in the result.

    Returns:
        Inputs (premise, hypothesis), classes entailment, neutral, contradiction; about each item its ``source``, the
        part that it is of.

    Raises:
        ConfigError: No subset is asked for.
        DataError: A file is missing, or a line is malformed or contradicts itself.
    """
    if not subsets:
        raise ConfigError(f"chaosnli: no subset to read; give one or more of {', '.join(SUBSETS)}")
    files = {subset: locate(root, "chaosnli", "chaosNLI_v1.0", f"chaosNLI_{subset}.jsonl") for subset in subsets}
    found = {subset: list(_read_file(file)) for subset, file in files.items()}
    items = [item for part in found.values() for item in part]
    return AnnotatedData(
        name="chaosnli" if set(subsets) == set(SUBSETS) else f"chaosnli-{subsets[0]}",
        uids=tuple(item.uid for item in items),
        inputs=[(item.premise, item.hypothesis) for item in items],
        label_counts=torch.tensor([item.counts for item in items], dtype=torch.float64).reshape(-1, len(CLASS_NAMES)),
        class_names=CLASS_NAMES,
        modality="text_pair",
        groups=tuple(item.premise for item in items),
        about={"source": tuple(subset for subset, part in found.items() for _ in part)},
    ).sorted_by_uid()


def _read_file(path: Path) -> Iterator[_Item]:
    """Every line of one file, checked."""
    for where, record in json_lines(path):
        item = _item(record, where)
        _check_counts(item.counts, record["label_counter"], where)
        yield item


def _item(record: dict[str, Any], where: str) -> _Item:
    """The fields that are used, each of the type it should have."""
    counts = record.get("label_count")
    if not isinstance(counts, list) or not isinstance(record.get("label_counter"), dict):
        raise DataError(f"{where}: wanted a list label_count and an object label_counter; is this a ChaosNLI file?")
    example = record.get("example")
    return _Item(
        uid=_text(record, "uid", where),
        premise=_text(example, "premise", where),
        hypothesis=_text(example, "hypothesis", where),
        counts=tuple(counts),
    )


def _text(holder: object, key: str, where: str) -> str:
    """A text that is there and not blank."""
    text = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: wanted a text {key!r}, got {text!r}; correct the line or fetch the file again")
    return text


def _check_counts(counts: tuple[object, ...], counter: dict[str, int], where: str) -> None:
    """Three counts, whole and not negative, not all zero, that agree with the counts by letter."""
    whole = [count for count in counts if type(count) is int and count >= 0]
    if len(counts) != len(CLASS_NAMES) or len(whole) != len(counts) or sum(whole) == 0:
        raise DataError(
            f"{where}: wanted {len(CLASS_NAMES)} counts ({', '.join(CLASS_NAMES)}), whole numbers that are "
            f"not negative nor all zero, got label_count {list(counts)}; correct the line or fetch the file again"
        )
    if {letter: count for letter, count in counter.items() if count} != {
        letter: count for letter, count in zip(_LETTERS, whole, strict=True) if count
    }:
        raise DataError(
            f"{where}: label_count {whole} (order {', '.join(_LETTERS)}) contradicts label_counter {counter}; "
            "correct the line or fetch the file again"
        )
