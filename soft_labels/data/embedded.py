"""A data set with the frozen features of its items: what a head is trained on."""

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from soft_labels.data.dataset import Dataset
from soft_labels.embeddings import Features


@dataclass(frozen=True)
class EmbeddedDataset:
    """A data set and the features of its items, row for row.

    Args:
        dataset: Annotations, split and what was observed.
        features: The features of all items, ``[N, F]``.
        encoder_name: What made them, for people.
        made_by: The same as :meth:`~soft_labels.embeddings.source.FeatureSource.identity` says it.
    """

    dataset: Dataset
    features: Features
    encoder_name: str
    made_by: dict[str, Any]

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.dataset.name

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return self.dataset.num_classes

    @property
    def embedding_dim(self) -> int:
        """Width of the features, D."""
        return self.features.dim

    @property
    def ordinal(self) -> bool:
        """Whether the classes are ordered."""
        return self.dataset.ordinal

    def redrawn(self, number: int) -> "EmbeddedDataset":
        """The same features and annotations on another split; see :meth:`~soft_labels.data.dataset.Dataset.redrawn`."""
        return replace(self, dataset=self.dataset.redrawn(number))

    def drawn(self, annotators: int, seed: int) -> "EmbeddedDataset":
        """The same features and split with fewer annotators of what a head learns from."""
        return replace(self, dataset=self.dataset.drawn(annotators, seed))

    def identity(self) -> dict[str, Any]:
        """What a head trained on these data depends on; travels with its checkpoint as plain JSON values."""
        return identity_of(self.dataset, self.made_by)

    def record(self) -> dict[str, Any]:
        """What a run is trained on, as plain JSON values: its identity and a digest of its content."""
        return {**self.identity(), "ordinal": self.ordinal, "content": self.content_digest}

    @cached_property
    def content_digest(self) -> str:
        """16 hex digits that change when any annotation, feature or known distribution changes."""
        hasher = hashlib.sha256(self.features.checksum.encode())
        for part in self.dataset.observed:
            hasher.update(b"" if part is None else part.numpy().data)
        return hasher.hexdigest()[:16]

    @cached_property
    def feature_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each feature over the training split, both ``[D]``; constant features get 1."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        for block in self.features.batches(self.dataset.rows("train").numpy()):
            scaler.partial_fit(block.numpy())
        return torch.from_numpy(scaler.mean_).float(), torch.from_numpy(scaler.scale_).float()


def identity_of(dataset: Dataset, made_by: dict[str, Any]) -> dict[str, Any]:
    """What a head on these data depends on, known before anything is encoded.

    Args:
        dataset: Annotations and split.
        made_by: What decides the features; see :meth:`~soft_labels.embeddings.source.FeatureSource.identity`.
    """
    drawn = {} if dataset.draw is None else {"draw": asdict(dataset.draw)}
    return {
        "dataset": dataset.name,
        "class_names": list(dataset.data.class_names),
        "tie": dataset.tie,
        **made_by,
        "split": {**dataset.split_settings(), "digest": dataset.split.digest},
        **drawn,
    }
