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
    """How an arm is drawn: a row of :data:`ARMS`, a name of :data:`MARKERS`, and dashes, empty where solid."""

    colour: int
    marker: str
    dashes: str


ANNOTATORS = Colour("#0072b2", "#56b4e9")
# The baseline, then the others in their order.
ARMS = (
    Colour("#009e73", "#1fb88c"),
    Colour("#d55e00", "#e69f00"),
    Colour("#332288", "#9b8cff"),
    Colour("#a6447a", "#ff9ecb"),
    Colour("#000000", "#ffffff"),
)
MARKERS = ("square", "circle", "triangle", "diamond", "cross", "wedge", "bar")
_DASHES = ("6 4", "", "2 3")


def look(place: int) -> Look:
    """How the arm at a place is drawn; a dozen and more differ in colour or marker.

    Args:
        place: 0 for the baseline.

    Example:
        >>> look(0), look(1).marker
        (Look(colour=0, marker='square', dashes='6 4'), 'circle')
    """
    return Look(place % len(ARMS), MARKERS[place % len(MARKERS)], _DASHES[place % len(_DASHES)])
