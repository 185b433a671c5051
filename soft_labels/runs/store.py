"""The records of finished runs in a folder, and the predictions of those that were judged."""

import glob
import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from soft_labels.data.split import SplitName
from soft_labels.errors import RecordError, SoftLabelsError
from soft_labels.files import PARTIAL_PREFIX, write_text
from soft_labels.metrics import Judged
from soft_labels.runs.predictions import (
    JUDGED_PARTS,
    Logits,
    Observations,
    damaged,
    logits_digest,
    observed_digest,
    read_logits,
    read_observed,
    write_logits,
    write_observed,
)
from soft_labels.runs.record import RunRecord

_ENDINGS = (".jsonl", ".jsonl.gz")
Predicted = Mapping[str, Mapping[SplitName, tuple[tuple[str, ...], Tensor]]]


class RecordStore:
    """Records in bundles: the runs that were trained together; a bundle appears whole or not at all.

    ``NAME.jsonl`` holds a line a run, compressed or not (``.gz``), and ``NAME.parquet`` the logits of its judged runs;
    ``observed-DIGEST.parquet`` holds the annotations of all items, once for each split. Any number of processes may
    add bundles.

    Args:
        folder: Where the bundles lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bundles: dict[str, list[RunRecord]] = {}
        self._bundle_of: dict[str, str] = {}
        self._observed: dict[str, Observations] = {}
        self._logits: dict[Path, Predicted] = {}

    def read(self) -> dict[str, RunRecord]:
        """Every record by its id; a bundle is parsed once, since it does not change.

        Raises:
            RecordError: A line is no record of a known schema, or is damaged.
        """
        found: dict[str, RunRecord] = {}
        for path in self._bundle_files():
            if path.name not in self._bundles:
                self._bundles[path.name] = _read_bundle(path)
                name = path.name.removesuffix(".gz").removesuffix(".jsonl")
                self._bundle_of.update((record.id, name) for record in self._bundles[path.name])
            found.update((record.id, record) for record in self._bundles[path.name])
        return found

    def _bundle_files(self) -> list[Path]:
        """The files of records."""
        return [path for ending in _ENDINGS for path in self._whole(f"*{ending}")]

    def _whole(self, pattern: str) -> list[Path]:
        """Files of a pattern, without those that are being written or were left half-written by a killed process."""
        return sorted(path for path in self.folder.glob(pattern) if not path.name.startswith(PARTIAL_PREFIX))

    def has(self, name: str) -> bool:
        """Whether a bundle is there."""
        return any((self.folder / f"{name}{ending}").is_file() for ending in _ENDINGS)

    def add(
        self,
        name: str,
        records: Sequence[RunRecord],
        logits: Mapping[str, Logits],
        observed: Observations | None,
    ) -> None:
        """Write a bundle.

        Args:
            name: The bundle's name, which one process at a time may write; what a killed one left of it is removed.
            records: Its runs, all on the same data.
            logits: By run id, the predictions of the runs that were judged.
            observed: What was observed of the judged items, where any were.
        """
        for leftover in self.folder.glob(f"{PARTIAL_PREFIX}*-{glob.escape(name)}.*"):
            leftover.unlink()
        if observed is not None:
            path = self._observed_path(observed_digest(observed))
            if not path.is_file():
                write_observed(path, observed)
            write_logits(self.folder / f"{name}.parquet", logits, observed)
        write_text(self.folder / f"{name}.jsonl", "".join(f"{record.line()}\n" for record in records))

    def _observed_path(self, digest: str) -> Path:
        """Where the annotations of a split's judged items lie."""
        return self.folder / f"observed-{digest}.parquet"

    def observed(self, record: RunRecord) -> Observations:
        """What was observed of the items that a run was judged on.

        Raises:
            RecordError: The run was not judged, or the file is missing or damaged.
        """
        digest = record.observed
        if digest is None:
            raise RecordError(f"run {record.id} belongs to a search: its predictions are not kept")
        if digest not in self._observed:
            path = self._observed_path(digest)
            found = read_observed(path)
            if observed_digest(found) != digest:
                raise RecordError(damaged(path, "is not what its name says"))
            self._observed[digest] = found
        return self._observed[digest]

    def judged(self, record: RunRecord) -> dict[SplitName, Judged]:
        """A judged run's predictions beside what was observed, part by part, in the order of :meth:`observed`.

        Raises:
            RecordError: The run was not judged, or a file is missing or damaged.
        """
        observed = self.observed(record)
        path, logits = self._predicted(record)
        for part in JUDGED_PARTS:
            if part not in logits or logits[part][0] != observed[part].uids:
                raise RecordError(damaged(path, f"has other {part} items for run {record.id} than were observed"))
        found = {part: logits[part][1] for part in JUDGED_PARTS}
        if logits_digest(found) != record.predictions:
            raise RecordError(damaged(path, f"has other predictions of run {record.id} than its record says"))
        return {part: observed[part].beside(found[part]) for part in JUDGED_PARTS}

    def _predicted(self, record: RunRecord) -> tuple[Path, Mapping[SplitName, tuple[tuple[str, ...], Tensor]]]:
        """The file that holds a run's predictions, and what it says of them."""
        if record.id not in self._bundle_of:
            self.read()
        if record.id not in self._bundle_of:
            raise RecordError(f"no record of run {record.id} in {self.folder}; run the same command again")
        path = self.folder / f"{self._bundle_of[record.id]}.parquet"
        if path not in self._logits:
            self._logits[path] = read_logits(path)
        if record.id not in self._logits[path]:
            raise RecordError(damaged(path, f"lacks run {record.id}"))
        return path, self._logits[path][record.id]


def _read_bundle(path: Path) -> list[RunRecord]:
    """The records of one bundle."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        if path.suffix != ".gz":
            raise
        raise RecordError(f"{path} cannot be unpacked ({error}); delete it and run the same command again") from error
    lines = content.decode("utf-8", errors="replace").splitlines()
    if not lines:
        raise RecordError(f"{path} is empty: wanted a line a run; delete it and run the same command again")
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(RunRecord.of_line(line))
        except SoftLabelsError as error:
            raise RecordError(
                f"{path}, line {number}: {error}; delete the file, or move the folder aside, and run the same command "
                "again"
            ) from error
    return records
