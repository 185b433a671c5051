import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from soft_labels.annotations.base import AnnotatedData, Input, Items, Modality
from soft_labels.embeddings import EmbeddingStore, Features, content_keys, open_features
from soft_labels.embeddings.features import JoinedFeatures, TensorFeatures, encoder_inputs
from soft_labels.encoders import TransformerEncoder
from soft_labels.errors import StoreError

if TYPE_CHECKING:
    from tests.embeddings.conftest import ToyEncoder

ITEMS = 3_000
WIDTH = 6


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((ITEMS, WIDTH), dtype=np.float32)


@pytest.fixture
def keys() -> np.ndarray:
    return content_keys([f"text {number}" for number in range(ITEMS)])


def filled(root: Path, toy: "type[ToyEncoder]", keys: np.ndarray, vectors: np.ndarray, shards: int) -> EmbeddingStore:
    """A store that holds the vectors, dealt out to many shards."""
    store = EmbeddingStore(root, toy())
    for number in range(shards):
        store.write(keys[number::shards], vectors[number::shards])
    return store


@pytest.fixture
def store(tmp_path: Path, toy: "type[ToyEncoder]", keys: np.ndarray, vectors: np.ndarray) -> EmbeddingStore:
    return filled(tmp_path / "store", toy, keys, vectors, shards=7)


@pytest.fixture(params=["on disk", "in memory"])
def loaded(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "in memory")


def opened(store: EmbeddingStore, columns: list[np.ndarray], loaded: bool) -> Features:
    features = open_features(store, columns, "texts")
    if loaded:
        features.load()
    assert features.in_memory == loaded
    return features


def test_rows_are_those_that_were_stored(
    store: EmbeddingStore, keys: np.ndarray, vectors: np.ndarray, loaded: bool
) -> None:
    features = opened(store, [keys], loaded)
    index = torch.randint(ITEMS, (5_000,), generator=torch.Generator().manual_seed(0))
    assert (len(features), features.dim) == (ITEMS, WIDTH)
    for part in torch.split(index, 700):
        assert np.array_equal(features[part].numpy(), vectors[part.numpy()])


def test_rows_come_in_the_order_of_the_keys_that_are_asked_for(
    store: EmbeddingStore, keys: np.ndarray, vectors: np.ndarray, loaded: bool
) -> None:
    order = np.random.default_rng(1).permutation(ITEMS)[:2_500]
    features = opened(store, [keys[order]], loaded)
    assert np.array_equal(torch.cat(list(features.batches(np.arange(2_500)))).numpy(), vectors[order])


def test_pairs_are_both_sides_their_distance_and_their_product(
    store: EmbeddingStore, keys: np.ndarray, vectors: np.ndarray, loaded: bool
) -> None:
    features = opened(store, [keys, keys[::-1]], loaded)
    u, v = vectors, vectors[::-1]
    assert features.dim == 4 * WIDTH
    expected = np.hstack([u, v, np.abs(u - v), u * v])
    assert np.array_equal(features[torch.arange(ITEMS)].numpy(), expected)
    some = torch.tensor([2_999, 0, 1, 1])
    assert np.array_equal(features[some].numpy(), expected[some.numpy()])


def test_batches_hold_every_row_in_pieces(store: EmbeddingStore, keys: np.ndarray, vectors: np.ndarray) -> None:
    features = open_features(store, [keys], "texts")
    pieces = list(features.batches(np.arange(ITEMS)[::-1].copy()))
    assert max(map(len, pieces)) <= 1_024
    assert np.array_equal(np.concatenate([piece.numpy() for piece in pieces]), vectors[::-1])


def test_the_checksum_is_that_of_the_numbers_however_they_lie(
    tmp_path: Path, toy: "type[ToyEncoder]", store: EmbeddingStore, keys: np.ndarray, vectors: np.ndarray, loaded: bool
) -> None:
    other = filled(tmp_path / "other", toy, keys[::-1], vectors[::-1], shards=2)
    expected = hashlib.sha256(vectors.tobytes()).hexdigest()
    assert opened(store, [keys], loaded).checksum == expected
    assert opened(other, [keys], loaded).checksum == expected
    assert opened(store, [keys[::-1]], loaded).checksum != expected


