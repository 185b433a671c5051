"""Some of an item's annotators, drawn without replacement."""

import numpy as np
from numpy.typing import NDArray

from soft_labels.errors import DataError
from soft_labels.trust.inputs import Floats, need_whole


def draw_annotators(counts: Floats, annotators: int | NDArray[np.int64], generator: np.random.Generator) -> Floats:
    """Draw annotators of every item without replacement.

    Args:
        counts: ``[N, C]`` whole numbers.
        annotators: How many to draw of each item, one number or ``[N]``.
        generator: Of the draws.

    Returns:
        ``[N, C]`` counts of the drawn; ``counts`` less these are those of the annotators left over.

    Raises:
        DataError: Counts are not whole, or an item has fewer annotators than are to be drawn.

    Source:
        A multivariate hypergeometric draw, class after class.
    """
    need_whole(counts, "a draw of annotators")
    whole = counts.astype(np.int64)
    rest, left = whole.sum(1), np.broadcast_to(annotators, len(whole)).astype(np.int64)
    if (left > rest).any():
        row = int((left > rest).argmax())
        raise DataError(f"row {row} has {rest[row]} annotators, {left[row]} cannot be drawn; draw fewer")
    drawn = np.zeros_like(whole)
    for column in range(whole.shape[1]):
        rest = rest - whole[:, column]
        drawn[:, column] = generator.hypergeometric(whole[:, column], rest, left)
        left = left - drawn[:, column]
    return drawn.astype(np.float64)
