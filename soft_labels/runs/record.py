"""What a finished run leaves: a record of how it was made, and what its head predicts beside what was observed."""

import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from soft_labels.errors import RecordError
from soft_labels.training.spec import Ending, RunSpec

SCHEMA = 2
_PACKAGES = ("soft-labels", "torch", "lightning", "torchmetrics", "numpy", "scipy", "optuna")
_DIGITS = 6
# How a line of an older schema becomes one of the next: from this schema on, a change of the form adds its step here.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    Args:
        schema: Version of this form.
        id: 16 hex digits of what differs from the defaults in its spec, of its data, whether it was judged and what may
            have pruned it.
        engine: Which engine trained it.
        spec: The fields of :class:`~soft_labels.training.spec.RunSpec`.
        data: What it was trained on: data set, classes, encoder, split with its digest, sizes.
        curve: See :class:`~soft_labels.training.spec.RunResult`; a value that is not finite is ``None``.
        best_epoch: The epoch, from 0, whose weights count.
        ending: Why training ended.
        pruner: What may have ended it early, if anything.
        observed: Digest of what was observed of the items of each part; ``None`` for runs of a search.
        predictions: Digest of the best epoch's logits for them; ``None`` for runs of a search.
        environment: Versions, git state and machine.
        finished_at: UTC time, ISO 8601.
    """

    schema: int
    id: str
    engine: str
    spec: dict[str, Any]
    data: dict[str, Any]
    curve: dict[str, list[float | None]]
    best_epoch: int
    ending: Ending
    pruner: str | None
    observed: str | None
    predictions: str | None
    environment: dict[str, Any]
    finished_at: str

    @property
    def run_spec(self) -> RunSpec:
        """The spec as a value that engines take."""
        return RunSpec(**self.spec)

    @property
    def value(self) -> float:
        """What a search minimises: the lowest validation loss; infinite where training broke down."""
        loss = self.curve["val/loss"][self.best_epoch]
        return math.inf if loss is None else loss

    def line(self) -> str:
        """The record as a line of JSON that ends with a digest of the rest."""
        text = json.dumps(asdict(self), allow_nan=False)
        return f'{text[:-1]}, "digest": "{_digest(text)}"}}'

    @classmethod
    def of_line(cls, line: str) -> "RunRecord":
        """The record of a line; older schemas are migrated.

        Raises:
            RecordError: It is no record, of another schema, or something in it was changed.
        """
        values = _parsed(line)
        digest = values.pop("digest", None)
        if values.get("schema") in (SCHEMA, *MIGRATIONS) and digest != _digest(json.dumps(values)):
            raise RecordError("wanted a run record as it was written, got one whose digest does not fit: it is damaged")
        while values.get("schema") in tuple(MIGRATIONS):
            values = MIGRATIONS[values["schema"]](values)
        wanted = {field.name for field in fields(cls)}
        if values.get("schema") != SCHEMA or values.keys() != wanted:
            found = values.get("schema", "no record")
            raise RecordError(f"wanted a run record of schema {SCHEMA}, got {found}; run again with this version")
        record = cls(**values)
        _check_id(record)
        return record


def _parsed(line: str) -> dict[str, Any]:
    """A line's values; nothing where it is no JSON object."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _digest(text: str) -> str:
    """16 hex digits of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_id(record: RunRecord) -> None:
    """An id is what it says of spec and data."""
    new = sorted(record.spec.keys() - {field.name for field in fields(RunSpec)})
    if new:
        raise RecordError(f"wanted a spec that this version knows, got one with {new[0]}: a newer version wrote it")
    expected = run_id(record.run_spec, record.data, record.predictions is not None, record.pruner)
    if record.id != expected:
        raise RecordError(f"wanted run {expected}, as its spec and data say, got id {record.id}: the record is damaged")


def run_id(spec: RunSpec, data: dict[str, Any], judged: bool, pruner: str | None = None) -> str:
    """The id of a run: 16 hex digits.

    Fields of the spec at their defaults are left out, so that a field that is new changes no id. A default that is
    changed must come with a new schema and a migration that writes the old one down.

    Args:
        spec: How it is trained.
        data: What on, as plain JSON values.
        judged: Whether its predictions are kept.
        pruner: What may end it early, if anything.
    """
    own = {
        field.name: getattr(spec, field.name) for field in fields(spec) if getattr(spec, field.name) != field.default
    }
    content = {"spec": own, "data": data, "judged": judged, **({"pruner": pruner} if pruner else {})}
    return _digest(json.dumps(content, sort_keys=True))


def best_record(records: Iterable[RunRecord]) -> RunRecord:
    """The run with the lowest validation loss; of equals the one with the fewest epochs, then the first.

    Many points of a grid tie exactly: the longer run's best epoch is that of the shorter one. A run that was pruned is
    not chosen.

    Raises:
        RecordError: All runs were pruned, or none has a finite validation loss.
    """
    asked = list(records)
    whole = [record for record in asked if record.ending != "pruned"]
    if asked and not whole:
        raise RecordError(f"all {len(asked)} trials were pruned, so there is none to choose; loosen the sweep's pruner")
    best = min(whole, key=lambda record: (record.value, record.spec["max_epochs"]), default=None)
    if best is None or math.isinf(best.value):
        raise RecordError("wanted a run with a finite validation loss to choose, got none; lower the learning rates")
    return best


def rounded(value: float) -> float | None:
    """A number for a record: six significant digits, ``None`` where it is not finite (JSON has no such numbers)."""
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


@cache
def environment() -> dict[str, Any]:
    """Versions, git state of the working folder and machine; no names of people or hosts."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "git": _git_state(),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def _git_state() -> str | None:
    """The commit of this package's checkout, marked where files differ from it; ``None`` where it is in none."""
    here = Path(__file__)
    if shutil.which("git") is None or not _git("ls-files", "--error-unmatch", here.name, cwd=here.parent):
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*", cwd=here.parent)


def _git(*arguments: str, cwd: Path) -> str | None:
    """What git says; ``None`` where it fails."""
    answer = subprocess.run(  # noqa: S603 # the arguments are written above
        ["git", *arguments],  # noqa: S607
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None
