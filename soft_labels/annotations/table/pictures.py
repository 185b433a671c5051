"""Pictures that lie in the cells of a table: their bytes, written as a ``data:`` address where a path could stand."""

import base64
import binascii
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from soft_labels.annotations.table.names import identifier
from soft_labels.errors import DataError

_ADDRESS = "data:image;base64,"
_WRITTEN = re.compile(r"data:[\w/;=.+*-]*;base64,")
_CELL = re.compile(r'STRUCT\((bytes BLOB|bytes BLOB, "?path"? VARCHAR|"?path"? VARCHAR, bytes BLOB)\)')
_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")


def expression_of(name: str, kind: str, first: bytes | None) -> str | None:
    """A column of pictures as SQL that gives addresses, or paths where a cell has only that.

    Args:
        name: The column's name.
        kind: Its type in DuckDB: a structure of bytes and path, as Hugging Face ``datasets`` writes them, or bytes.
        first: Of a column of bytes the first that there are.

    Returns:
        ``None`` where the column holds something else.

    Example:
        >>> expression_of("text", "VARCHAR", None) is None
        True
    """
    column = identifier(name)
    if kind == "BLOB" and first is not None and first.startswith(_STARTS):
        return f"'{_ADDRESS}' || to_base64({column})"
    if not _CELL.fullmatch(kind):
        return None
    path = f"{column}.path" if "path" in kind else "NULL"
    return f"CASE WHEN {column}.bytes IS NOT NULL THEN '{_ADDRESS}' || to_base64({column}.bytes) ELSE {path} END"


def is_address(text: str) -> bool:
    """Whether a cell holds a picture itself.

    Example:
        >>> is_address("data:image/png;base64,iVBORw0KGgo="), is_address("photos/1.png")
        (True, False)
    """
    return _WRITTEN.match(text.strip()) is not None


def images_of(path: Path, cells: Sequence[str]) -> list[Path | bytes]:
    """The pictures that cells stand for: files, there or not, or the content of a file.

    Args:
        path: The table, for paths that are relative to its folder.
        cells: A path or an address each.

    Raises:
        DataError: An address is no base64.
    """
    folder = path if path.is_dir() else path.parent
    return [_content(path, cell.strip()) if is_address(cell) else folder / cell.strip() for cell in cells]


def check_images(path: Path, uids: Sequence[str], images: Sequence[Path | bytes]) -> None:
    """Every picture is there, and what lies in cells begins as a picture does; none is decoded.

    Raises:
        DataError: Files are missing, or cells hold something else.
    """
    missing = [image for image in images if isinstance(image, Path) and not image.is_file()]
    if missing:
        web = re.search(r"https?:/.*", str(missing[0]))
        raise DataError(
            f"{path}: {len(missing)} of {len(images)} images are addresses of the web ({web[0]}), which are not "
            "fetched; save the pictures and name their files"
            if web
            else f"{path}: {len(missing)} of {len(images)} images are not there, the first is {missing[0]}; "
            "image paths are relative to the table's folder; name that of the pictures as a second FILE of data init, "
            "or as items_path"
        )
    bad = [row for row, image in enumerate(images) if isinstance(image, bytes) and not _is_picture(image)]
    if bad:
        raise DataError(
            f"{path}: {len(bad):,} of {len(images):,} cells of pictures hold none, the first is that of item "
            f"{uids[bad[0]]!r} ({len(images[bad[0]]):,} bytes); correct them, or leave the rows out with where"  # type: ignore[arg-type]
        )


def _content(path: Path, address: str) -> bytes:
    """The bytes of an address."""
    try:
        return base64.b64decode("".join(address.partition(",")[2].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(
            f"{path}: a picture in a cell is no base64 ({error}): {address[:40]!r}; write the table again"
        ) from error


def _is_picture(content: bytes) -> bool:
    """Whether bytes have the header of a picture."""
    try:
        with Image.open(BytesIO(content)):
            return True
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
