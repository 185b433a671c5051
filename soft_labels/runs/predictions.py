"""What was observed of items and what a head predicts for those that judge: values, digests and Parquet files."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from torch import Tensor
from torch.nn import functional

from soft_labels.annotations.annotators import About, Annotations
from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.table.names import identifier, only, parquet
from soft_labels.data.batches import Observed
from soft_labels.data.dataset import Dataset
from soft_labels.data.split import SPLIT_NAMES, SplitName
from soft_labels.distributions import label_distribution
from soft_labels.errors import RecordError
from soft_labels.files import written_whole
from soft_labels.metrics import Judged
from soft_labels.trust.slices import NOT_KNOWN, column_names, is_number

JUDGED_PARTS: tuple[SplitName, ...] = ("val", "test")
_STEPS = 256  # a nat
_ROUNDING = 1e-9
_LEVEL = 19  # of compression: predictions are most of what an experiment keeps
Logits = Mapping[SplitName, Tensor]
_STEPS_COLUMN, _RUNS = "steps", "runs"
_ABOUT, _DUPLICATES, _ANNOTATORS, _DESCRIBED = "about: ", "duplicates: ", "annotators: ", "described"
_MOST_VALUES = 20  # of a column that items or annotators are sliced by, unless it holds numbers


@dataclass(frozen=True)
class ObservedItems:
    """What was observed of the items of one part.

    Args:
        uids: ``[N]``.
        observed: Their counts, label distributions, majority classes and, where known, generating distributions.
        about: Columns that describe the items, to slice by: those of numbers or of few values; empty in files of
            before there were any.
        duplicates: By kind of likeness, ``[N]`` the group of items that are alike, over all parts; 0 for an item that
            is like no other. Empty in files of before there were any.
        by_group: By column that describes the annotators and by its value, ``[N, C]`` label counts of the annotators
            of that value alone; many numbers are in bins. Empty where nothing is known, and in files of before.
    """

    uids: tuple[str, ...]
    observed: Observed
    about: About = field(default_factory=dict)
    duplicates: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    by_group: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)

    def beside(self, logits: Tensor) -> Judged:
        """The same items with predictions ``[..., N, C]``."""
        return Judged(logits, *self.observed[1:])


Observations = Mapping[SplitName, ObservedItems]


def observations(dataset: Dataset) -> dict[SplitName, ObservedItems]:
    """What was observed of each part of a data set."""
    found: dict[SplitName, ObservedItems] = {}
    data = dataset.data
    about = {name: values for name, values in data.about.items() if _to_slice_by(values)}
    groups = {} if dataset.draw is not None else _counts_by_group(data)
    for part in SPLIT_NAMES:
        rows = dataset.rows(part)
        found[part] = ObservedItems(
            getattr(dataset.split, part),
            dataset.observed.take(rows),
            {name: tuple(values[row] for row in rows.tolist()) for name, values in about.items()},
            {kind: alike[rows.numpy()] for kind, alike in data.duplicates.items()},
            {
                column: {name: counts[rows].numpy() for name, counts in by_name.items()}
                for column, by_name in groups.items()
            },
        )
    return found


def _counts_by_group(data: AnnotatedData) -> dict[str, dict[str, Tensor]]:
    """By column about the annotators and by group, ``[N, C]`` counts."""
    if data.annotations is None:
        return {}
    told = data.annotations.about.items()
    return {column: _of_groups(data, data.annotations, values) for column, values in told if _to_slice_by(values)}


def _of_groups(data: AnnotatedData, people: Annotations, values: Sequence[str | None]) -> dict[str, Tensor]:
    """Counts by value of one column; annotations of nobody known are of a group of their own."""
    found = people.counts_by_group(column_names(values), (len(data), data.num_classes))
    rest = data.label_counts - sum(found.values())
    if rest.max() > _ROUNDING:
        found[NOT_KNOWN] = found.get(NOT_KNOWN, 0) + rest.clamp(min=0)
    return found


def _to_slice_by(values: Sequence[str | None]) -> bool:
    """Whether a column has few values, or numbers: what else it holds, such as texts, is kept nowhere."""
    known = {value for value in values if value is not None}
    return bool(known) and (len(known) <= _MOST_VALUES or all(map(is_number, known)))


def observed_digest(observed: Observations) -> str:
    """16 hex digits that change with any uid, count, majority class or generating distribution.

    What describes the items has a digest of its own in the file, so that files with and without it go by one name.
    """
    hasher = hashlib.sha256()
    for part in SPLIT_NAMES:
        items = observed[part]
        hasher.update("\n".join(items.uids).encode())
        for tensor in items.observed:
            hasher.update(b"" if tensor is None else tensor.contiguous().numpy().data)
    return hasher.hexdigest()[:16]


def logits_digest(logits: Logits) -> str:
    """16 hex digits that change with any logit."""
    hasher = hashlib.sha256()
    for part in JUDGED_PARTS:
        hasher.update(logits[part].contiguous().numpy().data)
    return hasher.hexdigest()[:16]


def mean_logits(many: Sequence[Logits]) -> dict[SplitName, Tensor]:
    """Logits of the mean of what several heads predict for the same items.

    Args:
        many: Of each head.

    Returns:
        By part, float64 ``[N, C]`` logarithms of the mean shares.

    Source: Lakshminarayanan et al. (2017), section 2.4.
    """
    stacked = {part: torch.stack([one[part] for one in many]).double() for part in JUDGED_PARTS}
    return {part: each.log_softmax(-1).logsumexp(0) - math.log(len(many)) for part, each in stacked.items()}


def write_observed(path: Path, observed: Observations) -> None:
    """Write columns part, uid, label_counts, majority_label and, where it is known, true_dist; a row an item.

    Beside them ``about: NAME``, ``duplicates: KIND`` and ``annotators: NAME`` (label_counts by group of annotators), of
    which the file's metadata have a digest.
    """
    frame = pl.concat([_observed_frame(part, observed[part]) for part in SPLIT_NAMES])
    _write(path, frame, {_DESCRIBED: _described_digest(frame)})


def _observed_frame(part: SplitName, items: ObservedItems) -> pl.DataFrame:
    """One part's rows."""
    counts, _, label, true_dist = items.observed
    true = {} if true_dist is None else {"true_dist": _lists(true_dist.numpy())}
    return pl.DataFrame(
        {
            "part": [part] * len(items.uids),
            "uid": list(items.uids),
            "label_counts": _lists(_whole(counts.numpy())),
            "majority_label": label.numpy(),
            **true,
            **{_ABOUT + name: pl.Series(values, dtype=pl.String) for name, values in items.about.items()},
            **{_DUPLICATES + kind: groups for kind, groups in items.duplicates.items()},
            **{_ANNOTATORS + column: _struct(by_name) for column, by_name in items.by_group.items()},
        }
    )


