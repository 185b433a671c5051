import math
import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from soft_labels.errors import RecordError
from soft_labels.files import PARTIAL_PREFIX
from soft_labels.records import SCHEMA, ItemScores, RecordStore, RunRecord, best_record, environment, rounded, run_id
from soft_labels.runs import RunSpec


def record(key: str, losses: list[float | None], **spec: int) -> RunRecord:
    finite = [math.inf if loss is None else loss for loss in losses]
    return RunRecord(
        schema=SCHEMA, id=key, engine="population", spec=replace(RunSpec(), **spec).settings(), data={"dataset": "toy"},  # type: ignore[arg-type]
        curve={"val/loss": losses, "lr": [0.1] * len(losses)}, best_epoch=int(np.argmin(finite)), ending="max_epochs",
        test=None, environment={}, finished_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def scores(seed: int) -> ItemScores:
    generator = np.random.default_rng(seed)
    pred_dist = generator.dirichlet(np.ones(3), 5).astype(np.float32)
    label_entropy = np.array([0.1, 0.2, 0.3, 0.4, 0.5])  # of the items, so the same for every run
    pred_entropy, kl = generator.uniform(size=(2, 5)).round(6)
    return ItemScores(("a", "b", "c", "d", "e"), label_entropy, pred_entropy, kl, kl > 0.5, pred_dist)


def test_records_items_and_predictions_come_back_as_they_were(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    runs, items = [record("one", [1.0, 0.5]), record("two", [2.0, None])], {"one": scores(1), "two": scores(2)}
    store.add("part", runs, items)
    store.add("other", [record("three", [3.0])], {})
    assert store.read() == {"one": runs[0], "two": runs[1], "three": record("three", [3.0])}
    for key, wanted in items.items():
        found = store.items()[key]
        assert found.uids == wanted.uids
        for name in ("label_entropy", "pred_entropy", "kl", "correct"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        np.testing.assert_array_equal(store.predictions(key), wanted.pred_dist)


def test_what_a_killed_process_left_half_written_is_not_read_and_goes_away(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    torn = [tmp_path / f"{PARTIAL_PREFIX}{os.getpid()}-part{end}" for end in (".jsonl", ".items.jsonl", ".safetensors")]
    for path in torn:
        path.write_text('{"schema": 1, "id": "tor')
    assert (store.read(), store.items()) == ({}, {})
    store.add("part", [record("one", [1.0])], {"one": scores(1)})
    assert store.read().keys() == {"one"}
    assert not [path for path in torn if path.exists()]


@pytest.mark.parametrize("line", ['{"schema": 99, "id": "x"}', '{"schema": 1, "id": "x"}', "[]", "no json"])
def test_a_record_of_another_version_is_one_clear_error(tmp_path: Path, line: str) -> None:
    RecordStore(tmp_path).add("part", [record("one", [1.0])], {})
    (tmp_path / "old.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"old\.jsonl, line 1: wanted a run record of schema 1"):
        RecordStore(tmp_path).read()


def test_the_best_of_equal_runs_is_the_shortest_then_the_first() -> None:
    runs = [record("a", [1.0, 0.5], max_epochs=20), record("b", [1.0, 0.5], max_epochs=10)]
    assert best_record([*runs, record("c", [0.7]), record("d", [0.5], max_epochs=10)]).id == "b"


def test_no_run_that_broke_down_is_the_best() -> None:
    assert best_record([record("a", [None]), record("b", [9.0])]).id == "b"
    with pytest.raises(RecordError, match="finite validation loss"):
        best_record([record("a", [None])])


def test_ids_tell_apart_what_may_differ() -> None:
    spec, data = RunSpec(), {"dataset": "toy"}
    ids = {
        run_id(spec, data, judged=False), run_id(spec, data, judged=True),
        run_id(spec, data, judged=False, pruner="MedianPruner"), run_id(replace(spec, seed=1), data, judged=False),
        run_id(spec, {"dataset": "other"}, judged=False),
    }  # fmt: skip
    assert len(ids) == 5
    assert run_id(RunSpec(), {"dataset": "toy"}, judged=False) in ids


def test_numbers_have_six_digits_and_are_finite() -> None:
    assert rounded(1 / 3) == 0.333333
    assert rounded(123456789.0) == 123457000.0
    assert (rounded(math.nan), rounded(math.inf)) == (None, None)


def test_the_environment_names_versions_and_the_commit_and_does_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    environment.cache_clear()
    here = environment()
    assert here["torch"] == version("torch")
    assert here["git"] is None or len(here["git"].removesuffix("-dirty")) == 12
    environment.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert environment()["git"] is None
    environment.cache_clear()
