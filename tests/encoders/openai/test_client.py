"""The client of other services sends nothing that the environment holds for OpenAI."""

import asyncio

import openai
import pytest

from soft_labels.encoders.openai.client import ForeignClient
from tests.fake_openai import FakeOpenAI

SENTINEL = "private-to-openai"


@pytest.fixture(autouse=True)
def _ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", SENTINEL)
    monkeypatch.setenv("OPENAI_PROJECT_ID", SENTINEL)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Secret: {SENTINEL}\nOpenAI-Project: {SENTINEL}")


async def ask(kind: type[openai.AsyncOpenAI], url: str) -> list[float]:
    """Ask a loopback server once."""
    async with kind(api_key="sk-of-this-service", base_url=url, max_retries=0) as client:
        answer = await client.embeddings.create(model="m", input=["one"], encoding_format="float")
    return answer.data[0].embedding


@pytest.mark.parametrize(("kind", "leaks"), [(openai.AsyncOpenAI, True), (ForeignClient, False)])
def test_headers_that_reach_a_service(kind: type[openai.AsyncOpenAI], leaks: bool) -> None:
    """The official client is asked too, so that the test fails when there is nothing to keep back any more."""
    with FakeOpenAI() as service:
        assert asyncio.run(ask(kind, service.url))
    (sent,) = service.received
    assert sent["authorization"] == "Bearer sk-of-this-service"
    assert sent["content-type"] == "application/json"
    assert (SENTINEL in sent.values()) is leaks
