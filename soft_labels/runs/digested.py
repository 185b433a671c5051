"""JSON files that carry a digest of their content, so that what was changed by hand is never read as a result."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from soft_labels.files import write_text
from soft_labels.runs.record import rounded


def plain(value: Any) -> Any:
    """Any nesting of dicts, lists and tuples as JSON has it: numbers :func:`~soft_labels.runs.record.rounded`."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return rounded(value) if isinstance(value, float) else value


def known(value: Any) -> Any:
    """What :func:`plain` made, back: lists are tuples, and what is missing is nan."""
    if isinstance(value, dict):
        return {key: known(part) for key, part in value.items()}
    if isinstance(value, list):
        return tuple(known(part) for part in value)
    return math.nan if value is None else value


def with_digest(values: dict[str, Any]) -> dict[str, Any]:
    """Values that JSON has, and ``digest``: 16 hex digits of them."""
    return {**values, "digest": _digest(values)}


def write_digested(path: Path, values: dict[str, Any]) -> None:
    """Write values that JSON has, with their digest, whole."""
    write_text(path, json.dumps(with_digest(values), indent=1, allow_nan=False) + "\n")


def read_digested(path: Path) -> dict[str, Any]:
    """The values of a file of :func:`write_digested`, without their digest.

    Raises:
        ValueError: It is no JSON object, or its content is not what the digest was made of.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict) or values.pop("digest", None) != _digest(values):
        raise ValueError("the digest does not fit")
    return values


def _digest(values: dict[str, Any]) -> str:
    """16 hex digits."""
    return hashlib.sha256(json.dumps(values, allow_nan=False).encode()).hexdigest()[:16]
