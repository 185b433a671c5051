"""Where the files of a data set are looked for, and JSON read line by line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from soft_labels.errors import DataError


def places(root: Path, *parts: str) -> list[Path]:
    """Every place that a file may have, first choice first.

    ``root`` may be the folder of all data sets, or any folder on the way down to the file: each ending of
    ``parts`` is joined to it, the longest first.

    Example:
        >>> [place.as_posix() for place in places(Path("data"), "popquorn", "dataset", "raw_data.csv")]
        ['data/popquorn/dataset/raw_data.csv', 'data/dataset/raw_data.csv', 'data/raw_data.csv']
    """
    return [root.expanduser().joinpath(*parts[start:]) for start in range(len(parts))]


def find(root: Path, *parts: str) -> Path | None:
    """The first of :func:`places` that exists, or ``None``."""
    return next((place for place in places(root, *parts) if place.exists()), None)


def locate(root: Path, *parts: str) -> Path:
    """The first of :func:`places` that exists; ``parts`` begins with the data set's name.

    Raises:
        DataError: None of them exists; the message names them all.
    """
    found = find(root, *parts)
    if found is None:
        looked = "".join(f"\n  {place}" for place in places(root, *parts))
        raise DataError(f"{parts[0]}: {parts[-1]} not found; looked for{looked}\n{remedy(parts[0])}")
    return found


def remedy(dataset: str) -> str:
    """What to do when a file of ``dataset`` is missing or damaged."""
    return f'Set data.root to the folder that holds it, or run "soft-labels data fetch {dataset} --root DIR".'


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's JSON object, and where it stands (file and line number) for messages.

    Raises:
        DataError: A line is no JSON object, as the last line of a truncated download is.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}, line {number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{where}: wanted one JSON object, got {line[:40]!r} ({error}); is the file truncated? "
                    "Fetch or write it again"
                ) from error
            if not isinstance(record, dict):
                raise DataError(f"{where}: wanted one JSON object, got {line[:40]!r}")
            yield where, record
