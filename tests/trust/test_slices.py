import numpy as np
import polars as pl
import pytest
import torch

from soft_labels.errors import DataError
from soft_labels.metrics import METRICS, Judged
from soft_labels.metrics.table import defined_for
from soft_labels.trust.decomposition import decompose
from soft_labels.trust.slices import annotator_numbers, by_slice, column_names, entropy_bins, majority_classes
from tests.trust.simulation import Floats, annotate, dirichlet, fuzzed


@pytest.fixture
def case() -> tuple[Floats, Floats]:
    generator = np.random.default_rng(0)
    truth = dirichlet(generator, 300, 3)
    return annotate(generator, truth, 6), fuzzed(generator, truth, 5)


def test_every_metric_of_a_slice_is_that_of_its_items_alone(case: tuple[Floats, Floats]) -> None:
    counts, predictions = case
    names = ["b", "a", "b"] * 100
    found = by_slice(counts, predictions, names, ordinal=True)
    assert [(part.name, part.items) for part in found] == [("b", 200), ("a", 100)]
    for part in found:
        rows = [row for row, name in enumerate(names) if name == part.name]
        dist = torch.from_numpy(counts[rows] / 6)
        judged = Judged(torch.from_numpy(np.log(predictions[rows])), dist, torch.from_numpy(counts[rows].argmax(1)))
        for name in defined_for(ordinal=True, true_dist=False):
            assert part.values[name].value == pytest.approx(float(METRICS[name].value(judged))), name
            assert part.values[name].low < part.values[name].value < part.values[name].high
        parts = part.values["overconfidence"].value + part.values["vagueness"].value
        assert part.values["kl"].value == pytest.approx(parts)


def test_slices_of_several_seeds_are_means_of_polars(case: tuple[Floats, Floats]) -> None:
    counts, predictions = case
    names = ["b", "a", "b"] * 100
    seeds = np.stack([predictions, np.roll(predictions, 1, axis=1)])
    kl = decompose(counts, seeds).kl.mean(0)
    expected = pl.DataFrame({"name": names, "kl": kl}).group_by("name", maintain_order=True).agg(pl.col("kl").mean())
    found = by_slice(counts, seeds, names)
    assert [part.values["kl"].value for part in found] == pytest.approx(expected["kl"].to_list())


@pytest.mark.slow
def test_intervals_hold_the_slices_truth_at_their_rate() -> None:
    """The mean of 40 items is in the interval of 95 of 100 draws of them."""
    generator = np.random.default_rng(3)
    truth = dirichlet(generator, 6_000, 3)
    counts, predictions = annotate(generator, truth, 6), fuzzed(generator, truth, 5)
    names = [str(row % 150) for row in range(6_000)]
    found = by_slice(counts, predictions, names)
    mean = decompose(counts, predictions).kl.mean()
    covered = np.mean([part.values["kl"].low <= mean <= part.values["kl"].high for part in found])
    assert 0.88 < covered < 0.98


def test_the_given_majority_decides_what_is_right() -> None:
    counts, predictions = np.array([[2, 2], [2, 2]]), np.array([[0.9, 0.1], [0.2, 0.8]])
    lowest, highest = (
        by_slice(counts, predictions, ["x", "x"], majority=majority)[0].values["accuracy"].value
        for majority in (None, np.array([1, 0]))
    )
    assert (lowest, highest) == (0.5, 0)


def test_a_slice_of_one_item_has_values_without_ends(case: tuple[Floats, Floats]) -> None:
    (only,) = by_slice(case[0][:1], case[1][:1], ["x"])
    assert only.items == 1
    assert np.isfinite(only.values["kl"].value)
    assert np.isnan([only.values["kl"].low, only.values["entropy_corr"].value]).all()


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
    assert majority_classes(counts, ["no", "yes"], np.array([1, 1])) == ["yes", "yes"]
    many = np.stack([np.arange(40), np.ones(40)], axis=1)
    assert annotator_numbers(many)[0] == "1 to 10.75"


def test_columns_of_many_numbers_are_bins_and_others_are_what_they_say() -> None:
    assert column_names(["b", None, "a"]) == ["b", "not known", "a"]
    assert column_names(["1", "2", "1"]) == ["1", "2", "1"]
    numbers = column_names([*(str(number) for number in range(100)), None])
    assert (numbers[0], numbers[99], numbers[100]) == ("0 to 24.75", "74.25 to 99", "not known")
    words = [f"word {number}" for number in range(20)]
    assert column_names(words) == words


def test_each_item_needs_a_name(case: tuple[Floats, Floats]) -> None:
    with pytest.raises(DataError, match="300 items but 2 names"):
        by_slice(*case, ["a", "b"])
