"""The errors a person can mend: each says what was wanted, what came, and what to do.

The command line prints such an error as one message and exits with its ``exit_code``: 2, as for a wrong option and for
a file that the system refuses, or another where nothing is wrong yet. Anything else is a bug and keeps its traceback.
"""

import difflib
import errno
from collections.abc import Iterable

_AGAIN = "run the same command again: what is finished is kept"
_NO_LOCKS = f"this file system knows no locks; choose a folder on another one and {_AGAIN}"
_NO_FOLDER = "a file stands where a folder must be; choose another place"
_NOT_YOURS = "check who may read and write there, or choose another place"
REMEDIES = {
    errno.ENOSPC: f"make room there, or choose a folder on another disk, and {_AGAIN}",
    errno.EDQUOT: f"your quota there is used up; delete something or choose another folder, and {_AGAIN}",
    errno.EFBIG: f"no file may be that large there; raise the limit (ulimit -f), and {_AGAIN}",
    errno.EIO: f"the disk, or the network to it, failed; see to it, and {_AGAIN}",
    errno.ESTALE: f"the network file system lost it; mount it anew, and {_AGAIN}",
    errno.EROFS: "nothing can be written there; choose another place",
    errno.EACCES: _NOT_YOURS,
    errno.EPERM: _NOT_YOURS,
    errno.EEXIST: _NO_FOLDER,
    errno.ENOTDIR: _NO_FOLDER,
    errno.ENAMETOOLONG: "choose a shorter name, or another place",
    errno.ENOLCK: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
    errno.ENOSYS: _NO_LOCKS,
}
"""What to do about what the system refuses, by its number."""


def in_words(error: OSError) -> str | None:
    """What the system refused, where and what to do; ``None`` if nothing says where and nothing can be done."""
    remedy = REMEDIES.get(error.errno or 0)
    if error.filename is None and remedy is None:
        return None
    what = f"{error.filename or 'a file that a library wrote'}: {error.strerror}"
    return f"{what}; {remedy}" if remedy else what


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, if any is near.

    Example:
        >>> did_you_mean("sotf", ["soft", "hard"])
        '; did you mean soft?'
        >>> did_you_mean("other", ["soft", "hard"])
        ''
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


class SoftLabelsError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 2


class DataError(SoftLabelsError):
    """Annotations, inputs or splits are missing or malformed."""


class DownloadError(SoftLabelsError):
    """A data file could not be fetched or is not the pinned one."""


class EncoderError(SoftLabelsError):
    """An encoder cannot be loaded, cannot read an input, or gave a wrong answer."""


class StoreError(SoftLabelsError):
    """An embedding store is damaged, incomplete or belongs to another encoder."""


class ConfigError(SoftLabelsError):
    """Settings that do not fit together, or a checkpoint that does not fit the settings."""


class TrainingError(SoftLabelsError):
    """A head's training broke down."""


class RecordError(SoftLabelsError):
    """Records of runs are missing, damaged or of another version."""


class SweepError(SoftLabelsError):
    """A search space, a sampler or a study that cannot be used."""
