"""A service that speaks OpenAI's API: where it is, its key, what its errors mean and which of them pass."""

import logging
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from soft_labels.errors import EncoderError

if TYPE_CHECKING:
    import openai

logger = logging.getLogger(__name__)
T = TypeVar("T")
OPENAI_KEY = "OPENAI_API_KEY"
OPENAI_URL = "https://api.openai.com/v1"
LONGEST_WAIT = 600.0
SHOWN_CHARACTERS = 300
_BACK_OFF = wait_exponential(multiplier=0.5, max=60) + wait_random(0, 0.5)
_TRY_AGAIN = {408, 409, 425, 429}
_SECRET_NAME = re.compile(r"key|token|secret|sig|pass|auth|cred|code", re.IGNORECASE)
_LOGGED_BY_CLIENT = ("openai._base_client", "httpx2", "httpcore2.connection", "httpcore2.http11", "httpcore2.proxy")


class AnswerError(Exception):
    """An answer of the service that cannot be used; it may have been paid for."""


@dataclass(frozen=True)
class Service:
    """Where requests go and how patiently; holds no key.

    Args:
        base_url: Its address, ending before ``/embeddings``; ``None`` is OpenAI.
        model: Its name of the model.
        api_key_env: The environment variable that holds the key; ``None`` sends no key.
        timeout: Seconds to wait for one answer.
        max_retries: How often a request that failed in passing is repeated.
    """

    base_url: str | None
    model: str
    api_key_env: str | None
    timeout: float
    max_retries: int

    def __post_init__(self) -> None:
        """Refuse an address that cannot be used or holds a secret."""
        if self.base_url is not None:
            _check_address(self.base_url, {_held(OPENAI_KEY), _held(self.api_key_env)} - {""})

    @property
    def name(self) -> str:
        """The service as the fingerprint and messages show it."""
        if self.base_url is None:
            return "openai"
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".rstrip("/")

    def key(self) -> str | None:
        """The key, read anew each time; ``None`` where no variable is named.

        Raises:
            EncoderError: The variable holds no key.
        """
        if self.api_key_env is None:
            return None
        key = _held(self.api_key_env)
        if not key:
            raise EncoderError(f"the environment variable {self.api_key_env} holds no key; set it to your key")
        if not (key.isascii() and key.isprintable()):
            raise EncoderError(
                f"the environment variable {self.api_key_env} holds characters that no key has; set it anew"
            )
        return key

    def without_key(self, text: str) -> str:
        """A text in which the key is hidden: a service may have sent it back."""
        key = self.key()
        return text if key is None else text.replace(key, "[key]")

    @asynccontextmanager
    async def client(self) -> AsyncIterator["openai.AsyncOpenAI"]:
        """The official client, which repeats nothing by itself; while it is open, no log line holds the key.

        What the environment holds for OpenAI beside the key (organization, project, headers) goes to OpenAI only. The
        client insists on a key: a service without one gets the word "none".
        """
        import openai

        from soft_labels.encoders.openai.client import ForeignClient

        parts = urlsplit(self.base_url or OPENAI_URL)
        client = (openai.AsyncOpenAI if self.base_url is None else ForeignClient)(
            api_key=self.key() or "none",
            base_url=urlunsplit(parts._replace(query="", fragment="")),
            default_query=dict(parse_qsl(parts.query)),
            timeout=self.timeout,
            max_retries=0,
        )
        with hidden(self.without_key):
            async with client:
                yield client

    async def patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """What a call gives, repeated while it fails in passing.

        Raises:
            EncoderError: It failed for good, or too often.
        """
        attempts = AsyncRetrying(
            retry=retry_if_exception(passes),
            wait=pause,
            stop=stop_after_attempt(self.max_retries + 1),
            before_sleep=self._say,
            reraise=True,
        )

        async def attempt() -> T:
            return await call()

        return await self.once(lambda: attempts(attempt))

    async def once(self, call: Callable[[], Awaitable[T]]) -> T:
        """What a call gives.

        Raises:
            EncoderError: It failed.
        """
        import openai

        try:
            return await call()
        except (openai.OpenAIError, AnswerError) as error:
            problem = self.explain(error)
        raise EncoderError(problem)  # outside the handler: the client's own error may quote the key

    def _say(self, state: RetryCallState) -> None:
        """Log that a request is repeated, in words that no service chose."""
        error = _failure(state)
        status = getattr(error, "status_code", "")
        wait = state.next_action.sleep if state.next_action else 0.0
        logger.info("%s: %s %s, again in %.1f s", self.name, type(error).__name__, status, wait)

    def explain(self, error: Exception) -> str:
        """What went wrong and what to do, without the key."""
        import openai

        if isinstance(error, openai.AuthenticationError):
            return f"{self.name}: the key was refused; put a valid one into {self.api_key_env or 'api_key_env'}"
        if out_of_credit(error):
            return f"{self.name}: the account has no credit left (insufficient_quota); add some, then run again"
        known = (
            (AnswerError, "the answer cannot be used; run again, or check base_url"),
            (openai.PermissionDeniedError, "the key may not use this model; choose another key or model"),
            (openai.NotFoundError, "model or address unknown; correct model or base_url"),
            (openai.RateLimitError, f"too many requests, even after {self.max_retries} retries; lower concurrency"),
            (openai.BadRequestError, "the request was refused; check model, dimensions and the length of the texts"),
            (openai.InternalServerError, f"the service failed after {self.max_retries} retries; run again later"),
            (openai.APIStatusError, "the request was refused; check the settings"),
            (openai.APITimeoutError, f"no answer within {self.timeout:g} s; raise timeout or lower batch_size"),
            (openai.APIConnectionError, "the service cannot be reached; check base_url and the network"),
            (Exception, "the client failed"),
        )
        what = next(words for kind, words in known if isinstance(error, kind))
        asked = asked_pause(error)
        later = f"; it asks to wait {asked:.0f} s" if asked else ""
        origin = error.__cause__ if isinstance(error, openai.APIConnectionError) else None
        detail = self.without_key(str(origin or error))[:SHOWN_CHARACTERS]
        return f"{self.name}, model {self.model}: {what}{later} ({detail})"


