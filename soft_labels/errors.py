"""The errors a person can mend: each says what was wanted, what came, and what to do.

The command line prints such an error as one message and exits with its ``exit_code``: 2, as for a wrong option and for
a file that the system refuses, or another where nothing is wrong yet. Anything else is a bug and keeps its traceback.
"""


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


class RecordError(SoftLabelsError):
    """Records of runs are missing, damaged or of another version."""


class SweepError(SoftLabelsError):
    """A search space, a sampler or a study that cannot be used."""
