"""Encode once, keep by content, read back as the features of a data set."""

from soft_labels.embeddings.features import Features, PairFeatures, encoder_inputs, open_features
from soft_labels.embeddings.ranks import ALONE, Ranks
from soft_labels.embeddings.stage import StagePlan, StageReport, encode_missing, plan_missing
from soft_labels.embeddings.store import EmbeddingStore, Keys, content_keys

__all__ = [
    "ALONE",
    "EmbeddingStore",
    "Features",
    "Keys",
    "PairFeatures",
    "Ranks",
    "StagePlan",
    "StageReport",
    "content_keys",
    "encode_missing",
    "encoder_inputs",
    "open_features",
    "plan_missing",
]
