"""What commands have in common that print a result: ``--json``, ``--out FILE``, and switches without a value."""

from collections.abc import Iterator, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soft_labels.files import write_text

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

SWITCHES = ("--json", "--yes", "--events")
_VALUES = ("true", "false", "yes", "no")


def switched(arguments: Sequence[str]) -> list[str]:
    """Arguments in which switches have a value, as the parser wants it.

    Args:
        arguments: As they were typed.

    Example:
        >>> switched(["--json", "--seeds", "2"]), switched(["--json", "false"])
        (['--json=true', '--seeds', '2'], ['--json', 'false'])
    """
    return list(_switched(arguments))


def _switched(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments one by one."""
    for argument, following in zip(arguments, (*arguments[1:], ""), strict=True):
        given = following.lower() in _VALUES
        yield f"{argument}=true" if argument in SWITCHES and not given else argument


def json_text(values: Any) -> str:
    """A result as JSON: what is not finite must be ``null`` already.

    Args:
        values: Plain values.

    Example:
        >>> print(json_text({"kl": 0.5}))
        {
         "kl": 0.5
        }
    """
    return dumps(values, ensure_ascii=False, allow_nan=False, indent=1)


def add_output(parser: "ArgumentParser") -> None:
    """Add ``--json`` and ``--out``.

    Args:
        parser: Of the command.
    """
    parser.add_argument("--json", type=bool, default=False, help="print the result as one JSON object alone")
    parser.add_argument("--out", type=Path | None, default=None, help="file that keeps the result as JSON")


def tell(values: Any, printed: bool, out: Path | None) -> None:
    """Print a result, keep it, or both.

    Args:
        values: Plain values.
        printed: Whether ``--json`` was given.
        out: The file, if any; an older one is replaced.
    """
    if out is not None:
        write_text(out, f"{json_text(values)}\n")
    if printed:
        print(json_text(values))  # noqa: T201
