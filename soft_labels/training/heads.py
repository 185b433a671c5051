"""The classification head: standardised features in, logits out; the paper's is a two-layer MLP."""

import math

import psutil
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own short name)

from soft_labels.errors import ConfigError

BYTES_TO_TRAIN = 4 * 4
"""Of a number of a head: weight, gradient and Adam's two moments, float32."""
_GIBIBYTE = 2**30


def numbers_of(embedding_dim: int, num_classes: int, hidden_width: int) -> int:
    """How many numbers training moves in a head of some sizes: weights and biases of both layers."""
    return hidden_width * (embedding_dim + 1) + num_classes * (hidden_width + 1)


def check_memory(hidden_width: int, embedding_dim: int = 1, num_classes: int = 2) -> None:
    """Refuse a head that this machine cannot hold in training.

    Args:
        hidden_width: Width of the hidden layer, W.
        embedding_dim: Width of the features, D; the least there can be, before data are read.
        num_classes: Number of classes, C; likewise.

    Raises:
        ConfigError: With the memory that it would take and the machine's.
    """
    wanted = BYTES_TO_TRAIN * numbers_of(embedding_dim, num_classes, hidden_width)
    present = psutil.virtual_memory().total
    if wanted > present:
        raise ConfigError(
            f"a head of hidden_width {hidden_width:,} takes at least {wanted / _GIBIBYTE:,.0f} GiB to train, and this "
            f"machine has {present / _GIBIBYTE:,.0f} GiB of memory; choose a smaller model.hidden_width"
        )


def draw_mask(rows: int, width: int, dropout: float, generator: torch.Generator) -> Tensor:
    """One draw of dropout's scaled keep-or-drop factors ``[rows, width]`` on the generator's device."""
    keep = 1 - dropout
    return torch.empty(rows, width, device=generator.device).bernoulli_(keep, generator=generator).div_(keep)


class Head(nn.Module):
    """Features in, logits out; the statistics that features are standardised by are part of it.

    Args:
        embedding_dim: Width of the features, D.
    """

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(embedding_dim))
        self.register_buffer("feature_scale", torch.ones(embedding_dim))

    def set_feature_statistics(self, mean: Tensor, scale: Tensor) -> None:
        """Take the mean and scale (both ``[D]``) that features are standardised by; saved with the head."""
        self.feature_mean.copy_(mean)
        self.feature_scale.copy_(scale)

    def standardised(self, features: Tensor) -> Tensor:
        """Features as the head reads them, ``[B, D]``."""
        return (features - self.feature_mean) / self.feature_scale

    def dropout_mask(self, rows: int, generator: torch.Generator) -> Tensor | None:  # noqa: ARG002 (some heads draw)
        """One draw of scaled keep-or-drop factors ``[rows, W]``, or ``None`` where nothing is dropped."""
        return None


class MLPHead(Head):
    """Standardise, linear, GELU, dropout, linear.

    Weights and biases are drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as ``nn.Linear`` draws them, but from the
    head's own seed, so that a head does not depend on what was built before it.

    Args:
        embedding_dim: Width of the features, D.
        num_classes: Number of classes, C.
        hidden_width: Width of the hidden layer, W.
        dropout: Share of hidden units that training drops, from 0 to below 1.
        seed: Seed of the initial weights.

    Raises:
        ConfigError: This machine has too little memory for it.

    Source: the paper's section 3.2 (two layers, GELU, dropout; sizes not given).
    """

    def __init__(self, embedding_dim: int, num_classes: int, hidden_width: int, dropout: float, seed: int) -> None:
        super().__init__(embedding_dim)
        check_memory(hidden_width, embedding_dim, num_classes)
        self.hidden = nn.Linear(embedding_dim, hidden_width)
        self.output = nn.Linear(hidden_width, num_classes)
        self.dropout = dropout
        self.reset_parameters(seed)

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        """Draw the initial weights."""
        generator = torch.Generator().manual_seed(seed)
        for layer in (self.hidden, self.output):
            bound = 1 / math.sqrt(layer.in_features)
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)

    def dropout_mask(self, rows: int, generator: torch.Generator) -> Tensor | None:
        """One draw of scaled keep-or-drop factors ``[rows, W]``, or ``None`` where nothing is dropped."""
        if self.dropout == 0:
            return None
        return draw_mask(rows, self.hidden.out_features, self.dropout, generator)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits ``[B, C]`` of features ``[B, D]``; ``mask`` ``[B, W]`` multiplies the hidden units."""
        hidden = F.gelu(self.hidden(self.standardised(features)))
        logits: Tensor = self.output(hidden if mask is None else hidden * mask)
        return logits