def _held(variable: str | None) -> str:
    """What an environment variable holds."""
    return os.environ.get(variable, "").strip() if variable else ""


def _check_address(base_url: str, keys: set[str]) -> None:
    """Refuse an address that is none, or that holds what belongs into the environment; show none of it."""
    if "@" in base_url:
        raise EncoderError("base_url must not hold a user or password; put the key into the variable of api_key_env")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise EncoderError("wanted a base_url such as http://127.0.0.1:8000/v1, got one without scheme or host")
    secret = any(_SECRET_NAME.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    if secret or any(key in base_url for key in keys):
        raise EncoderError("base_url must not hold a key or token; put it into the variable of api_key_env")


@contextmanager
def hidden(without_key: Callable[[str], str]) -> Iterator[None]:
    """Take the key out of all that the client's libraries log: a service may send it back in a header."""

    def hide(record: logging.LogRecord) -> bool:
        record.msg, record.args = without_key(record.getMessage()), None
        return True

    loggers = [logging.getLogger(name) for name in _LOGGED_BY_CLIENT]
    for each in loggers:
        each.addFilter(hide)
    try:
        yield
    finally:
        for each in loggers:
            each.removeFilter(hide)


def out_of_credit(error: BaseException | None) -> bool:
    """Whether a 429 means that the account is empty, which no waiting mends."""
    return "insufficient_quota" in {getattr(error, "code", None), getattr(error, "type", None)}


def passes(error: BaseException) -> bool:
    """Whether a failure may be gone at the next try."""
    import openai

    if isinstance(error, openai.APIStatusError):
        soon = (asked_pause(error) or 0) <= LONGEST_WAIT
        return soon and not out_of_credit(error) and (error.status_code >= 500 or error.status_code in _TRY_AGAIN)
    return isinstance(error, openai.APIConnectionError | AnswerError)


def asked_pause(error: BaseException | None) -> float | None:
    """Seconds that the service asks to wait: ``retry-after-ms``, or ``Retry-After`` as seconds or as a date."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1_000)
        asked = headers["retry-after"]
        if asked.strip().replace(".", "", 1).isdigit():
            return float(asked)
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (KeyError, ValueError):
        return None


def _failure(state: RetryCallState) -> BaseException | None:
    """What made a call fail."""
    return state.outcome.exception() if state.outcome else None


def pause(state: RetryCallState) -> float:
    """Seconds before the next try: what the service asks for and a little more, else exponential with jitter."""
    asked = asked_pause(_failure(state))
    back_off = _BACK_OFF(state)
    return back_off if asked is None else asked + min(back_off, 0.1 * asked)
