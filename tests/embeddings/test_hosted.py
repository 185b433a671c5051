import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing, open_features, plan_missing
from soft_labels.embeddings import hosted as hosted_stage
from soft_labels.embeddings.hosted import answered_store
from soft_labels.encoders import OpenAIEncoder
from soft_labels.errors import EncoderError, StoreError
from tests.fake_openai import FakeOpenAI, Faults, tokens_of, vector_of

ROOT = Path(__file__).resolve().parents[2]
FAULTS = Faults(limited=0.10, failed=0.05, dropped=0.02, short=0.01)
KILLS = 3
TEXTS = [f"text {number}" for number in range(60)]


@pytest.fixture
def service() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def encoder_of(service: FakeOpenAI, **settings: Any) -> OpenAIEncoder:
    return OpenAIEncoder("m", base_url=service.url, **{"batch_size": 4, "max_retries": 0, **settings})


def run(texts: list[str], encoder: OpenAIEncoder, root: Path) -> EmbeddingStore:
    store = EmbeddingStore(root, encoder)
    encode_missing(texts, content_keys(texts), encoder, store)
    return store


def stored(texts: list[str], encoder: OpenAIEncoder, store: EmbeddingStore) -> set[str]:
    """The texts whose answers are on disk."""
    keys = content_keys(texts)
    lacking = store.missing(keys) & answered_store(store, encoder).missing(keys)
    return {text for text, lacks in zip(texts, lacking, strict=True) if not lacks}


def leftovers(store: EmbeddingStore) -> list[Path]:
    return list((store.folder / "answered").rglob("*.safetensors"))


@pytest.mark.parametrize("encoding", ["base64", "float", None])
def test_every_text_gets_its_own_vector_in_either_encoding(
    service: FakeOpenAI, encoding: str | None, tmp_path: Path
) -> None:
    service.encoding = encoding
    store = run(TEXTS, encoder_of(service), tmp_path)
    features = open_features(store, [content_keys(TEXTS)], "texts")
    np.testing.assert_array_equal(features[torch.arange(60)], np.stack([vector_of(text, 16) for text in TEXTS]))
    assert len(store.shards()) == 1
    assert leftovers(store) == []


def test_duplicates_are_sent_once_and_nothing_is_sent_again(service: FakeOpenAI, tmp_path: Path) -> None:
    encoder = encoder_of(service, price_per_million_tokens=0.13)
    store = EmbeddingStore(tmp_path, encoder)
    doubled = TEXTS + TEXTS[::-1]
    report = encode_missing(doubled, content_keys(doubled), encoder, store)
    assert (report.inputs, report.found, report.encoded) == (60, 0, 60)
    assert sorted(service.billed()) == sorted(TEXTS)
    tokens = sum(map(tokens_of, TEXTS))
    assert report.usage is not None
    assert (report.usage.requests, report.usage.tokens, report.usage.lost_tokens) == (15, tokens, 0)
    assert report.usage.cost_usd == pytest.approx(tokens * 0.13e-6)
    again = encode_missing(doubled, content_keys(doubled), encoder, store)
    assert (again.encoded, again.usage) == (0, None)
    assert len(service.bodies) == 15


def test_at_most_one_answer_a_slot_is_not_on_disk_yet(service: FakeOpenAI, tmp_path: Path) -> None:
    encoder = encoder_of(service, concurrency=1)
    store = EmbeddingStore(tmp_path, encoder)
    on_disk: list[int] = []

    def answer(request: dict[str, Any]) -> tuple[int, object]:
        on_disk.append(len(stored(TEXTS, encoder, store)))
        return 200, service.embed(request)

    service.answer = answer
    encode_missing(TEXTS, content_keys(TEXTS), encoder, store)
    assert all(stored >= 4 * (number - 1) for number, stored in enumerate(on_disk))
    assert len(on_disk) == 15


def test_requests_are_sent_at_the_same_time_up_to_the_bound(service: FakeOpenAI, tmp_path: Path) -> None:
    service.latency = 0.05
    run(TEXTS, encoder_of(service, concurrency=5), tmp_path)
    assert service.most_at_once == 5


