"""A data set and an encoder that cost nothing, for tests and benchmarks; subprocesses import them from here too."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data import AnnotationDataModule
from soft_labels.encoders.base import Encoder, EncoderInput, texts_of
from soft_labels.encoders.image import TimmEncoder, _Loaded

CLASSES = ("low", "middle", "high")


class SeededEncoder(Encoder):
    """Text ``text 17`` becomes Gaussian numbers of seed 17.

    Args:
        width: Numbers a row, D.
    """

    modality = "text"

    def __init__(self, width: int = 16) -> None:
        super().__init__(batch_size=256)
        self.width = width

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        return {"encoder": "seeded", "width": self.width}

    def length(self, item: EncoderInput) -> int:
        return 0

    def preprocess(self, items: Sequence[EncoderInput]) -> list[int]:
        return [int(text.split()[1]) for text in texts_of(items)]

    def forward(self, batch: list[int]) -> Tensor:
        return torch.stack([torch.randn(self.width, generator=torch.Generator().manual_seed(seed)) for seed in batch])


class PixelEncoder(TimmEncoder):
    """A picture becomes its own colours, 4 x 4 pixels of them; what decodes it is that of every image encoder."""

    _weights = "pixels"
    _loaded = _Loaded(nn.Flatten(), 4, Image.Resampling.BILINEAR, torch.zeros(3, 1, 1), torch.ones(3, 1, 1))


class SeededData(AnnotationDataModule):
    """Texts whose annotators draw from a distribution that the features decide.

    Args:
        items: Number of items, N.
        name: The data set's name.
        kwargs: See :class:`AnnotationDataModule`.
    """

    def __init__(self, items: int = 200, name: str = "seeded", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items = items
        self.given_name = name

    def read(self) -> AnnotatedData:
        texts = [f"text {number}" for number in range(self.items)]
        encoder = self.encoder or SeededEncoder()
        features = encoder.forward(encoder.preprocess(texts))
        generator = np.random.default_rng(0)
        weights = generator.standard_normal((features.shape[1], len(CLASSES))) / np.sqrt(features.shape[1])
        true_dist = torch.softmax(2 * features.double() @ torch.from_numpy(weights), dim=1)
        counts = np.stack([generator.multinomial(10, row) for row in true_dist.numpy()])
        return AnnotatedData(
            name=self.given_name,
            uids=tuple(f"item-{number:05d}" for number in range(self.items)),
            inputs=texts,
            label_counts=torch.from_numpy(counts).double(),
            class_names=CLASSES,
            modality="text",
            ordinal=True,
            true_dist=true_dist,
        )
