from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional

from soft_labels.annotations.annotators import Annotations
from soft_labels.data.split import SplitName
from soft_labels.errors import RecordError
from soft_labels.runs.predictions import (
    ObservedItems,
    kept,
    logits_digest,
    mean_logits,
    observations,
    observed_digest,
    read_logits,
    read_observed,
    write_logits,
    write_observed,
)
from tests.runs.records import logits, observed_items
from tests.toys import SeededData

PARTS: tuple[SplitName, ...] = ("train", "val", "test")


@pytest.mark.parametrize("known", [True, False])
def test_what_was_observed_comes_back_as_it_was(tmp_path: Path, known: bool) -> None:
    observed = observed_items(known=known)
    write_observed(tmp_path / "observed.parquet", observed)
    found = read_observed(tmp_path / "observed.parquet")
    assert observed_digest(found) == observed_digest(observed)
    for part in PARTS:
        assert found[part].uids == observed[part].uids
        for ours, theirs in zip(found[part].observed, observed[part].observed, strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                assert torch.equal(ours, theirs)
                assert ours.dtype == theirs.dtype


def test_logits_come_back_bit_for_bit_and_by_run(tmp_path: Path) -> None:
    runs = {"one": logits(1), "two": logits(2)}
    write_logits(tmp_path / "bundle.parquet", runs, observed_items())
    found = read_logits(tmp_path / "bundle.parquet")
    assert found.keys() == runs.keys()
    for run, parts in runs.items():
        for part, wanted in parts.items():
            uids, values = found[run][part]
            assert uids == observed_items()[part].uids
            assert torch.equal(values, wanted)


def test_what_is_kept_of_logits_changes_no_share_by_more_than_a_step() -> None:
    raw = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * 5
    assert (kept(raw).softmax(-1) / raw.softmax(-1) - 1).abs().max() < 1 / 256
    assert torch.equal(kept(kept(raw)), kept(raw))
    assert (kept(raw + 7.0) - kept(raw)).abs().max() < 1.01 / 256
    assert kept(raw)[:, 0].eq(0).all()


def test_what_is_kept_changes_a_mean_kl_by_less_than_any_table_shows() -> None:
    generator = torch.Generator().manual_seed(0)
    raw, people = torch.randn(2, 200, 500, 4, generator=generator, dtype=torch.float64).mul(2).unbind()
    shares = people.softmax(-1)
    moved = functional.cross_entropy(raw.movedim(-1, 1), shares.movedim(-1, 1), reduction="none").mean(-1)
    moved -= functional.cross_entropy(
        kept(raw.flatten(0, 1)).double().reshape(raw.shape).movedim(-1, 1), shares.movedim(-1, 1), reduction="none"
    ).mean(-1)
    assert moved.std() == pytest.approx(3e-5, rel=0.1), "what the docstring says"


def test_a_file_of_before_runs_had_columns_is_read(tmp_path: Path) -> None:
    items = observed_items()
    raw = {part: torch.randn(len(items[part].uids), 3) for part in ("val", "test")}
    frames = [
        pl.DataFrame(
            {
                "run": ["one"] * len(values),
                "part": [part] * len(values),
                "uid": list(items[cast("SplitName", part)].uids),
                "logits": values.tolist(),
            },
            schema_overrides={"logits": pl.List(pl.Float32)},
        )
        for part, values in raw.items()
    ]
    pl.concat(frames).write_parquet(tmp_path / "bundle.parquet")
    found = read_logits(tmp_path / "bundle.parquet")["one"]
    assert all(torch.equal(found[cast("SplitName", part)][1], values) for part, values in raw.items())


def test_observations_of_a_data_set_are_those_of_its_parts_by_uid() -> None:
    dataset = SeededData().dataset
    found = observations(dataset)
    assert found.keys() == {"train", "val", "test"}
    for part in PARTS:
        assert found[part].uids == getattr(dataset.split, part)
        assert torch.equal(found[part].observed.label_counts, dataset.data.label_counts[dataset.rows(part)])
    judged = found["val"].beside(torch.zeros(2, len(found["val"].uids), 3))
    assert torch.equal(judged.label_dist, dataset.observed.label_dist[dataset.rows("val")])
    assert judged.true_dist is not None


def test_digests_change_with_anything_that_was_observed_or_predicted() -> None:
    observed = observed_items()
    uids, seen = observed["val"].uids, observed["val"].observed
    assert seen.true_dist is not None
    counts = seen.label_counts.clone()
    counts[0, 1] += 1
    changed = [
        ObservedItems(uids, seen._replace(label_counts=counts)),
        ObservedItems(("other", *uids[1:]), seen),
        ObservedItems(uids, seen._replace(majority_label=2 - seen.majority_label)),
        ObservedItems(uids, seen._replace(true_dist=seen.true_dist.flip(1))),
        ObservedItems(uids, seen._replace(true_dist=None)),
        replace(observed["val"], uids=uids[::-1]),
    ]
    digests = {observed_digest({**observed, "val": items}) for items in changed}
    assert len(digests | {observed_digest(observed)}) == len(changed) + 1
    moved = {**logits(1), "test": logits(1)["test"] + 1e-6}
    assert len({logits_digest(one) for one in (logits(1), logits(2), moved)}) == 3


def test_another_tool_reads_the_files(tmp_path: Path) -> None:
    """DuckDB, which is no part of this project, joins both files by uid."""
    duckdb = pytest.importorskip("duckdb")
    observed, runs = observed_items(), {"one": logits(1)}
    write_observed(tmp_path / "observed.parquet", observed)
    write_logits(tmp_path / "bundle.parquet", runs, observed)
    with duckdb.connect() as database:
        rows = database.sql(
            f"SELECT part, uid, steps[1], label_counts, majority_label, true_dist FROM '{tmp_path}/bundle.parquet' "  # noqa: S608
            f"JOIN '{tmp_path}/observed.parquet' USING (part, uid)"
        ).fetchall()
    assert len(rows) == 12
    for part, uid, values, counts, label, true in rows:
        row = observed[part].uids.index(uid)
        seen = observed[part].observed
        assert [0.0, *(step / 256 for step in values)] == pytest.approx(runs["one"][part][row].tolist())
        assert counts == seen.label_counts[row].tolist()
        assert label == seen.majority_label[row]
        assert seen.true_dist is not None
        assert true == seen.true_dist[row].tolist()


@pytest.mark.parametrize(("frame", "words"), [
    (pl.DataFrame({"uid": ["a"]}), "lacks the column part"),
    (pl.DataFrame({"part": ["val"], "uid": ["a"], "label_counts": ["x"], "majority_label": [0]}), "cannot be read"),
    (pl.DataFrame({"part": ["val"] * 2, "uid": ["a", "b"], "label_counts": [[1.0, 2.0], [1.0]],
                   "majority_label": [0, 0]}), "cannot be read"),
], ids=["a column is missing", "a column of text", "lists of two lengths"])  # fmt: skip
def test_a_file_of_another_form_is_refused_by_name(tmp_path: Path, frame: pl.DataFrame, words: str) -> None:
    path = tmp_path / "observed-0.parquet"
    frame.write_parquet(path)
    with pytest.raises(RecordError, match=rf"observed-0\.parquet {words}.*; delete .*observed-0\.parquet and run"):
        read_observed(path)


def test_a_file_that_is_not_there_is_refused_by_name_and_with_the_lines_beside_it(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"delete .*bundle\.parquet and bundle\.jsonl beside it and run the same com"):
        read_logits(tmp_path / "bundle.parquet")


def test_the_mean_of_heads_is_the_mean_of_their_shares() -> None:
    generator = torch.Generator().manual_seed(0)
    many = [{part: 40 * torch.randn(6, 3, generator=generator) for part in PARTS} for _ in range(4)]
    found = mean_logits(many)
    assert found.keys() == {"val", "test"}
    for part, mean in found.items():
        expected = torch.stack([one[part].double().softmax(-1) for one in many]).mean(0)
        torch.testing.assert_close(mean.exp(), expected)
        torch.testing.assert_close(mean.exp().sum(-1), torch.ones(6).double())
        assert torch.isfinite(mean).all(), "a share that is tiny for all is no 0"


def described(observed: dict[SplitName, ObservedItems]) -> dict[SplitName, ObservedItems]:
    """The same items with a column that a user gave and groups of items that are alike."""
    return {
        part: replace(
            items,
            about={"source": tuple("a" if row % 2 else None for row in range(len(items.uids)))},
            duplicates={"same_input": np.arange(len(items.uids), dtype=np.int32) // 2},
        )
        for part, items in observed.items()
    }


def test_what_describes_the_items_comes_back_and_changes_no_name(tmp_path: Path) -> None:
    plain = observed_items()
    observed = described(plain)
    assert observed_digest(observed) == observed_digest(plain)
    write_observed(tmp_path / "observed.parquet", observed)
    found = read_observed(tmp_path / "observed.parquet")
    for part in PARTS:
        assert found[part].about == observed[part].about
        assert found[part].duplicates["same_input"].tolist() == observed[part].duplicates["same_input"].tolist()


def test_a_file_of_before_there_were_columns_opens_without_them(tmp_path: Path) -> None:
    path = tmp_path / "observed.parquet"
    write_observed(path, observed_items())
    pl.read_parquet(path).write_parquet(path)
    found = read_observed(path)
    assert (found["test"].about, found["test"].duplicates) == ({}, {})
    assert observed_digest(found) == observed_digest(observed_items())


def test_a_column_about_items_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "observed.parquet"
    write_observed(path, described(observed_items()))
    frame, metadata = pl.read_parquet(path), pl.read_parquet_metadata(path)
    frame.with_columns(pl.lit("b").alias("about: source")).write_parquet(
        path, metadata={"described": metadata["described"]}
    )
    with pytest.raises(RecordError, match=r"observed\.parquet has other columns about items than were written"):
        read_observed(path)


def test_observations_keep_columns_of_few_values_or_numbers_and_the_groups_of_likes() -> None:
    base = SeededData().dataset
    about = {
        "even": tuple(str(row % 2) for row in range(200)),
        "length": tuple(str(row) for row in range(200)),
        "text": tuple(f"words {row}" for row in range(200)),
        "nothing": (None,) * 200,
    }
    inputs = [*base.data.inputs[:199], base.data.inputs[0]]
    found = observations(replace(base, data=replace(base.data, about=about, inputs=inputs)))
    assert found["val"].about.keys() == {"even", "length"}
    groups = {
        uid: group
        for part in PARTS
        for uid, group in zip(found[part].uids, found[part].duplicates["same_input"], strict=True)
    }
    assert {uid for uid, group in groups.items() if group} == {base.data.uids[0], base.data.uids[199]}
    lengths = {
        uid: length for part in PARTS for uid, length in zip(found[part].uids, found[part].about["length"], strict=True)
    }
    assert lengths == dict(zip(base.data.uids, about["length"], strict=True))


def people(base: SeededData) -> Annotations:
    """An annotation of each item by a woman, and of every second one by a man."""
    items = base.dataset.data.label_counts
    rows = torch.arange(len(items))
    label = items.argmax(1)
    return Annotations(
        torch.cat([rows, rows[::2]]), torch.cat([rows * 0, rows[::2] * 0 + 1]), torch.cat([label, label[::2]]),
        ("ann", "bob"), {"gender": ("woman", "man"), "born": (None, None)},
    )  # fmt: skip


def test_counts_of_groups_of_annotators_are_kept_and_come_back(tmp_path: Path) -> None:
    base = SeededData()
    given = replace(base.dataset, data=replace(base.dataset.data, annotations=people(base)))
    found = observations(given)
    assert observed_digest(found) == observed_digest(observations(base.dataset))
    write_observed(tmp_path / "observed.parquet", found)
    again = read_observed(tmp_path / "observed.parquet")
    for part in PARTS:
        assert again[part].by_group.keys() == {"gender"}
        groups = again[part].by_group["gender"]
        assert groups.keys() == {"man", "woman", "not known"}
        np.testing.assert_allclose(sum(groups.values()), found[part].observed.label_counts.numpy())
        assert groups["woman"].sum() == len(found[part].uids)
    assert sum(again[part].by_group["gender"]["man"].sum() for part in PARTS) == len(given.data) // 2


def test_drawn_annotators_have_no_groups_since_nobody_knows_who_was_drawn() -> None:
    base = SeededData().dataset
    given = replace(base, data=replace(base.data, annotations=people(SeededData())))
    assert observations(given.drawn(1, 0))["train"].by_group == {}
