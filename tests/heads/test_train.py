"""Training in one call: any form of annotations, by the rule of the commands."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import soft_labels
from soft_labels.data import TensorDataModule
from soft_labels.errors import ConfigError, DataError, TrainingError
from soft_labels.heads.train import counts_of, spec_of, train
from soft_labels.training.lightning_engine import LightningEngine
from soft_labels.training.predict import predict
from soft_labels.training.spec import head_of
from tests.conftest import ToyTextEncoder

NAMES = ["calm", "cross", "angry"]


def rated(items: int = 300) -> tuple[np.ndarray, list[str]]:
    """Counts of five annotators, and texts whose toy features decide them."""
    texts = [f"text {number}" for number in range(items)]
    features = ToyTextEncoder().forward(texts).numpy()
    logits = features @ np.random.default_rng(3).standard_normal((6, 3))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    generator = np.random.default_rng(0)
    return np.stack([generator.multinomial(5, row / row.sum()) for row in shares.astype(float)]), texts


def quick(annotations: Any, inputs: Any, **settings: Any) -> soft_labels.TrainedHead:
    defaults = {"max_epochs": 12, "hidden_width": 8, "accelerator": "cpu", "dropout": 0.0, "lr": 0.02}
    return train(annotations, inputs, **{**defaults, **settings})


def test_texts_become_a_head_with_its_report_that_travels(tmp_path: Path) -> None:
    counts, texts = rated()
    head = quick(pd.DataFrame(counts, columns=NAMES), texts, encoder=ToyTextEncoder(), calibration="temperature")
    assert head.class_names == tuple(NAMES)
    report = head.report
    assert report["floor"] < report["kl"] < report["marginal"]
    assert report["kl_low"] < report["kl"] < report["kl_high"]
    assert head.settings.trained_on["items"] == {"train": 210, "val": 45, "test": 45}
    again = soft_labels.load(head.save(tmp_path / "head"))
    np.testing.assert_array_equal(again.predict(texts).distributions, head.predict(texts).distributions)
    assert again.report == report


def test_it_trains_by_the_rule_of_fit() -> None:
    counts, texts = rated()
    features = ToyTextEncoder().forward(texts)
    head = quick(counts, features, dropout=0.5, seed=3, max_epochs=3)
    spec = spec_of({"max_epochs": 3, "hidden_width": 8, "lr": 0.02, "dropout": 0.5, "seed": 3})
    data = TensorDataModule(features, label_counts=counts).embedded
    (result,) = LightningEngine("cpu").train(data, [spec], keep_heads=True)
    expected = predict(head_of(data, result), data.features, torch.arange(300)).softmax(-1)
    np.testing.assert_allclose(head.predict(features).distributions, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("form", ["pandas", "polars", "list", "tensor"])
def test_annotations_come_in_any_form(form: str) -> None:
    counts = np.array([[3, 1, 0], [0, 2, 2]])
    given = {
        "pandas": pd.DataFrame(counts, columns=NAMES),
        "polars": pl.DataFrame(counts, schema=NAMES),
        "list": counts.tolist(),
        "tensor": torch.from_numpy(counts),
    }[form]
    found, names = counts_of(given)
    assert found.tolist() == counts.tolist()
    assert list(names) == (NAMES if form in {"pandas", "polars"} else ["0", "1", "2"])


def test_labels_are_one_annotation_each() -> None:
    found, names = counts_of(["b", "a", "b"])
    assert (found.tolist(), names) == ([[0, 1], [1, 0], [0, 1]], ("a", "b"))


def test_shares_train_a_head_whose_floor_is_not_known() -> None:
    counts, texts = rated()
    head = quick(counts / counts.sum(1, keepdims=True), texts, encoder=ToyTextEncoder())
    assert "floor" not in head.report
    assert head.report["kl"] < head.report["marginal"]
    assert "shares without counts" in head.report["notes"][0]


@pytest.mark.parametrize(
    ("annotations", "inputs", "settings", "error", "words"),
    [
        (np.ones((9, 3)), ["a"] * 8, {}, DataError, "9 rows of annotations but 8 inputs"),
        (np.ones((9, 1)), ["a"] * 9, {}, DataError, "at least two classes"),
        ([["x", "y"]] * 9, ["a"] * 9, {}, DataError, "wanted counts or shares as numbers"),
        (np.ones((9, 3)), np.zeros((9, 2)), {"encoder": ToyTextEncoder()}, ConfigError, "got features"),
        (np.ones((9, 3)), ["a"] * 9, {"colour": 1}, ConfigError, "colour"),
        (np.zeros((30, 3)), np.zeros((30, 2)), {}, DataError, "no annotation at all"),
        (["a", "a"], ["x", "y"], {}, DataError, "at least two classes"),
    ],
)
def test_what_cannot_be_trained_on_is_told(
    annotations: Any, inputs: Any, settings: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        quick(annotations, inputs, **settings)


def test_training_that_breaks_down_is_told() -> None:
    counts, texts = rated()
    features = ToyTextEncoder().forward(texts) * 1e30
    with pytest.raises(TrainingError, match="training broke down"):
        quick(counts, features, standardize=False, lr=1e30)


def test_a_store_keeps_what_was_encoded(tmp_path: Path) -> None:
    counts, texts = rated()
    quick(counts, texts, encoder=ToyTextEncoder(), store=tmp_path / "store")
    assert list((tmp_path / "store").rglob("*.safetensors"))
