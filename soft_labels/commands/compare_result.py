"""What ``soft-labels compare`` found, as a value, and the file that it is kept in."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soft_labels.errors import RecordError
from soft_labels.runs.digested import known, plain, read_digested, with_digest, write_digested
from soft_labels.runs.tensorboard import Curve
from soft_labels.training.projector import ItemMap
from soft_labels.trust.report import TrustReport

FILE = "compare.json"
ARMS = "arms"
"""The folder beside the file that shows the arms in TensorBoard."""
SCHEMA = 1


@dataclass(frozen=True)
class Effect:
    """One arm against the baseline by one metric.

    Args:
        arm: The arm.
        metric: The metric's name.
        difference: Mean of arm - baseline.
        low: Lower end of its 95% interval over seeds and test items.
        high: Upper end.
        p_holm: Of the paired t-test over seeds, adjusted over all arms and metrics; nan where seeds cannot be paired.
        verdict: ``better``, ``worse`` or ``open``: both the test and the interval must say so.
    """

    arm: str
    metric: str
    difference: float
    low: float
    high: float
    p_holm: float
    verdict: str


@dataclass(frozen=True)
class CompareResult:
    """Test metrics of every arm over seeds.

    Args:
        dataset: The data set's name.
        baseline: The arm that the others are compared with.
        notes: What the numbers depend on, a line each.
        warnings: What may be wrong with them, a line each.
        metrics: By arm, the baseline first, by metric name: one value a seed, ``[S]``.
        trust: By arm, what its numbers mean.
        effects: Arm by arm and metric by metric.
        folder: Where the runs lie.
        curves: By arm that trains, of each seed its values by quantity and epoch; they are not saved.
        items: What the projector shows, if anything; not saved either.
    """

    dataset: str
    baseline: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    metrics: dict[str, dict[str, NDArray[np.float64]]]
    trust: dict[str, TrustReport]
    effects: tuple[Effect, ...]
    folder: Path
    curves: Mapping[str, Sequence[Curve]] = field(default_factory=dict, compare=False)
    items: ItemMap | None = field(default=None, compare=False)

    def values(self) -> dict[str, Any]:
        """Plain JSON values with a digest; numbers have six significant digits, ``null`` is not known."""
        return with_digest(self._plain())

    def _plain(self) -> Any:
        """The values without the digest."""
        metrics = {arm: {name: row.tolist() for name, row in rows.items()} for arm, rows in self.metrics.items()}
        return plain(
            {
                "schema": SCHEMA,
                "dataset": self.dataset,
                "baseline": self.baseline,
                "notes": list(self.notes),
                "warnings": list(self.warnings),
                "metrics": metrics,
                "trust": {arm: asdict(trust) for arm, trust in self.trust.items()},
                "effects": [asdict(effect) for effect in self.effects],
                "folder": str(self.folder),
            }
        )

    def save(self, folder: Path) -> Path:
        """Write ``compare.json``, whole.

        Args:
            folder: Where; an older one there is replaced.
        """
        write_digested(folder / FILE, self._plain())
        return folder / FILE

    @classmethod
    def load(cls, folder: Path) -> "CompareResult":
        """Read what :meth:`save` wrote.

        Raises:
            RecordError: There is none, it is of another schema, or something in it was changed.
        """
        path = folder / FILE
        if not path.is_file():
            raise RecordError(f"no {FILE} in {folder}; give the folder that soft-labels compare said it saved to")
        try:
            return cls._from(read_digested(path))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RecordError(
                f"{path} is no comparison of schema {SCHEMA} as it was written; run soft-labels compare again"
            ) from error

    @classmethod
    def _from(cls, values: dict[str, Any]) -> "CompareResult":
        """The result of values that were read."""
        if values["schema"] != SCHEMA:
            raise ValueError(values["schema"])
        return cls(
            dataset=values["dataset"],
            baseline=values["baseline"],
            notes=tuple(values["notes"]),
            warnings=tuple(values["warnings"]),
            metrics={
                arm: {name: np.array(known(row), dtype=np.float64) for name, row in rows.items()}
                for arm, rows in values["metrics"].items()
            },
            trust={arm: TrustReport(**known(trust)) for arm, trust in values["trust"].items()},
            effects=tuple(Effect(**known(effect)) for effect in values["effects"]),
            folder=Path(values["folder"]),
        )
