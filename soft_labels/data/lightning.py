"""Lightning's view of the data: loaders over an embedded data set, and the settings that one is made from."""

import logging
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule

from soft_labels.annotations.base import AnnotatedData, Items
from soft_labels.annotations.table.parts import read_parts
from soft_labels.data.batches import Batch, BatchLoader, Observed
from soft_labels.data.dataset import Dataset
from soft_labels.data.embedded import EmbeddedDataset, identity_of
from soft_labels.data.given import take_parts
from soft_labels.data.split import Fold, Ratios, SplitName
from soft_labels.distributions import TiePolicy
from soft_labels.embeddings import Features, FeatureSource, PairFeatures, StageReport, known_rows
from soft_labels.encoders.base import Encoder
from soft_labels.encoders.installed import installed_encoder
from soft_labels.errors import ConfigError

logger = logging.getLogger(__name__)


class EmbeddedDataModule(LightningDataModule):
    """Loaders over an embedded data set, and nothing else.

    Args:
        embedded: The data; a subclass that makes its own gives none.
        batch_size: Items a training step, over all processes together.
        eval_batch_size: Items a step of evaluation.
        monitor_test: Take the test split's metrics after each training epoch; nothing ever chooses by them.
        order_seed: Seed of the training order.
    """

    def __init__(
        self,
        embedded: EmbeddedDataset | None = None,
        batch_size: int = 16,
        eval_batch_size: int = 4096,
        monitor_test: bool = True,
        order_seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1 or eval_batch_size < 1:
            raise ConfigError(f"batch sizes must be at least 1, got {batch_size} and {eval_batch_size}")
        self._given = embedded
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.monitor_test = monitor_test
        self.order_seed = order_seed

    @property
    def embedded(self) -> EmbeddedDataset:
        """The data that the loaders deal out."""
        if self._given is None:
            raise ConfigError("wanted an embedded data set, got none; give EmbeddedDataModule one")
        return self._given

    def _loader(self, part: SplitName, batch_size: int, seed: int | None = None) -> BatchLoader:
        """Batches of a part; each process takes its share."""
        dataset = self.embedded.dataset
        rows = dataset.rows(part)
        return BatchLoader(self.embedded.features, dataset.observed, rows, batch_size, seed, *self._share())

    def _share(self) -> tuple[int, int]:
        """This process's number, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch, or leave it where it is already."""
        return batch if batch.features.device == device else batch.to(device)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled batches of the training split."""
        return self._loader("train", self.batch_size, self.order_seed)

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """The validation split; while fitting, the monitored test split as well."""
        parts: list[SplitName] = ["val"]
        if self.monitors_test and self.trainer is not None and self.trainer.state.fn == "fit":
            parts.append("test")
        return [self._loader(part, self.eval_batch_size) for part in parts]

    @property
    def monitors_test(self) -> bool:
        """Whether curves have the test split: where it is asked for and there is one."""
        return self.monitor_test and bool(self.embedded.dataset.split.test)

    def test_dataloader(self) -> BatchLoader:
        """The test split.

        Raises:
            ConfigError: There is none.
        """
        self.embedded.dataset.check_test()
        return self._loader("test", self.eval_batch_size)

    @property
    def items_to_predict(self) -> Items:
        """What ``predict`` is asked about: every item, unless a subclass has others."""
        return self.embedded.dataset.data.items

    def _features_to_predict(self) -> Features:
        """The features of :attr:`items_to_predict`."""
        return self.embedded.features

    def predict_dataloader(self) -> BatchLoader:
        """Every item to predict; the batches' targets are empty, since nothing reads them."""
        features = self._features_to_predict()
        nothing = torch.empty(len(features), 0)
        empty = Observed(nothing, nothing, torch.empty(len(features), dtype=torch.long))
        rows = torch.arange(len(features))
        return BatchLoader(features, empty, rows, self.eval_batch_size, None, *self._share())


class AnnotationDataModule(EmbeddedDataModule, ABC):
    """Annotations of one data set with the frozen features of its items, from their settings.

    Embeddings that are not stored yet are encoded by ``prepare_data``; a run that finds them all never loads the
    encoder's library.

    Args:
        encoder: The frozen encoder; by default one whose weights are installed.
        store: Folder that keeps embeddings, shared by all data sets and runs.
        batch_size: Items a training step, over all processes together.
        eval_batch_size: Items a step of evaluation.
        split_ratios: Shares of train, val and test; with a test share of 0 there is no test part.
        split_seed: Seed of the split; the same seed gives the same split to every arm.
        group_split: Keep items of one group (in ChaosNLI: one premise) in the same part.
        tie: Which class wins a tied majority.
        dataset_name: Name of the data set in logs and results; by default its own, or its file's.
        stratify: Whether each part of the split holds the majority classes in the proportions of the whole.
        split_column: Column that names each item's part: train, val (validation, dev) or test, blank for none; nothing
            is then drawn.
        split_file: File of the same: ``split.json`` of a run, or a table with columns uid and split.
        folds: Cut the items into so many equal folds, one of which is the test part; see ``fold``.
        fold: Which fold is the test part, from 0; experiments that redraw splits go on through all of them.
        pair_features: How two texts become one row of features.
        pair_separator: What joins the two texts where ``pair_features`` is ``one_text``.
        monitor_test: Take the test split's metrics after each training epoch; nothing ever chooses by them.
        memory_limit_mb: Features larger than this many MiB stay on disk and are read as they are needed.
        order_seed: Seed of the training order (linked from ``seed_everything`` by the command line).

    Raises:
        ConfigError: The encoder does not read what the data set holds, or several settings say how it is split.
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        store: Path = Path("embeddings"),
        batch_size: int = 16,
        eval_batch_size: int = 4096,
        split_ratios: Ratios = (0.7, 0.15, 0.15),
        split_seed: int = 0,
        group_split: bool = False,
        tie: TiePolicy = "lowest",
        dataset_name: str | None = None,
        stratify: bool = True,
        split_column: str | None = None,
        split_file: Path | None = None,
        folds: int | None = None,
        fold: int = 0,
        pair_features: PairFeatures = "u_v_absdiff_product",
        pair_separator: str = "\n",
        monitor_test: bool = True,
        memory_limit_mb: int = 512,
        order_seed: int = 0,
    ) -> None:
        super().__init__(None, batch_size, eval_batch_size, monitor_test, order_seed)
        if min(split_seed, memory_limit_mb) < 0:
            raise ConfigError(
                f"split_seed and memory_limit_mb must be at least 0, got {split_seed} and {memory_limit_mb}"
            )
        self.encoder = encoder
        self.store = Path(store)
        self.split_ratios = split_ratios
        self.split_seed = split_seed
        self.group_split = group_split
        self.tie: TiePolicy = tie
        self.dataset_name = dataset_name
        self.stratify = stratify
        self.split_column = split_column
        self.split_file = None if split_file is None else Path(split_file)
        self.fold = _fold_of(folds, fold, split_column, split_file)
        self.pair_features: PairFeatures = pair_features
        self.pair_separator = pair_separator
        self.memory_limit_mb = memory_limit_mb
        self.encoded: StageReport | None = None  # what had to be encoded for the features in use

    @abstractmethod
    def read(self) -> AnnotatedData:
        """Read the annotations from where they lie."""

    def annotations(self) -> AnnotatedData:
        """What :meth:`read` gives, in the order of the uids and under the name that was asked for."""
        data = self.read().sorted_by_uid()
        return data if self.dataset_name is None else replace(data, name=self.dataset_name)

    @cached_property
    def dataset(self) -> Dataset:
        """The annotations with their split, without items that a chosen encoder knows nothing of."""
        data = self.annotations()
        for line in data.reading.said() if data.reading else ():
            logger.warning("%s: %s", data.name, line)
        if self.encoder is not None:
            self.source.check(data.name, data.modality)
            rows = known_rows(data.uids, self.encoder, data.name)
            data = data if len(rows) == len(data) else data.take(rows)
        return self.split_data(data)

    def split_data(self, data: AnnotatedData) -> Dataset:
        """Data as the settings split them: a part is given for each item, or they are drawn.

        Args:
            data: What :meth:`read` gives, or some of it.

        Raises:
            DataError: A given split does not fit the items.
        """
        given = None
        if self.split_file is not None:
            data, given = take_parts(data, read_parts(self.split_file), str(self.split_file))
        elif self.split_column is not None:
            parts = _column(data, self.split_column)
            data, given = take_parts(data, parts, f"column {self.split_column!r}")
        return Dataset(
            data, self.split_ratios, self.split_seed, self.group_split, self.tie, self.stratify, given, self.fold
        )

    @property
    def item_columns(self) -> dict[str, Any]:
        """What a table of new items calls its columns, by setting of ``TableDataModule``."""
        shown = {"text_pair": {"text_column": "text", "second_text_column": "second_text"}}
        modality = self.dataset.data.modality
        return {"uid_column": "uid", **shown.get(modality, {f"{modality}_column": modality})}

    @cached_property
    def source(self) -> FeatureSource:
        """How items become features.

        Raises:
            ConfigError: No encoder is chosen, and none is installed.
        """
        encoder = self.encoder or installed_encoder(self.dataset.data.modality)
        source = FeatureSource(encoder, self.store, self.pair_features, self.pair_separator, self.memory_limit_mb)
        if self.encoder is None:
            logger.info("no encoder is named: taking %s, which is installed; data.encoder names another", source.name)
        return source

    @cached_property
    def embedded(self) -> EmbeddedDataset:
        """The data with their features; encodes what the store lacks, once it is sure that the data can be split."""
        dataset, items = self.dataset, self.dataset.data.items
        _ = dataset.split
        features, self.encoded = self.source.features(items, dataset.name)
        return EmbeddedDataset(dataset, features, self.source.name, self.source.identity(items))

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return self.dataset.num_classes

    @property
    def ordinal(self) -> bool:
        """Whether the classes are ordered."""
        return self.dataset.ordinal

    @property
    def embedding_dim(self) -> int:
        """Width of the features, D; encodes what is missing, since only the embeddings know it."""
        return self.embedded.embedding_dim

    def identity(self) -> dict[str, object]:
        """What a head trained on these data depends on; known before anything is encoded."""
        return identity_of(self.dataset, self.source.identity(self.dataset.data.items))

    def prepare_data(self) -> None:
        """Encode what the store lacks."""
        _ = self.embedded

    def setup(self, stage: str) -> None:
        """Make the hyperparameters known to the loggers."""
        self.save_hyperparameters(
            {
                "dataset": self.dataset.name,
                "encoder": self.source.name,
                "embeddings": self.source.folders,
                "batch_size": self.batch_size,
                "split_seed": self.split_seed,
                "group_split": self.group_split,
                "tie": self.tie,
                "pair_features": self.source.pairing(self.dataset.data.modality),
                **self._paid(),
            }
        )

    def _paid(self) -> dict[str, float]:
        """What this run paid a service for embeddings, if anything."""
        usage = self.encoded.usage if self.encoded else None
        if usage is None:
            return {}
        cost = {} if usage.cost_usd is None else {"encoding/cost_usd": usage.cost_usd}
        return {"encoding/tokens": usage.tokens + usage.lost_tokens, **cost}


def _fold_of(folds: int | None, fold: int, split_column: str | None, split_file: Path | None) -> Fold | None:
    """The fold that is the test part, if it is one; at most one setting says how items are split."""
    settings = {"split_column": split_column, "split_file": split_file, "folds": folds}
    given = [name for name, value in settings.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"wanted one of split_column, split_file and folds, got {' and '.join(given)}; leave one out")
    if folds is None:
        if fold:
            raise ConfigError(f"fold {fold} wants folds, the number of them; set data.folds too")
        return None
    return Fold(folds, fold)


def _column(data: AnnotatedData, name: str) -> dict[str, str | None]:
    """What each item has in a column that describes items."""
    if name not in data.about:
        known = ", ".join(data.about) or "none"
        raise ConfigError(f"{data.name}: no column {name!r} describes its items (split_column); there are: {known}")
    return dict(zip(data.uids, data.about[name], strict=True))
