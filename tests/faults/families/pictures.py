"""Pictures of all odd kinds: read with the right values, or refused by name."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from soft_labels.encoders.images import PictureSettings, open_rgb
from tests.faults.case import Case, Check, Outcome
from tests.faults.damage import OF_ANY_FILE, Damage, a_folder, gone, of_file, unreadable, writing

KIND = "pictures"
EMBED = ("embed", "--config", "pictures.yaml")
ONE = "pictures/c03.png"
RAMP = np.linspace(0, 65_535, 64).reshape(8, 8)


def encoded(picture: Image.Image | np.ndarray[Any, Any], kind: str, **options: Any) -> bytes:
    """A picture as the bytes of a file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is that large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


COLOURS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
AVIF = encoded(COLOURS, "AVIF")
FRAMES = [Image.new("L", (8, 8), value) for value in (10, 200)]
SCAN = np.arange(-1_024, 3_072, 64, dtype=np.int32).reshape(8, 8)
BAD: dict[str, tuple[bytes, str]] = {
    "a cut AVIF": (AVIF[: len(AVIF) * 2 // 3], "c03.png"),
    "a BLP without its content": (b"BLP2" + struct.pack("<iBBBBII", 1, 9, 9, 9, 9, 4, 4) + bytes(2_000), "c03.png"),
    "a DDS of nothing": (b"DDS " + b"\xff" * 200, "c03.png"),
    "a cut JPEG": (encoded(COLOURS, "JPEG")[:300], "c03.png"),
    "a JPEG's beginning": (b"\xff\xd8\xff\xe0", "c03.png"),
    "a cut TIFF": (encoded(COLOURS, "TIFF")[:100], "c03.png"),
    "a cut WebP": (encoded(COLOURS, "WEBP")[:60], "c03.png"),
    "a cut GIF": (encoded(COLOURS, "GIF")[:40], "c03.png"),
    "an SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "c03.png"),
    "a PDF": (b"%PDF-1.4\n", "c03.png"),
    "a page of HTML": (b"<!doctype html><title>404</title>", "c03.png"),
    "an EPS that would start Ghostscript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(made) (w) file closefile\nshowpage\n",
        "c03.png",
    ),
    "a PNG of 2**31 pixels a side": (png_of(2**31 - 1, 2**31 - 1), "c03.png"),
    "a bomb of 400 megapixels": (png_of(20_000, 20_000), "c03.png"),
    "a PNG of no pixels": (png_of(0, 0), "c03.png"),
    "a PNG with another checksum": (encoded(COLOURS, "PNG").replace(b"IDAT", b"IDAX"), "c03.png"),
    "two frames": (encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]), "2 frames"),
    "a GIF that moves": (encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), "2 frames"),
    "an APNG that moves": (encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]), "2 frames"),
    "a scan below zero": (encoded(SCAN, "TIFF"), "window"),
    "floats beyond 1": (encoded(SCAN.astype(np.float32), "TIFF"), "window"),
    "floats that are no number": (encoded(np.where(RAMP > 9, np.nan, RAMP).astype(np.float32), "TIFF"), "finite"),
    "16 bits with transparency": (encoded(RAMP.astype(np.uint16), "PNG", transparency=0), "transparent"),
}  # fmt: skip


def decoded(wanted: np.ndarray[Any, Any], within: float = 1.0, settings: PictureSettings | None = None) -> Check:
    """What encoders read of the picture."""

    def check(outcome: Outcome, folder: Path) -> None:
        got = np.asarray(open_rgb(folder / ONE, settings or PictureSettings())[0]).astype(float)
        assert np.abs(got - wanted[..., None] if wanted.ndim == 2 else got - wanted).max() <= within

    return check


