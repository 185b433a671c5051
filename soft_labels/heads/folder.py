"""A head's folder: written whole or not at all, and verified file by file when it is read."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from soft_labels.errors import ConfigError
from soft_labels.files import written_folder
from soft_labels.heads.config import FILE, HeadConfig, config_of

WEIGHTS = "model.safetensors"
ONNX = "model.onnx"
CARD = "README.md"
FILES = (FILE, WEIGHTS, ONNX, CARD)


def write_head(folder: Path, config: HeadConfig, state: Mapping[str, Tensor], card: str, onnx: bytes | None) -> None:
    """Write a head; the folder appears when all of it is there.

    Args:
        folder: A new folder, or an empty one.
        config: What it is.
        state: Its weights.
        card: The text of its card.
        onnx: The same head as ONNX, if that is wanted.

    Raises:
        ConfigError: The folder holds something.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"{folder} exists: wanted a new folder for the head; name another, or delete it")
    contents = {WEIGHTS: save({name: value.detach().cpu().contiguous() for name, value in state.items()})}
    if onnx is not None:
        contents[ONNX] = onnx
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    with written_folder(folder) as partial:
        for name, content in contents.items():
            (partial / name).write_bytes(content)
        (partial / CARD).write_text(card, encoding="utf-8")
        (partial / FILE).write_text(config.text(files), encoding="utf-8")


def read_head(folder: Path) -> tuple[HeadConfig, dict[str, Tensor]]:
    """A head's configuration and weights; nothing is unpickled.

    Args:
        folder: What :func:`write_head` wrote, wherever it lies now.

    Raises:
        ConfigError: It is no such folder, or a file of it is missing or damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise ConfigError(f"{folder} is not the folder of a head: it has no {FILE}; make one with soft-labels export")
    config, files = config_of(path.read_bytes().decode("utf-8", errors="replace"), str(path))
    if WEIGHTS not in files:
        raise ConfigError(f"{path} names no {WEIGHTS}; export the head again")
    content = {name: _verified(folder, name, digest) for name, digest in files.items() if name in FILES}
    try:
        return config, load(content[WEIGHTS])
    except SafetensorError as error:
        raise ConfigError(f"{folder / WEIGHTS} is no safetensors file ({error}); export the head again") from error


def _verified(folder: Path, name: str, digest: str) -> bytes:
    """A file's content, if it is what was written."""
    path = folder / name
    if not path.is_file():
        raise ConfigError(f"{path} is missing; copy the whole folder, or export the head again")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ConfigError(f"{path} is damaged: it does not hold what was written; copy it anew or export again")
    return content
