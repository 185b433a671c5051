"""Encode once, keep by content, read back as the features of a data set."""

from soft_labels.embeddings.features import Features, PairFeatures, encoder_inputs, open_features
from soft_labels.embeddings.stage import StageReport, encode_missing
from soft_labels.embeddings.store import EmbeddingStore, content_keys

__all__ = [
    "EmbeddingStore",
    "Features",
    "PairFeatures",
    "StageReport",
    "content_keys",
    "encode_missing",
    "encoder_inputs",
    "open_features",
]
