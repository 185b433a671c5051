"""Pictures of any kind as the 8-bit RGB that encoders read: scaled by their range, never clipped or dropped in silence.

Pictures that are 8-bit RGB or grey already pass unchanged. What else is done has a name, for fingerprints and for
``soft-labels data stats``; what cannot be done without loss is refused.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageColor, ImageOps

from soft_labels.errors import EncoderError

EIGHT_BITS = 255
_HEX = re.compile(r"[0-9a-fA-F]{6}")
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_PROFILED = ("CMYK", "LAB")
_PLAIN = ("RGB", "L", "1")
_CONVERTED = ("P", "CMYK", "YCbCr", "LAB", "HSV", "LA", "PA", "RGBA", "RGBX", "La", "RGBa", *_PLAIN)


@dataclass(frozen=True)
class PictureSettings:
    """How pictures that are not 8-bit RGB become it.

    Args:
        window: The values that become black and white, of pictures with more than 8 bits or with floats, as a window of
            a scan has them; values outside are black and white. ``None`` is the range of the type: 0 to 65,535 for 16
            bits, 0 to 1 for floats, and pictures of 32 bits are refused.
        background: The colour behind what is transparent, as Pillow has it (``white``, ``#808080``); the # may be left
            out, since it begins a comment in YAML.
        frame: Which frame of several is taken, from 0; ``None`` refuses such pictures.

    Raises:
        EncoderError: The window is empty, or the colour or the frame is none.
    """

    window: tuple[float, float] | None = None
    background: str = "white"
    frame: int | None = None

    def __post_init__(self) -> None:
        if self.window is not None and not self.window[0] < self.window[1]:
            raise EncoderError(f"encoder window must be two values, the lower one first, got {list(self.window)}")
        if self.frame is not None and self.frame < 0:
            raise EncoderError(f"encoder frame must be at least 0, got {self.frame}")
        if _HEX.fullmatch(self.background):
            object.__setattr__(self, "background", f"#{self.background}")
        try:
            ImageColor.getrgb(self.background)
        except ValueError as error:
            raise EncoderError(f"encoder background must be a colour as white or 808080, got {error}") from error

    def fingerprint(self) -> dict[str, str | int | None]:
        """The settings that are not the defaults."""
        window = None if self.window is None else ",".join(repr(float(value)) for value in self.window)
        given = {"window": window, "background": self.background, "frame": self.frame}
        standard = {"window": None, "background": PictureSettings.background, "frame": None}
        return {name: value for name, value in given.items() if value != standard[name]}


DEFAULTS = PictureSettings()


def open_rgb(
    path: Path | bytes, settings: PictureSettings = DEFAULTS, side: int | None = None
) -> tuple[Image.Image, tuple[str, ...]]:
    """A picture file as upright 8-bit RGB, and the names of what was done to it.

    Args:
        path: The file, or its bytes.
        settings: How what is not 8-bit RGB becomes it.
        side: Pixels that will do, where the format can be decoded smaller at less cost; ``None`` wants all.

    Raises:
        EncoderError: The file does not decode, or its picture cannot become 8-bit RGB without loss.
    """
    shown = f"of {len(path):,} bytes" if isinstance(path, bytes) else path
    try:
        with Image.open(BytesIO(path) if isinstance(path, bytes) else path) as image:
            if side is not None:
                image.draft(None, (side, side))
            steps = [f"{image.format} frame {settings.frame}"] if _choose_frame(image, settings.frame) else []
            return _as_rgb(image, settings, steps)
    except EncoderError as error:
        raise EncoderError(f"{shown}: {error}") from error
    except Exception as error:  # each format's decoder has errors of its own
        raise EncoderError(f"cannot read image {shown}: {error}; replace the file or remove the item") from error


def conversions(paths: Iterable[Path | bytes], settings: PictureSettings = DEFAULTS) -> dict[str, int]:
    """What is done to how many pictures, the most frequent first.

    Args:
        paths: The files, or their bytes; each is decoded once.
        settings: How what is not 8-bit RGB becomes it.

    Raises:
        EncoderError: A file does not decode, or its picture cannot become 8-bit RGB without loss.
    """
    counted: Counter[str] = Counter()
    for path in paths:
        counted.update(set(open_rgb(path, settings)[1]))
    return dict(counted.most_common())


def is_kept(content: bytes) -> bool:
    """Whether a picture file becomes RGB by Pillow's own conversion alone, turned upright at most; reads its header.

    Args:
        content: The file's bytes; those that are no picture count as kept, since nothing is made of them.
    """
    with suppress(Exception), warnings.catch_warnings(action="ignore"), Image.open(BytesIO(content)) as image:
        profiled = image.mode in _PROFILED and "icc_profile" in image.info
        several = getattr(image, "n_frames", 1) > 1 and image.format != "MPO"
        return not (image.mode in {*_DEEP, "I", "F"} or image.has_transparency_data or profiled or several)
    return True


def _choose_frame(image: Image.Image, frame: int | None) -> bool:
    """Turn to the frame that is wanted, where there are several."""
    frames = getattr(image, "n_frames", 1)
    if frames == 1:
        return False
    if frame is None and image.format == "MPO":  # a photo first, then what the camera knows besides
        return False
    if frame is None:
        raise EncoderError(f"it has {frames} frames; say which one with encoder frame, as 0 for the first")
    if frame >= frames:
        raise EncoderError(f"it has {frames} frames, so encoder frame must be at most {frames - 1}, got {frame}")
    image.seek(frame)
    return True


def _as_rgb(image: Image.Image, settings: PictureSettings, steps: list[str]) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture as 8-bit RGB and all that was done to it."""
    if image.getexif().get(0x0112, 1) != 1:
        steps.append("turned upright as its EXIF says")
    upright = ImageOps.exif_transpose(image)
    scaled = _to_eight_bits(upright, settings.window, steps)
    if scaled.mode not in _CONVERTED:
        raise EncoderError(f"no way is known from its mode {scaled.mode} to RGB without loss; save it as 8-bit RGB")
    opaque = _on_background(scaled, settings.background, steps)
    return _in_srgb(opaque, steps), tuple(steps)


def _to_eight_bits(image: Image.Image, window: tuple[float, float] | None, steps: list[str]) -> Image.Image:
    """A picture of 16 bits, 32 bits or floats scaled by its range."""
    if image.mode not in {*_DEEP, "I", "F"}:
        return image
    if image.has_transparency_data:
        raise EncoderError(f"it is {image.mode} with a transparent value; save it with 8 bits or without transparency")
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise EncoderError("it has values that are not finite; replace them")
    low, high = window or _range_of(image.mode, values)
    steps.append(f"{image.mode} scaled from {low:g}..{high:g} to 8 bits")
    return Image.fromarray(np.rint((values - low).clip(0, high - low) * (EIGHT_BITS / (high - low))).astype(np.uint8))


def _range_of(mode: str, values: NDArray[np.float64]) -> tuple[float, float]:
    """The range of a type; a picture of 32 bits whose values need no more than 16 is one of 16 bits."""
    low, high = float(values.min()), float(values.max())
    top = 1.0 if mode == "F" else 65_535.0
    if low < 0 or high > top:
        raise EncoderError(f"its values go from {low:g} to {high:g}; say with encoder window which are black and white")
    return 0.0, top


def _on_background(image: Image.Image, background: str, steps: list[str]) -> Image.Image:
    """The picture on a colour, where anything of it is transparent."""
    if not image.has_transparency_data:
        return image
    layered = image.convert("RGBA")
    if layered.getchannel("A").getextrema() == (EIGHT_BITS, EIGHT_BITS):
        return layered.convert("RGB")
    steps.append(f"transparency on {background}")
    return Image.alpha_composite(Image.new("RGBA", layered.size, background), layered).convert("RGB")


def _in_srgb(image: Image.Image, steps: list[str]) -> Image.Image:
    """The picture as RGB; CMYK and LAB by the colour profile that they carry, where they do."""
    if image.mode in _PLAIN:
        return image.convert("RGB")
    steps.append(f"{image.mode} to RGB")
    profile = image.info.get("icc_profile")
    if image.mode in _PROFILED and profile:
        steps[-1] += " by its colour profile"
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        if converted is not None:
            return converted
    return image.convert("RGB")
