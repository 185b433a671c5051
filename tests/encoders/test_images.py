"""Pictures of every kind that people have, against arrays that were computed by hand in float64."""

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from soft_labels.embeddings.store import content_key
from soft_labels.encoders.image import TimmEncoder
from soft_labels.encoders.images import PictureSettings, conversions, open_rgb
from soft_labels.errors import EncoderError

RAMP = np.linspace(0, 65_535, 1_024).reshape(32, 32)


def saved(path: Path, picture: Image.Image | NDArray[np.generic], **options: Any) -> Path:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(path, **options)
    return path


def grey(path: Path, settings: PictureSettings | None = None) -> NDArray[np.uint8]:
    pixels = np.asarray(open_rgb(path, settings or PictureSettings())[0])
    assert pixels.shape[2] == 3
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    return pixels[..., 0]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("deep.png", RAMP.astype(np.uint16)),
        ("deep.tif", RAMP.astype(np.uint16)),
        ("wide.tif", RAMP.astype(np.int32)),
        ("float.tif", (RAMP / 65_535).astype(np.float32)),
    ],
)
def test_a_ramp_of_more_than_8_bits_stays_a_ramp(tmp_path: Path, name: str, values: NDArray[np.generic]) -> None:
    pixels = grey(saved(tmp_path / name, values))
    assert np.abs(pixels - RAMP / 257).max() <= 0.51
    assert len(np.unique(pixels)) == 256


def test_a_window_says_what_is_black_and_what_is_white(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.tif", np.arange(-1_024, 3_072, 4, dtype=np.int32).reshape(32, 32))
    with pytest.raises(EncoderError, match=r"scan\.tif: its values go from -1024 to 3068; say with encoder window"):
        open_rgb(path)
    pixels = grey(path, PictureSettings(window=(-160, 240)))
    wanted = ((np.arange(-1_024, 3_072, 4) + 160) / 400).clip(0, 1) * 255
    assert np.abs(pixels.ravel() - wanted).max() <= 0.51


def test_floats_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "holes.tif", np.where(RAMP > 100, np.nan, 0).astype(np.float32))
    with pytest.raises(EncoderError, match=r"holes\.tif: it has values that are not finite"):
        open_rgb(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_a_drawing_on_transparent_is_seen_on_the_background(tmp_path: Path, mode: str) -> None:
    alpha = np.zeros((8, 8), np.uint8)
    alpha[2:6, 2:6] = 255
    alpha[0] = 51 if mode in {"RGBA", "LA"} else 0
    if mode in {"RGBA", "LA"}:
        zeros = np.zeros_like(alpha)
        path = saved(tmp_path / "drawing.png", np.dstack([zeros] * (len(mode) - 1) + [alpha]))
    else:
        picture = Image.fromarray((alpha > 0).astype(np.uint8), "P")
        picture.putpalette([9, 9, 9, 0, 0, 0])
        path = saved(tmp_path / "drawing.png", picture, transparency=0)
    wanted = 255 - alpha.astype(int)
    assert np.abs(grey(path) - wanted).max() <= 1
    assert PictureSettings(background="646464") == PictureSettings(background="#646464")
    assert np.abs(grey(path, PictureSettings(background="#646464")) - 100 * (1 - alpha / 255)).max() <= 1
    assert "transparency on white" in open_rgb(path)[1]


@pytest.mark.parametrize("name", ["p.png", "p.gif", "rgb.png", "l.png", "one.png", "cmyk.jpg", "turned.jpg"])
def test_what_pillow_converts_without_loss_is_as_it_was(tmp_path: Path, name: str) -> None:
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8))
    modes = {"p": colours.quantize(16), "rgb": colours, "l": colours.convert("L"), "one": colours.convert("1")}
    options: dict[str, Any] = {}
    if name == "turned.jpg":
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 3
    path = saved(
        tmp_path / name, modes.get(name[:-4], colours.convert("CMYK") if "cmyk" in name else colours), **options
    )
    with Image.open(path) as image:
        plain = image.convert("RGB").rotate(180 if "turned" in name else 0)
    got, steps = open_rgb(path)
    assert np.array_equal(np.asarray(got), np.asarray(plain))
    assert steps == ({"cmyk.jpg": ("CMYK to RGB",), "p": ("P to RGB",)}.get(name[:-4] if name[0] == "p" else name)
                     or (("turned upright as its EXIF says",) if "turned" in name else ()))  # fmt: skip
    assert content_key(path) == hashlib.sha256(b"image file\0" + path.read_bytes()).digest()


