"""Blended digits: a simulated data set that needs no download and whose true distributions are known."""

import numpy as np
import torch
from numpy.typing import NDArray

from soft_labels.annotations.base import AnnotatedData
from soft_labels.errors import DataError

CLASSES = 10
PLAIN_EVERY = 4
POOLS = 40
LAPSE_RATE = 0.05
SIDE = 64
_INK = 16.0  # the darkest value in scikit-learn's digits


def make_blended_digits(items: int = 3000, seed: int = 0, annotators: tuple[int, int] = (5, 50)) -> AnnotatedData:
    """Blend pairs of handwritten digits and simulate annotators who disagree accordingly.

    A quarter of the items show one digit (``w = 1``); the others are ``w`` times a digit of class ``a`` plus
    ``1 - w`` times a digit of another class ``b``, with ``w`` uniform from 0.5 to 1. Each annotator of an item picks
    ``a`` with probability ``w`` and ``b`` with ``1 - w``, or, with probability 0.05, any of the ten classes at random:

        true_dist = 0.95 * (w * onehot(a) + (1 - w) * onehot(b)) + 0.05 / 10

    The 1,797 handwritten digits are dealt into 40 pools and blended within their pool only. A pool is a group, so a
    split by group never shows a digit of the training part again in another part.

    Args:
        items: Number of items, N.
        seed: Of everything drawn.
        annotators: Fewest and most annotators of an item; the number is drawn uniformly.

    Returns:
        Images ``uint8`` ``[64, 64, 3]`` with counts, groups and ``true_dist``.

    Raises:
        DataError: Fewer items than pools, or ``annotators`` is no range of positive numbers.

    Source:
        The images are the "Optical recognition of handwritten digits" test set (Alpaydin and Kaynak, 1998), as
        scikit-learn ships it.
    """
    from sklearn.datasets import load_digits

    fewest, most = annotators
    if items < POOLS:
        raise DataError(f"wanted at least {POOLS} blended digits, one a pool, got {items}")
    if not 1 <= fewest <= most:
        raise DataError(f"wanted annotators as (fewest, most) with 1 <= fewest <= most, got {annotators}")
    digits = load_digits()
    generator = np.random.default_rng(seed)
    pool = np.arange(items) % POOLS
    first, second, weight = _draw_pairs(digits.target, pool, generator)
    pixels = weight[:, None, None] * digits.images[first] + (1 - weight)[:, None, None] * digits.images[second]
    true_dist = _true_distribution(digits.target[first], digits.target[second], weight)
    sizes = generator.integers(fewest, most, size=items, endpoint=True)
    return AnnotatedData(
        name="blended-digits",
        uids=tuple(f"digits-{index:05d}" for index in range(items)),
        inputs=[_enlarge(image) for image in pixels],
        label_counts=torch.from_numpy(generator.multinomial(sizes, true_dist).astype(np.float64)),
        class_names=tuple(str(digit) for digit in range(CLASSES)),
        modality="image",
        groups=tuple(f"pool-{number:02d}" for number in pool),
        true_dist=torch.from_numpy(true_dist),
    )


def _draw_pairs(
    target: NDArray[np.int64], pool: NDArray[np.int64], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Indices of each item's two digits, both of its pool (a plain item repeats its one), and the first's weight."""
    pools = np.array_split(generator.permutation(len(target)), POOLS)
    weight = np.where(np.arange(len(pool)) // POOLS % PLAIN_EVERY == 0, 1.0, generator.uniform(0.5, 1.0, len(pool)))
    first = np.array([generator.choice(pools[number]) for number in pool])
    second = first.copy()
    for item in np.flatnonzero(weight < 1):
        others = pools[pool[item]]
        second[item] = generator.choice(others[target[others] != target[first[item]]])
    return first, second, weight


def _true_distribution(
    first: NDArray[np.int64], second: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The probability of each class for one annotator, ``[N, 10]``."""
    onehot = np.eye(CLASSES)
    seen = weight[:, None] * onehot[first] + (1 - weight)[:, None] * onehot[second]
    return (1 - LAPSE_RATE) * seen + LAPSE_RATE / CLASSES


def _enlarge(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """White ink on black, 8 by 8 pixels made ``SIDE`` by ``SIDE``, three equal channels."""
    from PIL import Image

    small = Image.fromarray(np.rint(image * (255 / _INK)).astype(np.uint8))
    large = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return np.repeat(large[:, :, None], 3, axis=2)
