"""Encode once, keep by content, read back as the features of a data set."""

from soft_labels.embeddings.features import Features, PairFeatures, TensorFeatures, open_features
from soft_labels.embeddings.ranks import ALONE, Ranks
from soft_labels.embeddings.source import EncodedItems, FeatureSource, check_modality, features_alike, known_rows
from soft_labels.embeddings.stage import StagePlan, StageReport, encode_missing, plan_missing
from soft_labels.embeddings.store import EmbeddingStore, Keys, content_keys

__all__ = [
    "ALONE",
    "EmbeddingStore",
    "EncodedItems",
    "FeatureSource",
    "Features",
    "Keys",
    "PairFeatures",
    "Ranks",
    "StagePlan",
    "StageReport",
    "TensorFeatures",
    "check_modality",
    "content_keys",
    "encode_missing",
    "features_alike",
    "known_rows",
    "open_features",
    "plan_missing",
]
