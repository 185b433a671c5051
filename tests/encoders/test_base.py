import copy
import pickle
from pathlib import Path

import pytest
import torch

from soft_labels.encoders import OpenAIEncoder, SentenceTransformerEncoder, TransformerEncoder
from soft_labels.encoders.base import pick_device, texts_of
from soft_labels.errors import EncoderError


def test_auto_is_a_device_that_computes() -> None:
    device = pick_device("auto")
    assert torch.ones(2, device=device).sum().item() == 2
    assert (device.type == "cpu") == (not torch.accelerator.is_available())


def test_a_named_device_is_that_device() -> None:
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_an_encoder_error(device: str) -> None:
    with pytest.raises(EncoderError, match=f"this machine has, got '{device}'"):
        pick_device(device)


def test_texts_pass_unchanged_and_in_order() -> None:
    assert texts_of(("b", "", "a")) == ["b", "", "a"]


def test_an_encoder_has_no_remark_unless_it_makes_one() -> None:
    encoder = OpenAIEncoder()
    encoder.preprocess(["text"])
    assert encoder.remark() is None


def test_an_encoder_says_what_makes_it_again_but_for_its_device() -> None:
    encoder = SentenceTransformerEncoder(prompt="query: ", device="cpu")
    assert encoder.settings() == {
        "model": "packaged:all-MiniLM-L6-v2", "revision": None, "prompt": "query: ", "normalize": False,
        "max_length": None, "batch_size": 64, "precision": "fp32",
    }  # fmt: skip
    assert copy.deepcopy(encoder).settings() == encoder.settings()
    assert pickle.loads(pickle.dumps(encoder)).settings() == encoder.settings()  # noqa: S301 # our own
    assert SentenceTransformerEncoder(**encoder.settings()).fingerprint() == encoder.fingerprint()


def test_a_hub_model_is_pinned_and_a_folder_stays_here(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    hub = TransformerEncoder("organisation/mini", revision=commit)
    assert (hub.settings()["revision"], hub.of_this_machine) == (commit, ())
    local = TransformerEncoder(str(tmp_path))
    assert local.of_this_machine == ("model",)
    assert "model" not in local.settings()
