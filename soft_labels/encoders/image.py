"""Image encoders of the timm library, from a package or a model hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from soft_labels.encoders.base import Encoder, EncoderInput, Precision, pick_device
from soft_labels.encoders.images import PictureSettings, open_rgb
from soft_labels.encoders.packaged import PREFIX, digest, efficientnet_lite, packaged_weights
from soft_labels.errors import EncoderError

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
_MOST_PIXELS = 8_192  # a side: a picture of that size takes a GiB as numbers
Channels = tuple[float, float, float]
Flip = bool | Literal["concatenate"]


@dataclass(frozen=True)
class _Loaded:
    """A model on its device, and the preprocessing that it gets.

    Args:
        model: In evaluation mode; gives features, not logits.
        size: Side of the square input, pixels.
        resample: Pillow's resampling filter.
        mean: ``[3, 1, 1]`` on the device.
        std: ``[3, 1, 1]`` on the device.
    """

    model: nn.Module
    size: int
    resample: Image.Resampling
    mean: Tensor
    std: Tensor


class TimmEncoder(Encoder):
    """A frozen timm model without its classifier: one image to one vector.

    The whole image is resized to a square, nothing is cropped; a photo's orientation tag is applied first. What is not
    8-bit RGB becomes it as :mod:`~soft_labels.encoders.images` says. Packaged
    weights enter the fingerprint by their digest. Other models enter it by name and timm's version, which together
    decide the weights and the settings left at ``None``; names that begin with ``hf-hub:`` or ``local-dir:`` are
    refused, because what they stand for can change.

    Args:
        model: ``packaged:efficientnet_lite0``, ``1`` or ``2`` (weights inside an installed package), or any name
            that ``timm.create_model`` takes.
        image_size: Side of the square input, pixels; ``None`` is the size the model was trained at.
        interpolation: Resampling filter.
        mean: Subtracted from each channel, of values in [0, 1].
        std: Divides each channel.
        flip: Whether an embedding is the mean over the image and its mirror image, or, with ``concatenate``, the two
            embeddings side by side.
        window: Of pictures of more than 8 bits, the values that become black and white; ``None`` is the type's range.
        background: The colour behind what is transparent.
        frame: Which frame of several; ``None`` refuses such pictures.
        batch_size: Images a forward pass.
        device: ``auto``, or torch's name of a device.
        precision: ``bf16`` runs the model under autocast; embeddings are float32 either way.

    Raises:
        EncoderError: ``image_size`` is below 1 or beyond 8,192, ``std`` is not positive, or no picture can be read so.
    """

    modality = "image"

    def __init__(
        self,
        model: str = "packaged:efficientnet_lite0",
        *,
        image_size: int | None = None,
        interpolation: Interpolation | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
        flip: Flip = False,
        window: tuple[float, float] | None = None,
        background: str = PictureSettings.background,
        frame: int | None = None,
        batch_size: int = 32,
        device: str = "auto",
        precision: Precision = "fp32",
    ) -> None:
        super().__init__(batch_size)
        if image_size is not None and not 1 <= image_size <= _MOST_PIXELS:
            raise EncoderError(f"encoder image_size must be from 1 to {_MOST_PIXELS:,} pixels, got {image_size:,}")
        if std is not None and min(std) <= 0:
            raise EncoderError(f"encoder std must be positive in every channel, got {std}")
        if ":" in model and not model.startswith("packaged:"):
            raise EncoderError(f"wanted packaged:NAME or a name of timm's own models, got {model!r}")
        self.model = model
        self.image_size = image_size
        self.interpolation = interpolation
        self.mean = mean
        self.std = std
        self.flip = flip
        self.pictures = PictureSettings(window, background, frame)
        self.device = device
        self.precision = precision

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        """Weights, preprocessing, flip and precision."""
        return {
            "encoder": "timm",
            "weights": self._weights,
            "image_size": self.image_size,
            "interpolation": self.interpolation,
            "mean": _channels_text(self.mean),
            "std": _channels_text(self.std),
            "flip": self.flip,
            "precision": self.precision,
            **self.pictures.fingerprint(),
        }

    def length(self, item: EncoderInput) -> int:  # noqa: ARG002 # every image costs the same once it is resized
        """Zero: images keep their order."""
        return 0

    def preprocess(self, items: Sequence[EncoderInput]) -> Tensor:
        """Decoded and resized images of one batch, uint8 ``[B, S, S, 3]``."""
        side = (self._loaded.size, self._loaded.size)
        images = [_open_rgb(item, self.pictures).resize(side, self._loaded.resample) for item in items]
        return torch.from_numpy(np.stack([np.asarray(image) for image in images]))

    def forward(self, batch: Tensor) -> Tensor:
        """Embeddings of one preprocessed batch, float32 ``[B, D]`` on the CPU."""
        loaded = self._loaded
        device = loaded.mean.device
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), autocast:
            pixels = batch.to(device).permute(0, 3, 1, 2).float() / 255
            pixels = (pixels - loaded.mean) / loaded.std
            embeddings: Tensor = loaded.model(pixels).float()
            if self.flip:
                mirrored: Tensor = loaded.model(pixels.flip(3)).float()
                both = [embeddings, mirrored]
                embeddings = torch.cat(both, dim=1) if self.flip == "concatenate" else torch.stack(both).mean(0)
        return embeddings.cpu()

    @cached_property
    def _packaged(self) -> Path | None:
        """The packaged weights; ``None`` for any other model."""
        return packaged_weights(self.model, "timm")

    @cached_property
    def _weights(self) -> str:
        """The weights' identity in the fingerprint."""
        if self._packaged is not None:
            return f"sha256:{digest(self._packaged)}"
        return f"{self.model} of timm {version('timm')}"

    @cached_property
    def _loaded(self) -> _Loaded:
        """The model and its preprocessing, with the person's settings over the model's own."""
        from timm.data.config import resolve_data_config

        device = pick_device(self.device)
        with torch.random.fork_rng(devices=[]):  # loading must not move the random state of a training run
            model = self._create()
        config = resolve_data_config(model=model)  # type: ignore[no-untyped-call]
        if self.image_size is not None:
            resize_input(model, self.image_size)
        mean, std = (
            torch.tensor(given or config[name], device=device).view(3, 1, 1)
            for name, given in (("mean", self.mean), ("std", self.std))
        )
        return _Loaded(
            model=model.float().to(device).to(memory_format=torch.channels_last).eval(),
            size=self.image_size or config["input_size"][-1],
            resample=Image.Resampling[(self.interpolation or config["interpolation"]).upper()],
            mean=mean,
            std=std,
        )

    def _create(self) -> nn.Module:
        """The model without its classifier, on the CPU."""
        import timm

        if self._packaged is not None:
            return efficientnet_lite(self.model.removeprefix(PREFIX), self._packaged)
        try:
            return timm.create_model(self.model, pretrained=True, num_classes=0)
        except (OSError, RuntimeError, ValueError) as error:
            raise EncoderError(f"timm cannot load {self.model!r}: {error}") from error


