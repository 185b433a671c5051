import pytest

from soft_labels.annotations.table.settings import TableSettings
from soft_labels.errors import ConfigError


def test_names_that_yaml_reads_as_numbers_are_names() -> None:
    assert TableSettings(form="counts", count_columns=[0, 1]).count_columns == ("0", "1")  # type: ignore[list-item]


def test_what_is_shown_is_one_kind_of_input() -> None:
    assert TableSettings(label_column="l", text_column="a", second_text_column="b").shown[1] == "text_pair"
    assert TableSettings(label_column="l", image_column="a").shown == ({"input_0": "a"}, "image")
    with pytest.raises(ConfigError, match="wanted one kind of input"):
        _ = TableSettings(label_column="l", text_column="a", text_template="{b}").shown


def test_items_to_predict_need_no_labels() -> None:
    settings = TableSettings(form="counts", uid_column="id", text_column="t", count_columns=["a", "b"], missing="drop")
    inputs = settings.of_inputs()
    assert (inputs.form, inputs.uid_column, inputs.text_column, inputs.missing) == ("long", "id", "t", "drop")


def test_a_second_table_is_named_before_its_columns() -> None:
    with pytest.raises(ConfigError, match="set items_path too"):
        TableSettings(label_column="l", items_uid_column="id")
