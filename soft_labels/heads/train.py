"""From annotations and items to a head in one call."""

import logging
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from soft_labels.annotations.base import AnnotatedData, Input
from soft_labels.data.dataset import Dataset
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.embeddings import Features, FeatureSource, PairFeatures, TensorFeatures
from soft_labels.encoders.base import Encoder
from soft_labels.encoders.installed import installed_encoder
from soft_labels.errors import ConfigError, DataError, TrainingError
from soft_labels.heads.config import HeadConfig, Reads
from soft_labels.heads.export import with_numbers
from soft_labels.heads.head import STORE, TrainedHead, of_encoder
from soft_labels.heads.inputs import read_inputs
from soft_labels.training.calibration import CalibratedHead, make_calibration
from soft_labels.training.population import PopulationEngine
from soft_labels.training.predict import predict
from soft_labels.training.spec import RunSpec, head_of

logger = logging.getLogger(__name__)
DEFAULTS = {"lr": 1e-3, "batch_size": 32, "max_epochs": 100, "patience": 10}
"""Of a head that nobody searched: enough epochs for early stopping to end it."""
_COLUMNS: dict[Reads, dict[str, Any]] = {
    "text": {"uid_column": "uid", "text_column": "text"},
    "text_pair": {"uid_column": "uid", "text_column": "text", "second_text_column": "second_text"},
    "image": {"uid_column": "uid", "image_column": "image"},
    "vectors": {"uid_column": "uid"},
}
_SUM_WITHIN = 1e-6


def train(
    annotations: Any,
    inputs: Sequence[Input] | ArrayLike | Tensor,
    *,
    encoder: Encoder | None = None,
    class_names: Sequence[str] | None = None,
    ordinal: bool = False,
    groups: Sequence[str] | None = None,
    split_ratios: tuple[float, float, float] = (0.7, 0.15, 0.15),
    split_seed: int = 0,
    calibration: str = "none",
    pair_features: PairFeatures = "u_v_absdiff_product",
    store: Path | str | None = None,
    name: str = "items",
    accelerator: str = "auto",
    **settings: Any,
) -> TrainedHead:
    """Train a head on annotations, choose its best epoch on validation items and measure it on test items.

    Row i of annotations belongs to row i of inputs.

    Args:
        annotations: ``[N, C]`` how many annotators chose each class, or their shares (rows that sum to 1); a data frame
            with a column for each class; or ``[N]`` one label an item.
        inputs: ``[N]`` texts, pairs of texts, or images (paths or ``uint8`` ``[H, W, 3]``); or features ``[N, D]``.
        encoder: What makes features of texts or images; by default a packaged one, which is said.
        class_names: ``[C]``; by default the frame's columns, the labels in their order, or ``0``, ``1``, ...
        ordinal: Whether the classes are ordered.
        groups: ``[N]`` items of one group stay in one part of the split.
        split_ratios: Shares of train, validation and test.
        split_seed: Seed of the split.
        calibration: A row of ``soft_labels.training.calibration.CALIBRATIONS``, fitted on the validation items.
        pair_features: How two texts become one row, of encoders that read each alone.
        store: Folder that keeps embeddings for the next call; by default they are not kept, unless they are paid.
        name: Of the data, for the head's card.
        accelerator: Lightning's name of the device that trains.
        settings: Of :class:`~soft_labels.training.spec.RunSpec`, such as ``target``, ``lr`` or ``seed``; by default
            :data:`DEFAULTS`.

    Returns:
        The head with its ``report`` on the test items.

    Raises:
        DataError: Annotations or inputs are malformed, or too few to split.
        ConfigError: A setting is out of its range or unknown.
        TrainingError: Training broke down.

    Example:
        >>> features = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
        >>> head = train(torch.eye(3).repeat(20, 1) * 4 + 1, features, max_epochs=2, accelerator="cpu")
        >>> head.predict(features[:2]).distributions.shape
        (2, 3)
    """
    spec = spec_of(settings)
    given, names = counts_of(annotations)
    reads, rows = read_inputs(inputs)
    if len(rows) != len(given):
        raise DataError(f"{len(given):,} rows of annotations but {len(rows):,} inputs; give one for each")
    vectors = reads == "vectors"
    digits = len(str(len(rows) - 1))
    uids = tuple(f"{row:0{digits}}" for row in range(len(rows)))
    data = AnnotatedData(
        name=name,
        uids=uids,
        inputs=uids if vectors else rows,
        label_counts=given,
        class_names=tuple(class_names or names),
        modality="text" if reads == "vectors" else reads,
        ordinal=ordinal,
        groups=None if groups is None else tuple(map(str, groups)),
    )
    dataset = Dataset(data, split_ratios, split_seed, group_split=groups is not None)
    _ = dataset.split  # data that cannot be split are not worth encoding
    if vectors:
        if encoder is not None:
            raise ConfigError("wanted texts or images for the encoder, got features; leave one of them out")
        features: Features = TensorFeatures(rows)
        embedded = EmbeddedDataset(dataset, features, "tensors", {"encoder": {"kind": "tensors"}})
    else:
        encoder = encoder or installed_encoder(data.modality)
        features, made_by = _features(data, encoder, pair_features, store)
        embedded = EmbeddedDataset(dataset, features, type(encoder).__name__, made_by)
    network = fit_network(embedded, spec, calibration, accelerator)
    config = HeadConfig(
        class_names=data.class_names,
        ordinal=ordinal,
        reads=reads,
        embedding_dim=features.dim,
        spec=spec.of_module(),
        pair_features=pair_features,
        columns=_COLUMNS[reads],
        calibration=calibration,
        **of_encoder(encoder),
    )
    return with_numbers(config, network, embedded)


