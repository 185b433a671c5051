"""Items in TensorBoard's projector: near each other where their features are, coloured by what annotators said."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from soft_labels.annotations.base import Input
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SplitName
from soft_labels.distributions import entropy
from soft_labels.encoders.images import open_rgb
from soft_labels.errors import ConfigError, EncoderError
from soft_labels.files import naming
from soft_labels.palette import shortened

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)
PART: SplitName = "val"
"""The part whose items are shown: what nobody trained on, and no result rests on."""
SEED = 0
_COMPONENTS, _DECIMALS = 64, 4
_TEXT, _SIDE = 80, 32  # letters of a text, pixels of a thumbnail
_TAG = "items"


@dataclass(frozen=True)
class ProjectorSettings:
    """Which items the projector shows, and what of them.

    Args:
        items: The most validation items that are shown; of more, so many are drawn with seed 0. With 0 none are shown.
        inputs: Whether texts, shortened, or thumbnails of images are kept beside; otherwise uids and numbers alone.

    Raises:
        ConfigError: The number is negative.
    """

    items: int = 2_000
    inputs: bool = True

    def __post_init__(self) -> None:
        if self.items < 0:
            raise ConfigError(f"projector.items must be at least 0, got {self.items}")


@dataclass(frozen=True)
class ItemMap:
    """Items as the projector takes them.

    Args:
        points: ``[N, D]`` features, at most 64 principal components of them.
        columns: By heading, a value an item.
        thumbnails: ``[N, 3, 32, 32]`` in [0, 1] where the items are images that may be shown.
    """

    points: NDArray[np.float64]
    columns: Mapping[str, Sequence[str | float]]
    thumbnails: Tensor | None

    def write(self, writer: "SummaryWriter") -> None:
        """Show them in a run.

        Args:
            writer: Of the run; what it showed before is replaced.
        """
        folder = Path(writer.log_dir)
        with naming(folder):
            shutil.rmtree(folder / "00000", ignore_errors=True)
            rows = [list(row) for row in zip(*self.columns.values(), strict=True)]
            writer.add_embedding(self.points, rows, self.thumbnails, 0, _TAG, list(self.columns))


def item_map(
    data: EmbeddedDataset, predicted: Mapping[str, Tensor], settings: ProjectorSettings = ProjectorSettings()
) -> ItemMap | None:
    """The validation items; none where the settings want none or there are fewer than two.

    Args:
        data: The data.
        predicted: By name of a head, ``[N, C]`` what it predicts for the validation items.
        settings: Which items, and what of them.
    """
    places = _drawn(len(data.dataset.rows(PART)), settings.items)
    if len(places) < 2:
        return None
    rows = data.dataset.rows(PART)[places]
    annotated, observed = data.dataset.data, data.dataset.observed.take(rows)
    inputs = [annotated.inputs[row] for row in rows.tolist()] if settings.inputs else []
    texts = [one for each in inputs if (one := _text(each)) is not None]
    columns: dict[str, Sequence[str | float]] = {
        "uid": [_flat(annotated.uids[row]) for row in rows.tolist()],
        **({"text": texts} if texts else {}),
        "majority class": [_flat(annotated.class_names[label]) for label in observed.majority_label.tolist()],
        "label entropy": _rounded(entropy(observed.label_dist)),
        **{f"entropy of {name}": _rounded(entropy(dist[places])) for name, dist in predicted.items()},
    }
    points = _components(data.features[rows].numpy())
    return ItemMap(points, columns, _thumbnails(inputs) if inputs and not texts else None)


def _drawn(there: int, most: int) -> Tensor:
    """Places of all items, or of so many as may be shown, drawn without replacement."""
    if there <= most or not most:
        return torch.arange(there if most else 0)
    logger.info("projector: %s of %s validation items, drawn with seed %d", f"{most:,}", f"{there:,}", SEED)
    return torch.from_numpy(np.sort(np.random.default_rng(SEED).permutation(there)[:most]))


def _components(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Principal components in units of the first one's deviation, with few digits: the projector reads text."""
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # equal rows have no variance to explain
        points = PCA(min(_COMPONENTS, *features.shape), random_state=SEED).fit_transform(features)
    return np.asarray((points.astype(np.float64) / (points[:, 0].std() or 1)).round(_DECIMALS))


def _rounded(values: Tensor) -> list[float]:
    """Numbers as people read them."""
    return [round(value, _DECIMALS) for value in values.tolist()]


def _text(item: Input) -> str | None:
    """An item as a short line; an image is none."""
    if isinstance(item, str | tuple):
        return shortened(_flat(item if isinstance(item, str) else " / ".join(item)), _TEXT)
    return None


def _flat(text: str) -> str:
    """A text that fits a cell of a table whose columns are divided by tabs."""
    return " ".join(text.split())


def _thumbnails(images: Sequence[Input]) -> Tensor:
    """Small pictures ``[N, 3, 32, 32]``; one that cannot be shown without its encoder's settings is grey."""
    pixels = [_thumbnail(image) for image in images]
    grey = sum(each is None for each in pixels)
    if grey:
        logger.warning("projector: %d of %d images need settings of their encoder and are grey", grey, len(images))
    blank = np.full((_SIDE, _SIDE, 3), 128, dtype=np.uint8)
    stacked = np.stack([blank if each is None else each for each in pixels])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2) / 255


def _thumbnail(item: Input) -> NDArray[np.uint8] | None:
    """One small picture, if it can be read."""
    try:
        image = open_rgb(item, side=_SIDE)[0] if isinstance(item, Path | bytes) else Image.fromarray(np.asarray(item))
    except EncoderError:
        return None
    return np.asarray(image.resize((_SIDE, _SIDE)), dtype=np.uint8)
