"""Embedding requests, several at a time: each answer is checked, kept and only then counted."""

import asyncio
import base64
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soft_labels.encoders.hosted import Keep, Request, Text, Usage, tokens_of
from soft_labels.encoders.openai.service import AnswerError, Service
from soft_labels.errors import EncoderError, SoftLabelsError

if TYPE_CHECKING:
    import openai

Vectors = NDArray[np.float32]
_WORKERS_A_SLOT = 2  # one asks while the other's answer is stored


class Ledger:
    """What is paid so far, and the ceiling that it never passes.

    Args:
        price: Dollars a million tokens, ``None`` where it is not known.
        max_cost: The ceiling in dollars, if there is one.
    """

    def __init__(self, price: float | None, max_cost: float | None) -> None:
        self.price = price
        self.max_cost = max_cost
        self.requests = self.tokens = self.lost_tokens = 0
        self._open = 0

    def cost(self, tokens: int) -> float | None:
        """Dollars for some tokens."""
        return None if self.price is None else tokens * self.price / 1_000_000

    def open(self, tokens: int) -> None:
        """Set aside the tokens of a request that is about to be sent.

        Raises:
            EncoderError: It could pass the ceiling.
        """
        cost = self.cost(self.tokens + self.lost_tokens + self._open + tokens)
        if self.max_cost is not None and cost is not None and cost > self.max_cost:
            raise EncoderError(
                f"stopped before max_cost ${self.max_cost:g}: {self.usage()} so far; what was answered is stored; "
                "raise max_cost and run again to go on"
            )
        self._open += tokens

    def settle(self, opened: int, *, paid: int = 0, lost: int = 0) -> None:
        """Replace what was set aside by what was paid, or may have been paid for nothing."""
        self._open -= opened
        self.tokens += paid
        self.lost_tokens += lost

    def usage(self) -> Usage:
        """All that was paid."""
        return Usage(self.requests, self.tokens, self.lost_tokens, self.cost(self.tokens + self.lost_tokens))


class Requests:
    """Sends requests to a service.

    While an answer is checked and stored, in a thread of its own, the next request is under way.

    Args:
        service: The service.
        dimensions: Width to ask for, if any.
        ledger: Where payments are counted.
        keep: Stores an answer; never called twice at the same time.
        concurrency: Requests at the same time.
    """

    def __init__(self, service: Service, dimensions: int | None, ledger: Ledger, keep: Keep, concurrency: int) -> None:
        self._service = service
        self._dimensions = dimensions
        self._ledger = ledger
        self._keep = keep
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._failures: list[SoftLabelsError] = []

    async def send(self, requests: Sequence[Request]) -> None:
        """Send all requests; after a failure those under way are still answered and kept, but no other begins.

        Raises:
            EncoderError: A request failed for good.
            StoreError: An answer does not fit what is stored.
        """
        waiting = iter(requests)
        with ThreadPoolExecutor(max_workers=1) as thread:
            async with self._service.client() as client:
                workers = (self._work(client, thread, waiting) for _ in range(_WORKERS_A_SLOT * self._concurrency))
                await asyncio.gather(*workers)
        if self._failures:
            raise self._failures[0]

    async def _work(self, client: "openai.AsyncOpenAI", thread: Executor, waiting: Iterator[Request]) -> None:
        """Have one request after the other answered and kept."""
        loop = asyncio.get_running_loop()
        for request in waiting:
            try:
                vectors = await self._service.patiently(partial(self._ask, client, thread, request))
                await loop.run_in_executor(thread, self._keep, [text.key for text in request], vectors)
            except SoftLabelsError as failure:
                self._failures.append(failure)
                return
            self._ledger.requests += 1

    async def _ask(self, client: "openai.AsyncOpenAI", thread: Executor, request: Request) -> Vectors:
        """The embeddings of one request's texts; asked once."""
        size = tokens_of(request)
        content = await self._content(client, request, size)
        try:
            loop = asyncio.get_running_loop()
            vectors, tokens = await loop.run_in_executor(thread, _read, content, request, self._dimensions)
        except (AnswerError, EncoderError):
            self._ledger.settle(size, lost=size)
            raise
        self._ledger.settle(size, paid=tokens)
        return vectors

    async def _content(self, client: "openai.AsyncOpenAI", request: Request, size: int) -> bytes:
        """The answer to one request, as it came."""
        import httpx2
        import openai

        async with self._slots:
            if self._failures:
                raise self._failures[0]
            self._ledger.open(size)
            try:
                body = body_of(request, self._service.model, self._dimensions)
                answer = await client.post("/embeddings", body=body, cast_to=httpx2.Response)
            except openai.OpenAIError as error:
                self._ledger.settle(size, lost=size if isinstance(error, openai.APIConnectionError) else 0)
                raise
            return answer.content


