import email.utils
import time

import httpx2
import openai
import pytest
from tenacity import Future, RetryCallState, Retrying

from soft_labels.encoders.openai.service import AnswerError, Service, asked_pause, passes, pause


def refused(status: int, code: str | None = None, **headers: str) -> openai.APIStatusError:
    request = httpx2.Request("POST", "http://127.0.0.1/v1/embeddings")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(status, request=request, headers=named)
    kinds = {400: openai.BadRequestError, 401: openai.AuthenticationError, 429: openai.RateLimitError}
    kind = kinds.get(status, openai.InternalServerError if status >= 500 else openai.APIStatusError)
    return kind("no", response=response, body={"message": "no", "code": code, "type": code})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refused(400), False),
        (refused(401), False),
        (refused(403), False),
        (refused(404), False),
        (refused(408), True),
        (refused(429), True),
        (refused(429, "insufficient_quota"), False),
        (refused(429, retry_after="30"), True),
        (refused(429, retry_after="3600"), False),
        (refused(500), True),
        (refused(503), True),
        (openai.APITimeoutError(httpx2.Request("POST", "http://host")), True),
        (openai.APIConnectionError(request=httpx2.Request("POST", "http://host")), True),
        (AnswerError("short"), True),
        (ValueError("a bug"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, expected: bool) -> None:
    assert passes(error) is expected


def test_the_pause_that_a_service_asks_for_is_read_in_every_form() -> None:
    assert asked_pause(refused(429, retry_after="7")) == 7
    assert asked_pause(refused(429, retry_after="0.5")) == 0.5
    assert asked_pause(refused(429, retry_after="7", retry_after_ms="250")) == 0.25
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 50 < (asked_pause(refused(429, retry_after=date)) or 0) <= 60
    past = email.utils.formatdate(time.time() - 60, usegmt=True)
    assert asked_pause(refused(429, retry_after=past)) == 0
    assert asked_pause(refused(429, retry_after="soon")) is None
    assert asked_pause(refused(500)) is None
    assert asked_pause(AnswerError("short")) is None


def state(error: Exception, attempt: int) -> RetryCallState:
    call = RetryCallState(Retrying(), None, (), {})
    call.attempt_number = attempt
    call.outcome = Future.construct(attempt, error, has_exception=True)
    return call


def test_waits_are_at_least_what_is_asked_and_else_grow_with_jitter() -> None:
    asked = [pause(state(refused(429, retry_after="20"), 1)) for _ in range(20)]
    assert min(asked) >= 20
    assert max(asked) <= 22
    means = []
    for attempt in (1, 3, 5, 12):
        drawn = [pause(state(refused(500), attempt)) for _ in range(20)]
        assert len(set(drawn)) > 10
        means.append(sum(drawn) / 20)
    assert means == sorted(means)
    assert means[0] < 1.1
    assert 60 <= means[-1] <= 60.5


def test_an_empty_account_and_a_long_wait_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-1")
    service = Service(None, "m", "SOME_KEY", 1.0, 5)
    assert "no credit left (insufficient_quota)" in service.explain(refused(429, "insufficient_quota"))
    assert "it asks to wait 3600 s" in service.explain(refused(429, retry_after="3600"))
    assert "too many requests, even after 5 retries" in service.explain(refused(429))
