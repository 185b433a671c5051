"""Numbers as readers see them."""

import math
from collections.abc import Sequence

NOT_DEFINED = "–"  # noqa: RUF001
_MINUS = "−"  # noqa: RUF001


def number(value: float, digits: int = 3, signed: bool = False) -> str:
    """A number with a fixed count of decimals.

    Example:
        >>> number(0.12345), number(0.5, 1, signed=True), number(-0.01, 1, signed=True)
        ('0.123', '+0.5', '0.0')
    """
    if not math.isfinite(value):
        return NOT_DEFINED
    kept = round(value, digits) + 0.0  # no negative zero
    return f"{kept:{'+' if signed and kept else ''}.{digits}f}".replace("-", _MINUS)


def spread(mean: float, sd: float, digits: int = 3) -> str:
    """Mean and standard deviation; one value has no spread."""
    return number(mean, digits) if not math.isfinite(sd) else f"{number(mean, digits)} ± {number(sd, digits)}"


def percent(share: float) -> str:
    """A relative change.

    Example:
        >>> percent(0.1234)
        '+12.3%'
    """
    return f"{number(100 * share, 1, signed=True)}%" if math.isfinite(share) else NOT_DEFINED


def p_value(value: float) -> str:
    """A p-value as the paper prints it.

    Example:
        >>> p_value(0.5531), p_value(0.000016)
        ('0.553', '1.6e-05')
    """
    if not math.isfinite(value):
        return NOT_DEFINED
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def count(value: int, thing: str) -> str:
    """A count and what is counted.

    Example:
        >>> count(1, "seed"), count(1200, "item")
        ('1 seed', '1,200 items')
    """
    return f"{value:,} {thing}{'' if value == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