def body_of(request: Request, model: str, dimensions: int | None) -> dict[str, Any]:
    """What a request asks for, as the API has it."""
    width = {} if dimensions is None else {"dimensions": dimensions}
    parts = [part for text in request for part in text.parts]
    return {"model": model, "input": parts, "encoding_format": "base64", **width}


def _read(content: bytes, request: Request, dimensions: int | None) -> tuple[Vectors, int]:
    """:func:`read_answer` of an answer as it came."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"not one of the embeddings API: {error}") from error
    return read_answer(body, request, dimensions)


def read_answer(body: Any, request: Request, dimensions: int | None) -> tuple[Vectors, int]:
    """One embedding for each text, float32 ``[n, D]``, and the tokens that were paid for.

    Args:
        body: The answer, with its embeddings in any order, as numbers or as base64.
        request: What was asked.
        dimensions: The width that was asked for, if any.

    Raises:
        AnswerError: The answer is malformed, short, of several widths or not finite.
        EncoderError: Every embedding is of another width than was asked for.
    """
    try:
        found = {int(item["index"]): _vector(item["embedding"]) for item in body["data"]}
        indices = [int(item["index"]) for item in body["data"]]
        tokens = int((body.get("usage") or {}).get("prompt_tokens") or tokens_of(request))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnswerError(f"not one of the embeddings API: {type(error).__name__} {error}") from error
    wanted = sum(len(text.parts) for text in request)
    if sorted(indices) != list(range(wanted)):
        raise AnswerError(f"wanted one embedding for each of {wanted} texts, got {len(indices)}: index {indices[:10]}")
    vectors = [found[index] for index in range(wanted)]
    _check(vectors, dimensions)
    return _joined(np.stack(vectors), request), tokens


def _vector(embedding: str | list[float]) -> Vectors:
    """One embedding of an answer, float32 ``[D]``; a service may have sent anything."""
    packed = base64.b64decode(embedding, validate=True) if isinstance(embedding, str) else None
    vector = np.array(embedding, np.float32) if packed is None else np.frombuffer(packed, "<f4").astype(np.float32)
    if vector.ndim != 1 or len(vector) == 0:
        raise ValueError(f"an embedding of shape {list(vector.shape)}")
    return vector


def _check(vectors: Sequence[Vectors], dimensions: int | None) -> None:
    """All embeddings are finite and of one width, the one that was asked for."""
    widths = sorted({len(vector) for vector in vectors})
    if len(widths) > 1:
        raise AnswerError(f"wanted embeddings of one width, got {widths}")
    if dimensions not in (None, widths[0]):
        raise EncoderError(
            f"wanted {dimensions} numbers in every embedding, got {widths[0]}; remove dimensions, or correct it"
        )
    if not all(np.isfinite(vector).all() for vector in vectors):
        raise AnswerError("got an embedding with a number that is not finite")


def _joined(vectors: Vectors, request: Request) -> Vectors:
    """One row a text: its only part's, or the mean of its parts' by tokens, at length 1.

    Source: OpenAI's cookbook, "Embedding texts that are longer than the model's maximum context length".
    """
    if len(vectors) == len(request):
        return vectors
    ends = np.cumsum([len(text.parts) for text in request])[:-1]
    return np.stack([_mean(text, rows) for text, rows in zip(request, np.split(vectors, ends), strict=True)])


def _mean(text: Text, vectors: Vectors) -> Vectors:
    """The embedding of a text from those of its parts."""
    if len(vectors) == 1:
        return vectors.ravel()
    mean: Vectors = np.array(text.tokens, dtype=np.float32) @ vectors  # its length does not matter
    unit: Vectors = mean / np.linalg.norm(mean)
    return unit