def _struct(by_name: Mapping[str, NDArray[np.float64]]) -> pl.Series:
    """Counts of each group, a field a group."""
    return pl.DataFrame({name: _lists(counts) for name, counts in by_name.items()}).to_struct()


def _described_digest(frame: pl.DataFrame) -> str:
    """16 hex digits of the columns that describe items."""
    own = frame.select(pl.col("part", "uid", *_described(frame)))
    return hashlib.sha256(own.write_json().encode()).hexdigest()[:16]


def _described(frame: pl.DataFrame) -> list[str]:
    """Names of the columns that describe items."""
    return [name for name in frame.columns if name.startswith((_ABOUT, _DUPLICATES, _ANNOTATORS))]


def read_observed(path: Path) -> dict[SplitName, ObservedItems]:
    """What :func:`write_observed` wrote.

    Raises:
        RecordError: The file is not there or is damaged.
    """
    with _in_words(path):
        frame, metadata = _read(path, ("part", "uid", "label_counts", "majority_label"))
        told = metadata.get(_DESCRIBED)
        if told != _described_digest(frame) and (told is not None or _described(frame)):
            raise RecordError(damaged(path, "has other columns about items than were written"))
        return {part: _observed_of(frame.filter(pl.col("part") == part)) for part in SPLIT_NAMES}


def _observed_of(rows: pl.DataFrame) -> ObservedItems:
    """One part's items."""
    true = torch.from_numpy(_matrix(rows["true_dist"], np.float32)) if "true_dist" in rows.columns else None
    counts = torch.from_numpy(_matrix(rows["label_counts"], np.float64))
    labels = torch.from_numpy(rows["majority_label"].to_numpy(writable=True))
    return ObservedItems(
        tuple(rows["uid"]),
        Observed(counts, label_distribution(counts).float(), labels, true),
        {name.removeprefix(_ABOUT): tuple(rows[name]) for name in rows.columns if name.startswith(_ABOUT)},
        {
            name.removeprefix(_DUPLICATES): rows[name].to_numpy().astype(np.int32)
            for name in rows.columns
            if name.startswith(_DUPLICATES)
        },
        {
            name.removeprefix(_ANNOTATORS): {
                group.name: _matrix(group, np.float64) for group in rows[name].struct.unnest().get_columns()
            }
            for name in rows.columns
            if name.startswith(_ANNOTATORS)
        },
    )


def kept(logits: Tensor) -> Tensor:
    """Logits as records keep them: relative to the first class, in steps of 1/256 nat.

    A step moves no share by more than .4%, the mean KL of 500 items by about 3e-5 nats, and another machine's last bits
    change nothing.

    Args:
        logits: ``[N, C]``.

    Returns:
        float32 ``[N, C]``, of the first class 0.
    """
    return _of_steps(_steps(logits))


def _steps(logits: Tensor) -> Tensor:
    """int32 ``[N, C - 1]`` steps above the first class."""
    exact = logits.double()
    return ((exact[:, 1:] - exact[:, :1]) * _STEPS).round().clamp(-(2.0**31), 2.0**31 - 1).int()


def _of_steps(steps: Tensor) -> Tensor:
    """What steps stand for."""
    return functional.pad(steps.double() / _STEPS, (1, 0)).float()


