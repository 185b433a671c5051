"""An encoder as plain values that travel, and back; what may be named in them is limited."""

import importlib
import json
from collections.abc import Mapping
from typing import Any

import soft_labels.encoders
from soft_labels.consent import TRUST, trusted_packages
from soft_labels.embeddings import features_alike
from soft_labels.encoders.base import Encoder
from soft_labels.errors import ConfigError, EncoderError

_OURS = "soft_labels.encoders"


def described(encoder: Encoder) -> dict[str, Any]:
    """What makes an encoder again, in the form of a configuration.

    Args:
        encoder: The encoder.

    Returns:
        ``class_path`` and ``init_args``, as in a configuration, and ``of_this_machine``: the settings that are left
        out, since they name a file or folder that another machine has elsewhere.

    Raises:
        EncoderError: A setting is no plain value.
    """
    kind = type(encoder)
    ours = getattr(soft_labels.encoders, kind.__name__, None) is kind
    return {
        "class_path": f"{_OURS}.{kind.__name__}" if ours else f"{kind.__module__}.{kind.__qualname__}",
        "init_args": {name: _plain(name, value) for name, value in encoder.settings().items()},
        "of_this_machine": list(encoder.of_this_machine),
    }


def _plain(name: str, value: Any) -> Any:
    """A setting as JSON has it."""
    if isinstance(value, Encoder):
        return described(value)
    if isinstance(value, list | tuple):
        return [_plain(name, each) for each in value]
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise EncoderError(
            f"wanted an encoder whose settings are plain values, got {name}={value!r}; a head with it cannot travel"
        ) from error


def made(form: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Encoder:
    """The encoder that a head's configuration describes.

    Args:
        form: What :func:`described` gave.
        given: Settings for this machine, such as ``device``, ``batch_size``, or what is left out; of several encoders
            side by side a list of them under ``encoders``.

    Raises:
        EncoderError: A setting is missing or unknown.
        ConfigError: It names a class that may not be named.
    """
    own = dict(given or {})
    arguments = {name: _made_within(name, value, own) for name, value in form["init_args"].items()} | own
    missing = [name for name in form["of_this_machine"] if name not in arguments]
    if missing:
        raise EncoderError(
            f"{form['class_path']} reads files that do not travel with a head: give {' and '.join(missing)} of this "
            "machine among the encoder's settings"
        )
    try:
        return _class_of(form["class_path"])(**arguments)
    except TypeError as error:
        raise EncoderError(f"{form['class_path']} cannot be made of {sorted(arguments)}: {error}") from error


def _made_within(name: str, value: Any, own: dict[str, Any]) -> Any:
    """A setting, which may be a list of encoders; what is given for each is taken out of ``own``."""
    if not (isinstance(value, list) and value and isinstance(value[0], dict) and "class_path" in value[0]):
        return value
    given = own.pop(name, [{}] * len(value))
    if len(given) != len(value):
        raise EncoderError(f"wanted settings for each of {len(value)} {name}, got {len(given)}; give {{}} for none")
    return [made(part, settings) for part, settings in zip(value, given, strict=True)]


def _class_of(path: str) -> type[Encoder]:
    """The class that a path names, if it is an encoder of this package or of one that the user trusts."""
    module, _, name = path.rpartition(".")
    package = path.partition(".")[0]
    if not f"{module}.".startswith(f"{_OURS}.") and package not in trusted_packages():
        raise ConfigError(
            f"the head's encoder {path} is code of a package that is not this project's; if you trust it, set "
            f"{TRUST}={package}"
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise EncoderError(f"the head's encoder {path} is not installed here ({error})") from error
    if not (isinstance(found, type) and issubclass(found, Encoder)):
        raise ConfigError(f"wanted the class of an encoder, got {path}")
    return found


def check_same(encoder: Encoder, fingerprint: Mapping[str, Any]) -> None:
    """Refuse an encoder that gives other numbers than that which the head was trained on.

    Args:
        encoder: The encoder at hand.
        fingerprint: Of the other; vectors of new items lie in new files, which are not compared.

    Raises:
        EncoderError: With what differs.
    """
    here = features_alike({"kind": type(encoder).__name__, **encoder.fingerprint()})
    trained = features_alike(fingerprint)
    for key in sorted(here.keys() | trained.keys()):
        if here.get(key) != trained.get(key):
            raise EncoderError(
                f"the head was trained on another encoder: wanted {key} {trained.get(key)!r}, got {here.get(key)!r}; "
                "install what it was trained with, or correct the encoder's settings"
            )
