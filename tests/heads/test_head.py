"""A head in memory: what it predicts, what it refuses, and its way to the Hub and back."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from huggingface_hub import ModelCard

import soft_labels
from soft_labels.encoders import OpenAIEncoder
from soft_labels.errors import ConfigError, DataError
from soft_labels.heads.head import TrainedHead, load, of_encoder
from soft_labels.training.solved import LogisticHead
from soft_labels.training.spec import HeadSpec
from tests.conftest import ToyTextEncoder
from tests.fake_openai import FakeOpenAI
from tests.heads.loopback_hub import Hub, hub_in_process
from tests.heads.toy_head import toy_head

TOKEN = "hf_test"  # noqa: S105 # of nobody
TEXTS = ["Could you send it?", "Send it.", "I want it."]


def test_predictions_are_distributions_with_their_entropies_and_labels() -> None:
    head = toy_head()
    found = head.predict(TEXTS)
    encoder = ToyTextEncoder(width=6)
    with torch.inference_mode():
        expected = head.network(encoder.forward(TEXTS)).softmax(-1).numpy()
    np.testing.assert_allclose(found.distributions, expected, atol=1e-7)
    np.testing.assert_allclose(found.entropies, -(expected * np.log(expected)).sum(1), atol=1e-6)
    assert found.labels == [head.class_names[place] for place in expected.argmax(1)]
    assert len(found) == 3
    frame = found.to_frame()
    assert isinstance(frame, pl.DataFrame)
    assert frame["uid"].to_list() == ["0", "1", "2"]
    assert len(head.predict([])) == 0


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ("one text", "wanted a list of texts, got one text"),
        ([Path("a.png")], "this head reads text, got image"),
        ([("a", "b")], "this head reads text, got text_pair"),
        (np.zeros((2, 6)), "this head reads text, got vectors"),
        (["fine", 3], "all of one kind.*got int, str"),
    ],
)
def test_inputs_that_it_does_not_read_are_refused(inputs: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        toy_head().predict(inputs)


def test_uids_are_one_for_each_input() -> None:
    with pytest.raises(DataError, match="3 inputs but 1 uids"):
        toy_head().predict(TEXTS, ["a"])


def test_features_of_another_width_are_refused() -> None:
    head = toy_head(reads="vectors", encoder=None, fingerprint={"kind": "tensors"})
    assert len(head.predict(np.zeros((4, 6)))) == 4
    with pytest.raises(DataError, match=r"wanted features of shape \[N, 6\], got \[4, 5\]"):
        head.predict(np.zeros((4, 5)))
    with pytest.raises(DataError, match=r"row 1 .from 0. gives no finite prediction"):
        head.predict(np.array([[0.0] * 6, [np.nan] * 6]))
    with pytest.raises(ConfigError, match="this head wants features"):
        _ = head.source


def test_a_head_from_nowhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="wanted the folder of a head, or ORGANISATION/NAME"):
        load(tmp_path / "no" / "such" / "folder")
    with pytest.raises(ConfigError, match=r"it has no config\.json"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="revision 'main' is for heads of the Hub only"):
        load(toy_head().save(tmp_path / "head"), revision="main")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with hub_in_process(tmp_path / "cache", monkeypatch) as hub:
        yield hub


def test_a_head_goes_to_the_hub_and_comes_back_at_its_commit(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    head = toy_head(report={"items": 3, "kl": 0.25, "notes": []})
    head.push_to_hub("people/head", token=TOKEN)
    first = hub.commits["people/head"][-1]
    assert {"README.md", "config.json", "model.safetensors"} <= set(first.files)
    with caplog.at_level(logging.INFO, "soft_labels"):
        again = soft_labels.load("people/head")
    assert again.revision == first.name
    assert f"people/head at commit {first.name}" in caplog.text
    np.testing.assert_array_equal(again.predict(TEXTS).distributions, head.predict(TEXTS).distributions)
    card: Any = ModelCard(first.files["README.md"].decode())
    assert card.data.library_name == "soft-labels"
    assert [(result.metric_type, result.metric_value) for result in card.data.eval_results or []] == [("kl", 0.25)]


def test_an_older_commit_is_still_had(hub: Hub) -> None:
    toy_head().push_to_hub("people/head", token=TOKEN)
    toy_head(class_names=("one", "two", "three")).push_to_hub("people/head", token=TOKEN)
    first, second = (commit.name for commit in hub.commits["people/head"])
    assert soft_labels.load("people/head").revision == second
    old = TrainedHead.from_pretrained("people/head", revision=first)
    assert (old.revision, old.class_names) == (first, ("calm", "cross", "angry"))


def test_what_the_hub_lacks_or_damages_is_told(hub: Hub) -> None:
    with pytest.raises(ConfigError, match="people/none is no folder, and the Hub did not give it"):
        soft_labels.load("people/none")
    toy_head().push_to_hub("people/head", token=TOKEN)
    files = hub.commits["people/head"][-1].files
    content = json.loads(files["config.json"])
    files["config.json"] = json.dumps({**content, "class_names": ["a", "b", "c"]}).encode()
    with pytest.raises(ConfigError, match=r"config\.json is damaged or was changed"):
        soft_labels.load("people/head")


@pytest.mark.slow
def test_answers_that_are_paid_are_kept_and_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with FakeOpenAI(width=6) as service:
        encoder = OpenAIEncoder("mini", base_url=service.url)
        head = toy_head(**of_encoder(encoder))
        found = head.predict(TEXTS).distributions
        again = soft_labels.load(head.save(tmp_path / "head")).predict(TEXTS).distributions
        assert sorted(service.billed()) == sorted(TEXTS)
    np.testing.assert_array_equal(found, again)
    assert list((tmp_path / "embeddings").rglob("*.safetensors"))


def test_a_solved_head_travels_too(tmp_path: Path) -> None:
    head = toy_head(spec=HeadSpec(head="logistic").settings())
    again = load(head.save(tmp_path / "head"))
    assert isinstance(again.network.head, LogisticHead)
    assert again.network.state_dict().keys() == head.network.state_dict().keys()
