"""Requests of a service: answers are read whole or refused, and what they cost never passes the ceiling."""

import base64
import json
import struct
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from soft_labels.encoders import OpenAIEncoder
from soft_labels.encoders.hosted import Text, Usage
from soft_labels.encoders.openai.requests import Ledger, body_of, read_answer
from soft_labels.encoders.openai.service import AnswerError
from soft_labels.errors import EncoderError
from tests.fake_openai import Answer, FakeOpenAI

TEXTS = ["one", "two", "three"]
ONE = Text(b"1", "a", ("one",), (3,))
LONG = Text(b"2", "b", ("two", "parts"), (3, 1))


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sentinel-0123456789")


@pytest.fixture
def service() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


def embedding(index: int, values: list[float]) -> dict[str, object]:
    return {"object": "embedding", "index": index, "embedding": values}


def answers(*rows: dict[str, object]) -> Answer:
    body = {"object": "list", "model": "m", "data": rows, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    return lambda _: (200, body)


def embed(encoder: OpenAIEncoder, texts: list[str]) -> torch.Tensor:
    return encoder.forward(encoder.preprocess(texts))


def test_answers_are_put_in_the_order_of_the_texts(service: FakeOpenAI) -> None:
    service.answer = answers(embedding(2, [2.0, 0.5]), embedding(0, [0.0, 0.5]), embedding(1, [1.0, 0.5]))
    embeddings = embed(OpenAIEncoder("m", base_url=service.url), TEXTS)
    assert embeddings.dtype == torch.float32
    assert embeddings.tolist() == [[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]]


def test_base64_answers_are_decoded(service: FakeOpenAI) -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.25, -3.0)).decode()
    service.answer = answers({"object": "embedding", "index": 0, "embedding": packed})
    assert embed(OpenAIEncoder("m", base_url=service.url), ["one"]).tolist() == [[0.25, -3.0]]
    assert service.bodies[0]["encoding_format"] == "base64"


def test_a_service_that_ignores_dimensions_is_noticed(service: FakeOpenAI) -> None:
    service.answer = answers(embedding(0, [1.0, 2.0, 3.0]))
    with pytest.raises(EncoderError, match=r"wanted 2 numbers in every embedding, got 3; remove dimensions"):
        embed(OpenAIEncoder("m", base_url=service.url, dimensions=2), ["one"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([embedding(0, [1.0])], r"for each of 2 texts, got 1: index \[0\]"),
        ([embedding(0, [1.0]), embedding(0, [1.0])], r"got 2: index \[0, 0\]"),
        ([embedding(0, [1.0]), embedding(1, [1.0]), embedding(2, [1.0])], "for each of 2 texts, got 3"),
        ([embedding(0, [1.0, 2.0]), embedding(1, [1.0])], r"wanted embeddings of one width, got \[1, 2\]"),
        ([embedding(0, [1.0]), embedding(1, [float("nan")])], "not finite"),
        ([embedding(0, [1.0]), embedding(1, [float("inf")])], "not finite"),
        ([embedding(0, []), embedding(1, [])], r"not one of the embeddings API.*of shape \[0\]"),
        (
            [{"index": 0, "embedding": 1.0}, {"index": 1, "embedding": 1.0}],
            r"not one of the embeddings API.*shape \[\]",
        ),
        ([], "for each of 2 texts, got 0"),
        ([{"object": "embedding"}], "not one of the embeddings API"),
        ([{"index": 0, "embedding": None}, {"index": 1, "embedding": ["a"]}], "not one of the embeddings API"),
    ],
)
def test_a_wrong_answer_is_an_encoder_error(service: FakeOpenAI, rows: list[dict[str, object]], message: str) -> None:
    service.answer = answers(*rows)
    with pytest.raises(EncoderError, match=message):
        embed(OpenAIEncoder("m", base_url=service.url, max_retries=0), ["one", "two"])


def test_a_request_asks_for_every_part_and_for_a_width_only_where_one_is_set() -> None:
    body = {"model": "m", "input": ["one", "two", "parts"], "encoding_format": "base64"}
    assert body_of((ONE, LONG), "m", None) == body
    assert body_of((ONE, LONG), "m", 2) == {**body, "dimensions": 2}


def test_a_long_text_has_the_mean_of_its_parts_by_tokens_at_length_one() -> None:
    body = {"data": [embedding(0, [3.0, 4.0]), embedding(1, [1.0, 0.0]), embedding(2, [0.0, 1.0])]}
    vectors, tokens = read_answer(body, (ONE, LONG), None)
    np.testing.assert_array_equal(vectors[0], [3.0, 4.0])
    np.testing.assert_allclose(vectors[1], np.array([3.0, 1.0]) / np.sqrt(10), rtol=1e-6)
    assert tokens == 7, "our own count, where the service tells none"


@pytest.mark.parametrize("packed", ["%%%", base64.b64encode(struct.pack("<f", 1)[:3]).decode(), ""])
def test_base64_that_holds_no_numbers_is_refused(packed: str) -> None:
    with pytest.raises(AnswerError, match="not one of the embeddings API"):
        read_answer({"data": [{"index": 0, "embedding": packed}]}, (ONE,), None)


@pytest.mark.parametrize("body", [None, [], {"data": None}, {"data": [3]}, json.loads('{"data": [{"index": "x"}]}')])
def test_an_answer_of_another_form_is_refused(body: object) -> None:
    with pytest.raises(AnswerError, match="not one of the embeddings API"):
        read_answer(body, (ONE,), None)


def test_a_ledger_never_passes_its_ceiling_whatever_is_under_way() -> None:
    ledger = Ledger(price=1e6, max_cost=10)
    ledger.open(6)
    with pytest.raises(EncoderError, match=r"stopped before max_cost \$10: 0 requests answered"):
        ledger.open(5)
    ledger.settle(6, paid=2)
    ledger.open(5)
    ledger.settle(5, lost=5)
    assert ledger.usage() == Usage(0, 2, 5, 7.0)
    with pytest.raises(EncoderError, match="and up to 5 of answers that were lost"):
        ledger.open(4)
    ledger.open(3)


def test_a_ledger_without_a_price_has_no_ceiling() -> None:
    ledger = Ledger(None, 0.01)
    ledger.open(10**12)
    assert ledger.usage().cost_usd is None
