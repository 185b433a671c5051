"""A few annotations of new items, together with what a head says of them: the head is the prior."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from soft_labels.annotations.table.read import read_table
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.errors import ConfigError
from soft_labels.heads.head import TrainedHead
from soft_labels.trust.inputs import is_whole
from soft_labels.trust.prior import combine

logger = logging.getLogger(__name__)
LEVEL = 0.95


class Ratings:
    """Annotations of some of the new items.

    Args:
        head: Whose strength, in annotators, its validation items chose.
        path: A table, one annotation a row, or one item a row with a count of each class.
        uid_column: Column of the item's id, by default as in training.
        label_column: Column of the chosen class; ``None`` where each class has a column of counts, called as it is.

    Raises:
        ConfigError: The head does not know its strength, or there is no column of ids.
        DataError: The table cannot be read, or a label is none of the head's classes.
    """

    def __init__(
        self, head: TrainedHead, path: Path, uid_column: str | None = None, label_column: str | None = "label"
    ) -> None:
        self.path = path
        self.class_names = head.class_names
        self.strength = strength_of(head)
        uid = uid_column or head.settings.columns.get("uid_column")
        if not isinstance(uid, str):
            raise ConfigError(f"{path}: annotations are joined to items by one column of ids; name it: --uid_column")
        named: dict[str, Any] = (
            {"form": "counts", "count_columns": self.class_names}
            if label_column is None
            else {"form": "long", "label_column": label_column, "class_names": self.class_names}
        )
        data = read_table(path, TableSettings(uid_column=uid, text_column=uid, **named))
        self._counts = dict(zip(data.uids, data.label_counts.numpy(), strict=True))
        self._number = np.int64 if is_whole(data.label_counts.numpy()) else np.float64
        self._met: set[str] = set()

    def columns(self, uids: tuple[str, ...], pred_dist: Tensor) -> dict[str, Any]:
        """What head and annotators say together, for a table of predictions.

        Args:
            uids: ``[N]``.
            pred_dist: ``[N, C]`` of the head.

        Returns:
            By name ``[N]``: ``annotations`` (how many the item has), for each class ``posterior_CLASS`` (its share) and
            ``low_CLASS`` and ``high_CLASS`` (ends of its 95% credible interval). An item that nobody annotated has the
            head's shares.
        """
        nobody = np.zeros(len(self.class_names))
        counts = np.stack([self._counts.get(uid, nobody) for uid in uids])
        self._met.update(uid for uid in uids if uid in self._counts)
        both = combine(counts, pred_dist.double(), self.strength, LEVEL)
        found: dict[str, Any] = {"annotations": counts.sum(1).astype(self._number)}
        for what, values in (("posterior", both.mean), ("low", both.low), ("high", both.high)):
            found |= {
                f"{what}_{name}": each for name, each in zip(self.class_names, values.T.astype(np.float32), strict=True)
            }
        return found

    def say(self) -> None:
        """Say how the annotations were used, once all items are predicted."""
        missed = len(self._counts) - len(self._met)
        if missed:
            logger.warning("%s: %s items that were not predicted are left out", self.path, f"{missed:,}")
        words = "%s: annotations of %s items beside the head, which counts as %.3g annotators"
        logger.info(words, self.path, f"{len(self._met):,}", self.strength)


def strength_of(head: TrainedHead) -> float:
    """A head's weight against annotators, in annotators.

    Args:
        head: With its numbers.

    Raises:
        ConfigError: It has none: its validation items have shares in place of counts, or a single annotator each.
    """
    strength = head.report.get("prior_strength")
    if not isinstance(strength, int | float):
        raise ConfigError(
            "this head does not know how much it counts against annotators: that wants validation items of two "
            "annotators and more, and their counts; train and export it with these"
        )
    return float(strength)
