"""Items of the projector, read back from the files that TensorBoard reads."""

import csv
import logging
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format  # type: ignore[import-untyped]
from PIL import Image
from scipy.stats import entropy
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch.utils.tensorboard import SummaryWriter

from soft_labels.annotations.base import Input
from soft_labels.data import TensorDataModule
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.errors import ConfigError
from soft_labels.training.projector import ItemMap, ProjectorSettings, item_map
from tests.toys import SeededData, SeededEncoder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedDataset:
    store = tmp_path_factory.mktemp("store")
    return SeededData(items=200, encoder=SeededEncoder(80), store=store).embedded


def predicted(data: EmbeddedDataset) -> torch.Tensor:
    return torch.randn(len(data.dataset.rows("val")), 3, generator=torch.Generator().manual_seed(0)).softmax(-1)


def shown(found: ItemMap | None) -> ItemMap:
    assert found is not None
    return found


def with_inputs(data: EmbeddedDataset, inputs: list[Input]) -> EmbeddedDataset:
    """The same with other inputs of every item."""
    annotated = replace(data.dataset.data, inputs=[inputs[row % len(inputs)] for row in range(len(data.dataset.data))])
    return replace(data, dataset=replace(data.dataset, data=annotated))


def test_the_files_hold_every_validation_item_with_what_colours_it(data: EmbeddedDataset, tmp_path: Path) -> None:
    dist = predicted(data)
    for _ in range(2):  # what was there before is replaced
        with SummaryWriter(str(tmp_path)) as writer:
            shown(item_map(data, {"soft": dist}, ProjectorSettings())).write(writer)
    config = ProjectorConfig()
    text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), config)
    (embedding,) = config.embeddings
    points = np.loadtxt(tmp_path / embedding.tensor_path, delimiter="\t")
    with (tmp_path / embedding.metadata_path).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    dataset = data.dataset
    assert [row["uid"] for row in rows] == list(dataset.split.val)
    assert list(rows[0]) == ["uid", "text", "majority class", "label entropy", "entropy of soft"]
    counts = dataset.observed.label_counts[dataset.rows("val")].numpy()
    assert [float(row["label entropy"]) for row in rows] == pytest.approx(entropy(counts, axis=1), abs=1e-4)
    assert [float(row["entropy of soft"]) for row in rows] == pytest.approx(entropy(dist, axis=1), abs=1e-4)
    assert {row["majority class"] for row in rows} <= set(dataset.data.class_names)
    assert points.shape == (len(rows), min(64, len(rows)))
    features = data.features[dataset.rows("val")].numpy()
    near, far = (np.linalg.norm(each[:, None] - each[None], axis=-1) for each in (points, features))
    assert np.corrcoef(near.ravel(), far.ravel())[0, 1] > 0.999


def test_of_many_items_some_are_drawn_the_same_each_time(
    data: EmbeddedDataset, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        first, again = (shown(item_map(data, {}, ProjectorSettings(items=10))) for _ in range(2))
    assert caplog.messages[0] == "projector: 10 of 31 validation items, drawn with seed 0"
    assert len(first.points) == 10
    assert first.columns == again.columns
    uids = list(first.columns["uid"])
    assert uids == [uid for uid in data.dataset.split.val if uid in uids]
    assert uids != list(data.dataset.split.val)[:10]


def test_predictions_stand_beside_their_items(data: EmbeddedDataset) -> None:
    dist = predicted(data)
    few = shown(item_map(data, {"soft": dist}, ProjectorSettings(items=10)))
    everything = shown(item_map(data, {"soft": dist}, ProjectorSettings()))
    of_all = dict(zip(everything.columns["uid"], everything.columns["entropy of soft"], strict=True))
    assert [of_all[uid] for uid in few.columns["uid"]] == few.columns["entropy of soft"]


@pytest.mark.parametrize("settings", [ProjectorSettings(items=0), ProjectorSettings(items=1)])
def test_none_are_shown_where_none_are_wanted(data: EmbeddedDataset, settings: ProjectorSettings) -> None:
    assert item_map(data, {}, settings) is None


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"projector\.items must be at least 0, got -1"):
        ProjectorSettings(items=-1)


def test_texts_are_short_lines_and_may_be_left_out(data: EmbeddedDataset) -> None:
    pairs = with_inputs(data, [("a\tb\nc", "x" * 200)])
    texts = shown(item_map(pairs, {}, ProjectorSettings())).columns["text"]
    assert {str(text) for text in texts} == {f"a b c / {'x' * 71}…"}
    private = shown(item_map(pairs, {}, ProjectorSettings(inputs=False)))
    assert list(private.columns) == ["uid", "majority class", "label entropy"]
    assert private.thumbnails is None


def test_images_have_thumbnails_and_odd_ones_are_told(
    data: EmbeddedDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    red = BytesIO()
    Image.new("RGB", (640, 480), "red").save(red, "JPEG")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    images = with_inputs(data, [red.getvalue(), np.full((8, 8, 3), 51, np.uint8), tmp_path / "broken.png"])
    found = shown(item_map(images, {}, ProjectorSettings()))
    broken = int((data.dataset.rows("val") % 3 == 2).sum())
    assert f"{broken} of 31 images" in caplog.text
    assert "text" not in found.columns
    assert found.thumbnails is not None
    means = found.thumbnails.mean((2, 3))
    wanted = torch.tensor([[1, 0, 0], [0.2, 0.2, 0.2], [0.5, 0.5, 0.5]])[data.dataset.rows("val") % 3]
    torch.testing.assert_close(means, wanted, atol=0.02, rtol=0)
    with SummaryWriter(str(tmp_path)) as writer:
        found.write(writer)
    with Image.open(tmp_path / "00000" / "items" / "sprite.png") as sprite:
        assert sprite.size == (6 * 32, 6 * 32)
    assert "single_image_dim: 32" in (tmp_path / "projector_config.pbtxt").read_text()
    assert shown(item_map(images, {}, ProjectorSettings(inputs=False))).thumbnails is None


def test_equal_features_do_not_divide_by_zero() -> None:
    alike = TensorDataModule(torch.ones(60, 4), label_counts=torch.randint(1, 9, (60, 3))).embedded
    assert np.isfinite(shown(item_map(alike, {}, ProjectorSettings())).points).all()
