import json
import math
import os
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import pytest

from soft_labels.errors import RecordError
from soft_labels.runs import record as module
from soft_labels.runs.record import MIGRATIONS, SCHEMA, RunRecord, best_record, environment, rounded, run_id
from soft_labels.training.spec import RunSpec
from tests.runs.records import DATA, record


@dataclass(frozen=True)
class Wider(RunSpec):
    """A spec of a later version, with a neutral field."""

    margin: float = 0.0


def test_a_record_comes_back_from_its_line_as_it_was() -> None:
    one = record([1.0, 0.5, None], lr=3e-4, target="hard")
    assert RunRecord.of_line(one.line()) == one
    assert json.loads(one.line())["schema"] == SCHEMA == 2
    assert one.run_spec == RunSpec("hard", lr=3e-4)


def test_the_value_is_the_lowest_validation_loss() -> None:
    assert record([1.0, 0.5, 0.75]).value == 0.5
    assert record([None]).value == math.inf


def test_the_best_of_equal_runs_is_the_shortest_then_the_first() -> None:
    runs = [
        record([1.0, 0.5], max_epochs=20),
        record([1.0, 0.5], max_epochs=10, seed=1),
        record([0.7]),
        record([0.5], max_epochs=10, seed=2),
    ]
    assert best_record(runs) is runs[1]


def test_no_run_that_broke_down_is_the_best() -> None:
    assert best_record([record([None]), record([9.0])]).value == 9.0
    with pytest.raises(RecordError, match="finite validation loss"):
        best_record([record([None])])
    with pytest.raises(RecordError, match="finite validation loss"):
        best_record([])


def test_ids_tell_apart_what_may_differ() -> None:
    spec, data = RunSpec(), {"dataset": "toy"}
    ids = {
        run_id(spec, data, judged=False), run_id(spec, data, judged=True),
        run_id(spec, data, judged=False, pruner="MedianPruner"), run_id(replace(spec, seed=1), data, judged=False),
        run_id(spec, {"dataset": "other"}, judged=False),
    }  # fmt: skip
    assert len(ids) == 5
    assert run_id(RunSpec(), {"dataset": "toy"}, judged=False) in ids


def test_every_field_of_a_spec_changes_the_id() -> None:
    other: dict[str, Any] = {
        "target": "hard", "hidden_width": 8, "dropout": 0.1, "lr": 1e-3, "weight_decay": 0.1, "scheduler": "plateau",
        "plateau_factor": 0.1, "plateau_patience": 3, "standardize": False, "seed": 1, "batch_size": 8,
        "max_epochs": 3, "patience": 2, "min_delta": 0.0, "loss": "brier", "smoothing": 0.1, "shrinkage": 1.0,
        "head": "logistic", "neighbours": 7,
    }  # fmt: skip
    assert other.keys() == RunSpec().settings().keys()
    ids = {run_id(replace(RunSpec(), **{name: value}), DATA, judged=False) for name, value in other.items()}
    assert len(ids | {run_id(RunSpec(), DATA, judged=False)}) == len(other) + 1


# Written down once: an id that changes makes every folder of records train again.
PINNED = {
    ("soft", False, None): "359bfaef223f712e",
    ("hard", True, None): "6ab7c5f00747cc35",
    ("soft", False, "MedianPruner"): "3a009eaabfae863c",
}


@pytest.mark.parametrize(("kind", "wanted"), PINNED.items(), ids=PINNED.values())
def test_ids_are_the_ones_that_were_written_down(kind: tuple[str, bool, str | None], wanted: str) -> None:
    target, judged, pruner = kind
    assert run_id(RunSpec(target, lr=1e-3, seed=2), DATA, judged, pruner) == wanted


def test_a_new_neutral_field_changes_no_id_and_another_value_of_it_does() -> None:
    for settings in ({}, {"target": "hard", "lr": 1e-3}, {"seed": 7, "batch_size": 8}):
        assert run_id(Wider(**settings), DATA, judged=True) == run_id(RunSpec(**settings), DATA, judged=True)
    assert run_id(Wider(margin=0.1), DATA, judged=True) != run_id(RunSpec(), DATA, judged=True)


def test_a_record_from_before_a_field_was_there_is_read_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    old = record([1.0], lr=1e-3)
    monkeypatch.setattr(module, "RunSpec", Wider)
    found = RunRecord.of_line(old.line())
    assert found == old
    assert found.run_spec == Wider(lr=1e-3)