def test_after_a_failure_what_is_under_way_is_kept_and_nothing_else_is_sent(
    service: FakeOpenAI, tmp_path: Path
) -> None:
    def answer(request: dict[str, Any]) -> tuple[int, object]:
        first = request is service.bodies[0]
        time.sleep(0 if first else 0.2)
        return (401, {"error": {"message": "no"}}) if first else (200, service.embed(request))

    service.answer = answer
    encoder = encoder_of(service, concurrency=4)
    with pytest.raises(EncoderError, match="the key was refused"):
        run(TEXTS, encoder, tmp_path)
    assert len(service.bodies) == 4
    store = EmbeddingStore(tmp_path, encoder)
    assert stored(TEXTS, encoder, store) == {text for body in service.bodies[1:] for text in body["input"]}
    assert leftovers(store) == []


@pytest.mark.parametrize("code", ["insufficient_quota", None])
def test_an_empty_account_is_not_asked_again(service: FakeOpenAI, code: str | None, tmp_path: Path) -> None:
    service.answer = lambda _: (429, {"error": {"message": "no", "code": code, "type": code}})
    service.headers = {"Retry-After": "0"}
    with pytest.raises(EncoderError):
        run(TEXTS[:4], encoder_of(service, max_retries=2), tmp_path)
    assert len(service.bodies) == (1 if code else 3)


def test_a_width_that_changes_between_runs_is_noticed_before_it_is_stored(service: FakeOpenAI, tmp_path: Path) -> None:
    store = run(TEXTS[:8], encoder_of(service), tmp_path)
    service.width = 12
    with pytest.raises(StoreError, match=r"the encoder gave 12 numbers a row, .* holds 16"):
        run(TEXTS, encoder_of(service), tmp_path)
    assert len(store.shards()) == 1
    assert leftovers(store) == []


def test_a_ceiling_refuses_a_plan_and_stops_a_run_whose_answers_cost_more(service: FakeOpenAI, tmp_path: Path) -> None:
    bound = sum(len(text) for text in TEXTS)
    with pytest.raises(EncoderError, match=r"60 texts of 410 tokens .* above max_cost .*nothing was sent"):
        run(TEXTS, encoder_of(service, price_per_million_tokens=1e6, max_cost=bound - 1), tmp_path)
    assert service.bodies == []

    def dear(request: dict[str, Any]) -> tuple[int, object]:
        return 200, {**service.embed(request), "usage": {"prompt_tokens": 40}}

    service.answer = dear
    encoder = encoder_of(service, price_per_million_tokens=1e6, max_cost=bound, concurrency=1)
    with pytest.raises(EncoderError, match=r"stopped before max_cost \$410: (9|10) requests answered"):
        run(TEXTS, encoder, tmp_path)
    assert len(service.bodies) == 10
    assert len(stored(TEXTS, encoder, EmbeddingStore(tmp_path, encoder))) == 40


@pytest.mark.slow
def test_answers_that_are_lost_count_as_paid(service: FakeOpenAI, tmp_path: Path) -> None:
    service.faults = Faults(short=0.99)
    encoder = encoder_of(service, price_per_million_tokens=1e6, max_cost=40, max_retries=9)
    texts = ["a" * 20]
    with pytest.raises(EncoderError, match=r"0 requests answered, 0 tokens and up to 40 of answers that were lost"):
        run(texts, encoder, tmp_path)
    assert len(service.bodies) == 2


def test_a_dry_run_knows_answers_that_a_killed_run_left(service: FakeOpenAI, tmp_path: Path) -> None:
    encoder = encoder_of(service)
    store = EmbeddingStore(tmp_path, encoder)
    keys = content_keys(TEXTS)
    answered_store(store, encoder).write(keys[:7], np.stack([vector_of(text, 16) for text in TEXTS[:7]]))
    plan = plan_missing(TEXTS, keys, encoder, store, TEXTS)
    assert (plan.inputs, plan.missing) == (60, 53)
    assert plan.paid is not None
    assert len(plan.paid.requests) == 14
    assert (service.paths, len(leftovers(store))) == ([], 1)
    report = encode_missing(TEXTS, keys, encoder, store)
    assert (report.found, report.encoded) == (7, 53)
    assert set(service.billed()) == set(TEXTS[7:])