ALPHA = np.where(np.arange(64).reshape(8, 8) % 3 == 0, 255, 0).astype(np.uint8)
CLEAR = np.dstack([np.zeros((8, 8, 3), np.uint8), ALPHA])
WELL: dict[str, tuple[bytes, Check, tuple[str, ...]]] = {
    "16 bits": (encoded(RAMP.astype(np.uint16), "PNG"), decoded(RAMP / 257), ()),
    "16 bits of TIFF": (encoded(RAMP.astype(np.uint16), "TIFF"), decoded(RAMP / 257), ()),
    "32 bits that need 16": (encoded(RAMP.astype(np.int32), "TIFF"), decoded(RAMP / 257), ()),
    "floats": (encoded((RAMP / 65_535).astype(np.float32), "TIFF"), decoded(RAMP / 257), ()),
    "a drawing on transparent": (encoded(CLEAR, "PNG"), decoded(255.0 - ALPHA), ()),
    "transparent WebP": (encoded(CLEAR, "WEBP", lossless=True), decoded(255.0 - ALPHA), ()),
    "on another background": (
        encoded(CLEAR, "PNG"), decoded(100 * (1 - ALPHA / 255.0), 1.0, PictureSettings(background="#646464")),
        ("--data.encoder.background=646464",),
    ),
    "a scan in its window": (
        encoded(SCAN, "TIFF"),
        decoded(((SCAN + 160) / 400).clip(0, 1) * 255, 1.0, PictureSettings(window=(-160, 240))),
        ("--data.encoder.window=[-160,240]",),
    ),
    "one of two frames": (
        encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]),
        decoded(np.full((8, 8), 200.0), 1.0, PictureSettings(frame=1)), ("--data.encoder.frame=1",),
    ),
    "one bit": (encoded(Image.fromarray(ALPHA > 0), "PNG"), decoded(ALPHA.astype(float)), ()),
    "grey": (encoded(ALPHA, "PNG"), decoded(ALPHA.astype(float)), ()),
    "a palette": (encoded(Image.fromarray(COLOURS).quantize(64), "PNG"),
                  decoded(np.asarray(Image.fromarray(COLOURS).quantize(64).convert("RGB")).astype(float)), ()),
    "a whole AVIF": (AVIF, decoded(np.asarray(Image.open(BytesIO(AVIF)).convert("RGB")).astype(float)), ()),
    "BMP by another name": (encoded(COLOURS, "BMP"), decoded(COLOURS.astype(float)), ()),
}  # fmt: skip
SETTINGS = {
    "a window of one value": ("--data.encoder.window=[5,5]", "window"),
    "a window that is no number": ("--data.encoder.window=[.nan,5]", "window"),
    "a background that is none": ("--data.encoder.background=chartreusish", "background"),
    "a frame below zero": ("--data.encoder.frame=-1", "frame"),
    "a size of zero": ("--data.encoder.image_size=0", "image_size"),
    "a size of a million": ("--data.encoder.image_size=1000000", "image_size|memory"),
    "a model that is none": ("--data.encoder.model=packaged:nothing", "nothing"),
    "a model of a folder": ("--data.encoder.model=local-dir:/etc", "wanted packaged"),
    "a device that is none": ("--data.encoder.device=warp9", "warp9|device"),
}


def _named(name: str) -> Damage:
    """The picture of an item by another path in the table."""

    def spoil(folder: Path) -> None:
        path = folder / "pictures.csv"
        path.write_text(path.read_text().replace("pictures/c03.png", name))

    return spoil


def cases() -> list[Case]:
    """All of the kind."""
    damaged = [
        Case(KIND, f"a picture, {damage.__name__}", EMBED, "c03.png", of_file(ONE, damage))
        for damage in (*OF_ANY_FILE, gone, a_folder, unreadable)
    ]
    bad = [Case(KIND, name, EMBED, says, writing(ONE, content)) for name, (content, says) in BAD.items()]
    well = [
        Case(KIND, name, (*EMBED, *options), None, writing(ONE, content), check)
        for name, (content, check, options) in WELL.items()
    ]
    encoder = "soft_labels.encoders.TimmEncoder"
    settings = [
        Case(KIND, name, (*EMBED, f"--data.encoder={encoder}", option), says)
        for name, (option, says) in SETTINGS.items()
    ]
    names = [
        Case(KIND, "a path that is not there", EMBED, "elsewhere.png", _named("elsewhere.png")),
        Case(KIND, "a path of a folder", EMBED, "pictures", _named("pictures")),
        Case(KIND, "an empty path", EMBED, "picture", _named("")),
        Case(KIND, "an address for a path", EMBED, "http", _named("http://127.0.0.1/a.png")),
    ]
    return [*damaged, *bad, *well, *settings, *names]
