"""What a run leaves: one self-contained line of JSON, its test items beside it, its predictions in a tensor file."""

import glob
import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from soft_labels.errors import RecordError
from soft_labels.files import PARTIAL_PREFIX, write_text, written_whole
from soft_labels.runs import Ending, RunSpec

SCHEMA = 1
_PACKAGES = ("soft-labels", "torch", "lightning", "torchmetrics", "numpy", "scipy", "optuna")
_DIGITS = 6


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    Args:
        schema: Version of this form.
        id: 16 hex digits of spec, data, whether it was judged on test and what may have pruned it.
        engine: Which engine trained it.
        spec: The fields of :class:`~soft_labels.runs.RunSpec`.
        data: What it was trained on: data set, classes, encoder, split with its digest, sizes.
        curve: See :class:`~soft_labels.runs.RunResult`; a value that is not finite is ``None``.
        best_epoch: The epoch, from 0, whose weights count.
        ending: Why training ended.
        test: Metrics of the best epoch on test, by name without ``test/``; ``None`` for runs of a search.
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
    test: dict[str, float | None] | None
    environment: dict[str, Any]
    finished_at: str

    @property
    def run_spec(self) -> RunSpec:
        """The spec as a value that engines take."""
        return RunSpec(**self.spec)

    @property
    def value(self) -> float:
        """What a search minimises: the lowest validation loss, nats; infinite where training broke down."""
        loss = self.curve["val/loss"][self.best_epoch]
        return math.inf if loss is None else loss


@dataclass(frozen=True)
class ItemScores:
    """How a run's best head does on each test item.

    Args:
        uids: ``[N]`` the test items.
        label_entropy: ``[N]`` nats.
        pred_entropy: ``[N]`` nats.
        kl: ``[N]`` D_KL(label_dist || pred_dist), nats.
        correct: ``[N]`` bool, whether the model's highest class is the majority class.
        pred_dist: ``[N, C]`` float32; empty ``[0, 0]`` where it was read from a folder without predictions.
    """

    uids: tuple[str, ...]
    label_entropy: NDArray[np.float64]
    pred_entropy: NDArray[np.float64]
    kl: NDArray[np.float64]
    correct: NDArray[np.bool_]
    pred_dist: NDArray[np.float32]


def run_id(spec: RunSpec, data: dict[str, Any], judged: bool, pruner: str | None = None) -> str:
    """The id of a run: 16 hex digits.

    Args:
        spec: How it is trained.
        data: What on, as plain JSON values.
        judged: Whether it is judged on the test split.
        pruner: What may end it early, if anything.
    """
    content = {"spec": spec.settings(), "data": data, "judged": judged, **({"pruner": pruner} if pruner else {})}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def best_record(records: Iterable[RunRecord]) -> RunRecord:
    """The run with the lowest validation loss; of equals the one with the fewest epochs, then the first.

    Many points of a grid tie exactly: the longer run's best epoch is that of the shorter one.

    Raises:
        RecordError: No run has a finite validation loss.
    """
    best = min(records, key=lambda record: (record.value, record.spec["max_epochs"]), default=None)
    if best is None or math.isinf(best.value):
        raise RecordError("wanted a run with a finite validation loss to choose, got none; lower the learning rates")
    return best


