"""``experiment.json``: which records of a folder are the trials, the repeats and the examples of an experiment."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soft_labels.errors import RecordError
from soft_labels.files import write_text
from soft_labels.objectives import Target

SCHEMA = 1
FILE = "experiment.json"


@dataclass(frozen=True)
class ItemExample:
    """One item for a figure.

    Args:
        uid: The item.
        text: Its text, or ``None`` where inputs were not to be kept or are images.
        label_dist: ``[C]`` its annotations.
        pred_dist: By target, ``[C]`` what the head of the first seed says; empty where no head is shown.
    """

    uid: str
    text: str | None
    label_dist: list[float]
    pred_dist: dict[Target, list[float]]


@dataclass(frozen=True)
class Examples:
    """The items that figures show; each is drawn by a rule, never by hand.

    Args:
        spread: Items at equal steps of label entropy, from near-consensus to strong disagreement (figure 1).
        same_class: The test item where both heads name the majority class and their KL differs most (figure 2).
        median: Of the same items the one whose KL differs by the median (figure 5).
    """

    spread: list[ItemExample]
    same_class: ItemExample | None
    median: ItemExample | None


@dataclass(frozen=True)
class Arm:
    """One target on one data set.

    Args:
        trials: By sampler (``grid``, ``tpe``, ``random``), run ids of the search in the order they were asked.
        best: Run id of the chosen trial.
        seeds: Run ids of the repeats on the fixed split, a seed each, in order of seed.
        splits: Run ids of the repeats on redrawn splits, a seed and a split each, in order of both.
    """

    trials: dict[str, list[str]]
    best: str
    seeds: list[str]
    splits: list[str]


@dataclass(frozen=True)
class DatasetPart:
    """One data set of the experiment.

    Args:
        dataset: Its name, as ``chaosnli``.
        encoder: The encoder's name.
        class_names: ``[C]``.
        description: items, annotations_per_item, normalized_entropy_mean, normalized_entropy_sd, tied_items, train,
            val, test: numbers.
        entropy_histogram: Items in each of twenty equal bins of normalised entropy, 0 to 1.
        arms: By target.
        examples: What figures show.
    """

    dataset: str
    encoder: str
    class_names: list[str]
    description: dict[str, float]
    entropy_histogram: list[int]
    arms: dict[Target, Arm]
    examples: Examples


@dataclass(frozen=True)
class ExperimentIndex:
    """A whole experiment.

    Args:
        name: What stands in the report's title.
        datasets: In the order of the report.
        schema: Version of this form.
    """

    name: str
    datasets: list[DatasetPart]
    schema: int = SCHEMA

    def save(self, folder: Path) -> None:
        """Write ``experiment.json``, whole."""
        write_text(folder / FILE, json.dumps(asdict(self), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "ExperimentIndex":
        """Read ``experiment.json``.

        Raises:
            RecordError: There is none, or it is of another version.
        """
        path = folder / FILE
        if not path.is_file():
            raise RecordError(f"no {FILE} in {folder}; give the folder that soft-labels reproduce wrote")
        try:
            return cls._from(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(
                f"{path} is no experiment of schema {SCHEMA}; run soft-labels reproduce with this version"
            ) from error

    @classmethod
    def _from(cls, values: dict[str, Any]) -> "ExperimentIndex":
        """The index of parsed JSON."""
        if values["schema"] != SCHEMA:
            raise ValueError(values["schema"])
        return cls(values["name"], [_dataset_part(part) for part in values["datasets"]])


def _dataset_part(part: dict[str, Any]) -> DatasetPart:
    """A data set of parsed JSON."""
    arms: dict[Target, Arm] = {target: Arm(**arm) for target, arm in part["arms"].items()}
    examples = part["examples"]
    shown = Examples(
        [ItemExample(**one) for one in examples["spread"]],
        *(ItemExample(**examples[key]) if examples[key] else None for key in ("same_class", "median")),
    )
    return DatasetPart(**{**part, "arms": arms, "examples": shown})
