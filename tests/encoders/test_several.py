from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soft_labels.data import ChaosNLIDataModule, TableDataModule
from soft_labels.encoders import SeveralEncoders, TimmEncoder, TransformerEncoder, VectorFileEncoder
from soft_labels.encoders.base import Encoder
from soft_labels.errors import ConfigError, EncoderError
from tests.conftest import ToyTextEncoder
from tests.encoders.tiny_bert import make_tiny_bert

TEXTS = ["one", "two", "three"]


def table(tiny_table: Path, store: Path, encoder: Encoder) -> TableDataModule:
    return TableDataModule(tiny_table, text_column="text", label_column="label", encoder=encoder, store=store)


def vectors(folder: Path, uids: list[str], name: str = "vectors.npz") -> Path:
    np.savez(folder / name, uid=np.array(uids), rows=np.arange(2.0 * len(uids)).reshape(-1, 2))
    return folder / name


def test_embeddings_stand_side_by_side_in_the_order_given() -> None:
    narrow, wide = ToyTextEncoder(width=3), ToyTextEncoder(width=5)
    both = SeveralEncoders([wide, narrow])
    rows = both.forward(both.preprocess(TEXTS))
    assert torch.equal(rows, torch.cat([wide.forward(TEXTS), narrow.forward(TEXTS)], dim=1))
    assert both.fingerprint() != SeveralEncoders([narrow, wide]).fingerprint()
    assert both.length("four") == 4


@pytest.mark.slow
def test_one_more_costs_one_more(tiny_table: Path, tmp_path: Path) -> None:
    narrow, wide = ToyTextEncoder(width=3), ToyTextEncoder(width=5)
    alone = table(tiny_table, tmp_path, narrow)
    alone.prepare_data()
    both = table(tiny_table, tmp_path, SeveralEncoders([narrow, wide]))
    both.prepare_data()
    third = table(tiny_table, tmp_path, SeveralEncoders([wide, SeveralEncoders([ToyTextEncoder(width=2), narrow])]))
    third.prepare_data()
    done = [data.encoded and (data.encoded.inputs, data.encoded.encoded) for data in (alone, both, third)]
    assert done == [(45, 45), (90, 45), (135, 45)]
    rows = torch.arange(45)
    assert (both.embedding_dim, third.embedding_dim) == (8, 10)
    assert torch.equal(both.embedded.features[rows][:, :3], alone.embedded.features[rows])
    assert torch.equal(
        third.embedded.features[rows][:, [*range(5), *range(7, 10)]],
        both.embedded.features[rows][:, [3, 4, 5, 6, 7, 0, 1, 2]],
    )
    assert len(list(tmp_path.glob("ToyTextEncoder-*"))) == 3


@pytest.mark.slow
def test_each_is_shown_the_items_in_its_own_way(tiny_chaosnli_root: Path, tmp_path: Path) -> None:
    uids = [f"{subset}-{index}" for subset in ("snli", "mnli_m") for index in range(24)]
    bert = TransformerEncoder(str(make_tiny_bert(tmp_path / "bert")), output="logits", device="cpu")
    by_uid = VectorFileEncoder(vectors(tmp_path, uids[1:]), missing="drop")
    encoder = SeveralEncoders([ToyTextEncoder(width=4), bert, by_uid])
    data = ChaosNLIDataModule(tiny_chaosnli_root, encoder=encoder, store=tmp_path / "store")
    assert len(data.dataset.data) == 47
    assert data.embedding_dim == 4 * 4 + 3 + 2
    rows = data.embedded.features[torch.arange(47)]
    pairs = list(data.dataset.data.inputs)
    firsts = torch.cat([ToyTextEncoder(width=4).forward([str(pair[0])]) for pair in pairs])  # type: ignore[index]
    assert torch.equal(rows[:, :4], firsts)
    torch.testing.assert_close(rows[:, 16:19], bert.forward(bert.preprocess(pairs)))
    assert torch.equal(rows[:, 19:], by_uid.forward(by_uid.preprocess(data.dataset.data.uids)))
    assert data.identity()["pair_features"] == "u_v_absdiff_product"


def test_joined_before_and_read_jointly_do_not_go_together(tiny_chaosnli_root: Path, tmp_path: Path) -> None:
    bert = TransformerEncoder(str(make_tiny_bert(tmp_path / "bert")), device="cpu")
    data = ChaosNLIDataModule(tiny_chaosnli_root, encoder=bert, store=tmp_path, pair_features="one_text")
    with pytest.raises(
        ConfigError, match="joins two texts before the encoder, but TransformerEncoder reads them jointly"
    ):
        _ = data.dataset.data


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ([ToyTextEncoder()], "at least two encoders side by side, got 1"),
        ([ToyTextEncoder(), TimmEncoder()], "of texts or of images, got both"),
        ([ToyTextEncoder(), ToyTextEncoder(batch_size=2)], "got one twice"),
    ],
)
def test_encoders_that_cannot_stand_together_are_refused(encoders: list[Any], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        SeveralEncoders(encoders).fingerprint()


def test_no_item_known_to_all_is_refused(tiny_table: Path, tmp_path: Path) -> None:
    halves = [[f"c{item:02d}" for item in range(45) if item % 2 == rest] for rest in (0, 1)]
    parts: list[Encoder] = [
        VectorFileEncoder(vectors(tmp_path, uids, f"{rest}.npz"), missing="drop") for rest, uids in enumerate(halves)
    ]
    with pytest.raises(ConfigError, match="no item has a row in all encoders"):
        _ = table(tiny_table, tmp_path, SeveralEncoders(parts)).dataset
