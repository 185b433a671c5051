import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from soft_labels.errors import RecordError
from soft_labels.files import PARTIAL_PREFIX
from soft_labels.metrics import Judged
from soft_labels.runs.store import RecordStore
from tests.faults.damage import cut, emptied, flipped, gone, one_digit, other_schema, rows_swapped
from tests.runs.records import logits, observed_items, record

ONE, TWO = record([1.0, 0.5], judged=1, seed=1), record([2.0, None], judged=2, seed=2)
SEARCHED = record([3.0], seed=3)


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    """A bundle of two judged runs, and one of a search."""
    made = RecordStore(tmp_path)
    made.add("part", [ONE, TWO], {ONE.id: logits(1), TWO.id: logits(2)}, observed_items())
    made.add("other", [SEARCHED], {}, None)
    return made


def test_records_and_predictions_come_back_as_they_were(store: RecordStore) -> None:
    fresh = RecordStore(store.folder)
    assert fresh.read() == store.read() == {one.id: one for one in (ONE, TWO, SEARCHED)}
    for run, seed in ((ONE, 1), (TWO, 2)):
        judged = fresh.judged(run)
        assert judged.keys() == {"val", "test"}
        for part, wanted in logits(seed).items():
            seen = observed_items()[part].observed
            assert torch.equal(judged[part].logits, wanted)
            assert torch.equal(judged[part].label_dist, seen.label_dist)
            assert torch.equal(judged[part].majority_label, seen.majority_label)
            truth = judged[part].true_dist
            assert truth is not None
            assert seen.true_dist is not None
            assert torch.equal(truth, seen.true_dist)


def test_predictions_are_found_before_anything_else_was_read(store: RecordStore) -> None:
    assert isinstance(RecordStore(store.folder).judged(TWO)["val"], Judged)


def test_what_was_observed_is_kept_once_a_split(store: RecordStore) -> None:
    other = record([1.0], judged=4, seed=4)
    store.add("more", [other], {other.id: logits(4)}, observed_items())
    names = sorted(path.name for path in store.folder.iterdir())
    assert names == [
        "more.jsonl", "more.parquet", f"observed-{ONE.observed}.parquet", "other.jsonl", "part.jsonl", "part.parquet"
    ]  # fmt: skip
    assert store.observed(other)["val"].uids == observed_items()["val"].uids


def test_what_a_killed_process_left_half_written_is_not_read_and_goes_away(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    torn = [tmp_path / f"{PARTIAL_PREFIX}{os.getpid()}-part{end}" for end in (".jsonl", ".parquet")]
    for path in torn:
        path.write_text('{"schema": 2, "id": "tor')
    assert store.read() == {}
    assert not store.has("part")
    store.add("part", [ONE], {ONE.id: logits(1)}, observed_items())
    assert store.read().keys() == {ONE.id}
    assert store.has("part")
    assert not [path for path in torn if path.exists()]


@pytest.mark.parametrize("line", ['{"schema": 99, "id": "x"}', '{"schema": 1, "id": "x"}', "[]", "no json"])
def test_a_record_of_another_version_is_one_clear_error(store: RecordStore, line: str) -> None:
    (store.folder / "old.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"old\.jsonl, line 1: wanted a run record of schema 2.*; delete the file"):
        RecordStore(store.folder).read()


def test_the_predictions_of_a_search_are_not_kept(store: RecordStore) -> None:
    with pytest.raises(RecordError, match="belongs to a search: its predictions are not kept"):
        store.judged(SEARCHED)


def test_a_run_of_another_folder_is_named(store: RecordStore) -> None:
    with pytest.raises(RecordError, match=r"no record of run .*; run the same command again"):
        store.judged(record([1.0], judged=1, seed=9))


DAMAGES = (cut, emptied, flipped, one_digit, other_schema, gone, rows_swapped)
FILES = {"lines": "part.jsonl", "predictions": "part.parquet", "observed": f"observed-{ONE.observed}.parquet"}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_every_damage_of_every_kept_file_is_refused_by_name_with_what_to_delete(
    store: RecordStore, name: str, damage: Callable[[Path], None]
) -> None:
    if damage is rows_swapped and name.endswith(".jsonl"):
        pytest.skip("the order of lines says nothing")
    damage(store.folder / name)
    fresh = RecordStore(store.folder)
    if (name, damage) == (FILES["lines"], gone):  # the bundle is not there then, and is trained again
        assert not fresh.has("part")
        assert fresh.read().keys() == {SEARCHED.id}
        return
    with pytest.raises(RecordError) as refused:
        _ = fresh.read(), [fresh.judged(run) for run in (ONE, TWO)]
    said = str(refused.value)
    assert name in said
    assert re.search(r"delete (the file|it|.*\.parquet)", said)
    assert "run the same command again" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", [FILES["predictions"], FILES["observed"]])
def test_no_flipped_bit_of_a_table_changes_a_number_in_silence(store: RecordStore, name: str) -> None:
    path = store.folder / name
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(changed))
        fresh = RecordStore(store.folder)
        try:
            judged = fresh.judged(ONE)
        except RecordError as error:
            assert name in str(error)  # noqa: PT017
            refused += 1
        else:
            assert torch.equal(judged["test"].logits, logits(1)["test"])
    assert refused > len(content) / 10


def test_a_bundle_whose_second_line_is_torn_names_the_line(store: RecordStore) -> None:
    path = store.folder / "part.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{second[:200]}\n")
    with pytest.raises(RecordError, match=r"part\.jsonl, line 2: wanted a run record of schema 2, got no record"):
        RecordStore(store.folder).read()


def test_lines_are_plain_json(store: RecordStore) -> None:
    lines = (store.folder / "part.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [ONE.id, TWO.id]
