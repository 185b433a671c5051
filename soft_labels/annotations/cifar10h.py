"""CIFAR-10H: about 51 annotations for each of CIFAR-10's 10,000 test images, and its hard subset.

Source: Peterson, Battleday, Griffiths and Russakovsky (2019), "Human uncertainty makes classification more robust".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.annotations.base import AnnotatedData, ImageInput
from soft_labels.annotations.layout import find, locate, places, remedy
from soft_labels.distributions import label_distribution, normalized_entropy
from soft_labels.errors import ConfigError, DataError

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LEAST_AGREEMENT = 0.9
ImageSource = Literal["auto", "folder", "torchvision"]


def read_cifar10h(
    root: Path,
    *,
    hard: bool = True,
    per_bin: int = 200,
    bins: int = 10,
    seed: int = 0,
    images: ImageSource = "auto",
) -> AnnotatedData:
    """Read CIFAR-10H, by default the subset CIFAR-10H-Hard; a uid is the index in CIFAR-10's test set, ``00042``.

    Args:
        root: Folder that holds ``cifar10h/``, or that folder itself. In it are ``data/cifar10h-counts.npy`` and the
            test images, as ``cifar10-test/00000.jpg`` (or ``.png``) and so on, or as torchvision's
            ``cifar-10-batches-py/``.
        hard: Whether to draw the hard subset (:func:`hard_subset`) or read all images.
        per_bin: Hard subset: images drawn from each bin at most.
        bins: Hard subset: bins of entropy.
        seed: Hard subset: of the draw.
        images: Which images to take; ``auto`` takes the folder where there is one.

    Returns:
        Inputs are paths from the folder (no image is opened here) or arrays from torchvision.

    Raises:
        ConfigError: ``per_bin`` or ``bins`` is below 1.
        DataError: Counts or images are missing or malformed, or the counts contradict CIFAR-10's labels.
    """
    counts = _read_counts(locate(root, "cifar10h", "data", "cifar10h-counts.npy"))
    chosen = hard_subset(counts, per_bin, bins, seed) if hard else list(range(len(counts)))
    folder = find(root, "cifar10h", "cifar10-test")
    if images == "folder" or (images == "auto" and folder is not None):
        labels = find(root, "cifar10h", "data", "cifar10-test-labels.npy")
        if labels is not None:
            _check_labels(counts, _load(labels), str(labels))
        inputs = _from_folder(locate(root, "cifar10h", "cifar10-test") if folder is None else folder, chosen)
    else:
        inputs = _from_torchvision(root, counts, chosen)
    return AnnotatedData(
        name="cifar10h-hard" if hard else "cifar10h",
        uids=tuple(f"{index:05d}" for index in chosen),
        inputs=inputs,
        label_counts=counts[chosen],
        class_names=CLASS_NAMES,
        modality="image",
    )


def hard_subset(label_counts: Tensor, per_bin: int = 200, bins: int = 10, seed: int = 0) -> list[int]:
    """Draw items evenly over entropy, since most images of CIFAR-10H are beyond dispute.

    Equal-width bins, closed below and open above, run from the smallest to the largest normalized entropy; of each
    at most ``per_bin`` items are drawn without replacement. So the items of the largest entropy fall in no bin: that
    is how the 10,000 images give the paper's 1,103 (a closed last bin would give 1,104).

    Args:
        label_counts: ``[N, C]``.
        per_bin: Items of each bin at most.
        bins: Number of bins.
        seed: Of NumPy's default generator.

    Returns:
        Ascending indices.

    Raises:
        ConfigError: ``per_bin`` or ``bins`` is below 1.
        DataError: All items have the same entropy, so that there is nothing to bin.
    """
    if per_bin < 1 or bins < 1:
        raise ConfigError(f"the hard subset wants per_bin and bins of at least 1, got {per_bin} and {bins}")
    entropies = normalized_entropy(label_distribution(label_counts)).numpy()
    edges = np.linspace(entropies.min(), entropies.max(), bins + 1)
    if edges[0] == edges[-1]:
        raise DataError(f"all {len(entropies)} items have the same entropy; read the whole set with hard=false")
    bin_of = np.digitize(entropies, edges) - 1
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(bin_of == index) for index in range(bins)]
    drawn = [generator.choice(items, min(per_bin, len(items)), replace=False) for items in members if len(items)]
    return sorted(np.concatenate(drawn).tolist())


def _load(path: Path) -> NDArray[np.generic]:
    """An array, never a pickle."""
    try:
        with path.open("rb") as file:  # np.load would take archives as well
            array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise DataError(f"{path}: no NumPy array ({error}). {remedy('cifar10h')}") from error
    return array


def _read_counts(path: Path) -> Tensor:
    """The counts, ``[N, 10]`` float64."""
    counts = _load(path)
    if counts.ndim != 2 or counts.shape[1] != len(CLASS_NAMES) or counts.dtype.kind not in "iuf":
        raise DataError(
            f"{path}: wanted a table of numbers with {len(CLASS_NAMES)} columns, got {counts.dtype} of shape "
            f"{counts.shape}. {remedy('cifar10h')}"
        )
    return torch.from_numpy(counts.astype(np.float64))


def _check_labels(counts: Tensor, labels: NDArray[np.generic], source: str) -> None:
    """Counts and images are in the same order: annotators agree with CIFAR-10 on 99% of its test images."""
    if labels.shape != (len(counts),):
        raise DataError(
            f"{source}: wanted one label for each of {len(counts)} rows of counts, got shape {labels.shape}"
        )
    agreement = float(np.mean(counts.argmax(1).numpy() == labels))
    if agreement < LEAST_AGREEMENT:
        raise DataError(
            f"{source}: the annotators agree with only {agreement:.0%} of the labels; counts and images are not in "
            "the order of CIFAR-10's test set"
        )


def _from_folder(folder: Path, chosen: Sequence[int]) -> list[ImageInput]:
    """The path of each chosen image."""
    there = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in {".jpg", ".png"}}
    missing = [f"{index:05d}" for index in chosen if f"{index:05d}" not in there]
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} of {len(chosen)} images are missing, the first is {missing[0]}.jpg (or .png). "
            f"Complete the folder or remove it. {remedy('cifar10h')}"
        )
    return [there[f"{index:05d}"] for index in chosen]


def _from_torchvision(root: Path, counts: Tensor, chosen: Sequence[int]) -> list[ImageInput]:
    """The array of each chosen image, ``uint8`` ``[32, 32, 3]``, from the files that torchvision downloads."""
    from torchvision.datasets import CIFAR10

    batches = find(root, "cifar10h", CIFAR10.base_folder)
    try:
        dataset = CIFAR10(root=batches.parent if batches else root, train=False, download=False)
    except RuntimeError as error:
        wanted = places(root, "cifar10h", "cifar10-test") + places(root, "cifar10h", CIFAR10.base_folder)
        looked = "".join(f"\n  {place}" for place in wanted)
        raise DataError(f"cifar10h: no images, or damaged ones; looked for{looked}\n{remedy('cifar10h')}") from error
    _check_labels(counts, np.asarray(dataset.targets), str(batches))
    return [dataset.data[index] for index in chosen]
