"""The data module that every data set shares: annotations, a split and stored embeddings become batches."""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor

from soft_labels.annotations.base import AnnotatedData, Items
from soft_labels.batches import Batch, BatchLoader, Targets
from soft_labels.distributions import TiePolicy, label_distribution, majority_label
from soft_labels.embeddings import (
    ALONE,
    EmbeddingStore,
    Features,
    Keys,
    PairFeatures,
    Ranks,
    StagePlan,
    StageReport,
    encode_missing,
    encoder_inputs,
    open_features,
    plan_missing,
)
from soft_labels.encoders.base import Encoder, EncoderInput
from soft_labels.errors import ConfigError, DataError
from soft_labels.splits import SPLIT_NAMES, Split, SplitName, draw_split

_MEBIBYTE = 2**20


class AnnotationDataModule(LightningDataModule, ABC):
    """Annotations of one data set with the frozen features of its items.

    Everything is ordered by uid, so nothing depends on the order of rows in a file. Embeddings that are not stored yet
    are encoded by ``prepare_data``; a run that finds them all never loads the encoder's library.

    Args:
        encoder: The frozen encoder.
        store: Folder that keeps embeddings, shared by all data sets and runs.
        batch_size: Items a training step, over all processes together.
        eval_batch_size: Items a step of evaluation.
        split_ratios: Shares of train, val and test.
        split_seed: Seed of the split; the same seed gives the same split to both targets.
        group_split: Keep items of one group (in ChaosNLI: one premise) in the same part.
        tie: Which class wins a tied majority.
        pair_features: How two texts become one row of features.
        pair_separator: What joins the two texts where ``pair_features`` is ``one_text``.
        monitor_test: Take the test split's metrics after each training epoch; nothing ever chooses by them.
        memory_limit_mb: Features larger than this many MiB stay on disk and are read as they are needed.
        order_seed: Seed of the training order (linked from ``seed_everything`` by the command line).

    Raises:
        ConfigError: The encoder does not read what the data set holds.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: Path = Path("embeddings"),
        batch_size: int = 16,
        eval_batch_size: int = 4096,
        split_ratios: tuple[float, float, float] = (0.7, 0.15, 0.15),
        split_seed: int = 0,
        group_split: bool = False,
        tie: TiePolicy = "lowest",
        pair_features: PairFeatures = "u_v_absdiff_product",
        pair_separator: str = "\n",
        monitor_test: bool = True,
        memory_limit_mb: int = 512,
        order_seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1 or eval_batch_size < 1:
            raise ConfigError(f"batch sizes must be at least 1, got {batch_size} and {eval_batch_size}")
        self.encoder = encoder
        self.store = EmbeddingStore(Path(store), encoder)
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.split_ratios = split_ratios
        self.split_seed = split_seed
        self.group_split = group_split
        self.tie: TiePolicy = tie
        self.pair_features: PairFeatures = pair_features
        self.pair_separator = pair_separator
        self.monitor_test = monitor_test
        self.memory_limit_mb = memory_limit_mb
        self.order_seed = order_seed
        self.encoded: StageReport | None = None  # what the last encoding stage did

    @abstractmethod
    def read(self) -> AnnotatedData:
        """Read the annotations from where they lie."""

    @cached_property
    def data(self) -> AnnotatedData:
        """The annotations, ordered by uid."""
        data = self.read().sorted_by_uid()
        kind = "image" if data.modality == "image" else "text"
        if self.encoder.modality != kind:
            raise ConfigError(
                f"{data.name} holds {kind} but {type(self.encoder).__name__} reads {self.encoder.modality}; "
                "choose another data.encoder"
            )
        return data

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.data.name

    @property
    def encoder_name(self) -> str:
        """The encoder's class and, where it has one, its model's name."""
        return f"{type(self.encoder).__name__} {getattr(self.encoder, 'model', '')}".rstrip()

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return self.data.num_classes

    @property
    def ordinal(self) -> bool:
        """Whether the classes are ordered."""
        return self.data.ordinal

    @property
    def embedding_dim(self) -> int:
        """Width of the features, D; encodes what is missing, since only the embeddings know it."""
        return self.features.dim

    @cached_property
    def split(self) -> Split:
        """The uids of each part."""
        return draw_split(
            self.data.uids,
            self.targets.majority_label.numpy(),
            ratios=self.split_ratios,
            seed=self.split_seed,
            groups=self._groups(),
        )

    def _groups(self) -> Sequence[str] | None:
        """The groups that splits must keep together, if any."""
        if not self.group_split:
            return None
        if self.data.groups is None:
            raise DataError(f"{self.dataset} has no groups; set data.group_split to false or name a group column")
        return self.data.groups

    def split_settings(self) -> dict[str, object]:
        """All that decides the split."""
        return {
            "ratios": list(self.split_ratios),
            "seed": self.split_seed,
            "grouped": self.group_split,
            "stratified_by": f"majority class, ties to {self.tie}",
        }

    @cached_property
    def targets(self) -> Targets:
        """Label distributions and majority classes of all items."""
        counts = self.data.label_counts
        true = self.data.true_dist
        return Targets(
            label_distribution(counts).float(),
            majority_label(counts, self.tie),
            None if true is None else true.float(),
        )

    def prepare_data(self) -> None:
        """Encode what the store lacks, once it is sure that the data can be split."""
        _ = self.features

    @cached_property
    def features(self) -> Features:
        """The features of all items, verified; in memory where they fit the limit."""
        _ = self.split
        return self._features_of(self.data.items)

    def _features_of(self, items: Items) -> Features:
        """Encode what the store lacks of some items, and open their features."""
        features = open_features(self.store, self._encode(items, ALONE), self.dataset)
        if len(features) * features.dim * 4 <= self.memory_limit_mb * _MEBIBYTE:
            features.load()
        return features

    def encode(self, ranks: Ranks = ALONE) -> list[Keys]:
        """Encode what the store lacks of all items.

        Args:
            ranks: The processes that encode together; each of them calls this.

        Returns:
            ``S32 [N]`` content keys of what the encoder was shown, a second column for pairs encoded apart.
        """
        return self._encode(self.data.items, ranks)

    def _encode(self, items: Items, ranks: Ranks) -> list[Keys]:
        """The same for some items."""
        inputs, keys, uids = self._to_encode(items, ranks)
        self.encoded = encode_missing(inputs, np.concatenate(keys), self.encoder, self.store, names=uids, ranks=ranks)
        return keys

    def _to_encode(self, items: Items, ranks: Ranks = ALONE) -> tuple[list[EncoderInput], list[Keys], list[str]]:
        """What the encoder is shown of some items, its content keys in one or two columns, and the uids."""
        columns = encoder_inputs(items, self.pair_features, self.pair_separator)
        inputs = [item for column in columns for item in column]
        return inputs, [ranks.content_keys(column) for column in columns], [*items.uids] * len(columns)

    def plan(self) -> StagePlan:
        """What encoding the data set would take; encodes, sends and writes nothing.

        Raises:
            EncoderError: An input cannot be sent to a service.
        """
        inputs, keys, uids = self._to_encode(self.data.items)
        return plan_missing(inputs, np.concatenate(keys), self.encoder, self.store, uids)

    def setup(self, stage: str) -> None:
        """Make the hyperparameters known to the loggers."""
        self.save_hyperparameters(
            {
                "dataset": self.dataset,
                "encoder": self.encoder_name,
                "embeddings": self.store.folder.name,
                "batch_size": self.batch_size,
                "split_seed": self.split_seed,
                "group_split": self.group_split,
                "tie": self.tie,
                "pair_features": self._pairing(),
                **self._paid(),
            }
        )

    @cached_property
    def content_digest(self) -> str:
        """16 hex digits that change when any annotation, feature or known distribution changes."""
        hasher = hashlib.sha256(self.features.checksum().encode())
        for part in self.targets:
            hasher.update(b"" if part is None else part.numpy().data)
        return hasher.hexdigest()[:16]

    def redrawn(self, split_seed: int) -> Self:
        """The same data on another split; whatever was read or encoded is shared."""
        other = copy.copy(self)
        other.split_seed = split_seed
        other.__dict__.pop("split", None)
        return other

    def identity(self) -> dict[str, Any]:
        """What a head trained on these data depends on; travels with its checkpoint as plain JSON values."""
        return {
            "dataset": self.dataset,
            "class_names": list(self.data.class_names),
            "encoder": {"kind": type(self.encoder).__name__, **self.encoder.fingerprint()},
            "pair_features": self._pairing(),
            "split": {**self.split_settings(), "digest": self.split.digest},
        }

    def _paid(self) -> dict[str, float]:
        """What this run paid a service for embeddings, if anything."""
        usage = self.encoded.usage if self.encoded else None
        if usage is None:
            return {}
        cost = {} if usage.cost_usd is None else {"encoding/cost_usd": usage.cost_usd}
        return {"encoding/tokens": usage.tokens + usage.lost_tokens, **cost}

    def _pairing(self) -> str:
        """How two texts become one row; the separator counts only where it is used."""
        if self.data.modality != "text_pair":
            return "none"
        return f"one_text joined by {self.pair_separator!r}" if self.pair_features == "one_text" else self.pair_features

    def rows(self, part: SplitName) -> Tensor:
        """Positions of a part's items in the data, int64 ``[n]``."""
        position = {uid: row for row, uid in enumerate(self.data.uids)}
        return torch.tensor([position[uid] for uid in getattr(self.split, part)])

    def feature_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each feature over the training split, both ``[D]``; constant features get 1."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        for block in self.features.batches(self.rows("train").numpy()):
            scaler.partial_fit(block.numpy())
        return torch.from_numpy(scaler.mean_).float(), torch.from_numpy(scaler.scale_).float()

    def _loader(self, rows: Tensor, batch_size: int, seed: int | None = None) -> BatchLoader:
        """Batches of some rows; each process takes its share."""
        return BatchLoader(self.features, self.targets, rows, batch_size, seed, *self._share())

    def _share(self) -> tuple[int, int]:
        """This process's number, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch, or leave it where it is already."""
        return batch if batch.features.device == device else batch.to(device)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled batches of the training split."""
        return self._loader(self.rows("train"), self.batch_size, self.order_seed)

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """The validation split; while fitting, the monitored test split as well."""
        parts: list[SplitName] = ["val"]
        if self.monitor_test and self.trainer is not None and self.trainer.state.fn == "fit":
            parts.append("test")
        return [self._loader(self.rows(part), self.eval_batch_size) for part in parts]

    def test_dataloader(self) -> BatchLoader:
        """The test split."""
        return self._loader(self.rows("test"), self.eval_batch_size)

    @cached_property
    def items_to_predict(self) -> Items:
        """What ``predict`` is asked about: every item, unless a subclass has others."""
        return self.data.items

    def _features_to_predict(self) -> Features:
        """The features of :attr:`items_to_predict`."""
        return self.features

    def predict_dataloader(self) -> BatchLoader:
        """Every item to predict; the batches' targets are empty, since nothing reads them."""
        features = self._features_to_predict()
        empty = Targets(torch.empty(len(features), 0), torch.empty(len(features), dtype=torch.long), None)
        rows = torch.arange(len(features))
        return BatchLoader(features, empty, rows, self.eval_batch_size, None, *self._share())

    def split_of(self) -> dict[str, SplitName]:
        """The part that each uid belongs to."""
        return {uid: part for part in SPLIT_NAMES for uid in getattr(self.split, part)}
