import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from soft_labels.data import ChaosNLIDataModule, TableDataModule
from soft_labels.encoders import VectorFileEncoder
from soft_labels.encoders.vectors import with_probabilities
from soft_labels.errors import EncoderError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
UIDS = [f"c{item:02d}" for item in range(45)]  # those of the tiny table
ROWS = np.random.default_rng(0).standard_normal((45, 6)).astype(np.float32)
RunCli = Callable[..., Any]


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Vectors of all items of the tiny table but two, and of one that it has not, in mixed order."""
    order = [row for row in np.random.default_rng(1).permutation(45) if row not in {3, 40}]
    uids = [*(UIDS[row] for row in order), "elsewhere"]
    rows = [*(ROWS[row].tolist() for row in order), [0.0] * 6]
    path = tmp_path / "vectors.parquet"
    pl.DataFrame({"uid": uids, "vector": rows}, schema_overrides={"vector": pl.List(pl.Float32)}).write_parquet(path)
    return path


def table(tiny_table: Path, store: Path, encoder: VectorFileEncoder) -> TableDataModule:
    return TableDataModule(tiny_table, text_column="text", label_column="label", encoder=encoder, store=store)


def test_items_get_their_own_rows_and_those_without_are_left_out_before_the_split(
    tiny_table: Path, vectors: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "soft_labels")
    data = table(tiny_table, tmp_path / "store", VectorFileEncoder(vectors, missing="drop"))
    kept = [uid for uid in UIDS if uid not in {"c03", "c40"}]
    assert list(data.dataset.data.uids) == kept
    assert sorted(uid for part in ("train", "val", "test") for uid in getattr(data.dataset.split, part)) == kept
    assert np.array_equal(data.embedded.features[torch.arange(43)].numpy(), np.delete(ROWS, [3, 40], axis=0))
    (said,) = [message for message in caplog.messages if "left out" in message]
    assert said == f"comments: 2 of 45 items left out, which have no row in {vectors} (the first: 'c03')"


def test_rows_are_copied_once_and_found_again(tiny_table: Path, vectors: Path, tmp_path: Path) -> None:
    for encoded in (43, 0):
        data = table(tiny_table, tmp_path / "store", VectorFileEncoder(vectors, missing="drop"))
        data.prepare_data()
        assert data.encoded is not None
        assert data.encoded.encoded == encoded


@pytest.mark.slow
def test_a_changed_file_is_noticed(tiny_table: Path, vectors: Path, tmp_path: Path) -> None:
    before = table(tiny_table, tmp_path / "store", VectorFileEncoder(vectors, missing="drop"))
    before.prepare_data()
    pl.read_parquet(vectors).with_columns(vector=pl.col("vector").list.reverse()).write_parquet(vectors)
    after = table(tiny_table, tmp_path / "store", VectorFileEncoder(vectors, missing="drop"))
    assert before.identity()["encoder"] != after.identity()["encoder"]
    assert torch.equal(before.embedded.features[torch.arange(43)].flip(1), after.embedded.features[torch.arange(43)])


def test_a_file_that_changes_while_it_is_in_use_is_refused(vectors: Path) -> None:
    encoder = VectorFileEncoder(vectors)
    encoder.fingerprint()
    pl.read_parquet(vectors).with_columns(vector=pl.col("vector").list.reverse()).write_parquet(vectors)
    with pytest.raises(EncoderError, match="changed while it was in use"):
        encoder.preprocess(["c00"])


def test_fingerprint_changes_with_the_numbers_and_with_nothing_else(vectors: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.parquet"
    moved.write_bytes(vectors.read_bytes())
    base = VectorFileEncoder(vectors).fingerprint()
    same = [VectorFileEncoder(moved), VectorFileEncoder(vectors, missing="drop", batch_size=3, model="e5")]
    uids = tmp_path / "uids.txt"
    uids.write_text("a\nb\n")
    other = [
        VectorFileEncoder(vectors, columns=["vector"]),
        VectorFileEncoder(vectors, logit_classes=3),
        VectorFileEncoder(vectors, uid_column="id"),
        VectorFileEncoder(vectors, uids=uids),
    ]
    assert all(encoder.fingerprint() == base for encoder in same)
    assert all(encoder.fingerprint() != base for encoder in other)
    assert str(tmp_path) not in json.dumps([encoder.fingerprint() for encoder in (*same, *other)])


def test_probabilities_and_entropies_are_scipys() -> None:
    logits = 3 * np.random.default_rng(2).standard_normal((50, 9))
    models = softmax(logits.reshape(50, 3, 3), axis=2)
    wanted = np.concatenate([logits, models.reshape(50, 9), entropy(models, axis=2)], axis=1)
    np.testing.assert_allclose(with_probabilities(torch.from_numpy(logits), 3).numpy(), wanted, rtol=1e-9)


def test_logits_get_probabilities_and_entropies_beside_them(vectors: Path) -> None:
    encoder = VectorFileEncoder(vectors, logit_classes=3)
    rows = encoder.forward(encoder.preprocess(["c07", "c00"]))
    assert rows.shape == (2, 6 + 6 + 2)
    torch.testing.assert_close(rows, with_probabilities(torch.from_numpy(ROWS[[7, 0]]), 3))


@pytest.mark.slow
def test_the_command_line_trains_tests_and_predicts_new_items(
    run_cli: RunCli, quick: tuple[str, ...], tiny_table: Path, vectors: Path, tmp_path: Path
) -> None:
    options = (
        f"--config={CONFIGS}/data/table.yaml", f"--data.path={tiny_table}", f"--config={CONFIGS}/encoder/vectors.yaml",
        "--data.encoder.missing=drop", f"--data.store={tmp_path}/store", f"--trainer.default_root_dir={tmp_path}",
        *quick,
    )  # fmt: skip
    first = f"--data.encoder.path={vectors}"
    trained = run_cli("fit", *options, first)
    assert trained.code == 0, trained.err
    assert trained.err.count("2 of 45 items left out") == 1
    checkpoint = f"--ckpt_path={next(tmp_path.rglob('best.ckpt'))}"
    assert run_cli("test", *options, first, checkpoint).code == 0

    new = tmp_path / "new.csv"
    new.write_text("item,text\nn1,one\nn2,two\nn3,three\n")
    later = tmp_path / "later.jsonl"
    later.write_text(
        "".join(json.dumps({"uid": uid, "vector": row.tolist()}) + "\n" for uid, row in [
            *zip(UIDS, ROWS, strict=True), ("n1", ROWS[1]), ("n3", ROWS[3])
        ])
    )  # fmt: skip
    second = f"--data.encoder.path={later}"
    refused = run_cli("test", *options, second, checkpoint)
    assert refused.code == 2
    assert "trained on another encoder" in refused.err
    predicted = run_cli("predict", *options, second, checkpoint, f"--data.predict_path={new}")
    assert predicted.code == 0, predicted.err
    assert "new.csv: 1 of 3 items left out" in predicted.err
    rows = pl.read_csv(next(tmp_path.rglob("predictions.csv")))
    assert rows["uid"].to_list() == ["n1", "n3"]


def test_the_released_logits_of_chaosnli(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "chaosnli" / "nli_logits" / "roberta_base.parquet"
    data = ChaosNLIDataModule(shared_data, encoder=VectorFileEncoder(path, missing="drop"), store=tmp_path)
    assert (len(data.dataset.data), data.embedding_dim) == (3_083, 9)
    frame = pl.read_parquet(path).sort("uid")
    assert list(data.dataset.data.uids) == frame["uid"].to_list()
    assert np.array_equal(
        data.embedded.features[torch.arange(3_083)].numpy(), np.array(frame["logits"].to_list(), np.float32)
    )
