import numpy as np
import pytest
import torch

from soft_labels.distributions import entropy, soft_cross_entropy
from soft_labels.errors import DataError
from soft_labels.trust.inputs import as_counts, as_log_pred, cross_entropy, entropies, need_whole, shares

COUNTS = np.array([[3, 1, 0], [0, 2, 2]])
PREDICTIONS = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])


@pytest.mark.parametrize("counts", [COUNTS, COUNTS.astype(np.float32), torch.tensor(COUNTS), COUNTS.tolist()])
def test_counts_come_from_anywhere(counts: np.ndarray) -> None:
    assert as_counts(counts).dtype == np.float64
    assert as_counts(counts).tolist() == COUNTS.tolist()


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (np.zeros((0, 3)), "at least one item"),
        (np.ones((4, 1)), "two classes"),
        (np.ones(4), "one row an item"),
        (np.array([[1, 2], [0, 0]]), "the first is row 1"),
        (np.array([[1, 2], [-1, 3]]), "negative"),
        (np.array([[np.nan, 2], [1, 3]]), "1 of 2 rows"),
        (np.array([[0.25, 0.75], [0.5, 0.5]]), "these are shares"),
    ],
)
def test_bad_counts_are_refused_in_words(counts: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        as_counts(counts)


def test_weighted_counts_are_read_but_no_annotator_is_drawn_from_them() -> None:
    weighted = as_counts(np.array([[1.5, 2.0], [0.5, 1.0]]))
    with pytest.raises(DataError, match="not whole numbers"):
        need_whole(weighted, "a draw")


def test_probabilities_and_their_logarithms_are_the_same() -> None:
    given = [PREDICTIONS, np.log(PREDICTIONS), torch.tensor(PREDICTIONS), torch.tensor(PREDICTIONS).log().float()]
    for predictions in given:
        np.testing.assert_allclose(np.exp(as_log_pred(predictions, COUNTS.shape)), PREDICTIONS, atol=1e-7)


def test_rounded_probabilities_are_normalized() -> None:
    assert np.exp(as_log_pred(np.array([[0.3333, 0.3333, 0.3333]]), (1, 3))).sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("predictions", "said"),
    [
        (np.array([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]]), "not logits"),
        (np.array([[0.6, 0.3, 0.2], [0.2, 0.3, 0.5]]), "1 of 2 rows do not sum to 1"),
        (np.array([[0.6, 0.3, np.nan], [0.2, 0.3, 0.5]]), "1 of 2 rows"),
        (PREDICTIONS[:1], "order of the counts"),
    ],
)
def test_bad_predictions_are_refused_in_words(predictions: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        as_log_pred(predictions, COUNTS.shape)


def test_information_is_that_of_the_distributions_module() -> None:
    label_dist, log_pred = shares(as_counts(COUNTS)), as_log_pred(PREDICTIONS, COUNTS.shape)
    np.testing.assert_allclose(entropies(label_dist), entropy(torch.tensor(label_dist)).numpy())
    expected = soft_cross_entropy(torch.tensor(label_dist), torch.tensor(log_pred)).numpy()
    np.testing.assert_allclose(cross_entropy(label_dist, log_pred), expected)


def test_a_class_that_is_ruled_out_costs_only_where_it_was_chosen() -> None:
    log_pred = as_log_pred(np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]), (2, 3))
    assert np.isinf(cross_entropy(shares(as_counts(COUNTS)), log_pred)).tolist() == [False, True]
