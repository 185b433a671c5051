"""Text of a file, whatever its encoding: UTF-8 where it lies, a UTF-8 copy of anything else."""

import codecs
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from soft_labels.errors import DataError

COMPRESSED = ".gz"
_BLOCK, _LOOK = 1 << 20, 4096
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_FALLBACKS = ("utf-8", "cp1252", "latin-1")


def open_bytes(path: Path) -> IO[bytes]:
    """A file's content, unpacked where its name ends in ``.gz``."""
    return gzip.open(path) if path.suffix.lower() == COMPRESSED else path.open("rb")  # type: ignore[return-value]


def suffix_of(path: Path) -> str:
    """What kind of file a name says it is, whether or not it is compressed.

    Example:
        >>> suffix_of(Path("labels.v2.CSV.gz"))
        '.csv'
    """
    name = path.with_suffix("") if path.suffix.lower() == COMPRESSED else path
    return name.suffix.lower()


_OTHER_KINDS = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet; unpack it, or save the sheet as .csv"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet; save the sheet as .csv"),
    (b"PAR1", "a Parquet file; give it the suffix .parquet"),
    (b"%PDF", "a PDF; export the table as .csv"),
    (b"version https://git-lfs", "a pointer of Git LFS, and not the file itself; fetch it with git lfs pull"),
    (b"<!doctype html", "a web page; download the file itself"),
    (b"<html", "a web page; download the file itself"),
    (b"__label__", "lines of fastText, which name no item; export CSV or JSON lines"),
)


def stem_of(path: Path) -> str:
    """A file's name without what says its kind; other dots belong to it, as in ``a.smith.csv.gz``.

    Example:
        >>> stem_of(Path("a.smith.csv.GZ")), stem_of(Path("train"))
        ('a.smith', 'train')
    """
    return (path.with_suffix("") if path.suffix.lower() == COMPRESSED else path).stem


def is_blank(path: Path) -> bool:
    """Whether a file holds blanks only, as tools write for a user without answers."""
    with suppress(EOFError, OSError), open_bytes(path) as file:
        start = file.read(_LOOK)
        return len(start) < _LOOK and not start.strip(b'\xef\xbb\xbf \t\r\n"')
    return False


def check_kind(path: Path) -> None:
    """Refuse a file that holds something else than its suffix says.

    Args:
        path: The file, compressed or not.

    Raises:
        DataError: It is no text.
    """
    with suppress(EOFError, OSError), open_bytes(path) as file:  # what cannot be unpacked is told by the next reader
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
        for mark, what in _OTHER_KINDS:
            if start.startswith(mark) or start.lower().startswith(mark):
                raise DataError(f"{path}: wanted text, got {what}")


def find_encoding(path: Path) -> str:
    """The encoding of a text file: by its mark, by its zero bytes, else the first that decodes all of it.

    Args:
        path: The file, compressed or not.

    Returns:
        A name that Python's codecs know. ``cp1252`` is a guess: any single-byte encoding would decode.

    Raises:
        DataError: A compressed file is damaged.
    """
    try:
        with open_bytes(path) as file:
            start = file.read(_LOOK)
    except (EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); write the file again") from error
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    if len(start) > 3 and start[1::2].count(0) > len(start) / 4:
        return "utf-16-le"
    if len(start) > 3 and start[::2].count(0) > len(start) / 4:
        return "utf-16-be"
    return next(encoding for encoding in _FALLBACKS if _decodes(path, encoding))


def check_encoding(path: Path, encoding: str) -> str:
    """The encoding that a person named, once all of a file is known to be text in it.

    Raises:
        DataError: It is not, or there is no such encoding.
    """
    try:
        good = _decodes(path, encoding)
    except LookupError as error:
        raise DataError(
            f"{path}: no encoding {encoding!r}; set encoding to one that Python knows, or leave it out"
        ) from error
    if not good:
        raise DataError(f"{path}: not text in {encoding}; set encoding to another, or leave it out")
    return encoding


def _decodes(path: Path, encoding: str) -> bool:
    """Whether all of a file is text in this encoding."""
    try:
        for _ in decoded(path, encoding):
            pass
    except UnicodeDecodeError:
        return False
    return True


def decoded(path: Path, encoding: str) -> Iterator[str]:
    """The text in pieces, so that a file larger than memory can be looked through."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with open_bytes(path) as file:
        while block := file.read(_BLOCK):
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[IO[str]]:
    """A text file with its line ends as they are."""
    with open_bytes(path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
        yield text


def copy_as_utf8(path: Path, encoding: str, folder: Path) -> Path:
    """Write the text of ``path``, which is in that encoding, as UTF-8 below ``folder``, line ends kept."""
    copy = folder / f"utf8-{path.name.removesuffix(COMPRESSED)}"
    with copy.open("w", encoding="utf-8", newline="") as file:
        file.writelines(decoded(path, encoding))
    return copy
