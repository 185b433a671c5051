"""An encoder of images that costs nothing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soft_labels.encoders.base import Encoder, EncoderInput
from soft_labels.encoders.images import PictureSettings, open_rgb


class ToyImageEncoder(Encoder):
    """A picture's vector is its mean colour."""

    modality = "image"

    def __init__(self, batch_size: int = 16) -> None:
        super().__init__(batch_size)

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        return {"encoder": "toy image"}

    def length(self, item: EncoderInput) -> int:
        return 0

    def preprocess(self, items: Sequence[EncoderInput]) -> Tensor:
        means = [np.asarray(open_rgb(Path(str(item)), PictureSettings())[0]).mean((0, 1)) for item in items]
        return torch.from_numpy(np.stack(means)).float()

    def forward(self, batch: Tensor) -> Tensor:
        return batch / 255
