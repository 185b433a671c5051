"""Vectors or logits that were computed elsewhere, joined to the items by uid; no model is loaded."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.encoders.base import Encoder, EncoderInput, texts_of
from soft_labels.encoders.packaged import digest
from soft_labels.encoders.vector_files import VectorRows
from soft_labels.encoders.vector_shards import read_all
from soft_labels.errors import EncoderError


class VectorFileEncoder(Encoder):
    """Vectors that something else computed: an item's uid to its row in a file.

    The file enters the fingerprint by its content, so that a changed file is another encoder. Its rows are copied into
    the store, where they are checked and read like any other embeddings.

    Args:
        path: ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``, ``.jsonl``, ``.ndjson`` or ``.csv``, lines of text and
            ``.npy`` compressed (``.gz``) or not, or a folder of such files of one kind. In a safetensors file of
            one-dimensional tensors each tensor's name is its uid.
        uids: File of uids in the order of the rows, where the file of vectors has none: ``.txt`` with one a line,
            ``.npy``, or a table with ``uid_column``. For a folder of vectors a folder of these, named as the files of
            vectors; ``.txt`` files that lie beside these are found.
        uid_column: Column, or array, of uids.
        columns: Column, or array, that holds a vector in each row, or several columns of numbers; by default the only
            one that holds vectors.
        missing: Whether an item without a row is an error, or is left out of the data before they are split.
        logit_classes: Where the numbers are logits of one or more models: how many classes each model has. Each
            model's probabilities and entropy (nats) are then put beside its logits.
        model: What computed the vectors, for results and logs.
        batch_size: Rows copied at a time.

    Raises:
        EncoderError: The file cannot be used (see :func:`~soft_labels.encoders.vector_shards.read_all`).
    """

    modality = "uid"

    def __init__(
        self,
        path: Path,
        *,
        uids: Path | None = None,
        uid_column: str = "uid",
        columns: list[str] | None = None,
        missing: Literal["error", "drop"] = "error",
        logit_classes: int | None = None,
        model: str = "",
        batch_size: int = 1024,
    ) -> None:
        super().__init__(batch_size)
        if logit_classes is not None and logit_classes < 2:
            raise EncoderError(f"encoder logit_classes must be at least 2, got {logit_classes}")
        self.path = Path(path).expanduser()
        self.uids = None if uids is None else Path(uids).expanduser()
        self.uid_column = uid_column
        self.columns = columns
        self.missing = missing
        self.logit_classes = logit_classes
        self.model = model or self.path.name

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """The files' content, what is taken from them, and what is put beside it."""
        return {
            "encoder": "vectors",
            "vectors": self._digests[0],
            "uids": self._digests[1],
            "uid_column": self.uid_column,
            "columns": None if self.columns is None else json.dumps(self.columns),
            "logit_classes": self.logit_classes,
        }

    @property
    def of_this_machine(self) -> tuple[str, ...]:
        """The files."""
        return ("path",) if self.uids is None else ("path", "uids")

    @property
    def known_uids(self) -> tuple[str, ...]:
        """The uids that have a row, in the order of the rows."""
        return self._vectors.uids

    def without_row(self, uids: Sequence[str]) -> NDArray[np.bool_]:
        """Which items have no row in the file, bool ``[N]``.

        Raises:
            EncoderError: No item has one, or some have none and must not be left out.
        """
        lacking = np.array([uid.strip() not in self._row_of for uid in uids], dtype=bool)
        count, first = int(lacking.sum()), uids[int(lacking.argmax())]
        if count == len(uids):
            raise EncoderError(
                f"{self.path}: none of its {len(self._row_of):,} uids is an item's: they are like "
                f"{next(iter(self._row_of))!r}, the items' like {first!r}; set data.encoder.uid_column, or write the "
                "uids of the data"
            )
        if count and self.missing == "error":
            raise EncoderError(
                f"{self.path}: no row for uid {first!r}, and for {count:,} of {len(uids):,} items in all; add them, or "
                "set data.encoder.missing=drop to leave these items out"
            )
        return lacking

    def length(self, item: EncoderInput) -> int:  # noqa: ARG002 # every row costs the same
        """Zero: rows keep their order."""
        return 0

    def preprocess(self, items: Sequence[EncoderInput]) -> Tensor:
        """The rows of some uids, float32 ``[B, D]``."""
        rows = [self._row_of[uid.strip()] for uid in texts_of(items)]
        return torch.from_numpy(np.asarray(self._vectors.rows[rows], dtype=np.float32))

    def forward(self, batch: Tensor) -> Tensor:
        """The rows; of logits, ``[logits, probabilities, entropies]``, float32 ``[B, D]``."""
        return batch if self.logit_classes is None else with_probabilities(batch, self.logit_classes)

    @property
    def prepares_ahead(self) -> bool:
        """No: looking a row up takes no time."""
        return False

    @cached_property
    def _digests(self) -> tuple[str, str | None]:
        """The content of the file of vectors, and of that of uids, when they were first looked at."""
        return self._digests_now()

    def _digests_now(self) -> tuple[str, str | None]:
        """The same at this moment."""
        for file in filter(None, (self.path, self.uids)):
            if not file.exists():
                raise EncoderError(f"{file}: no such file; give the path of an existing one")
        return f"sha256:{digest(self.path)}", None if self.uids is None else f"sha256:{digest(self.uids)}"

    @cached_property
    def _vectors(self) -> VectorRows:
        """The rows, read once; they are those of the fingerprint."""
        _ = self._digests
        found = read_all(self.path, self.uids, self.uid_column, self.columns)
        if self._digests_now() != self._digests:
            raise EncoderError(f"{self.path}: the file, or that of its uids, changed while it was in use; run again")
        width = found.rows.shape[1]
        if self.logit_classes is not None and width % self.logit_classes:
            raise EncoderError(
                f"{self.path}: {width} numbers a row are not the logits of models with {self.logit_classes} classes "
                "each; correct data.encoder.logit_classes"
            )
        return found

    @cached_property
    def _row_of(self) -> dict[str, int]:
        """Where each uid's vector lies."""
        return {uid: row for row, uid in enumerate(self._vectors.uids)}


def with_probabilities(logits: Tensor, classes: int) -> Tensor:
    """Logits of one or more models with each model's probabilities and entropy beside them.

    Args:
        logits: ``[B, M * C]``, the M models one after the other.
        classes: Classes of each model, C.

    Returns:
        ``[B, 2 * M * C + M]``: logits, probabilities, entropies in nats.

    Example:
        >>> with_probabilities(torch.zeros(1, 2), classes=2)
        tensor([[0.0000, 0.0000, 0.5000, 0.5000, 0.6931]])
    """
    log_probabilities = logits.view(len(logits), -1, classes).log_softmax(dim=-1)
    probabilities = log_probabilities.exp()
    entropies = -(probabilities * log_probabilities).sum(dim=-1)
    return torch.cat([logits, probabilities.flatten(1), entropies], dim=1)
