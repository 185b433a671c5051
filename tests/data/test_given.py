import json
from pathlib import Path
from typing import Any

import pytest
import torch

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data import TableDataModule
from soft_labels.data.given import parts_of, take_parts, torn_groups
from soft_labels.data.split import Split
from soft_labels.errors import ConfigError, DataError
from tests.toys import SeededData


def data(groups: tuple[str, ...] | None = None) -> AnnotatedData:
    uids = tuple("abcdef")
    counts = torch.eye(2, dtype=torch.float64).repeat(3, 1)
    return AnnotatedData("toy", uids, uids, counts, ("no", "yes"), "text", groups=groups)


def test_parts_have_several_names() -> None:
    named = {"a": "Training", "b": "dev", "c": "validation", "d": "TEST", "e": "valid", "f": "train-00001-of-00002"}
    assert parts_of(named, "abcdef", "here") == Split(("a", "f"), ("b", "c", "e"), ("d",))


def test_odd_parts_are_named_with_how_many_items() -> None:
    with pytest.raises(DataError, match=r"here: wanted train, .* got 'x' \(2 items\), 'held' \(1 items\)"):
        parts_of({"a": "x", "b": "x", "c": "held", "d": "train"}, "abcd", "here")


def test_parts_that_nothing_can_be_chosen_by_are_refused() -> None:
    with pytest.raises(DataError, match=r"no item is in val \(train 1, val 0, test 1, in no part 2, of 4 items\)"):
        parts_of({"a": "train", "b": "test"}, "abcd", "here")
    with pytest.raises(DataError, match="no item is in train or in val"):
        parts_of({"1": "train", "2": "val"}, "abcd", "here")


def test_items_without_a_part_are_left_out_and_all_that_is_odd_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    part_of = {"a": "train", "b": "val", "c": "train", "d": None, "z": "test", "y": "test"}
    taken, split = take_parts(data(groups=("1", "1", "2", "3", "4", "5")), part_of, "here")
    assert (taken.uids, split) == (("a", "b", "c"), Split(("a", "c"), ("b",), ()))
    assert caplog.messages == [
        "toy: 2 uids of here are none of its items, the first is 'z'",
        "toy: 3 items are in no part of here and are left out, the first is 'd'",
        "toy: there is no test part: heads can be trained and chosen, not judged (here)",
        f"toy: {torn_groups(taken, split)}",
    ]
    assert torn_groups(taken, split).startswith("1 groups stand in several parts, with 1 items of val and test: ")


def test_groups_that_stay_together_are_no_leak() -> None:
    assert torn_groups(data(groups=("1", "2", "1", "2", "3", "3")), Split(("a", "c"), ("b", "d"), ("e", "f"))) == ""
    assert torn_groups(data(), Split(("a",), ("b",), ())) == ""


def test_the_split_of_another_run_is_taken_to_the_letter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = SeededData(split_seed=4)
    first.dataset.split.save(tmp_path / "split.json", first.dataset.split_settings())
    second = SeededData(split_file=tmp_path / "split.json")
    assert second.dataset.split == first.dataset.split
    assert second.dataset.split.digest == first.dataset.split.digest
    assert second.dataset.split_settings() == {"given": first.dataset.split.digest}
    with pytest.raises(ConfigError, match="seeded has a given split, which is not redrawn"):
        second.dataset.redrawn(1)
    assert not [one for one in caplog.messages if "part" in one and "test part has" not in one]


def test_parts_that_lack_a_class_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = SeededData()
    labels = first.dataset.observed.majority_label.tolist()
    lows = [uid for uid, label in zip(first.dataset.data.uids, labels, strict=True) if label == 0]
    rest = [uid for uid in first.dataset.data.uids if uid not in lows]
    parts = {"train": lows + rest[:50], "val": rest[50:80], "test": rest[80:]}
    (tmp_path / "split.json").write_text(json.dumps(parts), encoding="utf-8")
    caplog.clear()
    _ = SeededData(split_file=tmp_path / "split.json").dataset.split
    assert f"class 'low' is the majority of {len(lows)} item(s) and is absent from val and test" in caplog.messages[0]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    rows = [f"i{number},text {number},{number % 2},{('train', 'dev', 'test', '')[number % 4]}" for number in range(40)]
    path.write_text("\n".join(["item,text,label,part", *rows]), encoding="utf-8")
    return path


def table(path: Path, **settings: object) -> TableDataModule:
    return TableDataModule(path, text_column="text", label_column="label", **settings)  # type: ignore[arg-type]


def test_a_column_of_a_table_is_the_split(csv: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = table(csv, split_column="part").dataset
    assert [len(part) for part in (dataset.split.train, dataset.split.val, dataset.split.test)] == [10, 10, 10]
    assert {int(uid[1:]) % 4 for uid in dataset.split.val} == {1}
    assert "t: 10 items are in no part of column 'part' and are left out, the first is 'i11'" in caplog.messages


def test_an_item_in_two_parts_is_refused(csv: Path) -> None:
    with csv.open("a", encoding="utf-8") as file:
        file.write("\ni0,text 0,1,test\n")
    with pytest.raises(DataError, match=r"row 41 .*: item 'i0' has another part of the split than in its first row"):
        _ = table(csv, split_column="part").dataset


def test_folders_that_are_parts(tmp_path: Path) -> None:
    for part, numbers in {"train": range(6), "validation": range(6, 9), "test": range(9, 12)}.items():
        (tmp_path / "set" / part).mkdir(parents=True)
        rows = [f"i{number},text {number},{number % 2}" for number in numbers]
        (tmp_path / "set" / part / "data.csv").write_text("\n".join(["item,text,label", *rows]), encoding="utf-8")
    split = table(tmp_path / "set", split_column="folder").dataset.split
    assert split.val == ("i6", "i7", "i8")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split_column": "part", "folds": 5}, "wanted one of split_column, split_file and folds, got split_column"),
        ({"fold": 2}, r"fold 2 wants folds, the number of them; set data\.folds too"),
        ({"split_column": "source"}, "seeded: no column 'source' describes its items"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _ = SeededData(**settings).dataset


def test_folds_are_walked_through_by_redrawn_splits() -> None:
    dataset = SeededData(folds=4, fold=2, split_seed=7).dataset
    splits = [dataset.redrawn(dataset.first_redrawn + number).split for number in range(5)]
    assert sorted(uid for split in splits[:4] for uid in split.test) == list(dataset.data.uids)
    assert splits[2] == dataset.split
    assert splits[4] not in splits[:4]
    assert dataset.split_settings()["folds"] == 4
    assert dataset.split_settings()["number"] == 2
