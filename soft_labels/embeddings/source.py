"""From items to features: each encoder shown the items in its own way, each with a store of its own."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soft_labels.annotations.base import Items, Modality
from soft_labels.embeddings.direct import Encoded, encode_directly
from soft_labels.embeddings.features import (
    Features,
    JoinedFeatures,
    PairFeatures,
    encoder_inputs,
    join_pair,
    open_features,
)
from soft_labels.embeddings.ranks import ALONE, Ranks
from soft_labels.embeddings.stage import StagePlan, StageReport, encode_missing, plan_missing
from soft_labels.embeddings.store import EmbeddingStore, Keys
from soft_labels.encoders.base import Encoder, EncoderInput
from soft_labels.encoders.hosted import HostedEncoder
from soft_labels.errors import ConfigError, EncoderError

_MEBIBYTE = 2**20
OF_ITEMS = ("vectors", "uids", "uid_column")
logger = logging.getLogger(__name__)
Columns = list[Keys]  # one or two ``S32 [N]`` arrays of content keys


def known_rows(uids: Sequence[str], encoder: Encoder, name: str) -> list[int]:
    """Positions of the items that no encoder leaves out; how many are left out, and which, is logged.

    Args:
        uids: ``[N]`` the items.
        encoder: The encoder, or several.
        name: The data set's name.

    Raises:
        EncoderError: An encoder knows nothing of some items and must not leave them out.
        ConfigError: No item is known to all encoders.
    """
    known = np.ones(len(uids), dtype=bool)
    for part in encoder.parts:
        lacking = part.without_row(uids)
        known &= ~lacking
        if lacking.any():
            logger.info(
                "%s: %s of %s items left out, which have no row in %s (the first: %r)", name, f"{lacking.sum():,}",
                f"{len(uids):,}", getattr(part, "path", type(part).__name__), uids[int(lacking.argmax())],
            )  # fmt: skip
    if not known.any():
        raise ConfigError(f"{name}: no item has a row in all encoders; choose encoders that know the same items")
    return np.flatnonzero(known).tolist()


def features_alike(made_by: Mapping[str, Any]) -> dict[str, Any]:
    """An encoder's fingerprint without what says which items it knows: new items have their vectors in a new file.

    Args:
        made_by: The fingerprint, of one encoder or of several.
    """
    return {key: each for key, each in made_by.items() if key.split(".")[-1] not in OF_ITEMS}


def check_modality(name: str, modality: Modality, encoder: Encoder, pair_features: PairFeatures) -> None:
    """Every encoder reads what the data hold, and pairs in one way.

    Args:
        name: The data set's name.
        modality: What its items are.
        encoder: The encoder, or several.
        pair_features: How two texts become one row.

    Raises:
        ConfigError: One does not.
    """
    kind = "image" if modality == "image" else "text"
    for part in encoder.parts:
        if part.modality not in (kind, "uid"):
            raise ConfigError(
                f"{name} holds {kind} but {type(part).__name__} reads {part.modality}; choose another data.encoder"
            )
        if modality == "text_pair" and part.reads_pairs and pair_features == "one_text":
            raise ConfigError(
                f"data.pair_features=one_text joins two texts before the encoder, but {type(part).__name__} reads them "
                "jointly; leave data.pair_features out, or set the encoder's pairs to apart"
            )


@dataclass(frozen=True)
class EncodedItems:
    """Items whose embeddings are stored.

    Args:
        columns: For each encoder, the content keys of what it was shown.
        report: What encoding them took, of all encoders together.
    """

    columns: list[Columns]
    report: StageReport


class FeatureSource:
    """Makes features of items with one encoder, or with several side by side.

    Args:
        encoder: The encoder.
        root: Folder that keeps the stores of all encoders.
        pair_features: How two texts become one row, of encoders that read each alone.
        separator: What joins the two texts where ``pair_features`` is ``one_text``.
        memory_limit_mb: Features larger than this many MiB stay on disk and are read as they are needed.
    """

    def __init__(
        self,
        encoder: Encoder,
        root: Path,
        pair_features: PairFeatures = "u_v_absdiff_product",
        separator: str = "\n",
        memory_limit_mb: int = 512,
    ) -> None:
        self.encoder = encoder
        self.encoders = list(encoder.parts)
        self.stores = [EmbeddingStore(root, part) for part in self.encoders]
        self._pair_features: PairFeatures = pair_features
        self._separator = separator
        self._memory_limit = memory_limit_mb * _MEBIBYTE

    @property
    def name(self) -> str:
        """The encoder's class and, where it has one, its model's name."""
        return f"{type(self.encoder).__name__} {getattr(self.encoder, 'model', '')}".rstrip()

    @property
    def folders(self) -> str:
        """The names of the stores' folders."""
        return " + ".join(store.folder.name for store in self.stores)

    def check(self, name: str, modality: Modality) -> None:
        """Refuse items that an encoder does not read; see :func:`check_modality`."""
        check_modality(name, modality, self.encoder, self._pair_features)

    def pairing(self, modality: Modality) -> str:
        """How two texts become one row; the separator counts only where it is used."""
        apart = [part for part in self.encoders if not part.reads_pairs and part.modality != "uid"]
        if modality != "text_pair" or not apart:
            return "none"
        return f"one_text joined by {self._separator!r}" if self._pair_features == "one_text" else self._pair_features

    def identity(self, items: Items) -> dict[str, Any]:
        """What decides the features of some items, as plain JSON values: the encoder, and a digest of what it is shown.

        Args:
            items: The items, in the order of their uids.
        """
        hasher = hashlib.sha256()
        for encoder in self.encoders:
            for column in encoder_inputs(items, encoder, self._pair_features, self._separator):
                hasher.update(ALONE.content_keys(column).tobytes())
        return {
            "encoder": {"kind": type(self.encoder).__name__, **self.encoder.fingerprint()},
            "pair_features": self.pairing(items.modality),
            "inputs": hasher.hexdigest()[:16],
        }

    def features(self, items: Items, name: str) -> tuple[Features, StageReport]:
        """The features of some items, verified; in memory where they fit the limit; and what had to be encoded.

        Args:
            items: The items.
            name: The data set's name, for errors.
        """
        self.check(name, items.modality)
        encoded = self.encode(items)
        features = self.open(encoded, name)
        if len(features) * features.dim * 4 <= self._memory_limit:
            features.load()
        return features, encoded.report

    def direct(self, items: Items) -> Encoded:
        """The features of some items, encoded here and now; no store is read or written.

        Args:
            items: The items, at least one.

        Raises:
            EncoderError: An encoder cannot be used, is paid (its answers are kept), or no item can be encoded.
        """
        rows, refused = [], {}
        for encoder in self.encoders:
            if isinstance(encoder, HostedEncoder):
                raise EncoderError(f"{type(encoder).__name__} is paid: its answers are kept in a store; name one")
            columns = encoder_inputs(items, encoder, self._pair_features, self._separator)
            sides = [encode_directly(column, encoder) for column in columns]
            rows.append(sides[0].rows if len(sides) == 1 else join_pair(sides[0].rows, sides[1].rows))
            refused.update({place: why for side in sides for place, why in side.refused.items()})
            if remark := encoder.remark():
                logger.warning("%s", remark)
        return Encoded(torch.cat(rows, dim=1), refused)

    def encode(self, items: Items, ranks: Ranks = ALONE) -> EncodedItems:
        """Encode what the stores lack, one encoder after the other.

        Args:
            items: The items.
            ranks: The processes that encode together; each of them calls this.
        """
        columns, reports = [], []
        for encoder, store in zip(self.encoders, self.stores, strict=True):
            inputs, keys, uids = self._shown(items, encoder, ranks)
            reports.append(encode_missing(inputs, np.concatenate(keys), encoder, store, names=uids, ranks=ranks))
            columns.append(keys)
        return EncodedItems(columns, reduce(add, reports))

    def open(self, encoded: EncodedItems, name: str) -> Features:
        """The stored features of items that were encoded, verified.

        Args:
            encoded: What :meth:`encode` gave.
            name: The data set's name, for errors.

        Raises:
            StoreError: Embeddings are missing, damaged, not finite, or another encoder's.
        """
        parts = [open_features(store, keys, name) for store, keys in zip(self.stores, encoded.columns, strict=True)]
        return parts[0] if len(parts) == 1 else JoinedFeatures(parts)

    def plans(self, items: Items) -> list[StagePlan]:
        """What encoding items would take, for each encoder; encodes, sends and writes nothing.

        Raises:
            EncoderError: An input cannot be sent to a service.
        """
        plans = []
        for encoder, store in zip(self.encoders, self.stores, strict=True):
            inputs, keys, uids = self._shown(items, encoder, ALONE)
            plans.append(plan_missing(inputs, np.concatenate(keys), encoder, store, uids))
        return plans

    def _shown(self, items: Items, encoder: Encoder, ranks: Ranks) -> tuple[list[EncoderInput], Columns, list[str]]:
        """What an encoder is shown of some items, its content keys in one or two columns, and the uids."""
        columns = encoder_inputs(items, encoder, self._pair_features, self._separator)
        inputs = [item for column in columns for item in column]
        return inputs, [ranks.content_keys(column) for column in columns], [*items.uids] * len(columns)