class RecordStore:
    """The records of finished runs in a folder, in parts; a part appears whole or not at all.

    ``NAME.jsonl`` holds a line a run, ``NAME.items.jsonl`` the test items of its judged runs and ``NAME.safetensors``
    their predicted distributions, by run id. Any number of processes may add parts.

    Args:
        folder: Where the parts lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts: dict[str, list[RunRecord]] = {}

    def read(self) -> dict[str, RunRecord]:
        """Every record by its id; a part is parsed once, since it does not change.

        Raises:
            RecordError: A line is no record of this version.
        """
        parts = (path for path in self._whole("*.jsonl") if not path.name.endswith(".items.jsonl"))
        found: dict[str, RunRecord] = {}
        for part in parts:
            if part.name not in self._parts:
                self._parts[part.name] = _read_part(part)
            found.update((record.id, record) for record in self._parts[part.name])
        return found

    def _whole(self, pattern: str) -> list[Path]:
        """Files of a pattern, without those that are being written or were left half-written by a killed process."""
        return sorted(path for path in self.folder.glob(pattern) if not path.name.startswith(PARTIAL_PREFIX))

    def has(self, name: str) -> bool:
        """Whether a part is there."""
        return (self.folder / f"{name}.jsonl").is_file()

    def add(self, name: str, records: Sequence[RunRecord], items: dict[str, ItemScores]) -> None:
        """Write a part.

        Args:
            name: The part's name, which one process at a time may write; what a killed one left of it is removed.
            records: Its runs.
            items: By run id, the test items of the runs that were judged.
        """
        for leftover in self.folder.glob(f"{PARTIAL_PREFIX}*-{glob.escape(name)}.*"):
            leftover.unlink()
        if items:
            with written_whole(self.folder / f"{name}.safetensors") as partial:
                save_file({key: scores.pred_dist for key, scores in items.items()}, partial)
            write_text(self.folder / f"{name}.items.jsonl", _items_text(items))
        lines = (json.dumps(asdict(record), allow_nan=False) for record in records)
        write_text(self.folder / f"{name}.jsonl", "".join(f"{line}\n" for line in lines))

    def predictions(self, run: str) -> NDArray[np.float32]:
        """Predicted distributions of a judged run on its test split, ``[N, C]``.

        Raises:
            RecordError: The folder has none of this run.
        """
        for part in self._whole("*.safetensors"):
            with safe_open(part, "numpy") as tensors:
                if run in tensors.keys():  # noqa: SIM118 # the file is no dictionary
                    predicted: NDArray[np.float32] = tensors.get_tensor(run)
                    return predicted
        raise RecordError(f"no predictions of run {run} in {self.folder}; delete its .jsonl file and run it again")

    def items(self) -> dict[str, ItemScores]:
        """The test items of every judged run, by run id, without predictions."""
        found: dict[str, ItemScores] = {}
        for part in self._whole("*.items.jsonl"):
            found.update(_read_items(part))
        return found


def _read_part(part: Path) -> list[RunRecord]:
    """The records of one part."""
    records = []
    wanted = {field.name for field in fields(RunRecord)}
    for number, line in enumerate(part.read_text(encoding="utf-8").splitlines(), start=1):
        values = _parsed(line)
        if values.get("schema") != SCHEMA or values.keys() != wanted:
            raise RecordError(
                f"{part}, line {number}: wanted a run record of schema {SCHEMA}, got "
                f"{values.get('schema', 'no record')}; move the folder aside and run again with this version"
            )
        records.append(RunRecord(**values))
    return records


def _parsed(line: str) -> dict[str, Any]:
    """A line's values; nothing where it is no JSON object."""
    try:
        values = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return values if isinstance(values, dict) else {}


def _items_text(items: dict[str, ItemScores]) -> str:
    """Lines of JSON: the uids and label entropies of each test split once, then a line a run."""
    lines: dict[str, dict[str, Any]] = {}
    for key, scores in items.items():
        split = hashlib.sha256("\n".join(scores.uids).encode()).hexdigest()[:16]
        lines[split] = {"split": split, "uids": scores.uids, "label_entropy": _rounded(scores.label_entropy)}
        lines[key] = {"id": key, "of": split, "kl": _rounded(scores.kl), "pred_entropy": _rounded(scores.pred_entropy),
                      "correct": scores.correct.astype(int).tolist()}  # fmt: skip
    ordered = sorted(lines.values(), key=lambda line: "id" in line)
    return "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in ordered)


def _rounded(values: NDArray[np.float64]) -> list[float]:
    """Numbers with as many digits as a reader can use."""
    return [round(value, _DIGITS) for value in values.tolist()]


def _read_items(part: Path) -> dict[str, ItemScores]:
    """The items of one part, by run id."""
    splits: dict[str, dict[str, Any]] = {}
    found = {}
    for line in map(json.loads, part.read_text(encoding="utf-8").splitlines()):
        if "split" in line:
            splits[line["split"]] = line
            continue
        split = splits[line["of"]]
        found[line["id"]] = ItemScores(
            tuple(split["uids"]), np.array(split["label_entropy"]), np.array(line["pred_entropy"]),
            np.array(line["kl"]), np.array(line["correct"], dtype=bool), np.empty((0, 0), dtype=np.float32),
        )  # fmt: skip
    return found


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
