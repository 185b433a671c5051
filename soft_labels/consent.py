"""Whose code a file may name: this package's, and that of packages which the user's environment names."""

import os

from soft_labels.errors import ConfigError

TRUST = "SOFT_LABELS_TRUST"


def trusted_packages() -> list[str]:
    """The packages that the environment variable ``SOFT_LABELS_TRUST`` names.

    Raises:
        ConfigError: It holds what names no package.
    """
    names = [name.strip() for name in os.environ.get(TRUST, "").split(",") if name.strip()]
    if wrong := [name for name in names if not name.isidentifier()]:
        raise ConfigError(f"{TRUST} wants names of packages with commas between them, got {wrong[0]!r}")
    return names
