"""Against scipy, against numbers worked out by hand, and against those that the authors print for their predictions."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax
from scipy.stats import entropy, wasserstein_distance

from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.trust.peers import PEERS, peer_metrics

COUNTS = np.array([[5, 3, 2], [0, 4, 0], [1, 1, 2]])
PREDICTIONS = np.array([[0.2, 0.7, 0.1], [0.1, 0.9, 0.0], [0.1, 0.3, 0.6]])


def test_each_item_has_the_values_of_scipy() -> None:
    found = peer_metrics(COUNTS, PREDICTIONS)
    assert list(found) == list(PEERS)
    for row, (counts, q) in enumerate(zip(COUNTS, PREDICTIONS, strict=True)):
        p = counts / counts.sum()
        distance = np.abs(p - q).sum()
        assert found["dist_ce"][row] == pytest.approx(distance / 2)
        assert found["manhattan"][row] == pytest.approx(distance)
        assert found["soft_accuracy"][row] == pytest.approx(1 - distance / 2)
        assert found["ent_ce"][row] == pytest.approx(abs(entropy(q) - entropy(p)))
        assert found["wasserstein"][row] == pytest.approx(wasserstein_distance(range(3), range(3), p, q))


def test_po_jsd_is_in_bits() -> None:
    dense = PREDICTIONS[[0, 2]]
    expected = 1 - jensenshannon(COUNTS[[0, 2]] / [[10], [4]], dense, base=2, axis=1) ** 2
    np.testing.assert_allclose(peer_metrics(COUNTS[[0, 2]], dense)["po_jsd"], expected)
    # Worked out by hand for (0.2, 0.8) and (0.6, 0.4).
    two = peer_metrics(np.array([[1, 4]]), np.array([[0.6, 0.4]]))
    assert two["po_jsd"].item() == pytest.approx(0.8754887502)
    assert two["soft_accuracy"].item() == pytest.approx(0.6)


def test_a_class_that_is_ruled_out_leaves_every_metric_finite() -> None:
    found = peer_metrics(np.array([[5, 5], [9, 1]]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["po_jsd"][0] == pytest.approx(1 - jensenshannon([0.5, 0.5], [1, 0], base=2) ** 2)


def test_ranks_must_agree_from_first_to_last() -> None:
    assert peer_metrics(COUNTS, PREDICTIONS)["rank_cs"].tolist() == [0, 0, 1]
    assert peer_metrics(np.array([[1, 2, 3]]), np.array([[0.1, 0.2, 0.7]]))["rank_cs"].tolist() == [1]


def test_leading_dimensions_are_heads() -> None:
    heads = np.stack([PREDICTIONS, PREDICTIONS[::-1]])
    together = peer_metrics(COUNTS, heads)
    for head, predictions in enumerate(heads):
        for name, values in peer_metrics(COUNTS, predictions).items():
            np.testing.assert_array_equal(together[name][head], values)


@pytest.mark.parametrize(
    ("temperature", "rank_cs", "ent_ce", "dist_ce"),
    [
        (1, [0.625, 0.596, 0.627], [0.31, 0.273, 0.314], [0.259, 0.249, 0.261]),
        (2, [0.625, 0.596, 0.627], [0.208, 0.236, 0.198], [0.217, 0.222, 0.214]),
    ],
)
def test_the_numbers_of_baan_2022_are_found_again(
    shared_data: Path, temperature: float, rank_cs: list[float], ent_ce: list[float], dist_ce: list[float]
) -> None:
    data = read_chaosnli(shared_data, ["snli"])
    released = pl.read_parquet(shared_data / "chaosnli" / "nli_logits" / "roberta_base.parquet")
    of_uid = dict(released.filter(pl.col("source") == "snli").select("uid", "logits").iter_rows())
    logits = np.array([of_uid[uid] for uid in data.uids], dtype=np.float64).reshape(-1, 3, 3).swapaxes(0, 1)
    found = peer_metrics(data.label_counts, log_softmax(logits / temperature, axis=-1))
    for name, printed in (("rank_cs", rank_cs), ("ent_ce", ent_ce), ("dist_ce", dist_ce)):
        np.testing.assert_allclose(found[name].mean(-1), printed, atol=6e-4)
