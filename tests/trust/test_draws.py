import numpy as np
import pytest
from scipy.stats import multivariate_hypergeom

from soft_labels.errors import DataError
from soft_labels.trust.draws import draw_annotators


def test_a_draw_takes_the_asked_number_and_no_annotator_twice() -> None:
    generator = np.random.default_rng(0)
    counts = generator.multinomial(9, [0.5, 0.3, 0.2], 2000).astype(float)
    number = generator.integers(0, 10, 2000)
    drawn = draw_annotators(counts, number, generator)
    assert (drawn.sum(1) == number).all()
    assert ((drawn >= 0) & (drawn <= counts)).all()


def test_draws_are_multivariate_hypergeometric() -> None:
    counts = np.array([5, 3, 0, 4])
    drawn = draw_annotators(np.tile(counts, (20_000, 1)).astype(float), 6, np.random.default_rng(0))
    expected = multivariate_hypergeom([5, 3, 4], 6)
    np.testing.assert_allclose(drawn[:, [0, 1, 3]].mean(0), expected.mean(), atol=0.03)
    np.testing.assert_allclose(np.cov(drawn[:, [0, 1, 3]].T), expected.cov(), atol=0.03)


@pytest.mark.parametrize(("counts", "said"), [([[2.0, 1.0]], "3 annotators, 4"), ([[4.5, 1.0]], "whole")])
def test_what_cannot_be_drawn_is_refused(counts: list[list[float]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        draw_annotators(np.array(counts), 4, np.random.default_rng(0))
