import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiktoken
import torch

from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing, open_features
from soft_labels.encoders import OpenAIEncoder
from soft_labels.encoders.hosted import PendingError
from soft_labels.encoders.openai import batch as openai_batch
from soft_labels.encoders.openai.batch import Notes
from soft_labels.errors import EncoderError
from tests.conftest import REPOSITORY, RunCli
from tests.fake_openai import FakeOpenAI, tokens_of, vector_of

KEY = "sk-sentinel-0123456789"
TEXTS = [f"text {number}" for number in range(30)]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOpenAI]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def store(service: FakeOpenAI, tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path, encoder_of(service))


def encoder_of(service: FakeOpenAI, **settings: Any) -> OpenAIEncoder:
    defaults = {"mode": "batch", "price_per_million_tokens": 2.0, "max_retries": 0, "api_key_env": "OPENAI_API_KEY"}
    return OpenAIEncoder("m", base_url=service.url, **{**defaults, **settings})


def run(service: FakeOpenAI, store: EmbeddingStore, texts: list[str] = TEXTS, **settings: Any) -> Any:
    return encode_missing(texts, content_keys(texts), encoder_of(service, **settings), store)


def submit(service: FakeOpenAI, store: EmbeddingStore) -> None:
    with pytest.raises(PendingError, match=r"30 texts are not answered .* is submitted.* run the same command again"):
        run(service, store)


def rows(store: EmbeddingStore, texts: list[str]) -> np.ndarray:
    features = open_features(store, [content_keys(texts)], "texts")
    return features[torch.arange(len(texts))].numpy()


@pytest.mark.slow
def test_a_batch_is_submitted_left_and_collected_for_half_the_price(service: FakeOpenAI, store: EmbeddingStore) -> None:
    submit(service, store)
    (batch,) = service.batches.values()
    assert service.bodies == []
    for _ in range(2):
        with pytest.raises(PendingError, match=r"30 texts are not answered yet: batch batch-0 of 30 .* is in_progress"):
            run(service, store)
    assert len(service.batches) == 1

    service.finish(batch)
    report = run(service, store)
    tokens = sum(map(tokens_of, TEXTS))
    assert (report.encoded, report.usage.tokens) == (30, tokens)
    assert report.usage.cost_usd == pytest.approx(tokens * 1e-6)
    np.testing.assert_array_equal(rows(store, TEXTS), np.stack([vector_of(text, 16) for text in TEXTS]))
    assert not Notes(store.folder).path.exists()
    assert len(store.shards()) == 1
    assert run(service, store).encoded == 0
    assert len(service.batches) == 1


@pytest.mark.slow
def test_what_expired_is_submitted_again_and_nothing_else(service: FakeOpenAI, store: EmbeddingStore) -> None:
    submit(service, store)
    service.finish(service.batches["batch-0"], "expired", lambda number: number % 3 > 0)
    with pytest.raises(PendingError, match="10 texts are not answered yet: batch batch-1 of 10 texts is submitted"):
        run(service, store)
    service.finish(service.batches["batch-1"])
    run(service, store)
    asked = [json.loads(line) for name in ("batch-0", "batch-1") for line in lines(service, name)]
    assert len(asked) == 40
    assert len({line["custom_id"] for line in asked}) == 30
    np.testing.assert_array_equal(rows(store, TEXTS), np.stack([vector_of(text, 16) for text in TEXTS]))


def lines(service: FakeOpenAI, batch: str) -> list[bytes]:
    return service.files[service.batches[batch].input_file_id].splitlines()


def test_a_batch_whose_creation_was_not_heard_of_is_found_again(service: FakeOpenAI, store: EmbeddingStore) -> None:
    service.answer = lambda _: (500, {"error": {"message": "oh"}})  # it is created all the same
    with pytest.raises(EncoderError, match="the service failed"):
        run(service, store, max_retries=5)
    assert len(service.batches) == 1
    (note,) = Notes(store.folder).read()
    assert (note["batch"], note["status"]) == (None, "not confirmed")
    service.answer = None
    with pytest.raises(PendingError, match="batch-0 of 30 texts is in_progress"):
        run(service, store)
    service.finish(service.batches["batch-0"])
    assert run(service, store).encoded == 30
    assert len(service.batches) == 1