def resize_input(model: nn.Module, size: int) -> None:
    """Prepare a model for square inputs of another size; convolutional models need nothing.

    Args:
        model: A timm model; a transformer's position embeddings are resampled in place.
        size: Side of the input, pixels.

    Raises:
        EncoderError: The size is not a whole number of the model's patches.
    """
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", (1, 1))
    if size % patch[0]:
        raise EncoderError(f"encoder image_size must be a multiple of the model's patch size {patch[0]}, got {size}")
    set_input_size = getattr(model, "set_input_size", None)
    if set_input_size is not None:
        set_input_size(img_size=(size, size))


def _open_rgb(item: EncoderInput, settings: PictureSettings) -> Image.Image:
    """One upright RGB image."""
    if isinstance(item, str | tuple):
        raise EncoderError("wanted an image, got a text; choose a text encoder for this data set")
    if not isinstance(item, Path | bytes):
        return _from_array(item)
    return open_rgb(item, settings)[0]


def _from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    """An image from ``uint8`` ``[H, W, 3]``."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise EncoderError(f"wanted an image array of uint8 [H, W, 3], got {pixels.dtype} {list(pixels.shape)}")
    return Image.fromarray(pixels)


def _channels_text(values: Channels | None) -> str | None:
    """Three numbers as one text, exact."""
    return None if values is None else ",".join(repr(float(value)) for value in values)
