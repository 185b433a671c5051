"""What lies in ``lightning_logs``: every run, sweep, experiment and comparison, known by the files that it leaves.

Nothing is imported that trains, nothing is followed out of the folder: a link is none of ours.
"""

import csv
import json
import math
import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from soft_labels.files import PARTIAL_PREFIX, is_leftover, lives

Kind = Literal[
    "fit", "validate", "test", "predict", "run", "compare", "sweep", "experiment", "search", "budget", "stats"
]
State = Literal["finished", "running", "unfinished"]
_NAME = re.compile(r"(.+)-seed(\d+)-(\d{8}-\d{6})-[0-9a-f]{4}")
_EVENTS = re.compile(r"events\.out\.tfevents\.\d+\.(.*)\.(\d+)\.\d+(?:\.reached)?")
_PROJECTED = ("projector_config.pbtxt", "00000/items/metadata.tsv", "00000/items/tensors.tsv",
              "00000/items/sprite.png")  # fmt: skip
_SHOWN = ("events.out.tfevents.*", "hparams.yaml", *_PROJECTED)
_RUN = (*_SHOWN, "config.yaml", "split.json", "best.json", "*_metrics.json", "predictions*.csv", "predictions*.parquet",
        "predictions*.jsonl", "checkpoints/*.ckpt")  # fmt: skip
_BUNDLES = ("records/*.jsonl", "records/*.jsonl.gz", "records/*.parquet", "records/.*.lock")
_BOARD = tuple(f"tensorboard/*/{name}" for name in (*_SHOWN, ".runs.lock"))
_NESTED = ("tensorboard/", "arms/")
_BEST = ("best-*.yaml", "best-*.ckpt")
_REPORT = ("report/report.html", "report/report.md", "report/summary.json", "report/tables/*.csv",
           *(f"report/figures/*.{ending}" for ending in ("svg", "pdf", "csv")))  # fmt: skip
_BUDGET_FOLDER = "budget"
_BUDGET = ("*.json", "*.csv", *_BUNDLES)
_SEARCH = (*_BUNDLES, *_BOARD, *_BEST, "trials-*.csv", "sweep.json", "experiment.json", *_REPORT,
           *(f"{_BUDGET_FOLDER}/{pattern}" for pattern in _BUDGET))  # fmt: skip
OWN: Mapping[Kind, tuple[str, ...]] = {
    "fit": _RUN, "validate": _RUN, "test": _RUN, "predict": _RUN, "run": _RUN, "sweep": _SEARCH, "experiment": _SEARCH,
    "search": _SEARCH, "budget": _BUDGET, "compare": ("compare.json", "arms/.runs.lock",
    *(f"arms/*/{name}" for name in _SHOWN)), "stats": ("*.png", "*.pdf", "*.svg"),
}  # fmt: skip
"""By kind, the files that its command writes; a file of another name is somebody else's."""
_LAST: Mapping[Kind, tuple[str, ...]] = {
    "fit": ("best.json", "test_metrics.json"), "validate": ("val_metrics.json",), "test": ("test_metrics.json",),
    "predict": ("predictions*",), "run": (), "compare": ("compare.json",), "sweep": ("trials-*.csv",),
    "experiment": ("experiment.json",), "search": (), "budget": ("*.json",), "stats": ("*",),
}  # fmt: skip
# Seconds since the last file was written in which a process may still be at work: on a machine that shares the folder,
# and anywhere before it has said who it is.
_ELSEWHERE, _JUST_NOW = 86_400, 60