def test_a_batch_that_was_never_created_is_submitted_anew(service: FakeOpenAI, store: EmbeddingStore) -> None:
    keys = [bytes(key).hex() for key in content_keys(TEXTS)]
    Notes(store.folder).put({"name": "never", "batch": None, "status": "not confirmed", "keys": keys, "parts": {}})
    submit(service, store)
    assert len(service.batches) == 1
    (note,) = Notes(store.folder).read()
    assert note["batch"] == "batch-0"


def test_a_batch_that_failed_says_why_and_can_be_submitted_again(service: FakeOpenAI, store: EmbeddingStore) -> None:
    submit(service, store)
    batch = service.batches["batch-0"]
    batch.status = "failed"
    batch.errors = {"object": "list", "data": [{"code": "token_limit_exceeded", "message": f"too many for {KEY}"}]}
    with pytest.raises(EncoderError, match=r"1 failures in batches that ended: too many for \[key\]"):
        run(service, store)
    submit(service, store)
    assert len(service.batches) == 2


def test_one_text_that_failed_is_named_and_the_others_are_kept(service: FakeOpenAI, store: EmbeddingStore) -> None:
    submit(service, store)
    batch = service.batches["batch-0"]
    service.finish(batch)
    assert batch.output_file_id is not None
    answers = [json.loads(line) for line in service.files[batch.output_file_id].splitlines()]
    answers[0]["response"] = {"status_code": 400, "body": {"error": {"message": "not this one"}}}
    answers[1]["response"]["body"]["data"] = []
    answers[-1]["response"]["body"]["data"][0]["embedding"] = [1.0, 2.0]
    batch.output_file_id = service.put("output", answers)
    with pytest.raises(EncoderError, match=r"3 failures .*not this one.*got 0.*wanted 16 numbers .* got 2"):
        run(service, store)
    assert store.missing(content_keys(TEXTS)).sum() == 3


@pytest.mark.slow
def test_a_live_run_collects_a_batch_before_it_pays_for_the_same_texts(
    service: FakeOpenAI, store: EmbeddingStore
) -> None:
    submit(service, store)
    with pytest.raises(PendingError):
        run(service, store, mode="live")
    service.finish(service.batches["batch-0"])
    more = [*TEXTS, "one more"]
    assert run(service, store, more, mode="live").encoded == 31
    assert service.billed() == ["one more"]


OTHERS = [f"other {number}" for number in range(20)]


@pytest.mark.slow
def test_two_data_sets_are_submitted_and_collected_apart(service: FakeOpenAI, store: EmbeddingStore) -> None:
    submit(service, store)
    with pytest.raises(PendingError, match="20 texts are not answered yet: batch batch-1 of 20 texts is submitted"):
        run(service, store, OTHERS)
    service.finish(service.batches["batch-1"])
    assert run(service, store, OTHERS).usage.requests == 20
    assert [note["batch"] for note in Notes(store.folder).read()] == ["batch-0"]
    service.finish(service.batches["batch-0"])
    assert run(service, store).encoded == 30
    assert len(service.batches) == 2


@pytest.mark.slow
def test_texts_that_are_in_no_batch_are_answered_live_while_one_is_pending(
    service: FakeOpenAI, store: EmbeddingStore
) -> None:
    submit(service, store)
    report = run(service, store, OTHERS, mode="live")
    assert (report.encoded, sorted(service.billed())) == (20, sorted(OTHERS))
    with pytest.raises(PendingError, match=r"30 texts .* run the same command again later .* in whichever mode"):
        run(service, store, [*TEXTS, *OTHERS, "one more"], mode="live")
    assert sorted(service.billed()) == sorted([*OTHERS, "one more"])
    service.finish(service.batches["batch-0"])
    assert run(service, store, [*TEXTS, "one more"], mode="live").encoded == 30
    assert len(service.billed()) == 21


@pytest.mark.slow
def test_texts_that_two_data_sets_share_are_submitted_once(service: FakeOpenAI, store: EmbeddingStore) -> None:
    submit(service, store)
    with pytest.raises(PendingError, match=r"25 texts .*: batch batch-[01] of .*; batch batch-[01] of .*; run"):
        run(service, store, [*TEXTS[:5], *OTHERS])
    assert [len(lines(service, name)) for name in service.batches] == [30, 20]
    service.finish(service.batches["batch-0"])
    service.finish(service.batches["batch-1"])
    assert run(service, store, [*TEXTS[:5], *OTHERS]).usage.requests == 50
    assert store.missing(content_keys(TEXTS)).sum() == 0
    assert not Notes(store.folder).path.exists()


