"""Frozen encoders: a text or an image to one vector. Importing this loads no model library."""

from soft_labels.encoders.base import Encoder, EncoderInput, Precision
from soft_labels.encoders.openai_api import OpenAIEncoder
from soft_labels.encoders.sentence_transformer import SentenceTransformerEncoder
from soft_labels.encoders.timm_image import TimmEncoder

__all__ = [
    "Encoder",
    "EncoderInput",
    "OpenAIEncoder",
    "Precision",
    "SentenceTransformerEncoder",
    "TimmEncoder",
]
