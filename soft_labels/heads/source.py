"""Where an exported head lies: in a folder, or on the Hugging Face Hub."""

import re
from pathlib import Path

from soft_labels.errors import ConfigError

_ON_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def folder_of(source: Path | str) -> Path | None:
    """The folder that a head is to be read from; ``None`` for a name on the Hub.

    Args:
        source: The folder, or ``ORGANISATION/NAME`` on the Hub.

    Raises:
        ConfigError: It is neither.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if not _ON_HUB.fullmatch(str(source)):
        raise ConfigError(f"wanted the folder of a head, or ORGANISATION/NAME on the Hub, got {str(source)!r}")
    return None
