"""Text encoders behind OpenAI's embeddings API, or any service that speaks it."""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from soft_labels.encoders.base import EncoderInput, texts_of
from soft_labels.encoders.hosted import HostedEncoder, Keep, Plan, Usage
from soft_labels.encoders.openai.batch import BATCH_PRICE, Batches, Notes, in_words
from soft_labels.encoders.openai.requests import Ledger, Requests
from soft_labels.encoders.openai.service import OPENAI_KEY, Service
from soft_labels.encoders.openai.tokens import MOST_TOKENS_A_CHARACTER, Limits, Tokens, TooLong, tokenizer_of
from soft_labels.errors import EncoderError

logger = logging.getLogger(__name__)
Mode = Literal["live", "batch"]


class OpenAIEncoder(HostedEncoder):
    """A text encoder that is reached over HTTP: one text to one vector.

    The same model behind two services may give different numbers, so the service is part of the fingerprint:
    ``openai`` where ``base_url`` is ``None``, else ``base_url`` without its query. The environment variable
    ``OPENAI_BASE_URL`` is not read: where texts are sent is always visible in the settings.

    Args:
        model: The service's name of the model.
        base_url: Address of another service, ending before ``/embeddings``; ``None`` is OpenAI.
        dimensions: Width to ask for, of models that can shorten their embeddings; ``None`` sends nothing.
        api_key_env: The environment variable that holds the key; its value is sent to the service and shown nowhere.
            ``None`` is ``OPENAI_API_KEY`` for OpenAI and no key for another service.
        batch_size: Texts a request. A run that is killed loses the answers of the requests under way.
        concurrency: Requests at the same time.
        timeout: Seconds to wait for one answer.
        max_retries: How often a request that failed in passing is repeated, each time after a longer wait.
        price_per_million_tokens: Dollars, before the Batch API's discount; ``None`` is not known.
        max_cost: Dollars that one run may cost at most; what may have been paid for a lost answer counts.
        too_long: What to do with an input of more than ``max_input_tokens``: refuse it, cut it, or embed it in parts
            and take their mean by tokens, at length 1.
        max_input_tokens: What the model takes; OpenAI's is the default.
        max_request_inputs: What the service takes in one request; OpenAI's is the default.
        max_request_tokens: What the service takes in one request; OpenAI's is the default.
        mode: ``live`` sends requests and waits; ``batch`` submits to the Batch API at half the price and collects when
            the same command is run again.

    Raises:
        EncoderError: Settings that are out of range or do not fit together, or a ``base_url`` that is no HTTP address
            or holds a secret.
    """

    modality = "text"

    def __init__(
        self,
        model: str = "text-embedding-3-large",
        *,
        base_url: str | None = None,
        dimensions: int | None = None,
        api_key_env: str | None = None,
        batch_size: int = 256,
        concurrency: int = 8,
        timeout: float = 60.0,
        max_retries: int = 5,
        price_per_million_tokens: float | None = None,
        max_cost: float | None = None,
        too_long: TooLong = "error",
        max_input_tokens: int = 8_191,
        max_request_inputs: int = 2_048,
        max_request_tokens: int = 300_000,
        mode: Mode = "live",
    ) -> None:
        super().__init__(batch_size)
        self.model = model
        self.dimensions = dimensions
        self.concurrency = concurrency
        self.price = price_per_million_tokens
        self.max_cost = max_cost
        self.mode: Mode = mode
        self._limits = Limits(max_input_tokens, batch_size, max_request_tokens, too_long)
        key_variable = api_key_env or (OPENAI_KEY if base_url is None else None)
        self._service = Service(base_url, model, key_variable, timeout, max_retries)
        self._check(max_request_inputs)

    def _check(self, max_request_inputs: int) -> None:
        """Refuse settings that are out of range or do not fit together."""
        for name, dollars in (("price_per_million_tokens", self.price), ("max_cost", self.max_cost)):
            if dollars is not None and not 0 <= dollars < math.inf:
                raise EncoderError(f"{name} must be a number of dollars from 0 up, got {dollars}")
        if not self._service.timeout > 0:
            raise EncoderError(f"timeout must be above 0 seconds, got {self._service.timeout}")
        counts = {
            "dimensions": (self.dimensions, 1),
            "concurrency": (self.concurrency, 1),
            "max_retries": (self._service.max_retries, 0),
            "max_input_tokens": (self._limits.input_tokens, MOST_TOKENS_A_CHARACTER),
        }
        for name, (value, least) in counts.items():
            if value is not None and value < least:
                raise EncoderError(f"{name} must be at least {least}, got {value}")
        if self.batch_size > max_request_inputs:
            raise EncoderError(
                f"wanted batch_size of at most max_request_inputs {max_request_inputs:,}, got {self.batch_size:,}"
            )
        if self.max_cost is not None and self.price is None:
            raise EncoderError("max_cost needs price_per_million_tokens: without it no cost is known; set both or none")

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """Service, model, width, and what is done with long inputs if anything; nothing that travels in a header."""
        limits = self._limits
        long = {} if limits.too_long == "error" else {"too_long": f"{limits.too_long} beyond {limits.input_tokens}"}
        return {
            "encoder": "openai",
            "service": self._service.name,
            "model": self.model,
            "dimensions": self.dimensions,
            **long,
        }

    def length(self, item: EncoderInput) -> int:
        """Number of characters."""
        return len(texts_of([item])[0])

    def preprocess(self, items: Sequence[EncoderInput]) -> list[str]:
        """The texts themselves."""
        return texts_of(items)

    def forward(self, batch: list[str]) -> Tensor:
        """Embeddings of some texts, float32 ``[B, D]`` on the CPU; asked for at once, and kept by nobody.

        Raises:
            EncoderError: No key, no answer, or an answer that is not one finite vector of one width for each text.
        """
        answers: dict[bytes, np.ndarray] = {}
        names = [str(number).encode() for number in range(len(batch))]
        plan = self.plan(batch, names, [f"text {number}" for number in range(len(batch))])
        self._live(plan, lambda keys, vectors: answers.update(zip(keys, vectors, strict=True)))
        return torch.from_numpy(np.stack([answers[name] for name in names]))

    def plan(self, texts: Sequence[str], keys: Sequence[bytes], uids: Sequence[str]) -> Plan:
        """What would be asked for some distinct texts; sends nothing."""
        named = zip(keys, uids, texts, strict=True)
        fitting = [self._limits.fit(key, uid, text, self._tokens) for key, uid, text in named]
        requests = self._limits.requests(fitting)
        tokens = sum(sum(text.tokens) for text in fitting)
        return Plan(requests, self._tokens.described, self._ledger().cost(tokens), self.max_cost)

    @cached_property
    def _tokens(self) -> Tokens:
        """The counter of tokens; its tokenizer is loaded when texts are first planned."""
        return Tokens(tokenizer_of(self.model))

    def _ledger(self) -> Ledger:
        """A ledger at the price of the mode."""
        discount = BATCH_PRICE if self.mode == "batch" else 1.0
        return Ledger(None if self.price is None else self.price * discount, self.max_cost)

    def answer(self, plan: Plan, keep: Keep, folder: Path) -> Usage:
        """Ask what was planned; in batch mode submit it, and pay when it is collected."""
        if plan.too_dear:
            raise EncoderError(
                f"{sum(map(len, plan.requests)):,} texts of {plan.tokens:,} tokens ({plan.counting}) may cost "
                f"${plan.cost_usd:.6f}, above max_cost ${self.max_cost:g}; nothing was sent; raise max_cost"
            )
        if self.mode == "live":
            return self._live(plan, keep)
        batches = Batches(self._service, self.dimensions, Notes(folder))
        _run(lambda: batches.submit(plan))
        return Usage()

    def _live(self, plan: Plan, keep: Keep) -> Usage:
        """Send the requests of a plan."""
        ledger = self._ledger()
        requests = Requests(self._service, self.dimensions, ledger, keep, self.concurrency)
        try:
            _run(lambda: requests.send(plan.requests))
        finally:
            self._say(ledger)
        return ledger.usage()

    def _say(self, ledger: Ledger) -> None:
        """Log what was paid, also by a run that fails."""
        if ledger.requests or ledger.lost_tokens:
            logger.info("%s: %s", self._service.name, ledger.usage())

    def collect(self, keys: Sequence[bytes], keep: Keep, folder: Path) -> Usage:
        """Keep what was submitted to the Batch API earlier, in whichever mode this run is."""
        notes = Notes(folder)
        if not notes.of(keys):
            return Usage()
        ledger = Ledger(None if self.price is None else self.price * BATCH_PRICE, None)
        batches = Batches(self._service, self.dimensions, notes)
        try:
            _run(lambda: batches.collect(keys, keep, ledger))
        finally:
            self._say(ledger)
        return ledger.usage()

    def pending(self, folder: Path) -> Mapping[bytes, str]:
        """The batch of every text that lies in one and was not collected, in words by content key; asks nobody."""
        return {bytes.fromhex(key): in_words(note) for note in Notes(folder).read() for key in note["keys"]}

    def submitted(self, folder: Path) -> str | None:
        """How many texts lie in batches that were not collected; asks nobody."""
        texts = sum(len(note["keys"]) for note in Notes(folder).read())
        return f"{texts:,} texts were submitted as a batch and not collected yet" if texts else None


def _run(task: Callable[[], Awaitable[None]]) -> None:
    """Run a task in an event loop of its own thread, so that a notebook's loop does not matter and Ctrl-C ends it."""
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        portal.call(task)