def spec_of(settings: dict[str, Any]) -> RunSpec:
    """A spec of some settings over :data:`DEFAULTS`.

    Raises:
        ConfigError: There is no such setting, or a value is out of its range.
    """
    try:
        return RunSpec(**{**DEFAULTS, **settings})
    except TypeError as error:
        raise ConfigError(f"{error}; settings are the fields of RunSpec") from error


def fit_network(
    data: EmbeddedDataset, spec: RunSpec, calibration: str = "none", accelerator: str = "auto"
) -> CalibratedHead:
    """A head of the best epoch, and its calibration, by the rule of every other command.

    Args:
        data: Annotations, split and features.
        spec: How to train.
        calibration: A row of ``soft_labels.training.calibration.CALIBRATIONS``, fitted on the validation items.
        accelerator: Lightning's name of the device that trains.

    Raises:
        TrainingError: Training broke down.
    """
    step = make_calibration(calibration)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", "entropy_corr is nan")  # of one label an item; its curve is not shown
        (result,) = PopulationEngine(accelerator=accelerator).train(data, [spec], keep_heads=True)
        network = CalibratedHead(head_of(data, result), step).eval()
    if not math.isfinite(result.curve["val/loss"][result.best_epoch]):
        raise TrainingError(f"training broke down: no epoch has a finite validation loss; lower lr (now {spec.lr:g})")
    rows = data.dataset.rows("val")
    step.fit(predict(network.head, data.features, rows), data.dataset.observed.take(rows))
    return network


def counts_of(annotations: Any) -> tuple[Tensor, tuple[str, ...]]:
    """Counts or shares ``[N, C]`` of any form of annotations, and names of the classes.

    Args:
        annotations: See :func:`train`.

    Raises:
        DataError: They are of no such form.
    """
    names = tuple(map(str, annotations.columns)) if hasattr(annotations, "columns") else None
    array = np.asarray(annotations.to_numpy() if hasattr(annotations, "to_numpy") else annotations)
    if array.ndim == 1 and len(array):
        return _one_hot(array)
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"wanted counts or shares as numbers, got {error}; give a column for each class") from error
    if numbers.ndim != 2 or numbers.shape[1] < 2:
        raise DataError(f"wanted annotations [N, C] of at least two classes, or labels [N], got {list(numbers.shape)}")
    return torch.from_numpy(numbers), names or tuple(map(str, range(numbers.shape[1])))


def _one_hot(labels: NDArray[Any]) -> tuple[Tensor, tuple[str, ...]]:
    """One annotation an item."""
    classes, positions = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"wanted labels of at least two classes, got {len(classes)}")
    return torch.from_numpy(np.eye(len(classes))[positions]), tuple(map(str, classes))


def _features(
    data: AnnotatedData, encoder: Encoder, pair_features: PairFeatures, store: Path | str | None
) -> tuple[Features, dict[str, Any]]:
    """The items' features, and what made them."""
    from soft_labels.encoders.hosted import HostedEncoder

    source = FeatureSource(encoder, Path(store or STORE), pair_features)
    source.check(data.name, data.modality)
    made_by = source.identity(data.items)
    if store is not None or any(isinstance(part, HostedEncoder) for part in source.encoders):
        return source.features(data.items, data.name)[0], made_by
    rows, refused = source.direct(data.items)
    if refused:
        first = min(refused)
        raise DataError(f"input {first} (from 0): {refused[first]}; {len(refused):,} are so; correct or remove them")
    return TensorFeatures(rows), made_by