def write_logits(path: Path, runs: Mapping[str, Logits], observed: Observations) -> None:
    """Write columns part, uid and steps, for each run those of each class but the first (see :func:`kept`).

    A row is an item; the metadata's ``runs`` name the runs in order, as a list of JSON.

    Args:
        path: The file.
        runs: By run id, the logits of each part.
        observed: The items that they are of.
    """
    frames = [
        pl.DataFrame(
            {
                "part": [part] * len(observed[part].uids),
                "uid": list(observed[part].uids),
                _STEPS_COLUMN: _lists(torch.stack([_steps(logits[part]) for logits in runs.values()], dim=1).numpy()),
            }
        )
        for part in JUDGED_PARTS
    ]
    _write(path, pl.concat(frames), {_RUNS: json.dumps(list(runs))})


def read_logits(path: Path) -> dict[str, dict[SplitName, tuple[tuple[str, ...], Tensor]]]:
    """By run id and part, the uids and their logits, in the file's order.

    Raises:
        RecordError: The file is damaged.
    """
    with _in_words(path):
        frame, metadata = _read(path, ("part", "uid"))
        if "logits" in frame.columns:  # of an earlier form: a row an item of a run, logits as they were
            return {
                str(run): {part: _exact(rows.filter(pl.col("part") == part)) for part in JUDGED_PARTS}
                for (run,), rows in frame.group_by("run", maintain_order=True)
            }
        runs = json.loads(metadata.get(_RUNS, ""))
        parts = {part: frame.filter(pl.col("part") == part) for part in JUDGED_PARTS}
        steps = torch.from_numpy(_read_steps(path).reshape(len(frame), len(runs), -1))
        own = {part: steps[torch.from_numpy((frame["part"] == part).to_numpy())] for part in JUDGED_PARTS}
        return {
            run: {part: (tuple(rows["uid"]), _of_steps(own[part][:, place])) for part, rows in parts.items()}
            for place, run in enumerate(runs)
        }


def _exact(rows: pl.DataFrame) -> tuple[tuple[str, ...], Tensor]:
    """Items and their logits, as an earlier form kept them."""
    return tuple(rows["uid"]), torch.from_numpy(_matrix(rows["logits"], np.float32))


def _whole(counts: NDArray[np.float64]) -> NDArray[Any]:
    """Counts as whole numbers, which take less room, unless some are not."""
    small = counts.max(initial=0) < 2**31 and (counts == counts.round()).all()
    return counts.astype(np.int32) if small else counts


def _lists(rows: NDArray[Any]) -> pl.Series:
    """A column of lists, or of lists of lists, which every reader of Parquet knows."""
    kind = pl.Series(rows.ravel()).dtype
    for _ in rows.shape[1:]:
        kind = pl.List(kind)
    return pl.Series(rows).cast(kind)


def _matrix(column: pl.Series, dtype: Any) -> NDArray[Any]:
    """A column of lists of one length as ``[N, C]``."""
    if not len(column):
        return np.empty((0, 0), dtype=dtype)
    return np.array(column.to_list(), dtype=dtype)


def _write(path: Path, frame: pl.DataFrame, metadata: dict[str, str]) -> None:
    """A frame in a file that appears whole."""
    with written_whole(path) as partial:
        frame.write_parquet(partial, compression="zstd", compression_level=_LEVEL, statistics=False, metadata=metadata)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Opening one takes longer than reading a file."""
    return duckdb.connect(config={"threads": 1})


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Whatever a damaged file does to its reader is one error."""
    try:
        yield
    except (duckdb.Error, PolarsError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise RecordError(damaged(path, "cannot be read")) from error


def _read(path: Path, columns: tuple[str, ...]) -> tuple[pl.DataFrame, dict[str, str]]:
    """A file with at least these columns, but for its steps, and its metadata.

    DuckDB reads it, since some damage ends polars' process.
    """
    with _database().cursor() as database:
        there = database.execute(f"SELECT * FROM {parquet(path)} LIMIT 0").description
        names = [name for name, *_ in there if name != _STEPS_COLUMN]
        rows = database.execute(f"SELECT {', '.join(map(identifier, names))} FROM {parquet(path)}").fetchall()
        told = database.execute(f"SELECT decode(key), decode(value) FROM parquet_kv_metadata({only(path)})").fetchall()
    missing = [column for column in columns if column not in names]
    if missing:
        raise RecordError(damaged(path, f"lacks the column {missing[0]}"))
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None), dict(told)


def _read_steps(path: Path) -> NDArray[np.int32]:
    """Every step, one after the other."""
    with _database().cursor() as database:
        found = database.execute(f"SELECT unnest(flatten({_STEPS_COLUMN})) AS step FROM {parquet(path)}").fetchnumpy()
    return np.asarray(found["step"], dtype=np.int32)


def damaged(path: Path, what: str) -> str:
    """What to do about a file of records that is not as it was written."""
    names = f"{path} and {path.stem}.jsonl beside it" if not path.name.startswith("observed-") else str(path)
    return f"{path} {what}: wanted it as it was written; delete {names} and run the same command again"
