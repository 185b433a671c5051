import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soft_labels.datamodules import ChaosNLIDataModule, TableDataModule
from soft_labels.distributions import label_distribution, majority_label
from soft_labels.encoders import TimmEncoder
from soft_labels.encoders.base import Encoder
from soft_labels.errors import ConfigError, DataError
from tests.conftest import ToyTextEncoder
from tests.toys import SeededData, SeededEncoder


def table(path: Path, store: Path, encoder: Encoder) -> TableDataModule:
    return TableDataModule(
        path, text_column="text", label_column="label", annotator_column="annotator", dataset_name="table",
        encoder=encoder, store=store,
    )  # fmt: skip


def test_everything_is_in_the_order_of_uids_whatever_the_file_says(tiny_table: Path, tmp_path: Path) -> None:
    header, *rows = tiny_table.read_text().splitlines()
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join([header, *reversed(rows)]) + "\n")
    first, second = (table(path, tmp_path / "store", ToyTextEncoder()) for path in (tiny_table, shuffled))
    assert first.data.uids == second.data.uids == tuple(sorted(first.data.uids))
    assert first.split == second.split
    assert first.identity() == second.identity()
    assert torch.equal(first.targets.label_dist, second.targets.label_dist)
    assert first.features.checksum() == second.features.checksum()


def test_features_are_those_of_the_encoder_row_by_row(tmp_path: Path) -> None:
    data = SeededData(encoder=SeededEncoder(5), store=tmp_path)
    texts = [str(item) for item in data.data.inputs]
    expected = data.encoder.forward(data.encoder.preprocess(texts))
    assert torch.equal(data.features[torch.arange(len(texts))], expected)
    assert data.embedding_dim == 5


def test_a_second_data_module_encodes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "soft_labels")
    first = SeededData(encoder=SeededEncoder(5), store=tmp_path)
    first.prepare_data()
    second = SeededData(encoder=SeededEncoder(5), store=tmp_path)
    second.prepare_data()
    assert first.encoded is not None
    assert second.encoded is not None
    assert (first.encoded.encoded, second.encoded.encoded) == (200, 0)
    assert "200 found" in caplog.messages[-1]
    assert "0 encoded" in caplog.messages[-1]


def test_targets_follow_the_tie_policy(tmp_path: Path) -> None:
    lowest, highest = (SeededData(encoder=SeededEncoder(5), store=tmp_path, tie=tie) for tie in ("lowest", "highest"))
    counts = lowest.data.label_counts
    assert torch.equal(lowest.targets.majority_label, majority_label(counts, "lowest"))
    assert torch.equal(highest.targets.majority_label, majority_label(counts, "highest"))
    assert not torch.equal(lowest.targets.majority_label, highest.targets.majority_label)
    torch.testing.assert_close(lowest.targets.label_dist, label_distribution(counts).float())
    assert lowest.identity()["split"] != highest.identity()["split"]


def test_features_over_the_memory_limit_stay_on_disk_and_train_alike(tmp_path: Path) -> None:
    small = SeededData(encoder=SeededEncoder(5), store=tmp_path)
    large = SeededData(encoder=SeededEncoder(5), store=tmp_path, memory_limit_mb=0)
    assert (small.features.in_memory, large.features.in_memory) == (True, False)
    for ours, theirs in zip(small.train_dataloader(), large.train_dataloader(), strict=True):
        assert torch.equal(ours.features, theirs.features)
        assert torch.equal(ours.rows, theirs.rows)
    for ours_part, theirs_part in zip(small.feature_statistics(), large.feature_statistics(), strict=True):
        assert torch.equal(ours_part, theirs_part)


def test_feature_statistics_are_those_of_the_training_split(tmp_path: Path) -> None:
    data = SeededData(encoder=SeededEncoder(5), store=tmp_path)
    train = data.features[data.rows("train")].double().numpy()
    mean, scale = data.feature_statistics()
    np.testing.assert_allclose(mean, train.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(scale, train.std(axis=0), atol=1e-6)


def test_pairs_are_joined_after_or_before_the_encoder(tiny_chaosnli_root: Path, tmp_path: Path) -> None:
    def module(**settings: Any) -> ChaosNLIDataModule:
        return ChaosNLIDataModule(tiny_chaosnli_root, encoder=ToyTextEncoder(), store=tmp_path, **settings)

    apart, one_text = module(), module(pair_features="one_text")
    assert (apart.embedding_dim, one_text.embedding_dim) == (24, 6)
    u, v, distance, product = apart.features[torch.arange(len(apart.data))].split(6, dim=1)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(distance, (u - v).abs())
    torch.testing.assert_close(product, u * v)
    spaced = module(pair_features="one_text", pair_separator=" [SEP] ")
    assert spaced.features.checksum() != one_text.features.checksum()
    assert len({str(data.identity()["pair_features"]) for data in (apart, one_text, spaced)}) == 3


def test_a_group_split_needs_groups(tmp_path: Path) -> None:
    data = SeededData(encoder=SeededEncoder(5), store=tmp_path, group_split=True)
    with pytest.raises(DataError, match="seeded has no groups"):
        data.split  # noqa: B018


def test_an_image_encoder_is_refused_for_texts(tiny_table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="table holds text but TimmEncoder reads image"):
        table(tiny_table, tmp_path, TimmEncoder()).prepare_data()


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"eval_batch_size": -1}])
def test_batch_sizes_are_positive(tmp_path: Path, sizes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="batch sizes must be at least 1"):
        SeededData(encoder=SeededEncoder(5), store=tmp_path, **sizes)


def test_loaders_cover_their_parts(tmp_path: Path) -> None:
    data = SeededData(encoder=SeededEncoder(5), store=tmp_path)
    everything = sorted(
        row
        for loader in (data.train_dataloader(), *data.val_dataloader(), data.test_dataloader())
        for batch in loader
        for row in batch.rows.tolist()
    )
    assert everything == list(range(200))
    assert [row for batch in data.predict_dataloader() for row in batch.rows.tolist()] == list(range(200))
