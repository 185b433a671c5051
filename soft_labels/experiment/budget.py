"""``budget/DATASET.json`` of an experiment's folder: what heads reach that learn from a few annotators of each item."""

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from soft_labels.errors import RecordError
from soft_labels.files import write_text
from soft_labels.runs.digested import known, plain, read_digested, write_digested

SCHEMA = 1
FOLDER = "budget"
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class BudgetCurve:
    """One metric of one arm against annotators an item, or how it differs from the baseline's.

    Args:
        arm: Its name.
        less: The baseline, where these are differences from it, draw by draw; else ``None``.
        metric: A row of ``soft_labels.metrics.METRICS``, on the test items.
        values: ``[K]`` mean over draws and seeds; nan where it is not defined.
        low: ``[K]`` lower ends of 95% intervals for new draws, seeds and test items.
        high: ``[K]`` upper ends.
        draws: ``[K][D]`` the mean over seeds of each draw.
    """

    arm: str
    less: str | None
    metric: str
    values: Numbers
    low: Numbers
    high: Numbers
    draws: tuple[Numbers, ...]


@dataclass(frozen=True)
class Budget:
    """How many annotators are enough, on one data set.

    Args:
        dataset: Its name.
        encoder: The encoder's name.
        baseline: The arm that others are compared with.
        arms: Names, the baseline first.
        annotators: ``[K]`` annotators an item of those that heads learn from, K steps of the ladder.
        annotations: ``[K]`` annotations of all training and validation items together.
        short: ``[K]`` training and validation items that have fewer annotators, and keep all of theirs.
        tied: ``[K]`` share of training items whose drawn annotators tie, mean over draws.
        draws: How often annotators were drawn, D.
        seeds: Heads of each arm for each draw, every one with a seed of its own.
        price: Of an annotation, in any currency; ``None`` where nobody said.
        learning_items: Training and validation items.
        test_items: Items that judge, by all their annotations: none of theirs are drawn.
        test_annotators: Mean number of annotators of these.
        curves: By arm and metric; after the arms' own the differences from the baseline.
        schema: Version of this form.
    """

    dataset: str
    encoder: str
    baseline: str
    arms: tuple[str, ...]
    annotators: tuple[int, ...]
    annotations: tuple[int, ...]
    short: tuple[int, ...]
    tied: Numbers
    draws: int
    seeds: int
    price: float | None
    learning_items: int
    test_items: int
    test_annotators: float
    curves: tuple[BudgetCurve, ...]
    schema: int = SCHEMA

    @property
    def money(self) -> Numbers | None:
        """``[K]`` what the annotations cost, where the price of one is known."""
        return None if self.price is None else tuple(self.price * number for number in self.annotations)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(dict.fromkeys(curve.metric for curve in self.curves))

    def curve(self, arm: str, metric: str, less: str | None = None) -> BudgetCurve:
        """The curve of an arm and a metric.

        Args:
            arm: Its name.
            metric: Its name.
            less: The baseline, for differences from it.
        """
        wanted = (arm, less, metric)
        return next(curve for curve in self.curves if (curve.arm, curve.less, curve.metric) == wanted)

    def save(self, folder: Path) -> Path:
        """Write ``budget/DATASET.json`` with a digest of its content, and the same numbers as CSV.

        Args:
            folder: Of the experiment.

        Returns:
            The JSON file.
        """
        path = folder / FOLDER / f"{self.dataset}.json"
        write_text(path.with_suffix(".csv"), _csv(self))
        write_digested(path, plain(asdict(self)))
        return path

    @classmethod
    def load(cls, path: Path) -> "Budget":
        """Read what :meth:`save` wrote.

        Raises:
            RecordError: The file is of another schema, or something in it was changed.
        """
        try:
            return cls._from(read_digested(path))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RecordError(
                f"{path} is no budget of schema {SCHEMA} as it was written; delete it and run the same command again, "
                "which trains only what is missing"
            ) from error

    @classmethod
    def _from(cls, values: dict[str, Any]) -> "Budget":
        """The budget of values that were read."""
        if values["schema"] != SCHEMA:
            raise ValueError(values["schema"])
        if values.keys() != {field.name for field in fields(cls)}:
            raise ValueError("a field is missing or unknown")
        curves = tuple(BudgetCurve(**_known_lists(one)) for one in values.pop("curves"))
        return cls(**_known_lists(values), curves=curves)


def read_budgets(folder: Path) -> dict[str, Budget]:
    """The budgets in an experiment's folder, by data set; none where none were made.

    Args:
        folder: Of the experiment.

    Raises:
        RecordError: A file is of another schema, or something in it was changed.
    """
    found = (Budget.load(path) for path in sorted((folder / FOLDER).glob("*.json")))
    return {budget.dataset: budget for budget in found}


def _csv(budget: Budget) -> str:
    """A row for each arm, metric and number of annotators."""
    money = budget.money or [None] * len(budget.annotators)
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["dataset", "arm", "less", "metric", "annotators", "annotations", "money", "value", "low", "high"])
    for curve in budget.curves:
        own = zip(budget.annotators, budget.annotations, money, curve.values, curve.low, curve.high, strict=True)
        for annotators, annotations, cost, *numbers in own:
            told = ["" if number is None else plain(number) for number in (cost, *numbers)]
            table.writerow([budget.dataset, curve.arm, curve.less or "", curve.metric, annotators, annotations, *told])
    return file.getvalue()


def _known_lists(values: dict[str, Any]) -> dict[str, Any]:
    """Lists of JSON as tuples with nan for what is missing; a name or price that is missing stays ``None``."""
    return {key: known(value) if isinstance(value, list) else value for key, value in values.items()}
