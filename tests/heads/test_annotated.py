from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import beta

from soft_labels.errors import ConfigError, DataError
from soft_labels.heads.annotated import Ratings, strength_of
from soft_labels.heads.table import ItemTable, predict_table
from tests.heads.toy_head import toy_head

STRENGTH = 4.0


def ratings(path: Path, frame: pl.DataFrame, **settings: str | None) -> Ratings:
    frame.write_csv(path)
    return Ratings(toy_head(report={"prior_strength": STRENGTH}), path, **settings)


def test_head_and_annotators_are_added_with_their_weights(tmp_path: Path) -> None:
    rows = {"item": ["b", "b", "b", "c"], "label": ["calm", "calm", "angry", "cross"]}
    found = ratings(tmp_path / "ratings.csv", pl.DataFrame(rows))
    pred_dist = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    columns = found.columns(("a", "b", "c"), pred_dist)
    assert columns["annotations"].tolist() == [0, 3, 1]
    posterior = np.stack([columns[f"posterior_{name}"] for name in ("calm", "cross", "angry")], 1)
    expected = (np.array([[0, 0, 0], [2, 0, 1], [0, 1, 0]]) + STRENGTH * pred_dist.numpy()) / np.array([[4], [7], [5]])
    np.testing.assert_allclose(posterior, expected, rtol=1e-6)
    low, high = (beta.ppf(side, 2 + 4 * 0.2, 1 + 4 * 0.8) for side in (0.025, 0.975))
    assert (columns["low_calm"][1], columns["high_calm"][1]) == pytest.approx((low, high), rel=1e-5)
    assert columns["annotations"].dtype == np.int64


def test_weighted_counts_stay_numbers(tmp_path: Path) -> None:
    rows = {"item": ["a"], "calm": [1.5], "cross": [0.0], "angry": [1.0]}
    found = ratings(tmp_path / "ratings.csv", pl.DataFrame(rows), label_column=None)
    assert found.columns(("a",), torch.full((1, 3), 1 / 3))["annotations"].tolist() == [2.5]


def test_counts_of_classes_serve_as_well(tmp_path: Path) -> None:
    rows = {"item": ["a", "b"], "calm": [2, 0], "cross": [0, 1], "angry": [1, 1]}
    found = ratings(tmp_path / "ratings.csv", pl.DataFrame(rows), label_column=None)
    columns = found.columns(("b", "a"), torch.full((2, 3), 1 / 3))
    assert columns["annotations"].tolist() == [2, 3]


def test_a_table_of_predictions_has_both(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pl.DataFrame({"item": ["a", "b", "c"], "text": ["x", "y", "z"]}).write_csv(tmp_path / "new.csv")
    rows = pl.DataFrame({"item": ["b", "gone"], "label": ["angry", "calm"]})
    given = ratings(tmp_path / "ratings.csv", rows)
    with caplog.at_level("INFO"):
        predict_table(toy_head(), ItemTable(tmp_path / "new.csv", rows=2), tmp_path / "out.parquet", "parquet", given)
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame["annotations"].to_list() == [0, 1, 0]
    for name in ("calm", "cross", "angry"):
        alone = frame.filter(pl.col("annotations") == 0)
        np.testing.assert_allclose(alone[f"posterior_{name}"], alone[f"p_{name}"], atol=1e-6)
        assert (frame[f"low_{name}"] < frame[f"high_{name}"]).all()
    assert frame["posterior_angry"][1] > frame["p_angry"][1]
    assert "1 items that were not predicted are left out" in caplog.text
    assert "annotations of 1 items beside the head, which counts as 4 annotators" in caplog.text


def test_a_label_that_is_no_class_of_the_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'furious' is none of the classes"):
        ratings(tmp_path / "ratings.csv", pl.DataFrame({"item": ["a"], "label": ["furious"]}))


@pytest.mark.parametrize("report", [{}, {"prior_strength": None}])
def test_a_head_without_a_strength_says_what_it_wants(report: dict[str, None]) -> None:
    with pytest.raises(ConfigError, match="validation items of two annotators and more, and their counts"):
        strength_of(toy_head(report=report))


def test_items_without_ids_are_joined_to_nothing(tmp_path: Path) -> None:
    head = toy_head(report={"prior_strength": 1.0}, columns={"text_column": "text"})
    with pytest.raises(ConfigError, match="joined to items by one column of ids"):
        Ratings(head, tmp_path / "ratings.csv")
