"""A data set with its split and what was observed: everything that needs no features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data.batches import Observed
from soft_labels.data.split import SPLIT_NAMES, Fold, Ratios, Split, SplitName, draw_split, warn_of_parts
from soft_labels.distributions import TiePolicy, label_distribution, majority_label
from soft_labels.errors import ConfigError, DataError


@dataclass(frozen=True)
class Draw:
    """Fewer annotators for what a head learns from: so many of each item's own, without replacement.

    Args:
        annotators: How many, at least 1; an item that has fewer keeps all that it has.
        seed: Of the draw.

    Raises:
        ConfigError: A number is out of its range.
    """

    annotators: int
    seed: int

    def __post_init__(self) -> None:
        """Check both numbers."""
        if self.annotators < 1 or self.seed < 0:
            raise ConfigError(f"a draw wants at least 1 annotator an item and a seed of at least 0, got {self}")


@dataclass(frozen=True)
class Dataset:
    """Annotations, and how they are split and which class wins a tie.

    Args:
        data: The annotations, ordered by uid, so that nothing depends on the order of rows in a file.
        split_ratios: Shares of train, val and test; that of test may be 0.
        split_seed: Seed of the split.
        group_split: Keep items of one group (in ChaosNLI: one premise) in the same part.
        tie: Which class wins a tied majority.
        stratify: Whether each part holds the classes in the proportions of the whole.
        given_split: A split that was given and is not drawn; the settings above then say nothing.
        fold: The test part is this fold of the items, and ``split_ratios`` says only how validation is cut from the
            rest.
        draw: Annotators of the training and validation items that are left of all; ``None`` leaves all. Test items
            keep theirs, and the split is that of all annotations.
    """

    data: AnnotatedData
    split_ratios: Ratios = (0.7, 0.15, 0.15)
    split_seed: int = 0
    group_split: bool = False
    tie: TiePolicy = "lowest"
    stratify: bool = True
    given_split: Split | None = None
    fold: Fold | None = None
    draw: Draw | None = None

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.data.name

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return self.data.num_classes

    @property
    def ordinal(self) -> bool:
        """Whether the classes are ordered."""
        return self.data.ordinal

    @cached_property
    def observed(self) -> Observed:
        """What was observed of all items."""
        counts, labels = self._counts_and_labels()
        true = self.data.true_dist
        return Observed(counts, label_distribution(counts).float(), labels, None if true is None else true.float())

    def _counts_and_labels(self) -> tuple[Tensor, Tensor]:
        """Counts and majority classes; of a few annotators many tie, and a tie of those drawn is broken by lot."""
        whole = self.data.label_counts
        labels = majority_label(whole, self.tie)
        if self.draw is None:
            return whole, labels
        from soft_labels.trust.draws import draw_annotators

        learnt = torch.cat([self.rows("train"), self.rows("val")]).sort().values
        given = whole[learnt].numpy()
        left = np.minimum(given.sum(1), self.draw.annotators).astype(np.int64)
        generator = np.random.default_rng((self.draw.seed, self.draw.annotators))
        drawn = whole.index_put((learnt,), torch.from_numpy(draw_annotators(given, left, generator)))
        by_lot = majority_label(drawn, "random", self.draw.seed)
        return drawn, torch.where((drawn == whole).all(1), labels, by_lot)

    @cached_property
    def split(self) -> Split:
        """The uids of each part."""
        if self.given_split is not None:
            labels = self.observed.majority_label.numpy()
            warn_of_parts(self.given_split, self.data.uids, labels, self.data.class_names)
            return self.given_split
        return draw_split(
            self.data.uids,
            majority_label(self.data.label_counts, self.tie).numpy(),
            ratios=self.split_ratios,
            seed=self.split_seed,
            groups=self._groups(),
            stratify=self.stratify,
            class_names=self.data.class_names,
            fold=self.fold,
        )

    def _groups(self) -> Sequence[str] | None:
        """The groups that splits must keep together, if any."""
        if not self.group_split:
            return None
        if self.data.groups is None:
            raise DataError(f"{self.name} has no groups; set data.group_split to false or name a group column")
        return self.data.groups

    def split_settings(self) -> dict[str, object]:
        """All that decides the split."""
        if self.given_split is not None:
            return {"given": self.given_split.digest}
        return {
            "ratios": list(self.split_ratios),
            "seed": self.split_seed,
            "grouped": self.group_split,
            "stratified_by": "majority class" if self.stratify else "nothing",
            **({} if self.fold is None else self.fold._asdict()),
        }

    @cached_property
    def _rows(self) -> dict[SplitName, Tensor]:
        """Positions of each part's items."""
        position = {uid: row for row, uid in enumerate(self.data.uids)}
        return {
            part: torch.tensor([position[uid] for uid in getattr(self.split, part)], dtype=torch.long)
            for part in SPLIT_NAMES
        }

    def rows(self, part: SplitName) -> Tensor:
        """Positions of a part's items in the data, int64 ``[n]``."""
        return self._rows[part]

    def part_of(self) -> dict[str, SplitName]:
        """The part that each uid belongs to."""
        return {uid: part for part in SPLIT_NAMES for uid in getattr(self.split, part)}

    def drawn(self, annotators: int, seed: int) -> "Dataset":
        """The same items and split with fewer annotators of what a head learns from.

        Args:
            annotators: How many an item.
            seed: Of the draw.

        Raises:
            ConfigError: A number is out of its range.
        """
        fewer = replace(self, draw=Draw(annotators, seed))
        vars(fewer)["split"] = self.split  # the cached one, which is neither drawn nor told once more
        return fewer

    def redrawn(self, number: int) -> "Dataset":
        """The same annotations on another split.

        Args:
            number: The seed that it is drawn with; with folds the fold, and after the last fold all are drawn anew, so
                that any number of splits may be asked for.

        Raises:
            ConfigError: The split was given.
        """
        self.check_redrawn()
        if self.fold is None:
            return replace(self, split_seed=number)
        again, place = divmod(number, self.fold.folds)
        return replace(self, split_seed=self.split_seed + again, fold=Fold(self.fold.folds, place))

    @property
    def first_redrawn(self) -> int:
        """The number of the first of several redrawn splits: folds begin with the first, seeds after one's own."""
        return self.split_seed + 1 if self.fold is None else 0

    def check_redrawn(self) -> None:
        """Refuse to redraw a split that was given.

        Raises:
            ConfigError: It was.
        """
        if self.given_split is not None:
            raise ConfigError(f"{self.name} has a given split, which is not redrawn; leave it out to draw one")

    def check_test(self) -> None:
        """Refuse to judge heads where no item is left to judge them by.

        Raises:
            ConfigError: There is no test part.
        """
        if not self.split.test:
            raise ConfigError(
                f"{self.name} has no test part, by which heads are judged; validation chose them and is no judge: give "
                "the split a test part, or use fit and validate"
            )
