"""Tensors that are in memory already: features and annotations, and nothing to read or to encode."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data.dataset import Dataset
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.given import parts_of
from soft_labels.data.lightning import EmbeddedDataModule
from soft_labels.data.split import Fold, Ratios, Split
from soft_labels.distributions import TiePolicy
from soft_labels.embeddings import TensorFeatures
from soft_labels.errors import ConfigError, DataError

_SUM_TOLERANCE = 1e-3


class TensorDataModule(EmbeddedDataModule):
    """Features and annotations as tensors, arrays or lists; row i of each belongs to item i.

    Items come ordered by uid, as in every data module: ``data.embedded.dataset.data.uids`` says in which order.

    Args:
        features: ``[N, F]`` finite numbers.
        label_counts: ``[N, C]`` how many annotators chose each class.
        label_dist: ``[N, C]`` their shares instead, where the counts are not known; rows sum to 1.
        uids: ``[N]`` the items' ids; by default ``0``, ``1``, ..., padded with zeros to one length.
        split: ``train``, ``val`` (``validation``, ``dev``) or ``test`` for each item, or the uids of each part by its
            name; by default it is drawn by ``split_ratios`` and ``split_seed``.
        class_names: ``[C]``; by default ``0``, ``1``, ...
        groups: ``[N]`` items of one group, which ``group_split`` keeps in the same part.
        ordinal: Whether the classes are ordered, as ratings are.
        name: The data set's name in logs and results.
        split_ratios: See :class:`~soft_labels.data.dataset.Dataset`, as for the next three.
        split_seed: Seed of the split.
        group_split: Keep items of one group in the same part.
        tie: Which class wins a tied majority.
        folds: Cut the items into so many equal folds, one of which is the test part.
        fold: Which, from 0.
        kwargs: See :class:`~soft_labels.data.lightning.EmbeddedDataModule`.

    Raises:
        DataError: Shapes do not fit together, a number cannot be used, or the split names other items.
        ConfigError: Neither counts nor shares are given, or both.

    Example:
        >>> data = TensorDataModule(torch.randn(60, 8), label_counts=torch.eye(3).repeat(20, 1))
        >>> data.embedded.num_classes, data.embedded.embedding_dim, len(data.embedded.dataset.split.train)
        (3, 8, 42)
    """

    def __init__(
        self,
        features: Tensor | ArrayLike,
        *,
        label_counts: Tensor | ArrayLike | None = None,
        label_dist: Tensor | ArrayLike | None = None,
        uids: Sequence[str | int] | None = None,
        split: Sequence[str] | Mapping[str, Sequence[str | int]] | None = None,
        class_names: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        ordinal: bool = False,
        name: str = "tensors",
        split_ratios: Ratios = (0.7, 0.15, 0.15),
        split_seed: int = 0,
        group_split: bool = False,
        tie: TiePolicy = "lowest",
        folds: int | None = None,
        fold: int = 0,
        **kwargs: Any,
    ) -> None:
        rows = _matrix("features", features).float()
        counts = _counts(label_counts, label_dist)
        if len(counts) != len(rows):
            raise DataError(f"{name}: {len(rows):,} rows of features but {len(counts):,} of labels; give one for each")
        digits = len(str(len(rows) - 1))
        ids = tuple(map(str, uids)) if uids is not None else tuple(f"{row:0{digits}}" for row in range(len(rows)))
        data = AnnotatedData(
            name=name,
            uids=ids,
            inputs=ids,
            label_counts=counts,
            class_names=tuple(map(str, class_names if class_names is not None else range(counts.shape[1]))),
            modality="text",
            ordinal=ordinal,
            groups=None if groups is None else tuple(groups),
        )
        order = sorted(range(len(ids)), key=ids.__getitem__)
        data = data.sorted_by_uid()
        parts = None if split is None else _parts(split, ids)
        own = None if folds is None else Fold(folds, fold)
        dataset = Dataset(data, split_ratios, split_seed, group_split, tie, given_split=parts, fold=own)
        stored = TensorFeatures(rows[order])
        made_by = {"encoder": {"kind": "tensors"}, "pair_features": "none", "inputs": stored.checksum[:16]}
        super().__init__(EmbeddedDataset(dataset, stored, "tensors", made_by), **kwargs)


def _matrix(what: str, values: Tensor | ArrayLike) -> Tensor:
    """Numbers as a finite matrix that is nobody else's."""
    matrix = values.detach().cpu().clone() if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    if matrix.ndim != 2 or matrix.is_complex():
        raise DataError(f"wanted {what} of shape [N, D], got {list(matrix.shape)}; give one row an item")
    bad = ~torch.isfinite(matrix.float()).all(dim=1)
    if bad.any():
        raise DataError(
            f"row {int(bad.nonzero()[0])} (from 0) of {what} is not finite in float32, as are {int(bad.sum()):,} in "
            "all; correct or remove them"
        )
    return matrix


def _counts(label_counts: Tensor | ArrayLike | None, label_dist: Tensor | ArrayLike | None) -> Tensor:
    """Counts, or shares in their place."""
    if (label_counts is None) == (label_dist is None):
        raise ConfigError("wanted label_counts or label_dist, got both or neither; give one of them")
    if label_counts is not None:
        return _matrix("label_counts", label_counts).double()
    shares = _matrix("label_dist", label_dist if label_dist is not None else ()).double()
    off = (shares.sum(dim=1) - 1).abs() > _SUM_TOLERANCE
    if off.any():
        row = int(off.nonzero()[0])
        raise DataError(
            f"row {row} (from 0) of label_dist sums to {shares[row].sum():g}, not 1, as do {int(off.sum()):,} in all; "
            "give counts as label_counts"
        )
    return shares


def _parts(split: Sequence[str] | Mapping[str, Sequence[str | int]], uids: Sequence[str]) -> Split:
    """The given split, every item in one part."""
    if isinstance(split, Mapping):
        part_of: dict[str, str | None] = {str(uid): part for part, members in split.items() for uid in members}
        given = sum(map(len, split.values()))
    else:
        part_of = dict(zip(uids, split, strict=False))
        given = len(split)
    if part_of.keys() != set(uids) or given != len(uids):
        raise DataError(f"wanted each of {len(uids):,} items in one part, got {given:,} entries; give every item one")
    return parts_of(part_of, sorted(uids), "split")
