import hashlib
import io
import pickle
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import scipy.stats
import torch
from torchvision.datasets import CIFAR10

from soft_labels.annotations.cifar10h import CLASS_NAMES, hard_subset, read_cifar10h
from soft_labels.distributions import label_distribution, normalized_entropy
from soft_labels.errors import ConfigError, DataError

COUNTS = Path("cifar10h", "data", "cifar10h-counts.npy")
LABELS = COUNTS.with_name("cifar10-test-labels.npy")


@pytest.fixture
def root(tiny_cifar10h_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_cifar10h_root, tmp_path / "root"))


def test_all_images_in_test_order(tiny_cifar10h_root: Path) -> None:
    data = read_cifar10h(tiny_cifar10h_root, hard=False)
    assert (data.name, data.modality, data.class_names) == ("cifar10h", "image", CLASS_NAMES)
    assert (data.uids[0], data.uids[-1], len(data)) == ("00000", "00059", 60)
    assert data.inputs[7] == tiny_cifar10h_root / "cifar10h" / "cifar10-test" / "00007.jpg"
    np.testing.assert_array_equal(data.label_counts.numpy(), np.load(tiny_cifar10h_root / COUNTS))


def test_the_hard_subset_keeps_uid_input_and_counts_together(tiny_cifar10h_root: Path) -> None:
    data = read_cifar10h(tiny_cifar10h_root, per_bin=3)
    counts = np.load(tiny_cifar10h_root / COUNTS)
    assert data.name == "cifar10h-hard"
    assert 10 < len(data) <= 30
    assert [path.stem for path in data.inputs if isinstance(path, Path)] == list(data.uids)
    np.testing.assert_array_equal(data.label_counts.numpy(), counts[[int(uid) for uid in data.uids]])


def test_the_draw_follows_its_rule(tiny_cifar10h_root: Path) -> None:
    counts = np.load(tiny_cifar10h_root / COUNTS)
    entropies = scipy.stats.entropy(counts, axis=1) / np.log(10)
    low, high = entropies.min(), entropies.max()
    bin_of = np.floor((entropies - low) / (high - low) * 10).astype(int)
    drawn = hard_subset(torch.from_numpy(counts).double(), per_bin=4)
    assert drawn == sorted(set(drawn))
    sizes = np.bincount(bin_of, minlength=11)
    np.testing.assert_array_equal(np.bincount(bin_of[drawn], minlength=11), [*np.minimum(sizes[:10], 4), 0])


def test_the_seed_decides_the_draw(tiny_cifar10h_root: Path) -> None:
    counts = torch.from_numpy(np.load(tiny_cifar10h_root / COUNTS)).double()
    assert hard_subset(counts, per_bin=3, seed=5) == hard_subset(counts, per_bin=3, seed=5)
    assert hard_subset(counts, per_bin=3, seed=5) != hard_subset(counts, per_bin=3, seed=6)


def test_a_draw_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0 and 10"):
        hard_subset(torch.ones(5, 10), per_bin=0)
    with pytest.raises(DataError, match="same entropy"):
        hard_subset(torch.ones(5, 10))


def test_png_images_are_found_too(root: Path) -> None:
    first = root / "cifar10h" / "cifar10-test" / "00000.jpg"
    first.rename(first.with_suffix(".png"))
    assert read_cifar10h(root, hard=False).inputs[0] == first.with_suffix(".png")


def test_missing_images_are_counted_and_named(root: Path) -> None:
    (root / "cifar10h" / "cifar10-test" / "00003.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 60 images are missing, the first is 00003\.jpg"):
        read_cifar10h(root, hard=False)


@pytest.mark.parametrize("images", ["auto", "torchvision"])
def test_no_images_at_all_names_both_places(root: Path, images: str) -> None:
    shutil.rmtree(root / "cifar10h" / "cifar10-test")
    with pytest.raises(DataError) as caught:
        read_cifar10h(root, images=images)  # type: ignore[arg-type]
    for words in ("cifar10h/cifar10-test", "cifar10h/cifar-10-batches-py", "data fetch cifar10h"):
        assert words in str(caught.value)