def test_lab_is_read_by_its_profile_and_not_as_if_it_were_srgb(tmp_path: Path) -> None:
    colours = Image.new("RGB", (4, 4), (200, 30, 60))
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    picture = ImageCms.profileToProfile(colours, srgb, lab, outputMode="LAB")
    assert picture is not None
    path = saved(tmp_path / "lab.tif", picture, icc_profile=ImageCms.ImageCmsProfile(lab).tobytes())
    got, steps = open_rgb(path)
    assert np.abs(np.asarray(got).astype(int) - (200, 30, 60)).max() <= 3
    assert steps == ("LAB to RGB by its colour profile",)


def test_several_frames_want_a_choice(tmp_path: Path) -> None:
    frames = [Image.new("L", (4, 4), value) for value in (10, 120, 230)]
    path = saved(tmp_path / "film.tif", frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(EncoderError, match=r"film\.tif: it has 3 frames; say which one with encoder frame"):
        open_rgb(path)
    with pytest.raises(EncoderError, match="encoder frame must be at most 2, got 3"):
        open_rgb(path, PictureSettings(frame=3))
    assert grey(path, PictureSettings(frame=1)).tolist() == [[120] * 4] * 4
    assert open_rgb(path, PictureSettings(frame=1))[1] == ("TIFF frame 1",)


def test_what_was_done_is_counted(tmp_path: Path) -> None:
    deep = [saved(tmp_path / f"{number}.png", RAMP.astype(np.uint16)) for number in range(3)]
    clear = saved(tmp_path / "clear.png", np.zeros((4, 4, 4), np.uint8))
    plain = saved(tmp_path / "plain.png", np.zeros((4, 4, 3), np.uint8))
    assert conversions([*deep, clear, plain]) == {"I;16 scaled from 0..65535 to 8 bits": 3, "transparency on white": 1}


def test_only_pictures_that_are_read_in_another_way_than_before_have_other_keys(tmp_path: Path) -> None:
    plain = saved(tmp_path / "plain.png", np.zeros((4, 4, 3), np.uint8))
    deep = saved(tmp_path / "deep.png", RAMP.astype(np.uint16))
    clear = saved(tmp_path / "clear.png", np.zeros((4, 4, 4), np.uint8))
    kept = [
        content_key(path) == hashlib.sha256(b"image file\0" + path.read_bytes()).digest()
        for path in (plain, deep, clear)
    ]
    assert kept == [True, False, False]
    base = TimmEncoder().fingerprint()
    assert not {"window", "background", "frame"} & set(base)
    others = [TimmEncoder(window=(0, 4_095)), TimmEncoder(background="black"), TimmEncoder(frame=0)]
    assert all(other.fingerprint() != base for other in others)


def broken_blp() -> bytes:
    return b"BLP2" + struct.pack("<iBBBBII", 1, 9, 9, 9, 9, 4, 4) + b"\0" * 2_000


def test_a_picture_that_its_decoder_gives_up_on_is_one_message(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.avif", RAMP.astype(np.uint8)).read_bytes()
    contents = {"cut.avif": whole[: len(whole) * 2 // 3], "odd.blp": broken_blp(), "odd.dds": b"DDS " + b"\xff" * 200}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EncoderError, match=rf"cannot read image .*{name}: .*; replace the file or remove the item"):
            open_rgb(tmp_path / name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": (5, 5)}, "window must be two values, the lower one first, got \\[5, 5\\]"),
        ({"frame": -1}, "frame must be at least 0, got -1"),
        ({"background": "whitish"}, "background must be a colour as white or 808080, got .*whitish"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        TimmEncoder(**settings)  # type: ignore[arg-type]