@dataclass(frozen=True)
class Found:
    """What one command left.

    Args:
        root: The folder that was looked through.
        folder: Its own, below the root.
        kind: The command; ``fit`` is also a head of compare, ``search`` an experiment or a sweep and ``run`` a
            validate, test or predict that has not come to its end.
    """

    root: Path
    folder: Path
    kind: Kind

    @property
    def name(self) -> str:
        """The folder as seen from the root."""
        return self.folder.relative_to(self.root).as_posix()

    @cached_property
    def _every(self) -> list[tuple[Path, bool]]:
        """Every file, and whether the command wrote it."""
        return [(path, self._is_own(path)) for path in _files(self.folder)]

    def _is_own(self, path: Path) -> bool:
        """Whether the command writes files of that name."""
        name = path.relative_to(self.folder).as_posix()
        return not path.is_symlink() and any(_matches(name, pattern) for pattern in OWN[self.kind])

    @property
    def files(self) -> list[Path]:
        """The command's own files."""
        return [path for path, own in self._every if own]

    @property
    def foreign(self) -> list[Path]:
        """Files that lie there and that the command did not write."""
        return [path for path, own in self._every if not own]

    @property
    def events(self) -> list[Path]:
        """The event files of TensorBoard, and what its projector shows."""
        return [
            path
            for path in self.files
            if _EVENTS.fullmatch(path.name) or any(fnmatch(path.as_posix(), f"*/{name}") for name in _PROJECTED)
        ]

    @property
    def size(self) -> int:
        """Bytes of the command's files."""
        return sum(_size(path) for path in self.files)

    @property
    def changed(self) -> datetime:
        """When a file was last written, local time."""
        times = [path.stat().st_mtime for path in (*self.files, self.folder) if path.exists()]
        return datetime.fromtimestamp(max(times, default=0)).astimezone()

    @property
    def started(self) -> datetime:
        """When it was started, local time: by its name, or by its oldest file."""
        if named := _NAME.fullmatch(self.folder.name):
            with suppress(ValueError):  # somebody's own name
                return datetime.strptime(named[3], "%Y%m%d-%H%M%S").astimezone()
        times = [path.stat().st_mtime for path in self.files if path.exists()]
        return datetime.fromtimestamp(min(times, default=self.folder.stat().st_mtime)).astimezone()

    @property
    def arms(self) -> str:
        """The arms or the target."""
        if named := _NAME.fullmatch(self.folder.name):
            return named[1]
        told: list[Any] = []
        if self.kind == "compare":
            told = [_dict(_json(self.folder / "compare.json"), "metrics")]
        elif self.kind == "experiment":
            told = [_dict(_json(self.folder / "experiment.json"), "arms")]
        elif self.kind == "budget":
            told = [_json(path).get("arms") or () for path in self._jsons]
        elif self.kind == "sweep":
            told = [[path.stem.removeprefix("trials-") for path in sorted(self.folder.glob("trials-*.csv"))]]
        return ", ".join(dict.fromkeys(str(arm) for each in told for arm in each))

    @property
    def seed(self) -> int | None:
        """The seed, of a single head."""
        named = _NAME.fullmatch(self.folder.name)
        return int(named[2]) if named else None

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        """The data sets."""
        if OWN[self.kind] is _RUN:
            return (self.folder.parent.name,)
        if self.kind == "compare":
            return tuple(filter(None, [_json(self.folder / "compare.json").get("dataset")]))
        if self.kind == "budget":
            return tuple(path.stem for path in self._jsons)
        if self.kind == "experiment":
            entries = _json(self.folder / "experiment.json").get("datasets") or ()
            return tuple(str(entry["dataset"]) for entry in entries)
        return tuple(sorted({path.name.rsplit("-", 1)[0] for path in (self.folder / "records").glob("*.jsonl*")
                             if not path.name.startswith(PARTIAL_PREFIX)}))  # fmt: skip

    @property
    def _jsons(self) -> list[Path]:
        """The results of ``budget``."""
        return sorted(path for path in self.folder.glob("*.json") if not path.name.startswith(PARTIAL_PREFIX))

    @cached_property
    def state(self) -> State:
        """Whether it came to its end, is still at work, or was stopped."""
        if self._is_finished():
            return "finished"
        return "running" if self._is_at_work() else "unfinished"

    def _is_finished(self) -> bool:
        """Whether what its command writes last is there."""
        return any(fnmatch(path.name, pattern) for path in self.files for pattern in _LAST[self.kind])

    def _is_at_work(self) -> bool:
        """Whether a process may still write there; of one on another machine its last file tells."""
        writers = [found for path in self.events if (found := _EVENTS.fullmatch(path.name))]
        here = [int(one[2]) for one in writers if one[1] == platform.node()]
        if any(map(lives, here)) or any(_is_held(path) for path in self.files if path.suffix == ".lock"):
            return True
        age = (datetime.now().astimezone() - self.changed).total_seconds()
        return age < (_ELSEWHERE if len(here) < len(writers) else 0 if here else _JUST_NOW)

    @cached_property
    def best(self) -> dict[str, float]:
        """The lowest KL that its files tell of, by ``test/kl`` or ``val/kl``; of a sweep its lowest ``val/loss``."""
        told: list[tuple[str, Any]] = []
        with suppress(KeyError, TypeError, ValueError, AttributeError):  # of files that were changed nothing is told
            told.extend(self._told())
        for key in ("test/kl", "val/kl", "val/loss"):
            values = [value for name, value in told if name == key and value is not None and math.isfinite(value)]
            if values:
                return {key: min(values)}
        return {}

    def _told(self) -> Iterator[tuple[str, Any]]:
        """What the files tell, by name of the metric."""
        for part in ("test", "val"):
            yield f"{part}/kl", _dict(_json(self.folder / f"{part}_metrics.json"), "metrics").get(f"{part}/kl")
        yield "val/kl", _dict(_json(self.folder / "best.json"), "best").get("val/kl")
        for rows in _dict(_json(self.folder / "compare.json"), "metrics").values():
            yield "test/kl", sum(rows["kl"]) / len(rows["kl"])
        for entry in _dict(_json(self.folder / "report" / "summary.json"), "sets").values():
            yield from (("test/kl", arm["fixed"]["kl"]["value"]) for arm in entry["arms"].values())
        for path in self.folder.glob("trials-*.csv"):
            with path.open(encoding="utf-8", newline="") as file:
                yield from (("val/loss", float(row["val/loss"])) for row in csv.DictReader(file))

    def values(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "folder": self.name,
            "kind": self.kind,
            "datasets": list(self.datasets),
            "arms": self.arms,
            "seed": self.seed,
            "started": self.started.isoformat(timespec="seconds"),
            "size": self.size,
            "state": self.state,
            "best": self.best,
        }


