"""What every metric asks of its inputs, and the dtype that it computes in."""

import torch
from torch import Tensor

# MPS has no float64. Where it is available, sums are float32: a count stays exact up to 16.7 million items.
STATE_DTYPE = torch.float32 if torch.backends.mps.is_available() else torch.float64


def check_distributions(logits: Tensor, label_dist: Tensor) -> None:
    """Raise ``ValueError`` unless both are ``[B, C]`` of the same shape; values are not looked at."""
    _check_logits(logits)
    if label_dist.shape != logits.shape:
        raise ValueError(
            f"label_dist: wanted the shape of logits, {list(logits.shape)}, got {list(label_dist.shape)}; "
            "give one probability for each item and class"
        )


def check_labels(logits: Tensor, majority_label: Tensor) -> None:
    """Raise ``ValueError`` unless ``majority_label`` holds one class index for each row of ``[B, C]`` logits."""
    _check_logits(logits)
    if majority_label.shape != logits.shape[:1] or majority_label.dtype != torch.int64:
        raise ValueError(
            f"majority_label: wanted int64 of shape {list(logits.shape[:1])}, "
            f"got {majority_label.dtype} of shape {list(majority_label.shape)}; give one class index for each item"
        )


def _check_logits(logits: Tensor) -> None:
    """Raise ``ValueError`` unless there is a row for each item and a column for each of two or more classes."""
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(
            f"logits: wanted shape [B, C] with at least 2 classes, got {list(logits.shape)}; give one row for each item"
        )
