import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from soft_labels.data.batches import DRAWS, Batch, BatchLoader, Observed, epoch_seed
from soft_labels.embeddings import EmbeddingStore, Features, content_keys, open_features
from soft_labels.encoders.base import Encoder
from soft_labels.encoders.text import SentenceTransformerEncoder

ITEMS = 5_000
VECTORS = np.random.default_rng(0).standard_normal((ITEMS, 3), dtype=np.float32)
OBSERVED = Observed(
    label_counts=torch.ones(ITEMS, 4, dtype=torch.float64),
    label_dist=torch.rand(ITEMS, 4, generator=torch.Generator().manual_seed(0)),
    majority_label=torch.arange(ITEMS) % 4,
    true_dist=torch.rand(ITEMS, 4, generator=torch.Generator().manual_seed(1)),
)


class NamedEncoder(SentenceTransformerEncoder):
    """Names a store; nothing is encoded here."""

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        return {"encoder": "named"}


@pytest.fixture(scope="module", params=["on disk", "in memory"])
def features(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Features:
    encoder: Encoder = NamedEncoder()
    store = EmbeddingStore(tmp_path_factory.mktemp("store"), encoder)
    keys = content_keys([str(number) for number in range(ITEMS)])
    for half in (slice(0, None, 2), slice(1, None, 2)):
        store.write(keys[half], VECTORS[half])
    features = open_features(store, [keys], "numbers")
    if request.param == "in memory":
        features.load()
    return features


def rows_of(batches: list[Batch]) -> list[int]:
    return [row for batch in batches for row in batch.rows.tolist()]


def one_pass(
    features: Features,
    rows: Tensor,
    batch_size: int,
    *,
    seed: int | None = 0,
    epoch: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> list[Batch]:
    loader = BatchLoader(features, OBSERVED, rows, batch_size, seed, rank, world_size)
    loader.set_epoch(epoch)
    batches = list(loader)
    assert len(batches) == len(loader)
    return batches


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 7, 256, 2_048, 4_096, 10_000])
def test_batches_are_what_plain_indexing_gives(features: Features, batch_size: int) -> None:
    rows = torch.arange(0, ITEMS, 3)
    for batch in one_pass(features, rows, batch_size):
        index = batch.rows
        assert np.array_equal(batch.features.numpy(), VECTORS[index.numpy()])
        assert torch.equal(batch.label_dist, OBSERVED.label_dist[index])
        assert torch.equal(batch.majority_label, OBSERVED.majority_label[index])
        assert OBSERVED.true_dist is not None
        assert batch.true_dist is not None
        assert torch.equal(batch.true_dist, OBSERVED.true_dist[index])
        assert batch.global_size == len(index) <= batch_size


def test_each_row_comes_once_an_epoch_in_an_order_of_seed_and_epoch(features: Features) -> None:
    rows = torch.arange(100, 400)
    order = rows_of(one_pass(features, rows, 16, seed=5, epoch=2))
    assert sorted(order) == rows.tolist()
    assert order != rows.tolist()
    torch.manual_seed(99)  # the global state has no part in it
    assert rows_of(one_pass(features, rows, 16, seed=5, epoch=2)) == order
    assert rows_of(one_pass(features, rows, 50, seed=5, epoch=2)) == order
    for seed, epoch in ((5, 1), (5, 3), (4, 2), (6, 2), (2, 5)):
        assert rows_of(one_pass(features, rows, 16, seed=seed, epoch=epoch)) != order


def test_a_pass_that_is_repeated_without_a_new_epoch_is_the_same(features: Features) -> None:
    loader = BatchLoader(features, OBSERVED, torch.arange(50), 8, seed=1)
    assert rows_of(list(loader)) == rows_of(list(loader))


def test_evaluation_keeps_the_order(features: Features) -> None:
    rows = torch.tensor([9, 3, 7, 1, 4_999, 0])
    batches = one_pass(features, rows, 4, seed=None, epoch=3)
    assert rows_of(batches) == rows.tolist()
    assert [len(batch.rows) for batch in batches] == [4, 2]


@pytest.mark.parametrize(("world_size", "items", "batch_size"), [
    (2, 301, 16), (2, 300, 16), (3, 290, 16), (4, 4_098, 256), (2, 33, 16), (3, 34, 16), (3, 5, 16), (2, 4_097, 4_096),
])  # fmt: skip
def test_the_shares_of_all_processes_are_the_mini_batch_of_one(
    features: Features, world_size: int, items: int, batch_size: int
) -> None:
    rows = torch.arange(items)
    shares = [one_pass(features, rows, batch_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    together = list(zip(*shares, strict=True))
    assert sorted(row for step in together for batch in step for row in batch.rows.tolist()) == rows.tolist()
    alone = rows_of(one_pass(features, rows, batch_size))
    start = 0
    for step in together:
        end = start + sum(len(batch.rows) for batch in step)
        assert {row for batch in step for row in batch.rows.tolist()} == set(alone[start:end])
        for rank, batch in enumerate(step):
            assert batch.rows.tolist() == alone[start:end][rank::world_size]
            assert batch.global_size == end - start
            assert np.array_equal(batch.features.numpy(), VECTORS[batch.rows.numpy()])
        start = end


def test_a_last_mini_batch_with_fewer_rows_than_processes_stays_the_same_mini_batch(features: Features) -> None:
    shares = [one_pass(features, torch.arange(17), 16, rank=rank, world_size=3) for rank in range(3)]
    assert [[batch.global_size for batch in share] for share in shares] == [[16, 1]] * 3
    assert [len(share[1].rows) for share in shares] == [1, 0, 0]
    assert shares[1][1].features.shape == (0, features.dim)


def test_no_rows_are_no_batches(features: Features) -> None:
    assert one_pass(features, torch.arange(0), 16) == []


def test_neighbouring_seeds_and_epochs_share_no_draw() -> None:
    at = list(itertools.product(range(60), range(60)))
    seeds = [epoch_seed(*pair, draw) for draw in DRAWS for pair in at]
    assert set(DRAWS) == {"order", "dropout", "target"}
    assert len(set(seeds)) == 10_800
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert epoch_seed(3, 4, "order") == epoch_seed(3, 4, "order")


def test_a_batch_moves_whole(features: Features) -> None:
    (batch,) = one_pass(features, torch.arange(5), 8)
    moved = batch.to(torch.device("meta"))
    tensors = [value for value in moved if isinstance(value, Tensor)]
    assert len(tensors) == 5
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.global_size == 5
    assert batch._replace(true_dist=None).to(torch.device("cpu")).true_dist is None