@dataclass(frozen=True)
class Lying:
    """Everything in a folder.

    Args:
        root: The folder.
        found: What commands left, by folder.
        leftovers: What killed processes of this machine left half-written.
        others: Files, folders and links that no command left; of a folder without any of ours the folder alone.
    """

    root: Path
    found: list[Found]
    leftovers: list[Path]
    others: list[Path]


def find(root: Path) -> Lying:
    """Look through a folder.

    Args:
        root: Such as ``lightning_logs``.
    """
    lying = Lying(root, [], [], [])
    _walk(root, lying)
    return lying


def _walk(folder: Path, lying: Lying) -> bool:
    """Sort what lies in a folder; whether anything there is ours."""
    before = len(lying.found) + len(lying.leftovers)
    kind = None if folder == lying.root else _kind(folder)
    if kind is not None:
        lying.found.append(Found(lying.root, folder, kind))
    others: list[Path] = []
    for path in sorted(folder.iterdir()):
        if is_leftover(path) and not path.is_symlink():
            lying.leftovers.append(path)
        elif path.is_symlink() or not path.is_dir() or not _walk(path, lying):
            others.append(path)
    ours = len(lying.found) + len(lying.leftovers) > before
    if kind is None and (ours or folder == lying.root):  # of a command's own folder, it says itself what is not its
        lying.others.extend(others)
    return ours


def _kind(folder: Path) -> Kind | None:
    """The command that left a folder, by its name and by the files that it writes first and last."""
    there = {path.name for path in folder.iterdir()}
    if "experiment.json" in there:
        return "experiment"
    if any(fnmatch(name, "trials-*.csv") for name in there):
        return "sweep"
    if (folder / "records").is_dir():
        return "budget" if folder.name == _BUDGET_FOLDER else "sweep" if folder.name.startswith("sweep-") else "search"
    if "compare.json" in there:
        return "compare"
    if folder.name == "data_stats":
        return "stats"
    return _kind_of_run(there) if _NAME.fullmatch(folder.name) or "split.json" in there else None


def _kind_of_run(there: set[str]) -> Kind:
    """A run's command."""
    if there & {"split.json", "config.yaml", "checkpoints"}:
        return "fit"
    told: dict[Kind, str] = {"test": "test_metrics.json", "validate": "val_metrics.json", "predict": "predictions*"}
    return next((kind for kind, pattern in told.items() if any(fnmatch(name, pattern) for name in there)), "run")


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern stands for a file; only TensorBoard's folders may be nested in any depth."""
    return fnmatch(name, pattern) and (pattern.startswith(_NESTED) or name.count("/") == pattern.count("/"))


def _files(folder: Path) -> Iterator[Path]:
    """Every file and link below a folder; no link is followed, and what another command left there is its own."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(PARTIAL_PREFIX):
            continue
        if path.is_symlink() or not path.is_dir():
            yield path
        elif path.name == _BUDGET_FOLDER or _kind(path) is None:
            yield from _files(path)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir() and not path.is_symlink():
        return sum(_size(Path(place) / name) for place, _, names in os.walk(path) for name in names)
    return _size(path)


def _size(path: Path) -> int:
    """Bytes of a file, which another process may have removed."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _is_held(lock: Path) -> bool:
    """Whether a process holds a lock."""
    try:
        with FileLock(lock, blocking=False):
            return False
    except Timeout:
        return True
    except OSError:  # nobody knows, so nobody removes anything
        return True


def _json(path: Path) -> dict[str, Any]:
    """A JSON object; nothing where there is none that can be read."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _dict(values: dict[str, Any], key: str) -> dict[str, Any]:
    """A part of a JSON object that is one itself; an empty one where it is none."""
    part = values.get(key)
    return part if isinstance(part, dict) else {}
