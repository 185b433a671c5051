"""A head that travels from a run: its checkpoint and the data that it was trained on."""

from dataclasses import replace
from typing import Any

from soft_labels.data import AnnotationDataModule
from soft_labels.data.dataset import Dataset
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SPLIT_NAMES
from soft_labels.heads.config import HeadConfig
from soft_labels.heads.head import TrainedHead, network_of, of_encoder, versions
from soft_labels.heads.numbers import measured
from soft_labels.training.calibration import CalibratedHead
from soft_labels.training.module import check_identity
from soft_labels.training.spec import HeadSpec

_NOT_OF_SPEC = ("num_classes", "embedding_dim", "ordinal", "calibration")


def head_of_run(datamodule: AnnotationDataModule, checkpoint: dict[str, Any]) -> TrainedHead:
    """The head of a checkpoint, measured on its test items.

    Args:
        datamodule: The data and the encoder that it was trained with.
        checkpoint: What :func:`~soft_labels.training.best.read_checkpoint` gave.

    Raises:
        ConfigError: It was trained on other data, another split or another encoder.
    """
    check_identity(checkpoint["data_identity"], datamodule.identity(), predicting=False)
    given = checkpoint["hyper_parameters"]
    spec = HeadSpec(**{name: value for name, value in given.items() if name not in _NOT_OF_SPEC})
    encoder = datamodule.source.encoder
    vectors = all(part.modality == "uid" for part in encoder.parts)
    config = HeadConfig(
        class_names=datamodule.dataset.data.class_names,
        ordinal=given["ordinal"],
        reads="vectors" if vectors else datamodule.dataset.data.modality,
        embedding_dim=given["embedding_dim"],
        spec=spec.settings(),
        pair_features=datamodule.pair_features,
        pair_separator=datamodule.pair_separator,
        columns=datamodule.item_columns,
        calibration=given["calibration"],
        **of_encoder(encoder),
    )
    network = network_of(config)
    network.load_own(checkpoint["state_dict"])
    return with_numbers(config, network, datamodule.embedded)


def with_numbers(config: HeadConfig, network: CalibratedHead, data: EmbeddedDataset) -> TrainedHead:
    """A head that says what it was trained on and how good it is.

    Args:
        config: What is known of it.
        network: Its network.
        data: What it was trained on.
    """
    return TrainedHead(
        replace(config, trained_on=trained_on(data.dataset), report=measured(data, network), versions=versions()),
        network,
    )


def trained_on(dataset: Dataset) -> dict[str, Any]:
    """What may be said of the data: name, sizes and how they were split."""
    return {
        "dataset": dataset.name,
        "items": {part: len(dataset.rows(part)) for part in SPLIT_NAMES},
        "split": {**dataset.split_settings(), "digest": dataset.split.digest},
        "tie": dataset.tie,
    }