def test_a_record_with_a_field_that_this_version_does_not_know_is_refused_in_words() -> None:
    newer = record([1.0])
    newer.spec["margin"] = 0.0
    with pytest.raises(RecordError, match="got one with margin: a newer version wrote it"):
        RunRecord.of_line(newer.line())


def line_of(values: dict[str, Any]) -> str:
    """A line whose digest fits, as an older version wrote it."""
    text = json.dumps(values)
    return f'{text[:-1]}, "digest": "{module._digest(text)}"}}'


def old_line(one: RunRecord) -> str:
    """The record in an older form: its engine had another name, and it had no pruner."""
    values = json.loads(one.line())
    values.pop("digest")
    values["schema"], values["trained_by"] = SCHEMA - 1, values.pop("engine")
    values.pop("pruner")
    return line_of(values)


def renamed(values: dict[str, Any]) -> dict[str, Any]:
    values = {
        "schema": SCHEMA,
        "engine": values["trained_by"],
        "pruner": None,
        **values,
    }
    return {**{key: value for key, value in values.items() if key != "trained_by"}, "schema": SCHEMA}


def test_a_line_of_an_older_schema_takes_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    one = record([1.0, 0.5], target="hard")
    with pytest.raises(RecordError, match=f"wanted a run record of schema {SCHEMA}, got {SCHEMA - 1}; run again"):
        RunRecord.of_line(old_line(one))
    monkeypatch.setitem(MIGRATIONS, SCHEMA - 1, renamed)
    assert RunRecord.of_line(old_line(one)) == one
    assert RunRecord.of_line(one.line()) == one


def test_a_line_two_schemas_old_takes_both_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    one = record([1.0])
    values = json.loads(old_line(one))
    values.pop("digest")
    monkeypatch.setitem(MIGRATIONS, SCHEMA - 1, renamed)
    monkeypatch.setitem(MIGRATIONS, SCHEMA - 2, lambda old: {**old, "schema": SCHEMA - 1})
    assert RunRecord.of_line(line_of({**values, "schema": SCHEMA - 2})) == one


def test_a_damaged_line_of_an_older_schema_is_not_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MIGRATIONS, SCHEMA - 1, renamed)
    with pytest.raises(RecordError, match="digest does not fit"):
        RunRecord.of_line(old_line(record([1.0])).replace("1.0", "2.0"))


@pytest.mark.parametrize("line", [
    '{"schema": 99, "id": "x"}', '{"schema": 1, "id": "x"}', "[]", "no json", "", "[" * 10_000, "1" * 5_000,
    '{"schema": [2]}', '{"schema": {}}', '{"id": "x"}',
], ids=lambda line: line[:20])  # fmt: skip
def test_what_is_no_record_of_this_schema_says_to_run_again(line: str) -> None:
    with pytest.raises(RecordError, match=r"wanted a run record of schema 2, got .*; run again with this version"):
        RunRecord.of_line(line)


@pytest.mark.parametrize(("before", "after"), [
    ("0.5", "0.4"), ('"best_epoch": 1', '"best_epoch": 0'), ('"soft"', '"hard"'), ("0.5", "NaN"), ('"toy"', '"tow"'),
    ('"lr": 0.0001', '"lr": 0.0002'), ('"schema": 2', '"schema": 2, "more": 1'),
])  # fmt: skip
def test_a_changed_value_does_not_fit_the_digest(before: str, after: str) -> None:
    line = record([1.0, 0.5]).line()
    assert before in line
    with pytest.raises(RecordError, match="digest does not fit: it is damaged"):
        RunRecord.of_line(line.replace(before, after))


def test_an_id_that_does_not_fit_spec_and_data_is_refused() -> None:
    with pytest.raises(RecordError, match="as its spec and data say, got id 0123456789abcdef: the record is damaged"):
        RunRecord.of_line(replace(record([1.0]), id="0123456789abcdef").line())


def test_numbers_have_six_digits_and_are_finite() -> None:
    assert rounded(1 / 3) == 0.333333
    assert rounded(123456789.0) == 123457000.0
    assert (rounded(math.nan), rounded(math.inf)) == (None, None)


def test_the_environment_names_versions_and_the_commit_and_does_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    environment.cache_clear()
    here = environment()
    assert here["torch"] == version("torch")
    assert here["machine"]["cores"] == os.cpu_count()
    assert here["git"] is None or len(here["git"].removesuffix("-dirty")) == 12
    environment.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert environment()["git"] is None
    environment.cache_clear()
