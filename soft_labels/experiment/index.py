"""``experiment.json``: which records of a folder are the trials, the repeats and the examples of an experiment."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soft_labels.errors import RecordError
from soft_labels.runs.digested import read_digested, write_digested

SCHEMA = 2
FILE = "experiment.json"
# How an index of an older schema becomes one of the next: from this schema on, a change of the form adds its step here.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


@dataclass(frozen=True)
class ItemExample:
    """One item for a figure.

    Args:
        uid: The item.
        text: Its text, or ``None`` where inputs were not to be kept or are images.
        label_dist: ``[C]`` its annotations.
        pred_dist: By arm, ``[C]`` what the head of the first seed says; empty where no head is shown.
    """

    uid: str
    text: str | None
    label_dist: list[float]
    pred_dist: dict[str, list[float]]


@dataclass(frozen=True)
class Examples:
    """The items that figures show; each is drawn by a rule, never by hand.

    Args:
        spread: Items at equal steps of label entropy, from near-consensus to strong disagreement (figure 1).
        same_class: The test item where the heads of the baseline and of the arm that reports set beside it (the first
            that trains towards soft labels as the paper does, else the first) both name the majority class and their KL
            differs most (figure 2).
        median: Of the same items the one whose KL differs by the median (figure 5).
    """

    spread: list[ItemExample]
    same_class: ItemExample | None
    median: ItemExample | None


@dataclass(frozen=True)
class ArmRuns:
    """The runs of one arm on one data set; those of a derived arm are the runs of the arm that it comes from.

    Args:
        trials: By sampler (``grid``, ``tpe``, ``random``), run ids of the search in the order they were asked; none of
            a derived arm.
        best: Run id of the chosen trial.
        seeds: Run ids of the repeats on the fixed split, a seed each, in order of seed; the same one each time of a
            head that has no seed.
        splits: Run ids of the repeats on redrawn splits, a seed and a split each, in order of both; none of an
            ensemble, since each split has one seed.
    """

    trials: dict[str, list[str]]
    best: str
    seeds: list[str]
    splits: list[str]


@dataclass(frozen=True)
class ArmForm:
    """What an arm is, on every data set.

    Args:
        overlay: Settings of fit, by key, that it has of its own.
        derived_from: The arm whose trained heads it takes; ``None`` where it trains its own.
        calibration: What follows its heads.
        ensemble: Whether it takes the mean of what these heads predict over all seeds, as one model.
    """

    overlay: dict[str, Any]
    derived_from: str | None
    calibration: str
    ensemble: bool = False

    @property
    def source(self) -> str:
        """What a derived arm is made of, in words.

        Example:
            >>> ArmForm({}, "soft", "temperature", ensemble=True).source
            'the mean prediction of all seeds of soft, followed by temperature'
        """
        heads = f"the mean prediction of all seeds of {self.derived_from}" if self.ensemble else (
            f"the heads of {self.derived_from}"
        )  # fmt: skip
        return heads if self.calibration == "none" else f"{heads}, followed by {self.calibration}"


@dataclass(frozen=True)
class DatasetIndex:
    """One data set of the experiment.

    Args:
        dataset: Its name, as ``chaosnli``.
        encoder: The encoder's name.
        class_names: ``[C]``.
        ordinal: Whether the classes are ordered.
        description: items, annotations_per_item, normalized_entropy_mean, normalized_entropy_sd, tied_items, train,
            val, test: numbers.
        entropy_histogram: Items in each of twenty equal bins of normalised entropy, 0 to 1.
        arms: By name.
        examples: What figures show.
    """

    dataset: str
    encoder: str
    class_names: list[str]
    ordinal: bool
    description: dict[str, float]
    entropy_histogram: list[int]
    arms: dict[str, ArmRuns]
    examples: Examples


@dataclass(frozen=True)
class ExperimentIndex:
    """A whole experiment.

    Args:
        name: What stands in the report's title.
        arms: By name, the baseline first.
        baseline: The arm that all others are compared with.
        datasets: In the order of the report.
        schema: Version of this form.
    """

    name: str
    arms: dict[str, ArmForm]
    baseline: str
    datasets: list[DatasetIndex]
    schema: int = SCHEMA

    def save(self, folder: Path) -> None:
        """Write ``experiment.json``, whole, with a digest of its content."""
        write_digested(folder / FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "ExperimentIndex":
        """Read ``experiment.json``; older schemas are migrated.

        Raises:
            RecordError: There is none, it is of another schema, or something in it was changed.
        """
        path = folder / FILE
        if not path.is_file():
            raise RecordError(f"no {FILE} in {folder}; give the folder that soft-labels reproduce wrote")
        try:
            return cls._from(read_digested(path))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RecordError(
                f"{path} is no experiment of schema {SCHEMA} as it was written; run soft-labels reproduce again, which "
                "trains only what is missing"
            ) from error

    @classmethod
    def _from(cls, values: dict[str, Any]) -> "ExperimentIndex":
        """The index of values that were read."""
        while values["schema"] in MIGRATIONS:
            values = MIGRATIONS[values["schema"]](values)
        if values["schema"] != SCHEMA:
            raise ValueError(values["schema"])
        arms = {name: ArmForm(**form) for name, form in values["arms"].items()}
        return cls(values["name"], arms, values["baseline"], [_dataset_index(one) for one in values["datasets"]])


def _dataset_index(values: dict[str, Any]) -> DatasetIndex:
    """A data set of parsed JSON."""
    arms = {name: ArmRuns(**runs) for name, runs in values["arms"].items()}
    examples = values["examples"]
    shown = Examples(
        [ItemExample(**one) for one in examples["spread"]],
        *(ItemExample(**examples[key]) if examples[key] else None for key in ("same_class", "median")),
    )
    return DatasetIndex(**{**values, "arms": arms, "examples": shown})
