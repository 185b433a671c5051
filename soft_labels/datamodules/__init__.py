"""Lightning data modules: one for each data set, all of one kind."""

from soft_labels.datamodules.base import AnnotationDataModule
from soft_labels.datamodules.digits import BlendedDigitsDataModule
from soft_labels.datamodules.published import ChaosNLIDataModule, Cifar10HDataModule, PopquornDataModule
from soft_labels.datamodules.table import TableDataModule

__all__ = [
    "AnnotationDataModule",
    "BlendedDigitsDataModule",
    "ChaosNLIDataModule",
    "Cifar10HDataModule",
    "PopquornDataModule",
    "TableDataModule",
]
