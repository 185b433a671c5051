from pathlib import Path

from soft_labels.data import TableDataModule
from tests.conftest import ToyTextEncoder


def test_a_table_becomes_a_data_set_without_code(tiny_table: Path, tmp_path: Path) -> None:
    data = TableDataModule(
        tiny_table, text_column="text", label_column="label", annotator_column="annotator", ordinal=True,
        class_names=["calm", "cross", "angry"],
        encoder=ToyTextEncoder(), store=tmp_path,
    )  # fmt: skip
    assert data.dataset.name == tiny_table.stem
    assert data.ordinal
    assert len(data.dataset.data) == 45
    assert data.embedded.features.dim == 6


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
    encoder = ToyTextEncoder()
    assert batch.features.equal(encoder.forward(encoder.preprocess(["good bye", "hello"])))


def test_settings_of_a_configuration_reach_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,a,b,who,label\n1,x,y,p,No\n1,x,y,q,Yes\n2,z,z,p,Yes\n2,z,z,r,maybe\n", encoding="utf-8")
    data = TableDataModule(
        path, uid_column="id", text_template="{a}-{b}", annotator_column="who", label_column="label",
        class_names=[False, True], ignore_labels=["maybe"], encoder=ToyTextEncoder(), store=tmp_path,
    ).read()  # fmt: skip
    assert data.class_names == ("No", "Yes")
    assert list(data.inputs) == ["x-y", "z-z"]
    assert data.label_counts.tolist() == [[1, 1], [0, 1]]
    assert data.annotations is not None
    assert data.annotations.annotators == ("p", "q")


def test_a_table_of_new_items_has_the_columns_of_the_first(tiny_table: Path) -> None:
    data = TableDataModule(tiny_table, text_template="{text} ({item})", label_column="label")
    assert data.item_columns == {"uid_column": "item", "text_template": "{text} ({item})"}
    made = TableDataModule(tiny_table, uid_column=None, text_column="text", label_column="label")
    assert made.item_columns == {"uid_column": None, "text_column": "text"}
