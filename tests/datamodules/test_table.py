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


def test_new_items_are_encoded_and_predicted_by_their_own_table(tiny_table: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text("item,text\nz,hello\ny,good bye\n", encoding="utf-8")
    data = TableDataModule(
        tiny_table, text_column="text", label_column="label", predict_path=new,
        encoder=ToyTextEncoder(), store=tmp_path / "store",
    )  # fmt: skip
    (batch,) = data.predict_dataloader()
    assert data.items_to_predict.uids == ("y", "z")
    assert batch.rows.tolist() == [0, 1]
    expected = data.encoder.forward(data.encoder.preprocess(["good bye", "hello"]))
    assert batch.features.equal(expected)
