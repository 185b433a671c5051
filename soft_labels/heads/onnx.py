"""The same head as ONNX: features in, probabilities out."""

import logging
import warnings

import torch
from torch import Tensor, nn

from soft_labels.errors import ConfigError

_OPSET = 20


class _Probabilities(nn.Module):
    """Features to probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        """``[N, D]`` to ``[N, C]``."""
        return torch.softmax(self.network(features), dim=-1)


def to_onnx(network: nn.Module, embedding_dim: int) -> bytes:
    """A model with input ``features``, float32 ``[N, D]``, and output ``probabilities``, float32 ``[N, C]``.

    Args:
        network: Features to logits.
        embedding_dim: Width of the features, D.

    Raises:
        ConfigError: A library of the extra ``onnx`` is missing.
    """
    try:
        import onnxscript  # noqa: F401 # torch's exporter wants it
    except ImportError as error:
        raise ConfigError(f'ONNX wants {error.name}: run pip install "soft-labels[onnx]"') from error
    logging.getLogger("onnxscript").setLevel(logging.WARNING)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            _Probabilities(network).eval(),
            (torch.zeros(2, embedding_dim),),
            input_names=["features"],
            output_names=["probabilities"],
            dynamic_shapes={"features": {0: torch.export.Dim("items")}},
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # noqa: S101 (of dynamo=True)
    model: bytes = program.model_proto.SerializeToString()
    return model
