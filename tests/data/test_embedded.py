from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soft_labels.data import ChaosNLIDataModule
from soft_labels.data.embedded import EmbeddedDataset, identity_of
from tests.conftest import ToyTextEncoder
from tests.toys import SeededData, SeededEncoder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedDataset:
    return SeededData(encoder=SeededEncoder(5), store=tmp_path_factory.mktemp("store")).embedded


def test_features_are_those_of_the_encoder_row_by_row(data: EmbeddedDataset) -> None:
    texts = [str(item) for item in data.dataset.data.inputs]
    encoder = SeededEncoder(5)
    assert torch.equal(data.features[torch.arange(len(texts))], encoder.forward(encoder.preprocess(texts)))
    assert data.embedding_dim == 5


def test_what_was_embedded_is_frozen(data: EmbeddedDataset) -> None:
    with pytest.raises(FrozenInstanceError):
        data.features = data.features  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        data.dataset.split_seed = 3  # type: ignore[misc]


def test_a_redrawn_split_shares_features_and_leaves_the_first_alone(data: EmbeddedDataset) -> None:
    before = data.dataset.split
    other = data.redrawn(7)
    assert other.features is data.features
    assert other.dataset.split != before
    assert data.dataset.split is before
    assert other.content_digest == data.content_digest
    assert other.identity()["split"] != data.identity()["split"]
    assert {key: value for key, value in other.identity().items() if key != "split"} == {
        key: value for key, value in data.identity().items() if key != "split"
    }


def test_feature_statistics_are_those_of_the_training_split(data: EmbeddedDataset) -> None:
    train = data.features[data.dataset.rows("train")].double().numpy()
    mean, scale = data.feature_statistics
    np.testing.assert_allclose(mean, train.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(scale, train.std(axis=0), atol=1e-6)
    assert not torch.equal(data.redrawn(7).feature_statistics[0], mean)


def test_pairs_are_joined_after_or_before_the_encoder(tiny_chaosnli_root: Path, tmp_path: Path) -> None:
    def embedded(**settings: Any) -> EmbeddedDataset:
        return ChaosNLIDataModule(tiny_chaosnli_root, encoder=ToyTextEncoder(), store=tmp_path, **settings).embedded

    apart, one_text = embedded(), embedded(pair_features="one_text")
    assert (apart.embedding_dim, one_text.embedding_dim) == (24, 6)
    u, v, distance, product = apart.features[torch.arange(len(apart.dataset.data))].split(6, dim=1)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(distance, (u - v).abs())
    torch.testing.assert_close(product, u * v)
    spaced = embedded(pair_features="one_text", pair_separator=" [SEP] ")
    assert spaced.features.checksum != one_text.features.checksum
    assert len({str(data.identity()["pair_features"]) for data in (apart, one_text, spaced)}) == 3
    assert len({data.content_digest for data in (apart, one_text, spaced)}) == 3


def test_texts_that_changed_under_the_same_uids_are_other_data(data: EmbeddedDataset, tmp_path: Path) -> None:
    changed = replace(data.dataset.data, inputs=[*list(data.dataset.data.inputs)[1:], "text 999"])
    source = SeededData(encoder=SeededEncoder(5), store=tmp_path).source
    before, after = (identity_of(data.dataset, source.identity(one.items)) for one in (data.dataset.data, changed))
    assert {key for key in before if before[key] != after[key]} == {"inputs"}


def test_the_identity_is_known_before_anything_is_encoded(tmp_path: Path, data: EmbeddedDataset) -> None:
    fresh = SeededData(encoder=SeededEncoder(5), store=tmp_path)
    known = identity_of(fresh.dataset, fresh.source.identity(fresh.dataset.data.items))
    assert known == fresh.identity() == data.identity()
    assert not list(tmp_path.rglob("*.safetensors"))
    assert fresh.encoded is None


def test_the_digest_of_the_content_tells_annotations_and_features_apart(data: EmbeddedDataset, tmp_path: Path) -> None:
    counts = data.dataset.data.label_counts.clone()
    counts[0, 0] += 1
    annotated = replace(data, dataset=replace(data.dataset, data=replace(data.dataset.data, label_counts=counts)))
    tied = replace(data, dataset=replace(data.dataset, tie="highest"))
    truth = data.dataset.data.true_dist
    assert truth is not None
    unknown = replace(data, dataset=replace(data.dataset, data=replace(data.dataset.data, true_dist=truth.flip(1))))
    wider = replace(data, features=SeededData(encoder=SeededEncoder(6), store=tmp_path).embedded.features)
    assert len({one.content_digest for one in (data, annotated, tied, unknown, wider)}) == 5
    assert data.record() == {**data.identity(), "ordinal": True, "content": data.content_digest}