def test_a_batch_of_other_texts_that_failed_stops_nobody_and_still_says_why(
    service: FakeOpenAI, store: EmbeddingStore
) -> None:
    submit(service, store)
    batch = service.batches["batch-0"]
    batch.status = "failed"
    batch.errors = {"object": "list", "data": [{"code": "token_limit_exceeded", "message": "too many"}]}
    assert run(service, store, OTHERS, mode="live").encoded == 20
    with pytest.raises(EncoderError, match="too many"):
        run(service, store)


@pytest.mark.slow
def test_many_texts_are_submitted_as_several_batches(
    service: FakeOpenAI, store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_batch, "MOST_INPUTS", 12)
    monkeypatch.setattr(openai_batch, "_KEPT_TOGETHER", 5)
    submit(service, store)
    assert [len(lines(service, name)) for name in service.batches] == [12, 12, 6]
    service.finish(service.batches["batch-0"])
    service.finish(service.batches["batch-2"])
    with pytest.raises(PendingError, match="12 texts are not answered yet: batch batch-1 of 12 texts is in_progress"):
        run(service, store)
    assert store.missing(content_keys(TEXTS)).sum() == 12
    service.finish(service.batches["batch-1"])
    assert run(service, store).encoded == 12


def test_a_ceiling_holds_for_batches_too(service: FakeOpenAI, store: EmbeddingStore) -> None:
    with pytest.raises(EncoderError, match="nothing was sent"):
        run(service, store, max_cost=1e-6)
    assert service.paths == []


def test_long_inputs_in_parts_are_averaged_when_they_are_collected(
    service: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = tiktoken.Encoding(
        "bytes", pat_str=r"(?s:.)", mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
    )
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: letters)
    texts, long = ["short", "longer text"], {"too_long": "average", "max_input_tokens": 8}
    store = EmbeddingStore(tmp_path, encoder_of(service, **long))
    with pytest.raises(PendingError):
        run(service, store, texts, **long)
    service.finish(service.batches["batch-0"])
    run(service, store, texts, **long)
    mean = (8 * vector_of("longer t", 16) + 3 * vector_of("ext", 16)) / 11
    expected = np.stack([vector_of("short", 16), mean / np.linalg.norm(mean)])
    np.testing.assert_allclose(rows(store, texts), expected, rtol=1e-5)


@pytest.mark.slow
def test_the_command_submits_leaves_and_collects(
    run_cli: RunCli,
    quick: tuple[str, ...],
    service: FakeOpenAI,
    tmp_path: Path,
    tiny_chaosnli_root: Path,
) -> None:
    options = [
        f"--config={REPOSITORY}/configs/data/chaosnli.yaml",
        f"--config={REPOSITORY}/configs/encoder/openai_large.yaml",
        "--data.encoder.mode=batch",
        f"--data.root={tiny_chaosnli_root}",
        "--data.encoder.model=m",
        "--data.encoder.api_key_env=OPENAI_API_KEY",
        f"--data.encoder.base_url={service.url}",
        f"--data.store={tmp_path}/store",
    ]
    submitted = run_cli("embed", *options)
    assert (submitted.code, submitted.out) == (75, "")
    assert "soft-labels: not yet: 48 texts are not answered yet: batch batch-0 of 48 texts is subm" in submitted.err
    waiting = run_cli("embed", *options)
    assert (waiting.code, "batch batch-0 of 48 texts is in_progress" in waiting.err) == (75, True)
    planned = run_cli("embed", "--dry_run", *options)
    assert "48 texts were submitted as a batch and not collected yet" in planned.out
    training = run_cli("fit", *options, *quick, f"--trainer.default_root_dir={tmp_path}")
    assert (training.code, "run the same command again later" in training.err) == (75, True)
    service.finish(service.batches["batch-0"])
    collected = run_cli("embed", *options)
    assert "48 items x 64 numbers" in collected.out
    assert "paid: 48 requests answered" in collected.out
    assert len(service.batches) == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []
