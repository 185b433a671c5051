from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer

from soft_labels.data import TensorDataModule
from soft_labels.distributions import label_distribution
from soft_labels.errors import ConfigError, DataError
from soft_labels.training.module import SoftLabelModule
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import RunSpec

FEATURES = torch.randn(90, 5, generator=torch.Generator().manual_seed(0))
COUNTS = torch.from_numpy(np.random.default_rng(0).multinomial(9, [0.2, 0.3, 0.5], 90))
UIDS = [f"u{number}" for number in np.random.default_rng(1).permutation(90)]


def test_three_lines_train_a_head() -> None:
    data = TensorDataModule(FEATURES, label_counts=COUNTS)
    module = SoftLabelModule(data.embedded.num_classes, data.embedded.embedding_dim, target="soft")
    trainer = Trainer(
        max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
        enable_model_summary=False, num_sanity_val_steps=0, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    assert 0 < float(trainer.callback_metrics["val/kl"]) < 1


def test_many_heads_train_on_redrawn_splits() -> None:
    data = TensorDataModule(FEATURES, label_counts=COUNTS).embedded
    results = [PopulationEngine(accelerator="cpu").train(each, [RunSpec(max_epochs=2)]) for each in
               (data, data.redrawn(1))]  # fmt: skip
    assert data.dataset.split != data.redrawn(1).dataset.split
    assert all(len(curve) == 2 for (result,) in results for curve in [result.curve["val/loss"]])


def test_rows_follow_their_uids() -> None:
    data = TensorDataModule(FEATURES, label_counts=COUNTS, uids=UIDS).embedded
    order = sorted(range(90), key=UIDS.__getitem__)
    assert list(data.dataset.data.uids) == sorted(UIDS)
    assert torch.equal(data.features[torch.arange(90)], FEATURES[order])
    torch.testing.assert_close(data.dataset.observed.label_dist, label_distribution(COUNTS[order].double()).float())


def test_without_uids_the_order_is_kept() -> None:
    data = TensorDataModule(FEATURES, label_counts=COUNTS).embedded
    assert data.dataset.data.uids[:2] == ("00", "01")
    assert torch.equal(data.features[torch.arange(90)], FEATURES)


def test_arrays_and_shares_do_as_well() -> None:
    dist = label_distribution(COUNTS.double())
    ours = TensorDataModule(FEATURES.double().numpy(), label_dist=dist.numpy(), class_names=["a", "b", "c"]).embedded
    theirs = TensorDataModule(FEATURES, label_counts=COUNTS, class_names=["a", "b", "c"]).embedded
    torch.testing.assert_close(ours.dataset.observed.label_dist, theirs.dataset.observed.label_dist)
    assert torch.equal(ours.features[torch.arange(90)], theirs.features[torch.arange(90)])
    assert ours.dataset.split == theirs.dataset.split


def test_the_callers_tensor_stays_the_callers() -> None:
    features = FEATURES.clone()
    data = TensorDataModule(features, label_counts=COUNTS).embedded
    before = data.content_digest
    features.zero_()
    assert TensorDataModule(FEATURES, label_counts=COUNTS).embedded.content_digest == before == data.content_digest


def test_other_numbers_are_other_data() -> None:
    digests = {
        TensorDataModule(features, label_counts=counts).embedded.content_digest
        for features in (FEATURES, FEATURES + 1)
        for counts in (COUNTS, COUNTS.flip(0))
    }
    assert len(digests) == 4


@pytest.mark.parametrize("form", ["sequence", "mapping"])
def test_a_given_split_is_taken(form: str) -> None:
    parts = ["test" if row % 5 == 0 else "val" if row % 5 == 1 else "train" for row in range(90)]
    of_part = {name: [uid for uid, part in zip(UIDS, parts, strict=True) if part == name] for name in set(parts)}
    data = TensorDataModule(
        FEATURES, label_counts=COUNTS, uids=UIDS, split=parts if form == "sequence" else of_part
    ).embedded
    assert {name: set(getattr(data.dataset.split, name)) for name in of_part} == {
        name: set(own) for name, own in of_part.items()
    }
    assert sorted(data.dataset.rows("test").tolist()) == sorted(sorted(UIDS).index(uid) for uid in of_part["test"])
    with pytest.raises(ConfigError, match="given split, which is not redrawn"):
        data.redrawn(1)


def test_folds_cover_each_item_once() -> None:
    splits = [TensorDataModule(FEATURES, label_counts=COUNTS, folds=3, fold=fold).embedded for fold in range(3)]
    tested = [row for data in splits for row in data.dataset.rows("test").tolist()]
    assert sorted(tested) == list(range(90))
    assert splits[0].redrawn(1).dataset.split == splits[1].dataset.split


BAD: list[tuple[dict[str, Any], str]] = [
    ({"label_counts": None}, "label_counts or label_dist, got both or neither"),
    ({"label_dist": COUNTS / 9}, "label_counts or label_dist, got both or neither"),
    ({"label_counts": COUNTS[:80]}, "90 rows of features but 80 of labels"),
    ({"features": FEATURES[:, 0]}, r"wanted features of shape \[N, D\], got \[90\]"),
    ({"features": FEATURES.clone().index_fill_(0, torch.tensor([7, 8]), torch.nan)}, r"row 7 .* features .* 2 in all"),
    ({"label_counts": None, "label_dist": COUNTS}, r"row 0 \(from 0\) of label_dist sums to 9, not 1, as do 90"),
    ({"label_counts": -COUNTS}, "negative count"),
    ({"uids": ["same"] * 90}, "uid 'same' occurs more than once"),
    ({"uids": UIDS[:80]}, "label counts of shape"),
    ({"split": ["train"] * 90}, r"split: no item is in val \(train 90, val 0, test 0, in no part 0, of 90 items\)"),
    ({"split": ["train", "val", "test"]}, "got 3 entries"),
    ({"split": {"train": ["00"], "val": ["01"], "test": ["01"]}}, "got 3 entries"),
    ({"split": ["train", "val", "held out"] * 30}, r"split: wanted train, .* got 'held out' \(30 items\)"),
    ({"folds": 1}, "from 2 to 90 folds of 90 items"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_what_does_not_fit_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, ConfigError), match=message):
        _ = TensorDataModule(**{"features": FEATURES, "label_counts": COUNTS, **settings}).embedded.dataset.split
