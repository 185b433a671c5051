"""Heads that are solved at once, beside scikit-learn."""

import logging

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from soft_labels.distributions import kl_divergence
from soft_labels.training import solved as solved_module
from soft_labels.training.objectives import Aim
from soft_labels.training.solved import LogisticHead, NeighboursHead, SolvedHead

ITEMS, WIDTH, CLASSES = 120, 7, 4


@pytest.fixture(scope="module")
def features() -> Tensor:
    return 3 + 2 * torch.randn(ITEMS, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def shares(features: Tensor) -> Tensor:
    """Annotation shares with zeros among them."""
    generator = np.random.default_rng(0)
    leaning = np.exp(features[:, :CLASSES].numpy() / 2)
    counts = np.stack([generator.multinomial(5, row / row.sum()) for row in leaning])
    return torch.from_numpy(counts / 5).float()


def solved(head: SolvedHead, features: Tensor, aim: Aim) -> SolvedHead:
    head.set_feature_statistics(features.mean(0), features.std(0))
    head.solve(features, aim)
    return head


def sklearns(features: Tensor, shares: Tensor, weights: Tensor, decay: float) -> np.ndarray:
    """Log-probabilities of scikit-learn's, each item once for every class, weighted by its share."""
    inputs = ((features - features.mean(0)) / features.std(0)).double().numpy()
    rows, labels = np.repeat(inputs, CLASSES, axis=0), np.tile(np.arange(CLASSES), len(inputs))
    sample_weight = (shares * weights[:, None]).double().numpy().ravel()
    model = LogisticRegression(C=1 / (decay * len(inputs)), max_iter=5_000, tol=1e-10)
    found: np.ndarray = model.fit(rows, labels, sample_weight=sample_weight).predict_log_proba(inputs)
    return found


@pytest.mark.parametrize("decay", [3e-3, 0.3])
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_convex_head_is_scikit_learns(
    features: Tensor, shares: Tensor, decay: float, hard: bool, weighted: bool
) -> None:
    dist = torch.nn.functional.one_hot(shares.argmax(-1), CLASSES).float() if hard else shares
    weights = torch.linspace(0.5, 1.5, ITEMS) if weighted else torch.ones(ITEMS)
    head = solved(LogisticHead(WIDTH, CLASSES, decay), features, Aim(dist, weights if weighted else None))
    ours = head(features).log_softmax(-1).numpy()
    np.testing.assert_allclose(ours, sklearns(features, dist, weights, decay), atol=2e-5)


def test_the_same_items_give_the_same_bytes(features: Tensor, shares: Tensor) -> None:
    one, other = (solved(LogisticHead(WIDTH, CLASSES, 0.01), features, Aim(shares)) for _ in range(2))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_minimum_that_is_not_reached_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soft_labels.training.solved._MOST_ITERATIONS", 3)
    apart = torch.eye(CLASSES).repeat(5, 1)
    with caplog.at_level(logging.WARNING):
        solved(LogisticHead(CLASSES, CLASSES, 0.0), apart, Aim(apart))
    assert "no minimum in 3 iterations" in caplog.text
    assert "raise model.weight_decay (0)" in caplog.text


@pytest.mark.parametrize("weighted", [True, False])
def test_neighbours_are_scikit_learns_and_one_more_that_is_the_mean_of_all(
    features: Tensor, shares: Tensor, weighted: bool
) -> None:
    weights = torch.linspace(0.5, 1.5, ITEMS).double() if weighted else torch.ones(ITEMS).double()
    head = solved(NeighboursHead(WIDTH, CLASSES, 9), features, Aim(shares, weights.float() if weighted else None))
    inputs = ((features - features.mean(0)) / features.std(0)).double().numpy()
    found = torch.from_numpy(NearestNeighbors(n_neighbors=9).fit(inputs).kneighbors(inputs, return_distance=False))
    marginal = ((weights[:, None] * shares).sum(0) + 1 / CLASSES) / (weights.sum() + 1)
    own = weights[found]
    expected = ((own[..., None] * shares[found]).sum(1) + marginal) / (own.sum(1, keepdim=True) + 1)
    torch.testing.assert_close(head(features).double().exp(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(head(features).exp().sum(-1), torch.ones(ITEMS))


def test_kl_is_finite_where_no_training_item_has_a_class(features: Tensor) -> None:
    first = torch.zeros(ITEMS, CLASSES).index_fill_(1, torch.tensor([0]), 1.0)
    head = solved(NeighboursHead(WIDTH, CLASSES, 5), features, Aim(first))
    assert torch.isfinite(kl_divergence(torch.full((ITEMS, CLASSES), 1 / CLASSES), head(features))).all()
    assert (head(features).argmax(-1) == 0).all()


def test_where_items_are_fewer_than_neighbours_all_are_taken_and_said(
    features: Tensor, shares: Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    many, all_of_them = (solved(NeighboursHead(WIDTH, CLASSES, k), features, Aim(shares)) for k in (ITEMS + 1, ITEMS))
    assert torch.equal(many(features), all_of_them(features))
    assert caplog.messages == [f"{ITEMS + 1} neighbours were asked for: all {ITEMS} training items are taken"]


@pytest.mark.parametrize("head", [LogisticHead(WIDTH, CLASSES, 0.1), NeighboursHead(WIDTH, CLASSES, 3)], ids=type)
def test_what_was_learned_travels_in_the_state(features: Tensor, shares: Tensor, head: SolvedHead) -> None:
    solved(head, features, Aim(shares))
    other = type(head)(WIDTH, CLASSES, 3)  # type: ignore[call-arg] # both kinds take a third setting
    other.load_state_dict(head.state_dict())
    assert torch.equal(other(features), head(features))
    assert not list(head.parameters()), "nothing is left to an optimiser"
    assert head.dropout_mask(4, torch.Generator()) is None


@pytest.mark.parametrize(("rows", "columns", "rank"), [(40, 7, 7), (7, 40, 7), (40, 12, 5), (12, 40, 5), (1, 3, 1)])
def test_axes_are_orthonormal_and_hold_all_of_the_items(rows: int, columns: int, rank: int) -> None:
    generator = torch.Generator().manual_seed(0)
    items = (
        torch.randn(rows, rank, generator=generator).double() @ torch.randn(rank, columns, generator=generator).double()
    )
    axes, turned, squares = solved_module._axes(items)
    assert axes.shape == (rank, columns)
    torch.testing.assert_close(axes @ axes.T, torch.eye(rank).double())
    torch.testing.assert_close(turned @ axes, items)
    torch.testing.assert_close(squares.sqrt().sort(descending=True).values, torch.linalg.svdvals(items)[:rank])


def test_what_took_long_is_computed_once_for_the_same_items_and_anew_for_others() -> None:
    decomposed: list[Tensor] = []

    def counted(items: Tensor) -> tuple[Tensor, ...]:
        decomposed.append(items)
        return solved_module._axes(items)

    axes = solved_module._Latest(counted, most=2)
    one, two, three = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0)).double()
    for items in (one, one.clone(), two, one, three):
        torch.testing.assert_close(axes.of(items)[0], solved_module._axes(items)[0])
    assert len(decomposed) == 3
    axes.of(one)
    assert len(decomposed) == 4, "the oldest is not kept"


@pytest.mark.parametrize("most_pairs", [0, 2**23])
def test_neighbours_are_the_same_whether_their_distances_are_kept(
    monkeypatch: pytest.MonkeyPatch, most_pairs: int
) -> None:
    monkeypatch.setattr(solved_module, "_MOST_PAIRS", most_pairs)
    generator = torch.Generator().manual_seed(0)
    features, queries = torch.randn(40, 5, generator=generator), torch.randn(7, 5, generator=generator)
    dist = torch.rand(40, 3, generator=generator).softmax(-1)
    for neighbours in (1, 6, 6):
        head = NeighboursHead(5, 3, neighbours)
        head.solve(features, Aim(dist))
        by_hand = [
            dist[np.argsort(np.linalg.norm(features.numpy() - query, axis=1))[:neighbours]].sum(0) + head.marginal
            for query in queries.numpy()
        ]
        torch.testing.assert_close(head.again(queries).exp(), torch.stack(by_hand) / (neighbours + 1))
        assert torch.equal(head.again(queries), head(queries))


def test_a_call_hashes_and_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs on accelerators, in exported graphs and over streams of items that never come again."""
    monkeypatch.setattr(solved_module, "_APART", None)
    head = NeighboursHead(5, 3, 2)
    head.solve(torch.randn(6, 5), Aim(torch.rand(6, 3).softmax(-1)))
    assert head(torch.randn(4, 5)).shape == (4, 3)
