import numpy as np
import polars as pl
import pytest

from soft_labels.trust.reliability import reliability
from tests.trust.simulation import Floats, annotate, dirichlet, fuzzed


@pytest.fixture
def case() -> tuple[Floats, Floats]:
    generator = np.random.default_rng(0)
    truth = dirichlet(generator, 3000, 3)
    return annotate(generator, truth, 6), fuzzed(generator, truth, 5)


def test_bins_are_those_of_polars(case: tuple[Floats, Floats]) -> None:
    counts, predictions = case
    table = pl.DataFrame({"q": predictions.ravel(), "p": (counts / 6).ravel()})
    expected = table.group_by((pl.col("q") * 10).floor().alias("bin")).agg(
        pl.col("q").mean(), pl.col("p").mean(), (pl.col("p") - pl.col("q")).std().alias("sd"), pl.len()
    )
    expected = expected.sort("bin")
    predicted, observed, spread, pairs = (expected[name].to_numpy() for name in ("q", "p", "sd", "len"))
    found = reliability(counts, predictions)
    np.testing.assert_allclose(found.predicted, predicted)
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.standard_error, spread / np.sqrt(pairs))
    assert found.error == pytest.approx((pairs * np.abs(observed - predicted)).sum() / pairs.sum())


def test_few_annotators_add_no_bias() -> None:
    generator = np.random.default_rng(1)
    truth = dirichlet(generator, 30_000, 3)
    found = reliability(annotate(generator, truth, 2), truth)
    assert (np.abs(found.observed - found.predicted) < 4 * found.standard_error).all()


def test_certainty_falls_in_the_last_bin_and_empty_bins_are_left_out() -> None:
    found = reliability(np.array([[3, 1]]), np.array([[1.0, 0.0]]))
    assert found.pairs.tolist() == [1, 1]
    assert found.observed.tolist() == [0.25, 0.75]
    assert np.isnan(found.standard_error).all()
