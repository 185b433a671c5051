import numpy as np
import polars as pl
import pytest

from soft_labels.errors import DataError
from soft_labels.trust.decomposition import decompose
from soft_labels.trust.reliability import (
    annotator_numbers,
    by_slice,
    entropy_bins,
    majority_classes,
    reliability,
)
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


def test_slices_are_means_over_their_items(case: tuple[Floats, Floats]) -> None:
    counts, predictions = case
    names = ["b", "a", "b"] * 1000
    parts = decompose(counts, predictions)
    table = pl.DataFrame({"name": names, "kl": parts.kl, "h": parts.label_entropy, "g": parts.pred_entropy})
    expected = table.group_by("name", maintain_order=True).agg(
        pl.col("kl").mean(), pl.corr("h", "g").alias("corr"), pl.len()
    )
    found = by_slice(counts, predictions, names)
    assert [part.name for part in found] == ["b", "a"]
    assert [part.items for part in found] == expected["len"].to_list()
    assert [part.kl for part in found] == pytest.approx(expected["kl"].to_list())
    assert [part.entropy_corr for part in found] == pytest.approx(expected["corr"].to_list())
    assert found[0].kl == pytest.approx(found[0].overconfidence + found[0].vagueness)


def test_a_slice_of_one_item_has_no_correlation(case: tuple[Floats, Floats]) -> None:
    only = by_slice(case[0][:1], case[1][:1], ["x"])[0]
    assert only.items == 1
    assert np.isnan(only.entropy_corr)


def test_entropy_bins_hold_equal_numbers_and_every_item() -> None:
    generator = np.random.default_rng(2)
    counts = annotate(generator, dirichlet(generator, 1000, 4), 90)
    names = entropy_bins(counts, 4)
    assert {names.count(name) for name in names} <= {249, 250, 251}
    assert entropy_bins(np.array([[2, 2], [1, 1]])) == ["0.69", "0.69"]


def test_numbers_and_majorities_have_names() -> None:
    counts = np.array([[2, 2], [0, 3]])
    assert annotator_numbers(counts) == ["4", "3"]
    assert majority_classes(counts, ["no", "yes"]) == ["no", "yes"]


def test_each_item_needs_a_name(case: tuple[Floats, Floats]) -> None:
    with pytest.raises(DataError, match="3000 items but 2 names"):
        by_slice(*case, ["a", "b"])
