import json
from typing import Any

import pytest

from soft_labels.errors import ConfigError
from soft_labels.heads.config import config_of
from tests.heads.toy_head import toy_head


def changed(**values: Any) -> str:
    content = json.loads(toy_head().settings.text({"model.safetensors": "0" * 64}))
    return json.dumps({**content, **values}, indent=1) + "\n"


def test_what_is_written_is_read_again() -> None:
    settings = toy_head(report={"kl": 0.25, "notes": ["one"]}).settings
    again, files = config_of(settings.text({"model.safetensors": "ab"}), "here")
    assert again == settings
    assert files == {"model.safetensors": "ab"}


@pytest.mark.parametrize("values", [{"embedding_dim": 7}, {"class_names": ["a", "b", "c"]}, {"new": 1}])
def test_anything_that_was_changed_is_noticed(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="here is damaged or was changed"):
        config_of(changed(**values), "here")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "bert"}', "[" * 100_000])
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="here is not the configuration of a head"):
        config_of(text, "here")


def test_a_head_of_another_schema_says_which_version_to_use() -> None:
    text = toy_head(schema=9).settings.text({})
    with pytest.raises(ConfigError, match="wanted a head of schema 1, got 9"):
        config_of(text, "here")


@pytest.mark.parametrize("values", [{"class_names": ("one",)}, {"embedding_dim": 0}, {"reads": "sound"}])
def test_a_head_that_cannot_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="a head wants"):
        toy_head(**values)
