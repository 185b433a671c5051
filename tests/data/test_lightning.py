import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from soft_labels.data import EmbeddedDataModule, TableDataModule
from soft_labels.encoders import TimmEncoder, installed
from soft_labels.encoders.base import Encoder
from soft_labels.errors import ConfigError
from tests.conftest import ToyTextEncoder
from tests.toys import SeededData, SeededEncoder


def table(path: Path, store: Path, encoder: Encoder | None) -> TableDataModule:
    return TableDataModule(
        path, text_column="text", label_column="label", annotator_column="annotator", dataset_name="table",
        encoder=encoder, store=store,
    )  # fmt: skip


def rows_of(module: EmbeddedDataModule) -> list[list[int]]:
    """Rows of the training, validation and test loaders."""
    loaders = (module.train_dataloader(), *module.val_dataloader(), module.test_dataloader())
    return [[row for batch in loader for row in batch.rows.tolist()] for loader in loaders]


@pytest.mark.slow
def test_everything_is_in_the_order_of_uids_whatever_the_file_says(tiny_table: Path, tmp_path: Path) -> None:
    header, *rows = tiny_table.read_text().splitlines()
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join([header, *reversed(rows)]) + "\n")
    first, second = (table(path, tmp_path / "store", ToyTextEncoder()) for path in (tiny_table, shuffled))
    assert first.dataset.data.uids == second.dataset.data.uids == tuple(sorted(first.dataset.data.uids))
    assert first.dataset.split == second.dataset.split
    assert first.identity() == second.identity()
    assert torch.equal(first.dataset.observed.label_dist, second.dataset.observed.label_dist)
    assert first.embedded.features.checksum == second.embedded.features.checksum


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


def test_the_identity_knows_the_tie_policy(tmp_path: Path) -> None:
    lowest, highest = (SeededData(encoder=SeededEncoder(5), store=tmp_path, tie=tie) for tie in ("lowest", "highest"))
    assert lowest.identity()["split"] != highest.identity()["split"]


def test_features_over_the_memory_limit_stay_on_disk_and_train_alike(tmp_path: Path) -> None:
    small = SeededData(encoder=SeededEncoder(5), store=tmp_path)
    large = SeededData(encoder=SeededEncoder(5), store=tmp_path, memory_limit_mb=0)
    assert (small.embedded.features.in_memory, large.embedded.features.in_memory) == (True, False)
    for ours, theirs in zip(small.train_dataloader(), large.train_dataloader(), strict=True):
        assert torch.equal(ours.features, theirs.features)
        assert torch.equal(ours.rows, theirs.rows)
    statistics = zip(small.embedded.feature_statistics, large.embedded.feature_statistics, strict=True)
    for ours_part, theirs_part in statistics:
        assert torch.equal(ours_part, theirs_part)


def test_an_image_encoder_is_refused_for_texts_before_anything_is_encoded(tiny_table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="table holds text but TimmEncoder reads image"):
        table(tiny_table, tmp_path / "store", TimmEncoder()).prepare_data()
    assert not (tmp_path / "store").exists()


def test_annotations_are_there_without_an_encoder(
    tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    data = table(tiny_table, tmp_path, None)
    assert (data.dataset.name, data.num_classes, len(data.dataset.data)) == ("table", 3, 45)
    with pytest.raises(ConfigError, match=r"wanted data\.encoder, got none; no encoder is installed"):
        data.identity()


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"eval_batch_size": -1}])
def test_batch_sizes_are_positive(tmp_path: Path, sizes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="batch sizes must be at least 1"):
        SeededData(encoder=SeededEncoder(5), store=tmp_path, **sizes)


def test_loaders_cover_their_parts(tmp_path: Path) -> None:
    data = SeededData(encoder=SeededEncoder(5), store=tmp_path)
    assert sorted(row for rows in rows_of(data) for row in rows) == list(range(200))
    assert [row for batch in data.predict_dataloader() for row in batch.rows.tolist()] == list(range(200))


def test_loaders_over_an_embedded_data_set_are_those_of_its_data_module(tmp_path: Path) -> None:
    data = SeededData(encoder=SeededEncoder(5), store=tmp_path, batch_size=8, order_seed=3)
    given = EmbeddedDataModule(data.embedded, 8, order_seed=3)
    assert rows_of(given) == rows_of(data)
    assert rows_of(EmbeddedDataModule(data.embedded.redrawn(2), 8, order_seed=3)) != rows_of(data)
    assert given.items_to_predict.uids == data.dataset.data.uids


def test_loaders_without_data_are_an_error_in_words() -> None:
    with pytest.raises(ConfigError, match="wanted an embedded data set, got none"):
        EmbeddedDataModule().train_dataloader()
