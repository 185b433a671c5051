"""A loopback server that speaks OpenAI's embeddings, files and batches, with faults where a test wants them."""

import base64
import email
import hashlib
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np

Answer = Callable[[dict[str, Any]], tuple[int, object]]


@dataclass(frozen=True)
class Faults:
    """Shares of requests that fail, drawn from a seed.

    Args:
        limited: Answered 429 with Retry-After.
        failed: Answered 500.
        dropped: Answered, but the connection is closed in the middle of the body.
        short: Answered with an embedding too few.
        seed: Seed of the draws.
    """

    limited: float = 0.0
    failed: float = 0.0
    dropped: float = 0.0
    short: float = 0.0
    seed: int = 0

    def draw(self, generator: random.Random) -> str:
        """What happens to the next request."""
        shares = {"limited": self.limited, "failed": self.failed, "dropped": self.dropped, "short": self.short}
        return generator.choices([*shares, "ok"], [*shares.values(), 1 - sum(shares.values())])[0]


@dataclass
class Batch:
    """A submitted batch; a test sets its status."""

    id: str
    input_file_id: str
    metadata: dict[str, str]
    status: str = "in_progress"
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: dict[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        """As the API has it."""
        times = {"created_at": 0, "completion_window": "24h", "endpoint": "/v1/embeddings", "object": "batch"}
        return {**vars(self), **times}


@dataclass
class FakeOpenAI:
    """The server; use it in a ``with`` block.

    Args:
        width: Numbers an embedding, where a request does not ask for another width.
        faults: What goes wrong.
        latency: Seconds before each answer.
        encoding: Answer in this encoding whatever was asked; ``None`` answers as asked.
        answer: What answers instead: a status and a body, or the bytes of a body.
    """

    width: int = 16
    faults: Faults = field(default_factory=Faults)
    latency: float = 0.0
    encoding: str | None = None
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    received: list[dict[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    answer: Answer | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    most_at_once: int = 0
    _at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._random = random.Random(self.faults.seed)  # noqa: S311 # faults, no secrets
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The ``base_url`` of a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def billed(self) -> list[str]:
        """The texts of all answers that were sent whole, once for each time."""
        with self.lock:
            return [text for outcome, texts in self.asked if outcome == "ok" for text in texts]

    def outcome(self, texts: list[str]) -> str:
        """Draw and note what happens to a request."""
        with self.lock:
            drawn = self.faults.draw(self._random)
            self.asked.append((drawn, texts))
            return drawn

    def embed(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request, out of order as no client should mind."""
        encoding = self.encoding or request.get("encoding_format", "float")
        width = request.get("dimensions", self.width)
        rows = [
            {"object": "embedding", "index": index, "embedding": _encoded(vector_of(text, width), encoding)}
            for index, text in enumerate(request["input"])
        ]
        tokens = sum(map(tokens_of, request["input"]))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "model": request["model"], "data": rows[::-1], "usage": usage}

    def finish(self, batch: Batch, status: str = "completed", answered: Callable[[int], bool] = lambda _: True) -> None:
        """End a batch: some of its lines are answered, the others expired."""
        lines = [json.loads(line) for line in self.files[batch.input_file_id].splitlines()]
        output = [
            {
                "custom_id": line["custom_id"],
                "response": {"status_code": 200, "body": self.embed(line["body"])},
                "error": None,
            }
            for number, line in enumerate(lines)
            if answered(number)
        ]
        expired = [
            {"custom_id": line["custom_id"], "response": None, "error": {"code": "batch_expired", "message": "late"}}
            for number, line in enumerate(lines)
            if not answered(number)
        ]
        batch.status = status
        batch.output_file_id = self.put("output", output[::-1])
        batch.error_file_id = self.put("errors", expired) if expired else None

    def put(self, kind: str, lines: list[dict[str, Any]]) -> str:
        """Add a file of JSON lines."""
        name = f"file-{kind}-{len(self.files)}"
        self.files[name] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        return name


def vector_of(text: str, width: int) -> np.ndarray:
    """A text's embedding: drawn from its hash, length 1, float32 ``[width]``."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    vector = np.random.default_rng(seed).standard_normal(width, dtype=np.float32)
    vector /= np.linalg.norm(vector)
    return vector


def tokens_of(text: str) -> int:
    """What the server bills for a text."""
    return 1 + len(text) // 4


def _encoded(vector: np.ndarray, encoding: str) -> str | list[float]:
    """An embedding on the wire."""
    return base64.b64encode(vector.tobytes()).decode() if encoding == "base64" else vector.tolist()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, fake: FakeOpenAI) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    @property
    def fake(self) -> FakeOpenAI:
        return self.server.fake

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        path = self._note()
        if path == "/v1/files":
            name = f"file-input-{len(self.fake.files)}"
            self.fake.files[name] = _uploaded(self.headers["Content-Type"], content)
            self._send(200, _file(name, len(self.fake.files[name])))
        elif path == "/v1/batches":
            self._create(json.loads(content))
        else:
            self._embed(json.loads(content))

    def do_GET(self) -> None:
        path = self._note()
        name = path.removeprefix("/v1/").split("/")
        if name == ["batches"]:
            shown = [batch.shown() for batch in self.fake.batches.values()]
            self._send(200, {"object": "list", "data": shown, "has_more": False})
        elif name[0] == "batches":
            self._send(200, self.fake.batches[name[1]].shown())
        else:
            self._send_bytes(200, self.fake.files[name[1]])

    def _note(self) -> str:
        """Note who asks for what; the path without its query."""
        self.fake.keys.append(self.headers["Authorization"])
        self.fake.paths.append(self.path)
        self.fake.received.append({name.lower(): value for name, value in self.headers.items()})
        return urlsplit(self.path).path

    def _create(self, request: dict[str, Any]) -> None:
        batch = Batch(f"batch-{len(self.fake.batches)}", request["input_file_id"], request["metadata"])
        self.fake.batches[batch.id] = batch
        status, body = self.fake.answer(request) if self.fake.answer else (200, batch.shown())
        self._send(status, body)

    def _embed(self, request: dict[str, Any]) -> None:
        fake = self.fake
        with fake.lock:
            fake.bodies.append(request)
            fake._at_once += 1
            fake.most_at_once = max(fake.most_at_once, fake._at_once)
        time.sleep(fake.latency)
        with fake.lock:
            fake._at_once -= 1
        if fake.answer:
            self._send(*fake.answer(request))
            return
        drawn = fake.outcome(request["input"])
        if drawn == "limited":
            self._send(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, {"Retry-After": "0.01"})
        elif drawn == "failed":
            self._send(500, {"error": {"message": "oh"}}, {"retry-after-ms": "10"})
        else:
            self._answer(drawn, fake.embed(request))

    def _answer(self, drawn: str, body: dict[str, Any]) -> None:
        """Send an answer, or what is left of it."""
        if drawn == "short":
            body["data"] = body["data"][:-1]
        content = json.dumps(body).encode()
        if drawn == "dropped":
            self._head(200, len(content), {})
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
        else:
            self._send_bytes(200, content)

    def _send(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)

    def _send_bytes(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(content), headers or {})
        self.wfile.write(content)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, **self.fake.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it so
        """Keep the test's output quiet."""


def _uploaded(content_type: str, content: bytes) -> bytes:
    """The file in a form."""
    form = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + content)
    parts = [part for part in form.walk() if part.get_filename()]
    uploaded = parts[0].get_payload(decode=True)
    assert isinstance(uploaded, bytes)
    return uploaded


def _file(name: str, size: int) -> dict[str, Any]:
    """A file as the API has it."""
    return {
        "id": name,
        "object": "file",
        "bytes": size,
        "created_at": 0,
        "filename": f"{name}.jsonl",
        "purpose": "batch",
        "status": "processed",
    }
