"""Items encoded here and now, block by block, and kept nowhere: for a stream that is seen once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.embeddings.stage import batches_of, one_ahead
from soft_labels.embeddings.store import KEY_BYTES, Keys, content_key
from soft_labels.encoders.base import Encoder, EncoderInput
from soft_labels.errors import DataError, EncoderError, SoftLabelsError

_NOT_FINITE = "the encoder gives it an embedding that is not finite"


class Encoded(NamedTuple):
    """Features of some items.

    ``rows`` float32 ``[N, D]``; ``refused`` why an item could not be encoded, by its position, where its row says
    nothing.
    """

    rows: Tensor
    refused: dict[int, str]


def encode_directly(items: Sequence[EncoderInput], encoder: Encoder) -> Encoded:
    """Embeddings of inputs in batches of similar length; equal ones are encoded once, unreadable ones are named.

    Args:
        items: ``[N]`` texts, pairs of texts, images or uids; at least one.
        encoder: One that computes here.

    Raises:
        EncoderError: The encoder itself cannot be used, or no item can be encoded.
    """
    keys, refused = _keys(items)
    positions = np.array([place for place in range(len(items)) if place not in refused], dtype=np.int64)
    if not len(positions):
        raise EncoderError(f"none of {len(items):,} inputs can be encoded; of the first: {refused[0]}")
    unique, first, inverse = np.unique(keys[positions], return_index=True, return_inverse=True)
    rows, wrong = _encoded(items, keys, positions[first], encoder)
    for place, position in enumerate(positions.tolist()):
        if inverse[place] in wrong:
            refused[position] = wrong[int(inverse[place])]
    if len(wrong) == len(unique):
        raise EncoderError(f"none of {len(items):,} inputs can be encoded; of the first: {refused[min(refused)]}")
    out = torch.full((len(items), rows.shape[1]), torch.nan)
    out[torch.from_numpy(positions)] = rows[torch.from_numpy(inverse)]
    return Encoded(out, refused)


def _keys(items: Sequence[EncoderInput]) -> tuple[Keys, dict[int, str]]:
    """The content keys, and what has none and why."""
    keys = np.zeros(len(items), dtype=f"S{KEY_BYTES}")
    refused = {}
    for place, item in enumerate(items):
        try:
            keys[place] = content_key(item)
        except DataError as error:
            refused[place] = str(error)
    return keys, refused


def _encoded(
    items: Sequence[EncoderInput], keys: Keys, chosen: NDArray[np.int64], encoder: Encoder
) -> tuple[Tensor, dict[int, str]]:
    """One row for each chosen item, ``[U, D]``, and by place among these why one has none."""
    place_of = {row: place for place, row in enumerate(chosen.tolist())}
    wrong: dict[int, str] = {}

    def prepare(batch: NDArray[np.int64]) -> tuple[list[int], Any]:
        try:
            return batch.tolist(), encoder.preprocess([items[row] for row in batch])
        except (EncoderError, DataError):
            found = {row: _fault(items[row], encoder) for row in batch.tolist()}
            wrong.update({place_of[row]: fault for row, fault in found.items() if fault is not None})
            good = [row for row, fault in found.items() if fault is None]
            if len(good) == len(batch):
                raise  # no item by itself is at fault
            return good, encoder.preprocess([items[row] for row in good]) if good else None

    batches = batches_of(items, keys, chosen, encoder)
    out: Tensor | None = None
    for good, prepared in one_ahead(prepare, batches) if encoder.prepares_ahead else map(prepare, batches):
        if not good:
            continue
        found = encoder.forward(prepared)
        out = torch.full((len(chosen), found.shape[1]), torch.nan) if out is None else out
        places = [place_of[row] for row in good]
        out[places] = found
        bad = ~torch.isfinite(found).all(dim=1)
        wrong.update({places[row]: _NOT_FINITE for row in bad.nonzero().flatten().tolist()})
    return torch.empty(len(chosen), 0) if out is None else out, wrong


def _fault(item: EncoderInput, encoder: Encoder) -> str | None:
    """Why an item cannot be encoded; ``None`` where it can."""
    try:
        encoder.preprocess([item])
    except SoftLabelsError as error:
        return str(error)
    return None
