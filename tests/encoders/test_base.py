import pytest
import torch

from soft_labels.encoders import OpenAIEncoder
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
