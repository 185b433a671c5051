"""What commands have in common that print a result: ``--json``, ``--out FILE``, and switches without a value."""

from collections.abc import Iterator, Sequence

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
