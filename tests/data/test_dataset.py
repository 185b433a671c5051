from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import torch

from soft_labels.data.dataset import Dataset, Draw
from soft_labels.data.embedded import identity_of
from soft_labels.data.split import SPLIT_NAMES, draw_split
from soft_labels.distributions import label_distribution, majority_label
from soft_labels.encoders import installed
from soft_labels.errors import ConfigError, DataError
from tests.toys import SeededData


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Of a data module without an encoder."""
    return SeededData().dataset


def test_a_data_set_needs_no_encoder_and_features_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    module = SeededData(store=tmp_path / "store")
    assert module.dataset.name == "seeded"
    assert (module.num_classes, module.ordinal) == (3, True)
    assert len(module.dataset.split.train) + len(module.dataset.split.val) + len(module.dataset.split.test) == 200
    with pytest.raises(ConfigError, match=r"wanted data\.encoder, got none"):
        module.prepare_data()
    assert not (tmp_path / "store").exists()


def test_a_data_set_is_frozen(dataset: Dataset) -> None:
    with pytest.raises(FrozenInstanceError):
        dataset.tie = "highest"  # type: ignore[misc]


def test_what_was_observed_follows_the_tie_policy(dataset: Dataset) -> None:
    counts = dataset.data.label_counts
    lowest, highest = (Dataset(dataset.data, tie=tie) for tie in ("lowest", "highest"))
    assert torch.equal(lowest.observed.majority_label, majority_label(counts, "lowest"))
    assert torch.equal(highest.observed.majority_label, majority_label(counts, "highest"))
    assert not torch.equal(lowest.observed.majority_label, highest.observed.majority_label)
    torch.testing.assert_close(lowest.observed.label_dist, label_distribution(counts).float())
    assert torch.equal(lowest.observed.label_counts, counts)
    assert lowest.observed.label_dist.dtype == torch.float32
    assert identity_of(lowest, {})["tie"] != identity_of(highest, {})["tie"]


def test_the_generating_distribution_is_there_where_it_is_known(dataset: Dataset) -> None:
    known = dataset.observed.true_dist
    assert known is not None
    assert dataset.data.true_dist is not None
    torch.testing.assert_close(known, dataset.data.true_dist.float())


def test_the_split_is_the_one_drawn_by_majority_class(dataset: Dataset) -> None:
    labels = dataset.observed.majority_label.numpy()
    assert dataset.split == draw_split(dataset.data.uids, labels)
    other = Dataset(dataset.data, split_ratios=(0.5, 0.25, 0.25), split_seed=3)
    assert other.split == draw_split(dataset.data.uids, labels, ratios=(0.5, 0.25, 0.25), seed=3)


def test_rows_and_parts_are_those_of_the_split_by_uid(dataset: Dataset) -> None:
    part_of = dataset.part_of()
    assert part_of.keys() == set(dataset.data.uids)
    for part in SPLIT_NAMES:
        uids = [dataset.data.uids[row] for row in dataset.rows(part).tolist()]
        assert tuple(uids) == getattr(dataset.split, part)
        assert {part_of[uid] for uid in uids} == {part}


def test_a_redrawn_split_shares_the_annotations(dataset: Dataset) -> None:
    other = dataset.redrawn(7)
    assert other.data is dataset.data
    assert other.split != dataset.split
    assert other.redrawn(0).split == dataset.split
    assert torch.equal(other.observed.label_dist, dataset.observed.label_dist)


def test_a_group_split_needs_groups(dataset: Dataset) -> None:
    with pytest.raises(DataError, match="seeded has no groups"):
        Dataset(dataset.data, group_split=True).split  # noqa: B018


def test_all_that_decides_the_split_is_told(dataset: Dataset) -> None:
    assert Dataset(dataset.data, (0.6, 0.2, 0.2), 4).split_settings() == {
        "ratios": [0.6, 0.2, 0.2], "seed": 4, "grouped": False, "stratified_by": "majority class",
    }  # fmt: skip
    assert Dataset(dataset.data, stratify=False).split_settings()["stratified_by"] == "nothing"


def test_a_draw_leaves_as_many_annotators_of_each_item_that_a_head_learns_from(dataset: Dataset) -> None:
    drawn = dataset.drawn(3, 5)
    assert drawn.split is dataset.split, "neither drawn nor told once more"
    whole, left = dataset.observed, drawn.observed
    learnt = torch.cat([dataset.rows("train"), dataset.rows("val")])
    assert (left.label_counts[learnt].sum(1) == 3).all()
    assert (left.label_counts <= whole.label_counts).all()
    for ours, theirs in zip(left.take(dataset.rows("test")), whole.take(dataset.rows("test")), strict=True):
        assert ours is not None
        assert theirs is not None
        assert torch.equal(ours, theirs)
    torch.testing.assert_close(left.label_dist, label_distribution(left.label_counts).float())


def test_draws_of_other_seeds_are_other_annotators_and_their_mean_is_the_items(dataset: Dataset) -> None:
    assert torch.equal(dataset.drawn(2, 0).observed.label_counts, dataset.drawn(2, 0).observed.label_counts)
    many = torch.stack([dataset.drawn(2, seed).observed.label_counts for seed in range(200)])
    assert len({tuple(one.flatten().tolist()) for one in many}) == 200
    train = dataset.rows("train")
    off = (many.mean(0) / 2 - dataset.observed.label_dist)[train]
    assert off.abs().max() < 0.15, "4 standard errors of a share of .5"


def test_items_of_fewer_annotators_keep_theirs_and_their_majority(dataset: Dataset) -> None:
    drawn = dataset.drawn(10, 0)
    for ours, theirs in zip(drawn.observed, dataset.observed, strict=True):
        assert ours is not None
        assert theirs is not None
        assert torch.equal(ours, theirs)


def test_ties_of_the_drawn_are_broken_by_lot(dataset: Dataset) -> None:
    drawn = dataset.drawn(2, 0).observed
    tied = (drawn.label_counts == 1).sum(1) == 2
    lowest = majority_label(drawn.label_counts)
    share = (drawn.majority_label[tied] == lowest[tied]).double().mean()
    assert 0.3 < share < 0.7
    assert torch.equal(drawn.majority_label[~tied], lowest[~tied])


def test_a_draw_is_part_of_the_identity_and_no_draw_is_none_of_it(dataset: Dataset) -> None:
    assert "draw" not in identity_of(dataset, {})
    told = [identity_of(dataset.drawn(*draw), {}) for draw in ((1, 0), (1, 1), (2, 0))]
    assert [one["draw"] for one in told] == [
        {"annotators": 1, "seed": 0}, {"annotators": 1, "seed": 1}, {"annotators": 2, "seed": 0},
    ]  # fmt: skip
    assert told[0]["split"] == identity_of(dataset, {})["split"]
    assert dataset.drawn(2, 1).redrawn(7).draw == Draw(2, 1)


def test_nobody_cannot_be_drawn(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="at least 1 annotator an item"):
        dataset.drawn(0, 0)
