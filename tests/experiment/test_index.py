import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soft_labels.errors import RecordError
from soft_labels.experiment import index as module
from soft_labels.experiment.index import (
    FILE,
    SCHEMA,
    ArmForm,
    ArmRuns,
    DatasetIndex,
    Examples,
    ExperimentIndex,
    ItemExample,
)  # fmt: skip
from soft_labels.runs.digested import with_digest

ITEM = ItemExample("item-1", "some text", [0.25, 0.75], {"hard": [0.1, 0.9], "soft": [0.3, 0.7]})

HARD = ArmRuns({"grid": ["a", "b"]}, "b", ["c", "d"], ["e", "f"])
SET = DatasetIndex(
    dataset="toy",
    encoder="ToyEncoder small",
    class_names=["no", "yes"],
    ordinal=False,
    description={"items": 40, "normalized_entropy_mean": 0.5},
    entropy_histogram=[2] * 20,
    arms={"hard": HARD, "soft": replace(HARD, best="a"), "hard_t": replace(HARD, trials={})},
    examples=Examples([ITEM, replace(ITEM, text=None, pred_dist={})], ITEM, None),
)
INDEX = ExperimentIndex(
    "toy experiment",
    {
        "hard": ArmForm({"model.target": "hard"}, None, "none"),
        "soft": ArmForm({"model.target": "soft"}, None, "none"),
        "hard_t": ArmForm({}, "hard", "temperature"),
    },
    "hard",
    [SET, replace(SET, dataset="other", examples=Examples([], None, None))],
)


def edited(folder: Path, change: dict[str, Any], digest: bool) -> None:
    """Change values of a saved index, with or without a digest that fits."""
    values = json.loads((folder / FILE).read_text(encoding="utf-8"))
    values.update(change)
    if digest:
        del values["digest"]
        values = with_digest(values)
    (folder / FILE).write_text(json.dumps(values), encoding="utf-8")


def test_an_index_is_read_as_it_was_saved(tmp_path: Path) -> None:
    INDEX.save(tmp_path)
    assert ExperimentIndex.load(tmp_path) == INDEX
    assert list(ExperimentIndex.load(tmp_path).arms) == ["hard", "soft", "hard_t"]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_the_same_index_is_the_same_bytes(tmp_path: Path) -> None:
    INDEX.save(tmp_path / "one")
    INDEX.save(tmp_path / "two")
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RecordError, match=r"no experiment.json in .*; give the folder that soft-labels reproduce wrote"
    ):
        ExperimentIndex.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "digest"),
    [
        ({"name": "another"}, False),
        ({"schema": 1}, True),
        ({"schema": SCHEMA + 1}, True),
        ({"arms": {"hard": {"overlay": {}}}}, True),
        ({"datasets": [{"dataset": "toy"}]}, True),
        ({"datasets": 3}, True),
    ],
)
def test_an_index_that_is_another_or_was_changed_is_refused(
    tmp_path: Path, change: dict[str, Any], digest: bool
) -> None:
    INDEX.save(tmp_path)
    edited(tmp_path, change, digest)
    with pytest.raises(RecordError, match=f"is no experiment of schema {SCHEMA} as it was written; run soft-labels"):
        ExperimentIndex.load(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"schema"', "[" * 100_000], ids=["", "list", "null", "cut", "deep"]
)
def test_what_is_no_index_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match="is no experiment of schema"):
        ExperimentIndex.load(tmp_path)


def test_an_older_index_is_migrated_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def named(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "name": values.pop("title"), "schema": 1}

    def last(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "name": f"{values['name']}, migrated", "schema": SCHEMA}

    INDEX.save(tmp_path)
    edited(tmp_path, {"schema": 0, "title": "older"}, digest=True)
    monkeypatch.setattr(module, "MIGRATIONS", {0: named, 1: last})
    assert ExperimentIndex.load(tmp_path) == replace(INDEX, name="older, migrated")
