"""Lightning data modules: one for each data set, all of one kind."""

from soft_labels.data.digits import BlendedDigitsDataModule
from soft_labels.data.lightning import AnnotationDataModule, EmbeddedDataModule
from soft_labels.data.published import ChaosNLIDataModule, Cifar10HDataModule, PopquornDataModule
from soft_labels.data.table import TableDataModule
from soft_labels.data.tensors import TensorDataModule

__all__ = [
    "AnnotationDataModule",
    "BlendedDigitsDataModule",
    "ChaosNLIDataModule",
    "Cifar10HDataModule",
    "EmbeddedDataModule",
    "PopquornDataModule",
    "TableDataModule",
    "TensorDataModule",
]
