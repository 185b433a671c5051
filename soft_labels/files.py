"""Files appear whole or not at all, and survive a power cut; locks say where they do not work."""

import errno
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

PARTIAL_PREFIX = ".partial-"
_PARTIAL = re.compile(rf"{re.escape(PARTIAL_PREFIX)}(.*)\.(\d+)-[0-9a-f]{{12}}-.*", re.DOTALL)
_OF_RUST = re.compile(r"\(os error (\d+)\)")  # how libraries in Rust end what the system told them
_WRITTEN_IN_PART = re.compile(r"requested and \d+ written")  # how NumPy reports a full disk
_NO_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)  # of file systems that cannot flush a folder


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the place of ``path`` when the block ends without an error.

    It is on the disk before it does, so that a power cut leaves the old file or the new one. The name keeps the suffix
    of ``path``, since some writers choose the format by it. The file has the mode of any new file of this user,
    whatever a library thinks of it. What a killed process of this machine left half-written in the folder is removed.

    Raises:
        OSError: The system refused it; its ``filename`` is ``path``, whoever wrote.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_beside(path)
    try:
        with naming(path, partial):
            partial.touch(exist_ok=False)
            mode = partial.stat().st_mode
            yield partial
            partial.chmod(mode)
            _flush(partial)
            partial.replace(path)
            _flush_folder(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` to fill; it takes the place of ``path`` when the block ends without an error.

    Args:
        path: Nothing is there, or an empty folder.

    Raises:
        OSError: The system refused it; its ``filename`` is ``path``.
    """
    partial = partial_beside(path)
    try:
        with naming(path):
            partial.mkdir(parents=True)
        with naming(path, partial):
            yield partial
            for file in partial.iterdir():
                _flush(file)
            _flush_folder(partial)
            partial.replace(path)
            _flush_folder(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def partial_beside(path: Path) -> Path:
    """A name of its own for what is written before it takes the place of ``path``.

    What killed processes of this machine left under such names in the same folder is removed.

    Args:
        path: A file or a folder.
    """
    _remove_leftovers(path.parent)
    return path.with_name(f"{PARTIAL_PREFIX}{platform.node()}.{os.getpid()}-{secrets.token_hex(6)}-{path.name}")


@cache
def _remove_leftovers(folder: Path) -> None:
    """Remove what killed processes of this machine left half-written in a folder, once a process."""
    for path in folder.glob(f"{PARTIAL_PREFIX}*"):
        if is_leftover(path):
            with suppress(OSError):  # another process was faster
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_leftover(path: Path) -> bool:
    """Whether a process of this machine that is no more left a file or a folder half-written.

    Args:
        path: Of any name; only those of :func:`partial_beside` can be leftovers.
    """
    written_by = _PARTIAL.fullmatch(path.name)
    return written_by is not None and written_by[1] == platform.node() and not lives(int(written_by[2]))


def lives(process: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def naming(path: Path, partial: Path | None = None) -> Iterator[None]:
    """What the system refuses in the block is said of ``path``: an error of ``write`` itself names no file.

    Args:
        path: What the block writes or locks.
        partial: The name under which it does, which nobody else knows.

    Raises:
        OSError: With ``path`` as its ``filename``, also where a library reported it as another error.
    """
    try:
        yield
    except Exception as error:
        refused = _refused(error)
        if refused is None or refused.filename not in {None, str(path), str(partial)}:
            raise
        raise OSError(refused.errno, refused.strerror, str(path)) from error


def _refused(error: BaseException | None) -> OSError | None:
    """The system's refusal behind an error, if there is one; torch and Lightning raise others over it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    if told := _OF_RUST.search(str(error)):
        return OSError(int(told[1]), os.strerror(int(told[1])))
    if isinstance(error, OSError) and _WRITTEN_IN_PART.search(str(error)):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return _refused(error.__context__) if isinstance(error, RuntimeError | ValueError) else None


def _flush(path: Path) -> None:
    """Have the system write a file to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Have the system write a folder's names to the disk, where it can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(handle)


class NamedLock(FileLock):
    """A lock between processes, free again when its holder was killed; where it does not work, it says so.

    Raises:
        OSError: The system refused it; its ``filename`` is that of the lock.
    """

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        """Wait for the lock."""
        with naming(Path(self.lock_file)):
            return super().acquire(*args, **kwargs)
