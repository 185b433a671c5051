import numpy as np
import pytest
import torch

from soft_labels.distributions import entropy_error, kl_divergence
from soft_labels.trust.decomposition import decompose
from tests.trust.simulation import annotate, dirichlet, fuzzed


@pytest.fixture
def case() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = dirichlet(generator, 500, 4)
    return annotate(generator, truth, 7), np.stack([fuzzed(generator, truth, strength) for strength in (0.5, 5, 50)])


def test_kl_is_the_sum_of_its_parts(case: tuple[np.ndarray, np.ndarray]) -> None:
    parts = decompose(*case)
    np.testing.assert_allclose(parts.overconfidence + parts.vagueness, parts.kl, atol=1e-9)
    label_dist = torch.tensor(case[0] / case[0].sum(1, keepdims=True))
    np.testing.assert_allclose(parts.kl, kl_divergence(label_dist, torch.tensor(np.log(case[1]))).numpy(), atol=1e-6)


def test_an_entropy_error_is_at_least_what_overconfidence_leaves_of_kl(case: tuple[np.ndarray, np.ndarray]) -> None:
    parts = decompose(*case)
    label_dist = torch.tensor(case[0] / case[0].sum(1, keepdims=True))
    error = entropy_error(label_dist, torch.tensor(np.log(case[1]))).numpy().mean(-1)
    assert (error >= parts.kl.mean(-1) - parts.overconfidence.mean(-1) - 1e-9).all()


def test_a_model_that_is_as_sure_as_right_is_not_overconfident() -> None:
    generator = np.random.default_rng(1)
    truth = dirichlet(generator, 40_000, 4)
    counts = annotate(generator, truth, 3)
    honest, sharp = (decompose(counts, power / power.sum(1, keepdims=True)) for power in (truth, truth**2))
    assert honest.overconfidence.mean() == pytest.approx(0, abs=0.01)
    assert sharp.overconfidence.mean() > 0.1 > honest.overconfidence.mean()


def test_the_annotators_own_shares_have_no_kl_at_all() -> None:
    parts = decompose(np.array([[4, 0, 0], [1, 2, 1]]), np.array([[1, 0, 0], [0.25, 0.5, 0.25]]))
    for part in (parts.kl, parts.overconfidence, parts.vagueness):
        np.testing.assert_allclose(part, 0, atol=1e-12)


def test_ruling_out_what_annotators_chose_is_infinitely_overconfident() -> None:
    parts = decompose(np.array([[1, 1]]), np.array([[1.0, 0.0]]))
    assert np.isinf(parts.kl).all()
    assert np.isinf(parts.overconfidence).all()
    assert parts.vagueness.item() == pytest.approx(-np.log(2))
