"""Tables of a data set on the Hugging Face Hub: one commit of them, in the local cache."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from soft_labels.errors import DataError

_ADDRESS = re.compile(r"hf:/+datasets/([\w.-]+/[\w.-]+?)(?:@([^/]+))?(?:/(.+))?")
_KINDS = ("csv", "tsv", "json", "jsonl", "ndjson", "parquet")


@dataclass(frozen=True)
class Place:
    """Where a table lies.

    Args:
        files: On this machine: a file, a folder, or several files.
        name: Of a data set of the Hub, its own; otherwise ``None``: the files are named well enough.
        pinned: The same with the commit that was taken.
        notes: What was fetched, in words.
    """

    files: Path | Sequence[Path]
    name: str | None = None
    pinned: Path | None = None
    notes: tuple[str, ...] = ()


def located(path: Path | Sequence[Path]) -> Place:
    """A table on this machine; what is named ``hf://datasets/ORGANISATION/NAME[@REVISION][/FILE]`` is fetched.

    Args:
        path: A file or folder, here or on the Hub, or several files here.

    Raises:
        DataError: The name is none of the Hub's data sets, the Hub is out of reach and its cache has no copy, or there
            is no such table in it.

    Example:
        >>> located(Path("ratings.csv")).files
        PosixPath('ratings.csv')
    """
    if not isinstance(path, Path):
        return Place(path)
    if path.parts[:1] != ("hf:",):
        return Place(path.expanduser())
    match = _ADDRESS.fullmatch(path.as_posix())
    if match is None:
        raise DataError(
            f"{written(path)}: wanted hf://datasets/ORGANISATION/NAME, with @REVISION and /FILE where they matter"
        )
    repository, revision, file = match.groups()
    snapshot = _snapshot(repository, revision, file)
    found = snapshot / (file or "")
    if not found.exists() or (found.is_dir() and not any(each.is_file() for each in found.rglob("*"))):
        raise DataError(
            f"hf://datasets/{repository}: no {file or 'table'} at commit {snapshot.name}; wanted files that end in one "
            f"of {', '.join(_KINDS)}"
        )
    pinned = f"hf://datasets/{repository}@{snapshot.name}{f'/{file}' if file else ''}"
    note = f"{repository} of the Hugging Face Hub at commit {snapshot.name}"
    if revision != snapshot.name:
        note += f"; a path of {pinned} keeps it"
    return Place(found, repository.partition("/")[2], Path(pinned), (note,))


def written(path: Path) -> str:
    """A path as a person writes it.

    Example:
        >>> written(Path("hf://datasets/some/ratings"))
        'hf://datasets/some/ratings'
    """
    return re.sub("^hf:/+", "hf://", path.as_posix()) if path.parts[:1] == ("hf:",) else str(path)


def _snapshot(repository: str, revision: str | None, file: str | None) -> Path:
    """The folder of one commit's tables in the local cache, its name the commit."""
    from huggingface_hub import snapshot_download

    wanted = [file, f"{file}/*"] if file else [f"*.{kind}{packed}" for kind in _KINDS for packed in ("", ".gz")]
    try:
        return Path(snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=wanted))
    except Exception as error:  # connection, permission and naming errors have no common class
        raise DataError(
            f"hf://datasets/{repository}: cannot be fetched ({type(error).__name__}); check the name"
            f"{f' and revision {revision}' if revision else ''}, the connection and, of a private one, HF_TOKEN, or "
            "download its files and give their folder"
        ) from error
