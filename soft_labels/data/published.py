"""The three published data sets of the paper."""

from pathlib import Path
from typing import Any, Literal

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.annotations.cifar10h import read_cifar10h
from soft_labels.annotations.popquorn import read_popquorn
from soft_labels.data.lightning import AnnotationDataModule


class ChaosNLIDataModule(AnnotationDataModule):
    """ChaosNLI (Nie et al. 2020): premise and hypothesis pairs, 100 annotations each, three classes.

    Args:
        root: Folder that holds ``chaosnli/``.
        subsets: Which of the two sources to read; the paper's set is both.
        kwargs: See :class:`AnnotationDataModule`.
    """

    def __init__(
        self,
        root: Path = Path("data"),
        subsets: tuple[Literal["snli", "mnli_m"], ...] = ("snli", "mnli_m"),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.root = Path(root)
        self.subsets = subsets

    @property
    def item_columns(self) -> dict[str, Any]:
        """As ChaosNLI names the two texts."""
        return {"uid_column": "uid", "text_column": "premise", "second_text_column": "hypothesis"}

    def read(self) -> AnnotatedData:
        """Read the official JSONL files."""
        return read_chaosnli(self.root, self.subsets)


class PopquornDataModule(AnnotationDataModule):
    """POPQUORN politeness (Pei and Jurgens 2023): e-mails rated from 1 to 5 by 3 to 8 annotators.

    Args:
        root: Folder that holds ``popquorn/``.
        kwargs: See :class:`AnnotationDataModule`.
    """

    def __init__(self, root: Path = Path("data"), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = Path(root)

    def read(self) -> AnnotatedData:
        """Read the official table of ratings."""
        return read_popquorn(self.root)


class Cifar10HDataModule(AnnotationDataModule):
    """CIFAR-10H (Peterson et al. 2019): CIFAR-10 test images, about 50 annotations each, ten classes.

    Args:
        root: Folder that holds ``cifar10h/``.
        hard: Keep the paper's CIFAR-10H-Hard, 1,103 images over the range of entropies; otherwise all 10,000.
        subset_seed: Seed of the draw of the hard subset.
        kwargs: See :class:`AnnotationDataModule`.
    """

    def __init__(self, root: Path = Path("data"), hard: bool = True, subset_seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = Path(root)
        self.hard = hard
        self.subset_seed = subset_seed

    def read(self) -> AnnotatedData:
        """Read the official counts and find the images."""
        return read_cifar10h(self.root, hard=self.hard, seed=self.subset_seed)
