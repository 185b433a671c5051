from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch

from soft_labels.errors import ConfigError
from soft_labels.training.prediction_table import FORMATS, TableFormat, format_of, prediction_columns, table_writer

READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "csv": pl.read_csv,
    "parquet": pl.read_parquet,
    "jsonl": pl.read_ndjson,
}


@pytest.mark.parametrize("form", FORMATS)
def test_blocks_come_back_as_one_table_in_any_format(form: TableFormat, tmp_path: Path) -> None:
    path = tmp_path / f"table.{form}"
    pred_dist = torch.tensor([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    with table_writer(path, form) as add:
        add(prediction_columns(["a", "=b"], pred_dist[:2], ["no, thanks", "yes"]))
        add(prediction_columns(["c"], pred_dist[2:], ["no, thanks", "yes"]))
        assert not path.exists()
    frame = READERS[form](path)
    assert frame.columns == ["uid", "p_no, thanks", "p_yes", "top_class", "entropy_nats"]
    assert frame["uid"].to_list() == ["a", "=b", "c"]
    assert frame["top_class"].to_list() == ["no, thanks", "yes", "no, thanks"], "the first of equals"
    assert frame["entropy_nats"].to_list() == pytest.approx([0.693147, 0.562335, 0], abs=1e-6)


def test_what_breaks_down_leaves_no_table(tmp_path: Path) -> None:
    def broken() -> None:
        with table_writer(tmp_path / "table.csv", "csv") as add:
            add(prediction_columns(["a"], torch.tensor([[0.5, 0.5]]), ["no", "yes"]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_a_suffix_that_says_no_format_is_refused() -> None:
    assert format_of(Path("TABLE.CSV")) == "csv"
    with pytest.raises(ConfigError, match=r"wanted a table that ends in \.csv, \.parquet, \.jsonl"):
        format_of(Path("table.xlsx"))