def test_missing_embeddings_are_counted_by_item(store: EmbeddingStore, keys: np.ndarray) -> None:
    unknown = content_keys(["unknown", "text 0"])
    with pytest.raises(StoreError, match=r'3,001 items in pairs but embeddings of only 3,000 in .*"soft-labels embed"'):
        open_features(store, [np.append(keys, unknown[:1]), np.append(keys, unknown[1:])], "pairs")


def test_an_empty_store_is_a_missing_embedding(tmp_path: Path, toy: "type[ToyEncoder]", keys: np.ndarray) -> None:
    with pytest.raises(StoreError, match="3,000 items in texts but embeddings of only 0"):
        open_features(EmbeddingStore(tmp_path, toy()), [keys], "texts")


def test_shards_that_hold_none_of_the_rows_are_not_read(
    tmp_path: Path, toy: "type[ToyEncoder]", keys: np.ndarray, vectors: np.ndarray
) -> None:
    store = EmbeddingStore(tmp_path, toy())
    store.write(keys[:100], vectors[:100])
    damaged = store.write(keys[100:], vectors[100:])
    whole = bytearray(damaged.read_bytes())
    whole[whole.index(vectors[100:].tobytes())] ^= 1
    damaged.write_bytes(whole)
    features = open_features(store, [keys[:100]], "texts")
    assert np.array_equal(features[torch.arange(100)].numpy(), vectors[:100])
    with pytest.raises(StoreError, match=damaged.name):
        open_features(store, [keys[:101]], "texts")


@pytest.mark.parametrize(
    ("modality", "inputs", "pair_features", "columns"),
    [
        ("text", ["a", "b"], "u_v_absdiff_product", [["a", "b"]]),
        ("text", ["a", "b"], "one_text", [["a", "b"]]),
        ("text_pair", [("a", "x"), ("b", "y")], "u_v_absdiff_product", [["a", "b"], ["x", "y"]]),
        ("text_pair", [("a", "x"), ("b", "y")], "one_text", [["a\nx", "b\ny"]]),
        ("image", [Path("a.png"), Path("b.png")], "one_text", [[Path("a.png"), Path("b.png")]]),
    ],
)
def test_what_the_encoder_is_shown(
    toy: "type[ToyEncoder]", modality: Modality, inputs: list[Input], pair_features: str, columns: list[list[Input]]
) -> None:
    data = AnnotatedData(
        name="two",
        uids=("1", "2"),
        inputs=inputs,
        label_counts=torch.ones(2, 2),
        class_names=("no", "yes"),
        modality=modality,
    )
    assert encoder_inputs(data.items, toy(), pair_features, "\n") == columns  # type: ignore[arg-type]
    assert encoder_inputs(data.items, TransformerEncoder("any/model"), "u_v_absdiff_product", "\n") == [inputs]


def test_an_encoder_of_uids_is_shown_those(toy: "type[ToyEncoder]") -> None:
    class OfUids(toy):  # type: ignore[misc, valid-type]
        modality = "uid"

    items = Items(("1", "2"), [("a", "x"), ("b", "y")], "text_pair")
    assert encoder_inputs(items, OfUids(), "u_v_absdiff_product", "\n") == [("1", "2")]


def test_parts_stand_side_by_side_in_memory_and_on_disk(store: EmbeddingStore, keys: np.ndarray) -> None:
    stored = open_features(store, [keys], "texts")
    tensor = TensorFeatures(torch.randn(ITEMS, 3))
    joined = JoinedFeatures([stored, tensor])
    rows = torch.tensor([2_999, 0, 17, 17])
    assert (len(joined), joined.dim, joined.in_memory) == (ITEMS, WIDTH + 3, False)
    assert torch.equal(joined[rows], torch.cat([stored[rows], tensor[rows]], dim=1))
    before = joined.checksum
    joined.load()
    assert joined.in_memory
    assert joined.checksum == before
    assert joined.checksum != JoinedFeatures([tensor, stored]).checksum


def test_a_tensor_is_its_own_rows() -> None:
    rows = torch.arange(12.0).view(4, 3)
    features = TensorFeatures(rows)
    assert (len(features), features.dim, features.in_memory) == (4, 3, True)
    assert torch.equal(torch.cat(list(features.batches(np.array([3, 0])))), rows[[3, 0]])
    assert features.checksum == hashlib.sha256(rows.numpy().tobytes()).hexdigest()
