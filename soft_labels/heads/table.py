"""Predictions for a table of new items, as a stream: neither the table nor the predictions need fit in memory."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from soft_labels.annotations.base import Items
from soft_labels.annotations.table.blocks import item_blocks
from soft_labels.annotations.table.settings import Missing, TableSettings
from soft_labels.encoders.base import Encoder
from soft_labels.encoders.vectors import VectorFileEncoder
from soft_labels.errors import ConfigError, DataError
from soft_labels.heads.annotated import Ratings
from soft_labels.heads.encoder import check_same, made
from soft_labels.heads.head import TrainedHead
from soft_labels.progress import counting
from soft_labels.training.prediction_table import TableFormat, prediction_columns, table_writer

logger = logging.getLogger(__name__)
BLOCK = 4_096


@dataclass(frozen=True)
class ItemTable:
    """A table of new items.

    Args:
        path: The file, a folder of files, or, for a head that reads vectors, the file of vectors.
        columns: What its columns are called, by setting of ``TableDataModule``, where they are not called as in
            training.
        missing: Whether a row without text, or an item that cannot be read, is an error or left out.
        rows: Items that are in memory at a time.
    """

    path: Path
    columns: dict[str, Any] = field(default_factory=dict)
    missing: Missing = "error"
    rows: int = BLOCK


class Block(NamedTuple):
    """Some items: ``uids`` ``[N]``, ``features`` ``[N, D]``, and why an item has none, by position."""

    uids: tuple[str, ...]
    features: Tensor
    refused: dict[int, str]


def predict_table(
    head: TrainedHead, table: ItemTable, out: Path, form: TableFormat, ratings: Ratings | None = None
) -> int:
    """Write a head's predictions for a table, whole or not at all.

    Args:
        head: The head.
        table: The new items.
        out: The file of predictions; its columns are those of
            :func:`~soft_labels.training.prediction_table.prediction_columns`.
        form: Its format.
        ratings: Annotations that some of the items have already, which add columns of their own.

    Returns:
        How many items were predicted.

    Raises:
        ConfigError: The columns describe no input of this head.
        DataError: The table cannot be read, or an item is odd and none may be left out.
        EncoderError: The head's encoder is not here.
    """
    done, refused = 0, 0
    with (
        _blocks(head, table) as (total, blocks),
        counting(total, "items predicted") as advance,
        table_writer(out, form) as add,
    ):
        for block in blocks:
            uids, features = _kept(block, table)
            pred_dist = head.distributions(features)
            beside = {} if ratings is None else ratings.columns(uids, pred_dist)
            add({**prediction_columns(uids, pred_dist, head.class_names), **beside})
            done += len(uids)
            refused += len(block.refused)
            advance(len(block.uids))
        if not done:
            raise DataError(f"{table.path}: none of {total:,} items can be read; correct the table")
    if ratings is not None:
        ratings.say()
    if refused:
        logger.warning("%s: %s of %s items left out, which could not be read", table.path, f"{refused:,}", f"{total:,}")
    return done


def _kept(block: Block, table: ItemTable) -> tuple[tuple[str, ...], Tensor]:
    """Uids and features of a block without items that cannot be read; the first of these is named."""
    if not block.refused:
        return block.uids, block.features
    first = min(block.refused)
    words = f"{table.path}: item {block.uids[first]!r} cannot be read: {block.refused[first]}"
    if table.missing == "error":
        raise DataError(
            f"{words} ({len(block.refused):,} of the {len(block.uids):,} items read with it are so); correct them, or "
            "set missing: drop"
        )
    logger.warning("%s", words)
    rows = [place for place in range(len(block.uids)) if place not in block.refused]
    return tuple(block.uids[row] for row in rows), block.features[rows]


@contextmanager
def _blocks(head: TrainedHead, table: ItemTable) -> Iterator[tuple[int, Iterator[Block]]]:
    """How many items there are, and their features block by block."""
    if head.settings.reads == "vectors":
        vectors = _vectors(head, table)
        yield len(vectors.known_uids), _blocks_of_vectors(vectors, table)
        return
    _ = head.source  # refused before the table is read
    settings = _settings(head, table)
    with item_blocks(table.path, settings, uid_given="uid_column" in table.columns) as items:
        if items.modality != head.settings.reads:
            raise ConfigError(f"the head reads {head.settings.reads}, the columns named are of {items.modality}; name "
                              "those of its input")  # fmt: skip
        for line in items.said:
            logger.warning("%s: %s", table.path, line)
        yield items.total, (_block(head, block) for block in items.of(table.rows))


def _settings(head: TrainedHead, table: ItemTable) -> TableSettings:
    """What the columns mean: those of training, unless others are named for the input."""
    named = dict(table.columns)
    trained = dict(head.settings.columns)
    if named.keys() - {"uid_column", "encoding"}:
        beside = {"text_column": "second_text_column", "second_text_column": "text_column"}
        kept = {"uid_column", *(beside[name] for name in named.keys() & beside.keys())}
        trained = {name: value for name, value in trained.items() if name in kept}
    columns = {**trained, **named}
    known = ("uid_column", "text_column", "second_text_column", "text_template", "image_column", "encoding")
    if unknown := sorted(columns.keys() - set(known)):
        raise ConfigError(f"wanted settings of columns ({', '.join(known)}), got {unknown[0]}")
    return TableSettings(form="long", label_column="label", missing=table.missing, **columns)


def _block(head: TrainedHead, items: Items) -> Block:
    """The features of some items."""
    encoded = head.features(items)
    return Block(items.uids, encoded.rows, encoded.refused)


def _vectors(head: TrainedHead, table: ItemTable) -> VectorFileEncoder:
    """The file of vectors, read as that of training was."""
    given = {**head.given, **{name: value for name, value in table.columns.items() if name == "uid_column"}}
    encoder: Encoder = VectorFileEncoder(table.path, **given)
    if head.settings.encoder is not None:
        encoder = made(head.settings.encoder, {"path": str(table.path), **given})
        check_same(encoder, head.settings.fingerprint)
    if not isinstance(encoder, VectorFileEncoder):
        raise ConfigError("this head reads several files of vectors; use soft-labels predict --config with them")
    return encoder


def _blocks_of_vectors(vectors: VectorFileEncoder, table: ItemTable) -> Iterator[Block]:
    """The rows of a file of vectors, as they lie."""
    uids = vectors.known_uids
    for start in range(0, len(uids), table.rows):
        block = uids[start : start + table.rows]
        features = torch.as_tensor(vectors.forward(vectors.preprocess(block)))
        yield Block(block, features, {})
