"""A tiny BERT with random weights and a tokenizer of its own, made on the spot in a hub model's layout."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

WORDS = (
    "a", "man", "rides", "horse", "is", "this", "rude", "the", "weather", "quite", "different", "longer", "sentence",
    "about", "nobody", "there",
)  # fmt: skip
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def make_tiny_bert(folder: Path, *, classifier: bool = True, seed: int = 0, **size: float) -> Path:
    """Write a BERT with or without a classifier of three classes, and its tokenizer; of three layers of 8 numbers."""
    vocabulary = {word: number for number, word in enumerate([*SPECIAL.values(), *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106 (a word, no password)
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)
    sizes: dict[str, Any] = {
        "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16,
        "max_position_embeddings": 24, "initializer_range": 0.5,
    } | size  # fmt: skip
    config = BertConfig(vocab_size=len(vocabulary), **sizes)
    config.num_labels = 3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config) if classifier else BertModel(config)
    model.save_pretrained(folder)
    return folder