def test_a_demanded_folder_must_be_there(root: Path) -> None:
    shutil.rmtree(root / "cifar10h" / "cifar10-test")
    with pytest.raises(DataError, match="cifar10-test not found"):
        read_cifar10h(root, images="folder")


def test_counts_in_another_order_than_the_labels_are_refused(root: Path) -> None:
    np.save(root / COUNTS, np.load(root / COUNTS)[::-1])
    with pytest.raises(DataError, match="not in the order of CIFAR-10's test set"):
        read_cifar10h(root)


def test_damaged_counts_are_refused(root: Path) -> None:
    np.save(root / COUNTS, np.ones((60, 9)))
    with pytest.raises(DataError, match=r"10 columns, got float64 of shape \(60, 9\)"):
        read_cifar10h(root)
    np.save(root / COUNTS, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="no NumPy array"):
        read_cifar10h(root)


def test_labels_for_other_images_are_refused(root: Path) -> None:
    np.save(root / LABELS, np.zeros(59, dtype=np.uint8))
    with pytest.raises(DataError, match=r"one label for each of 60 rows of counts, got shape \(59,\)"):
        read_cifar10h(root)


def write_batches(folder: Path, labels: list[int], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A small test batch in CIFAR-10's own format, whose digests torchvision is told to expect."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
    digests = {}
    for name, content in (
        ("test_batch", {"data": pixels, "labels": labels}),
        ("batches.meta", {"label_names": list(CLASS_NAMES)}),
    ):
        payload = pickle.dumps(content)
        (folder / name).write_bytes(payload)
        digests[name] = hashlib.md5(payload, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", digests["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": digests["batches.meta"]})
    return pixels


def test_torchvisions_own_files_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = write_batches(root / "cifar10h" / "cifar-10-batches-py", np.load(root / LABELS).tolist(), monkeypatch)
    data = read_cifar10h(root, per_bin=2, images="torchvision")
    for uid, image in zip(data.uids, data.inputs, strict=True):
        assert isinstance(image, np.ndarray)
        np.testing.assert_array_equal(image, pixels[int(uid)].reshape(3, 32, 32).transpose(1, 2, 0))


def test_torchvisions_labels_must_agree(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_batches(root / "cifar10h" / "cifar-10-batches-py", [0] * 60, monkeypatch)
    with pytest.raises(DataError, match="agree with only 10% of the labels"):
        read_cifar10h(root, images="torchvision")


class TestRealSet:
    SIZES: ClassVar = [200, 200, 200, 200, 150, 93, 37, 20, 3]

    def test_the_hard_subset_is_the_papers_size(self, shared_data: Path) -> None:
        data = read_cifar10h(shared_data)
        assert len(data) == sum(self.SIZES) == 1103
        entropies = normalized_entropy(label_distribution(data.label_counts))
        assert round(entropies.mean().item(), 3) == 0.243

    def test_only_the_most_disputed_image_falls_out(self, shared_data: Path) -> None:
        everything = read_cifar10h(shared_data, hard=False)
        entropies = normalized_entropy(label_distribution(everything.label_counts))
        drawn = hard_subset(everything.label_counts, per_bin=10_000)
        assert set(range(10_000)) - set(drawn) == {int(entropies.argmax())}
        assert (round(entropies.mean().item(), 3), round(entropies.max().item(), 3)) == (0.067, 0.861)


def header(shape: tuple[int, ...]) -> bytes:
    written = io.BytesIO()
    np.lib.format.write_array_header_1_0(written, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return written.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        header((10**11, 10)) + bytes(80),
        header((60, 10)) + bytes(80),
        b"",
        b"PK\x03\x04" + bytes(99),
        b"\x93NUMPY\1\0\xff\xff" + b"(" * 65_535,
    ],
    ids=["7 TiB", "cut", "empty", "archive", "nested"],
)
def test_an_odd_array_is_one_message(root: Path, content: bytes) -> None:
    (root / COUNTS).write_bytes(content)
    with pytest.raises(DataError, match=r"cifar10h-counts\.npy: no NumPy array \("):
        read_cifar10h(root)
