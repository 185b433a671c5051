"""Colours and markers of everything that is drawn, so that a thing looks the same in every figure.

Source of the first three colours: Okabe and Ito (2008), told apart by every kind of colour vision; the further ones
were chosen to keep that property, on white and on dark ground.
"""

from typing import NamedTuple


class Colour(NamedTuple):
    """One colour, for light and for dark ground, as ``#rrggbb``."""

    light: str
    dark: str


class Look(NamedTuple):
    """How an arm is drawn: its colour, a marker and a line style of matplotlib."""

    colour: Colour
    marker: str
    line: tuple[int, tuple[int, ...]]


ANNOTATORS = Colour("#0072b2", "#56b4e9")
# The baseline, then the others in their order.
ARMS = (
    Colour("#009e73", "#1fb88c"),
    Colour("#d55e00", "#e69f00"),
    Colour("#332288", "#9b8cff"),
    Colour("#a6447a", "#ff9ecb"),
    Colour("#0b0b0b", "#fefefe"),
)
GROUND = Colour("#ffffff", "#15181b")
INK = Colour("#1a1a1a", "#e9e9e7")
MUTED = Colour("#555555", "#adb2b8")
RULE = Colour("#d4d4d4", "#3d434a")
TINT = Colour("#f3f5f7", "#1f2429")
# Every colour that a figure or a page may use.
NAMED = {
    "ground": GROUND,
    "ink": INK,
    "muted": MUTED,
    "rule": RULE,
    "tint": TINT,
    "annotators": ANNOTATORS,
    **{f"arm{place}": colour for place, colour in enumerate(ARMS)},
}
MARKERS = ("s", "o", "^", "D", "P", "v", "X")
_LINES: tuple[tuple[int, tuple[int, ...]], ...] = ((0, (5, 2)), (0, ()), (0, (1, 1)))


def look(place: int) -> Look:
    """How the arm at a place is drawn; a dozen and more differ in colour or marker.

    Args:
        place: 0 for the baseline.

    Example:
        >>> look(0).marker, look(1).marker, look(5).colour == look(0).colour
        ('s', 'o', True)
    """
    return Look(ARMS[place % len(ARMS)], MARKERS[place % len(MARKERS)], _LINES[place % len(_LINES)])


def shortened(name: str, letters: int) -> str:
    """A name that fits beside what is drawn.

    Args:
        name: As people gave it.
        letters: The most that it may have.

    Example:
        >>> shortened("label smoothing", 8)
        'label s…'
    """
    return name if len(name) <= letters else f"{name[: letters - 1]}…"
