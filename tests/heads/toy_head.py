"""Heads that cost nothing to train."""

from typing import Any

from soft_labels.heads.config import HeadConfig
from soft_labels.heads.head import TrainedHead, network_of, of_encoder, versions
from soft_labels.training.spec import HeadSpec
from tests.conftest import ToyTextEncoder


def toy_head(**settings: Any) -> TrainedHead:
    """An untrained head of three classes on texts, whose weights are those of a seed."""
    encoder = ToyTextEncoder(width=6)
    config = HeadConfig(
        **{
            "class_names": ("calm", "cross", "angry"),
            "ordinal": False,
            "reads": "text",
            "embedding_dim": 6,
            "spec": HeadSpec(hidden_width=8).settings(),
            "columns": {"uid_column": "item", "text_column": "text"},
            "versions": versions(),
            **of_encoder(encoder),
            **settings,
        }
    )
    return TrainedHead(config, network_of(config))
