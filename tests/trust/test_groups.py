import numpy as np
import pytest

from soft_labels.errors import DataError
from soft_labels.trust.decomposition import decompose
from soft_labels.trust.groups import LEAST_ITEMS, AnnotatorGroup, agreement, annotator_groups
from tests.trust.simulation import Floats, dirichlet, fuzzed


def entropies(dist: Floats) -> Floats:
    found: Floats = -np.where(dist > 0, dist * np.log(np.where(dist > 0, dist, 1)), 0).sum(-1)
    return found


def divergence(dist: Floats, pred: Floats) -> float:
    return float((-entropies(dist) - (dist * np.log(pred)).sum(-1)).mean())


def squared(dist: Floats, pred: Floats) -> float:
    return float(((dist - pred) ** 2).sum(-1).mean())


def two_groups(generator: np.random.Generator, items: int, classes: int = 3) -> dict[str, Floats]:
    """True distributions of two groups, of which the second prefers the last class."""
    one = 0.95 * dirichlet(generator, items, classes) + 0.05 / classes
    tilted = one * np.linspace(0.4, 2.5, classes)
    return {"one": one, "two": tilted / tilted.sum(1, keepdims=True)}


def annotated(generator: np.random.Generator, truth: dict[str, Floats], least: int, most: int) -> dict[str, Floats]:
    """From ``least`` to ``most`` annotations of each group an item."""
    return {
        name: generator.multinomial(generator.integers(least, most + 1, len(dist)), dist).astype(float)
        for name, dist in truth.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(("least", "most"), [(2, 6), (0, 3)])
def test_the_groups_differ_as_their_true_distributions_do(least: int, most: int) -> None:
    """A model of all annotators, three parts of one group and one of the other, is nearer to the first."""
    for seed in range(2):
        generator = np.random.default_rng(seed)
        truth = two_groups(generator, 2_000)
        model = fuzzed(generator, 0.75 * truth["one"] + 0.25 * truth["two"], 200)
        counts = annotated(generator, truth, least, most)
        found = {group.name: (group, agreement(group, model)) for group in annotator_groups(counts)}
        for name, (group, values) in found.items():
            rows = group.rows
            above = values["kl"].value - group.floor.value
            assert abs(above - divergence(truth[name][rows], model[rows])) < 0.15 * group.floor.value, (name, above)
            other = truth["two" if name == "one" else "one"]
            wanted = squared(truth[name], model), squared(truth[name], model) - squared(other, model)
            for key, value in zip(("distance", "beside_others"), wanted, strict=True):
                assert abs(values[key].value - value) < values[key].high - values[key].low, (name, key)
        assert found["one"][1]["beside_others"].value < 0
        if least > 1:  # with fewer annotations than two of each an item there is less to tell them apart by
            assert found["one"][1]["beside_others"].high < 0 < found["two"][1]["beside_others"].low


@pytest.mark.slow
def test_intervals_of_a_group_beside_the_others_hold_the_truth_and_no_difference_at_their_rate() -> None:
    generator = np.random.default_rng(5)
    held, none = [], []
    for _ in range(200):
        truth = two_groups(generator, 300)
        model = fuzzed(generator, truth["one"], 50)
        group = annotator_groups(annotated(generator, truth, 1, 4))[0]
        own = agreement(group, model)["beside_others"]
        held.append(own.low < squared(truth["one"], model) - squared(truth["two"], model) < own.high)
        alike = annotated(generator, {"one": truth["one"], "two": truth["one"]}, 1, 4)
        same = agreement(annotator_groups(alike)[0], model)["beside_others"]
        none.append(same.low < 0 < same.high)
    assert 0.9 < np.mean(held) <= 1
    assert 0.9 < np.mean(none) < 0.99


def test_a_group_is_judged_by_its_own_items_and_annotations() -> None:
    generator = np.random.default_rng(0)
    truth = two_groups(generator, 360)
    counts = annotated(generator, truth, 0, 2)
    seeds = np.stack([fuzzed(generator, truth["one"], 20) for _ in range(3)])
    for group in annotator_groups(counts):
        own = counts[group.name]
        rows = np.flatnonzero(own.sum(1))
        assert (group.rows.tolist(), group.items, group.annotations) == (rows.tolist(), len(rows), own.sum())
        parts = decompose(own[rows], seeds[:, rows])
        values = agreement(group, seeds)
        assert values["kl"].value == pytest.approx(parts.kl.mean())
        mean = np.mean([np.corrcoef(entropy, parts.label_entropy)[0, 1] for entropy in parts.pred_entropy])
        assert values["entropy_corr"].value == pytest.approx(mean)
        shared = np.minimum(own[rows] / own[rows].sum(1, keepdims=True), seeds[:, rows]).sum(-1).mean()
        assert values["soft_accuracy"].value == pytest.approx(shared)
    both = {name: agreement(group, seeds)["beside_others"] for name, group in named(counts).items()}
    assert both["one"].value == pytest.approx(-both["two"].value)


def named(counts: dict[str, Floats]) -> dict[str, AnnotatorGroup]:
    return {group.name: group for group in annotator_groups(counts)}


def test_a_group_of_few_items_is_counted_and_not_judged() -> None:
    counts = {"few": np.zeros((60, 2)), "many": np.tile([2.0, 1.0], (60, 1)), "none": np.zeros((60, 2))}
    counts["few"][: LEAST_ITEMS - 1] = [1, 1]
    groups = named(counts)
    assert groups.keys() == {"few", "many"}
    assert (groups["few"].items, groups["few"].annotations) == (LEAST_ITEMS - 1, 2 * (LEAST_ITEMS - 1))
    pred = np.tile([0.6, 0.4], (60, 1))
    assert np.isnan([each.value for each in agreement(groups["few"], pred).values()]).all()
    many = agreement(groups["many"], pred)
    assert np.isfinite(many["kl"].value)
    assert np.isnan(many["beside_others"].value), "too few items have annotations of both"
    assert np.isnan(many["entropy_corr"].value), "all have one entropy"


def test_single_annotations_tell_no_floor_and_those_of_other_parts_help() -> None:
    single = {"x": np.eye(3)[np.arange(90) % 3]}
    assert np.isnan(annotator_groups(single)[0].floor.value)
    further = {"x": np.random.default_rng(0).multinomial(4, [0.5, 0.3, 0.2], 200)}
    assert 0 < annotator_groups(single, further)[0].floor.value < np.log(3) + 1


def test_shared_annotations_of_one_annotator_an_item_are_no_error() -> None:
    group = annotator_groups({"x": np.tile([0.5, 0.5], (40, 1))})[0]
    assert agreement(group, np.tile([0.5, 0.5], (40, 1)))["kl"].value == pytest.approx(0)


def test_groups_of_different_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="one shape"):
        annotator_groups({"x": np.ones((3, 2)), "y": np.ones((4, 2))})
