import pytest

from soft_labels.annotations.table.classes import as_written, in_order, label_warnings, resolve_classes
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.errors import ConfigError


def warned(*names: str, items: int = 100, single: bool = False, ordered: bool = False, count: float = 5) -> str:
    return " | ".join(label_warnings(dict.fromkeys(names, count), items, single, ordered))


def test_a_scale_has_classes_that_nobody_chose() -> None:
    settings = TableSettings(label_column="label", scale=[1, 5])
    names, places = resolve_classes(["1", "4"], settings, "t.csv")
    assert names == ("1", "2", "3", "4", "5")
    assert places == {"1": 0, "2": 1, "3": 2, "4": 3, "5": 4}


def test_numbers_and_leading_numbers_are_ordered_and_words_never() -> None:
    assert in_order(["10", "9", "-1.5"], True, "t") == ["-1.5", "9", "10"]
    assert in_order(["2 - agree", "10 - strongly", "1 - not"], True, "t") == ["1 - not", "2 - agree", "10 - strongly"]
    assert in_order(["no", "maybe"], False, "t") == ["maybe", "no"]
    with pytest.raises(ConfigError, match=r"set class_names: \[high, low\] in the right order"):
        in_order(["low", "high"], True, "t")


def test_names_are_taken_as_written() -> None:
    assert as_written([0, 1.0, "2.0", 2.5], []) == ["0", "1", "2.0", "2.5"]
    assert as_written([True, False], ["false", "true"]) == ["true", "false"]
    with pytest.raises(ConfigError, match=r'ignore_labels: YAML reads a bare no.*stands for no label here.*"no"'):
        as_written([False], ["yes"], "ignore_labels")


def test_what_is_odd_is_named() -> None:
    assert "No and no" in warned("No", "no", "yes")
    assert "NA (5), I don't know (5)" in warned("NA", "I don't know", "yes")
    assert "look like lists: 0,0,1, 0,1,1; set form: list, or label_separator" in warned("0,0,1", "0,1,1")
    assert "look like lists: ['a']" in warned("['a']", "a")
    assert "scale: [1, 5]" in warned("1", "2", "5")
    assert "nobody chose a, b" in warned("a", "b", count=0)
    assert "does label_column hold labels" in warned("a", "b", "c", items=3)
    assert "does uid_column name the item" in warned("a", "b", single=True)


def test_what_is_not_odd_is_not_named() -> None:
    assert warned("no", "maybe", "yes") == ""
    assert warned("0", "1") == ""
    assert warned("1", "2", "3", "4", "5") == ""
    assert warned("1", "3", "5", ordered=True) == ""
    assert warned("not hateful", "hateful", "1 (not polite at all)") == ""
