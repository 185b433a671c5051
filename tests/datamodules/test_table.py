from pathlib import Path

from soft_labels.datamodules import TableDataModule
from tests.conftest import ToyTextEncoder


def test_a_table_becomes_a_data_set_without_code(tiny_table: Path, tmp_path: Path) -> None:
    data = TableDataModule(
        tiny_table, text_column="text", label_column="label", annotator_column="annotator", ordinal=True,
        encoder=ToyTextEncoder(), store=tmp_path,
    )  # fmt: skip
    assert data.dataset == tiny_table.stem
    assert data.ordinal
    assert len(data.data) == 45
    assert data.features.dim == 6
