"""What is drawn can be told apart by every kind of colour vision, on both grounds."""

from itertools import combinations

import numpy as np
import pytest

from soft_labels.palette import ANNOTATORS, ARMS, GROUND, INK, MUTED, NAMED, TINT, look, shortened

GROUNDS = GROUND._asdict()
# Linear RGB as it is seen; Machado, Oliveira and Fernandes (2009), severity 1.
VISIONS = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB, in which a step of about 2 can just be seen."""
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.95047, 1, 1.08883])
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def contrast(one: str, other: str) -> float:
    dark, light = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_colours_can_be_told_apart(ground: str, vision: str) -> None:
    colours = [getattr(colour, ground) for colour in (ANNOTATORS, *ARMS)]
    seen = [lab(VISIONS[vision] @ linear(colour)) for colour in colours]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)) >= 10


@pytest.mark.parametrize("ground", GROUNDS)
def test_colours_stand_out_from_their_ground(ground: str) -> None:
    """Three to one is what WCAG 2.2 asks of graphics."""
    assert min(contrast(getattr(colour, ground), GROUNDS[ground]) for colour in (ANNOTATORS, *ARMS)) >= 3


def test_the_baseline_and_a_dozen_others_differ_in_colour_or_marker() -> None:
    looks = [look(place) for place in range(13)]
    assert len({(one.colour, one.marker) for one in looks}) == 13


@pytest.mark.parametrize("ground", GROUNDS)
def test_letters_can_be_read(ground: str) -> None:
    """4.5 to one is what WCAG 2.2 asks of text."""
    grounds = [getattr(colour, ground) for colour in (GROUND, TINT)]
    assert min(contrast(getattr(colour, ground), one) for colour in (INK, MUTED) for one in grounds) >= 4.5


def test_a_colour_on_light_ground_says_which_it_is() -> None:
    assert len({colour.light for colour in NAMED.values()}) == len(NAMED)
    assert "#000000" not in {colour.light for colour in NAMED.values()}  # matplotlib leaves it out of an SVG file


def test_a_name_that_is_too_long_ends_in_dots() -> None:
    assert [shortened(name, 4) for name in ("soft", "softer")] == ["soft", "sof…"]
