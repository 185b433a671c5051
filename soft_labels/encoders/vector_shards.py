"""Vectors in one file or in the files of a folder, joined in the order of their names; a uid has one row in all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from soft_labels.annotations.table.encoding import stem_of, suffix_of
from soft_labels.encoders.vector_files import ARRAYS, TABLES, VectorRows, read_vectors
from soft_labels.errors import EncoderError

_UIDS = (".txt", ".npy", *TABLES)


def read_all(path: Path, uids: Path | None, uid_column: str, columns: Sequence[str] | None) -> VectorRows:
    """The vectors of a file, or of all files of a folder, with the uid of each.

    Args:
        path: A file as in :func:`~soft_labels.encoders.vector_files.read_vectors`, or a folder of files of one kind.
        uids: A file of uids in the order of the rows; for a folder of vectors a folder of such files, each named as the
            vectors it belongs to but for its suffix. ``None`` where the vectors have the uids themselves or, in a
            folder, in ``.txt`` files beside them.
        uid_column: Name of the column or array of uids.
        columns: See :func:`~soft_labels.encoders.vector_files.read_vectors`.

    Raises:
        EncoderError: A file cannot be used, the folder holds none or files of several kinds, a uid stands in several
            files, or their vectors have several lengths.
    """
    if not path.is_dir():
        return read_vectors(path, uids, uid_column, columns)
    files = _files(path, uids)
    parts = [read_vectors(file, _uids_of(file, uids), uid_column, columns) for file in files]
    _check_widths(files, parts)
    _check_uids(files, parts)
    return VectorRows(tuple(uid for part in parts for uid in part.uids), np.concatenate([part.rows for part in parts]))


def _files(folder: Path, uids: Path | None) -> list[Path]:
    """The files of vectors below a folder, without hidden ones and those of uids, ordered by name."""
    found = [file for file in sorted(folder.rglob("*")) if file.is_file() and suffix_of(file) in (*ARRAYS, *TABLES)]
    shown = [file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    files = [file for file in shown if uids is None or uids not in file.parents]
    kinds = sorted({suffix_of(file) for file in files})
    if len(kinds) != 1:
        what = f"files of several kinds ({', '.join(kinds)})" if kinds else "no file of vectors"
        raise EncoderError(
            f"{folder}: {what}; wanted a folder of files that end in one of {', '.join((*ARRAYS, *TABLES))}, and files "
            "of uids in a folder of their own (data.encoder.uids) or beside them as .txt"
        )
    return files


def _uids_of(file: Path, uids: Path | None) -> Path | None:
    """The file of uids that belongs to one file of vectors."""
    beside = file.parent / f"{stem_of(file)}.txt"
    if uids is None:
        return beside if beside.is_file() else None
    if not uids.is_dir():
        raise EncoderError(
            f"{uids}: wanted a folder with a file of uids for each file of vectors, named as they are, got one file; "
            "vectors are never joined by their position"
        )
    named = [each for each in sorted(uids.iterdir()) if stem_of(each) == stem_of(file) and suffix_of(each) in _UIDS]
    if len(named) != 1:
        what = ", ".join(each.name for each in named) or "none"
        raise EncoderError(f"{uids}: wanted one file of uids for {file.name}, named {stem_of(file)}.*, got {what}")
    return named[0]


def _check_widths(files: Sequence[Path], parts: Sequence[VectorRows]) -> None:
    """The vectors of all files are as long as those of the first."""
    widths = [part.rows.shape[1] for part in parts]
    other = next((place for place, width in enumerate(widths) if width != widths[0]), None)
    if other is not None:
        raise EncoderError(
            f"{files[other]}: {widths[other]} numbers a row, but {widths[0]} in {files[0].name}; wanted vectors of one "
            "encoder"
        )


def _check_uids(files: Sequence[Path], parts: Sequence[VectorRows]) -> None:
    """No uid stands in several files."""
    file_of: dict[str, Path] = {}
    twice: list[tuple[str, Path, Path]] = []
    for file, part in zip(files, parts, strict=True):
        twice += [(uid, file_of[uid], file) for uid in part.uids if uid in file_of]
        file_of |= dict.fromkeys(part.uids, file)
    if twice:
        uid, first, second = twice[0]
        raise EncoderError(
            f"{second}: uid {uid!r} stands in {first.name} too, and {len(twice):,} row(s) repeat one of another file; "
            "keep one row for each"
        )
