"""What is measured once for all models."""

import numpy as np
import pytest

from soft_labels.trust.yardsticks import yardsticks
from tests.trust.simulation import annotate, mixture


def test_mixtures_of_all_items_serve_every_split_of_them() -> None:
    generator = np.random.default_rng(0)
    counts = annotate(generator, mixture(generator, 120, 3), 9)
    first = yardsticks(counts[:40], val_counts=counts[40:80], train_counts=counts[80:])
    again = yardsticks(counts[:40], val_counts=counts[40:80], train_counts=counts[80:], mixtures=first.mixtures)
    assert again.floor_range == first.floor_range
    assert again.ceiling_range == first.ceiling_range
    other = yardsticks(counts[80:], val_counts=counts[40:80], train_counts=counts[:40], mixtures=first.mixtures)
    alone = yardsticks(counts[80:], val_counts=counts[40:80], train_counts=counts[:40])
    assert other.floor_range == pytest.approx(alone.floor_range, rel=1e-9)