@pytest.mark.slow
def test_many_answers_make_few_files(service: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_stage, "GATHERED_ROWS", 20)
    store = run(TEXTS, encoder_of(service, batch_size=1), tmp_path)
    assert len(store.shards()) == 3
    assert leftovers(store) == []


def test_long_inputs_in_parts_give_the_mean_by_tokens(
    service: FakeOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tiktoken

    letters = tiktoken.Encoding(
        "bytes", pat_str=r"(?s:.)", mergeable_ranks={bytes([byte]): byte for byte in range(256)}, special_tokens={}
    )
    monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: letters)
    texts = ["short", "longer text"]
    store = run(texts, encoder_of(service, too_long="average", max_input_tokens=8), tmp_path)
    rows = open_features(store, [content_keys(texts)], "texts")[torch.arange(2)]
    mean = (8 * vector_of("longer t", 16) + 3 * vector_of("ext", 16)) / 11
    np.testing.assert_array_equal(rows[0], vector_of("short", 16))
    np.testing.assert_allclose(rows[1], mean / np.linalg.norm(mean), rtol=1e-5)
    cut = run(texts, encoder_of(service, too_long="truncate", max_input_tokens=8), tmp_path)
    np.testing.assert_array_equal(
        open_features(cut, [content_keys(texts)], "texts")[torch.arange(2)][1], vector_of("longer t", 16)
    )


RUN = """
import json, sys
from pathlib import Path
from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing
from soft_labels.encoders import OpenAIEncoder
texts = json.loads(Path(sys.argv[1]).read_text())
encoder = OpenAIEncoder("m", base_url=sys.argv[2], batch_size=16, max_retries=10)
encode_missing(texts, content_keys(texts), encoder, EmbeddingStore(Path(sys.argv[3]), encoder))
"""


def killed_at(service: FakeOpenAI, requests: int, *arguments: object) -> None:
    """Start a run and kill it when the service has been asked so many times more."""
    start = len(service.asked)
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        while len(service.asked) < start + requests:
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    time.sleep(0.2)  # what was under way is answered to nobody


@pytest.mark.slow
def test_killed_runs_with_faults_end_as_one_without_and_pay_once_for_what_could_be_kept(
    shared_data: Path, tmp_path: Path
) -> None:
    pairs = read_chaosnli(shared_data).inputs
    assert len(pairs) == 3_113
    texts = sorted({str(text) for pair in pairs for text in pair})  # type: ignore[union-attr]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    generator = random.Random(0)  # noqa: S311 # moments, no secrets
    with FakeOpenAI(faults=FAULTS, latency=0.005) as service:
        encoder = OpenAIEncoder("m", base_url=service.url, batch_size=16, max_retries=10)
        store = EmbeddingStore(tmp_path / "killed", encoder)
        kept: set[str] = set()
        begun = 0
        for _ in range(KILLS):
            killed_at(service, generator.randrange(20, 120), tmp_path / "texts.json", service.url, tmp_path / "killed")
            check_phase(service, begun, kept)
            kept, begun = stored(texts, encoder, store), len(service.asked)
        assert 0 < len(kept) < len(texts)
        encode_missing(texts, content_keys(texts), encoder, store)
        check_phase(service, begun, kept)
        lost_at_kills = len(service.billed()) - len(texts)
        assert set(service.billed()) == set(texts)
        assert 0 <= lost_at_kills <= KILLS * 2 * encoder.concurrency * 16
        assert {outcome for outcome, _ in service.asked} == {"ok", "limited", "failed", "dropped", "short"}
    with FakeOpenAI() as service:
        whole = run(texts, encoder_of(service, batch_size=256), tmp_path / "whole")
    columns = [content_keys(texts)]
    assert open_features(store, columns, "texts").checksum == open_features(whole, columns, "texts").checksum


def check_phase(service: FakeOpenAI, begun: int, kept: set[str]) -> None:
    """Between two kills no text is asked that was kept before, and none again after a whole answer."""
    asked = service.asked[begun:]
    assert not {text for _, texts in asked for text in texts} & kept
    whole = Counter(text for outcome, texts in asked if outcome == "ok" for text in texts)
    assert set(whole.values()) <= {1}
