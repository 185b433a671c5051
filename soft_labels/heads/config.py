"""What a head's ``config.json`` says: everything but the weights, as plain JSON values."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from soft_labels.embeddings import PairFeatures
from soft_labels.errors import ConfigError

SCHEMA = 1
FILE = "config.json"
KIND = "soft-labels head"
Reads = Literal["text", "text_pair", "image", "vectors"]
# How the values of an older schema become those of the next: a change of the form adds its step here.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
_BESIDE = ("kind", "files", "digest")


@dataclass(frozen=True)
class HeadConfig:
    """A head that travels, without its weights.

    Args:
        class_names: ``[C]``.
        ordinal: Whether the classes are ordered.
        reads: What its items are; ``vectors`` where features were computed elsewhere.
        embedding_dim: Width of the features, D.
        encoder: What makes features of items (see :func:`~soft_labels.heads.encoder.described`); ``None`` where they
            were given as tensors.
        fingerprint: What decides the encoder's numbers, such as the weights' digest or commit.
        spec: The fields of :class:`~soft_labels.training.spec.HeadSpec` that it was trained with. The mean and
            deviation that features are standardised by lie with the weights.
        pair_features: How two texts become one row of features.
        pair_separator: What joins two texts where they are joined.
        columns: What a table of new items calls its columns, by setting of
            :class:`~soft_labels.annotations.table.settings.TableSettings`.
        calibration: A row of ``soft_labels.training.calibration.CALIBRATIONS``.
        trained_on: Name of the data set, items of each part and how they were split; no uid, no text, no path.
        report: Its numbers on the test items (see :func:`~soft_labels.heads.numbers.measured`).
        versions: Of this package and the libraries that computed it.
        schema: Version of this form.

    Raises:
        ConfigError: A value is not as said above.
    """

    class_names: tuple[str, ...]
    ordinal: bool
    reads: Reads
    embedding_dim: int
    encoder: dict[str, Any] | None
    fingerprint: dict[str, Any]
    spec: dict[str, Any]
    pair_features: PairFeatures = "u_v_absdiff_product"
    pair_separator: str = "\n"
    columns: dict[str, Any] = field(default_factory=dict)
    calibration: str = "none"
    trained_on: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Check what is used before the weights tell."""
        wanted = {
            "at least two class names": len(self.class_names) >= 2
            and all(isinstance(n, str) for n in self.class_names),
            "an embedding_dim of at least 1": isinstance(self.embedding_dim, int) and self.embedding_dim >= 1,
            "text, text_pair, image or vectors to read": self.reads in {"text", "text_pair", "image", "vectors"},
        }
        for words, holds in wanted.items():
            if not holds:
                raise ConfigError(f"a head wants {words}, got {self.class_names}, {self.embedding_dim}, {self.reads}")

    def text(self, files: Mapping[str, str]) -> str:
        """The file's content.

        Args:
            files: SHA-256 of each file that belongs to the head, by name.
        """
        content = {"kind": KIND, **asdict(self), "files": dict(files)}
        return _rendered({**content, "digest": _digest(content)})


def _rendered(content: Mapping[str, Any]) -> str:
    """The one way in which a content is written."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of everything but the digest itself."""
    rest = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def config_of(text: str, where: str) -> tuple[HeadConfig, dict[str, str]]:
    """What a file's content says, and the SHA-256 of each file of the head.

    Args:
        text: The content.
        where: The file, for errors.

    Raises:
        ConfigError: It is no configuration of a head, of another schema, or something in it was changed.
    """
    content = _parsed(text)
    if content.get("kind") != KIND or not isinstance(content.get("files"), dict):
        raise ConfigError(f"{where} is not the configuration of a head that soft-labels export wrote; give its folder")
    if content.get("digest") != _digest(content) or text != _rendered(content):
        raise ConfigError(f"{where} is damaged or was changed: its digest does not fit; export the head again")
    files = content["files"]
    values = {key: value for key, value in content.items() if key not in _BESIDE}
    while values.get("schema") in MIGRATIONS:
        values = MIGRATIONS[values["schema"]](values)
    known = {each.name for each in fields(HeadConfig)}
    if values.get("schema") != SCHEMA or values.keys() != known:
        raise ConfigError(
            f"{where}: wanted a head of schema {SCHEMA}, got {values.get('schema')}; use the version of soft-labels "
            "that wrote it, or export it again with this one"
        )
    return HeadConfig(**{**values, "class_names": tuple(values["class_names"])}), files


def _parsed(text: str) -> dict[str, Any]:
    """The values of a JSON object; nothing where it is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
