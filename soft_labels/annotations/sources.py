"""Where the data sets come from: pinned addresses, digests and licences.

None of the data belongs to this package. Each set keeps its authors' licence, which ``LICENCES`` names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from soft_labels.annotations.download import AGAIN, DEFAULT_RETRY, RemoteFile, RetryPolicy, fetch_file
from soft_labels.errors import DataError, DownloadError

_MEBIBYTE = 2**20
DatasetName = Literal["chaosnli", "popquorn", "cifar10h"]


def _github(repository: str, commit: str, path: str) -> str:
    """The address of a file as it was at a commit, which never changes."""
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"


_BAAN = ("jsbaan/calibration-on-disagreement-data", "990e81cacadac5d0268160d1c02bad19d4ddb9a3")
_GRUBER = ("corneliagru/label-variation-nli", "e63620dfa421ef0babc1ba40ccbf5f7f97deb014")
_SJOLLEMA = ("m-sjollema/languageandainli", "c853233bbf8370e26230ae1ebc8f27f258759a1f")
_POPQUORN = ("Jiaxin-Pei/Potato-Prolific-Dataset", "dbb118c29b3d9bcce5aa172d8249ded9ece4df84")
_CIFAR10H = ("jcpeterson/cifar-10h", "48da312b193b82e6939ec20f23d1f09cbdd849c8")

CHAOSNLI: tuple[RemoteFile, ...] = (
    RemoteFile(
        path="chaosnli/chaosNLI_v1.0/chaosNLI_snli.jsonl",
        urls=(
            _github(*_BAAN, "data/chaosNLI_v1.0/chaosNLI_snli.jsonl"),
            _github(*_GRUBER, "data/raw/chaosNLI_snli.jsonl"),
        ),
        sha256="99f9015ddda7d85f66a087452bc30d53974314fe27e7d589e2f41ad44bd509c1",
        most_bytes=768_107,
    ),
    RemoteFile(
        path="chaosnli/chaosNLI_v1.0/chaosNLI_mnli_m.jsonl",
        urls=(
            _github(*_BAAN, "data/chaosNLI_v1.0/chaosNLI_mnli_m.jsonl"),
            _github(*_SJOLLEMA, "chaosNLI_mnli_m.jsonl"),
        ),
        sha256="8eb49b589488e7b1a9ec95fb8a864bd50f0509b4f808eed0aed3f8167617664d",
        most_bytes=871_731,
    ),
)
"""ChaosNLI v1.0 on SNLI and MNLI-m. The authors' own archive is gone; these are copies with the same bytes."""

POPQUORN: tuple[RemoteFile, ...] = (
    RemoteFile(
        path="popquorn/dataset/politeness_rating/raw_data.csv",
        urls=(_github(*_POPQUORN, "dataset/politeness_rating/raw_data.csv"),),
        git_blob_sha1="3fe516d4e280a94bdd80040681c612a7ff9d10b0",
        most_bytes=32 * _MEBIBYTE,  # an upper bound: about 6 MiB without the annotators' demographics
    ),
)
"""POPQUORN politeness ratings, one a row, from the authors' repository."""

CIFAR10H: tuple[RemoteFile, ...] = (
    RemoteFile(
        path="cifar10h/data/cifar10h-counts.npy",
        urls=(_github(*_CIFAR10H, "data/cifar10h-counts.npy"),),
        sha256="9b36b4550349af56c79083356312eb4af856cc5fd3caf1f669d40b9d0bbb69ff",
        most_bytes=800_128,
    ),
)
"""CIFAR-10H counts in the order of the CIFAR-10 test images, from the authors' repository."""

CIFAR10_IMAGES = RemoteFile(
    path="cifar10h/cifar-10-python.tar.gz",
    urls=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "https://cave.cs.toronto.edu/kriz/cifar-10-python.tar.gz",
    ),
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    most_bytes=163 * _MEBIBYTE,
)
"""The official archive of CIFAR-10 images and labels, 163 MiB, under the name that torchvision looks for."""

SOURCES: Mapping[DatasetName, tuple[RemoteFile, ...]] = {
    "chaosnli": CHAOSNLI,
    "popquorn": POPQUORN,
    "cifar10h": CIFAR10H,
}
"""The annotation files of each data set."""

LICENCES: Mapping[DatasetName, str] = {
    "chaosnli": "ChaosNLI (Nie et al. 2020): CC BY-NC 4.0, https://github.com/easonnie/ChaosNLI",
    "popquorn": "POPQUORN (Pei and Jurgens 2023): see https://github.com/Jiaxin-Pei/Potato-Prolific-Dataset",
    "cifar10h": "CIFAR-10H (Peterson et al. 2019): CC BY-NC-SA 4.0, https://github.com/jcpeterson/cifar-10h",
}
"""Whose data it is and under which licence, for the command to print."""


def datasets_below(root: Path) -> list[DatasetName]:
    """The data sets whose folders lie below a root.

    Raises:
        DataError: None does.
    """
    present = [name for name in LICENCES if (root / name).is_dir()]
    if not present:
        raise DataError(
            f"no data set below {root}: wanted a folder {', '.join(LICENCES)}; "
            'run "soft-labels data fetch NAME --root DIR" or give another --root'
        )
    return present


def fetch_dataset(name: DatasetName, root: Path, *, retry: RetryPolicy = DEFAULT_RETRY) -> list[Path]:
    """Make sure that a data set is there in the layout its reader expects; download what is missing.

    CIFAR-10H also needs the CIFAR-10 test images. They are fetched and unpacked with ``torchvision``, unless a folder
    ``cifar10h/cifar10-test`` of numbered images stands in for them.

    Args:
        name: A key of ``SOURCES``.
        root: The data root, created if need be.
        retry: Attempts and waits for each mirror.

    Returns:
        The annotation files, then for CIFAR-10H the folder of images.

    Raises:
        DownloadError: Something is missing and could not be fetched, or a file has the name but not the pinned content.
    """
    paths = [fetch_file(file, root, retry=retry) for file in SOURCES[name]]
    if name == "cifar10h":
        paths.append(_fetch_images(root, retry))
    return paths


def _fetch_images(root: Path, retry: RetryPolicy) -> Path:
    """The folder of CIFAR-10 images, as numbered files or as the official batches verified by torchvision."""
    from torchvision.datasets import CIFAR10

    folder = root.expanduser() / "cifar10h"
    numbered = folder / "cifar10-test"
    if any(numbered.glob("[0-9]*.*")):
        return numbered
    try:
        CIFAR10(folder, train=False)
    except RuntimeError:  # torchvision's word for absent or damaged
        archive = fetch_file(CIFAR10_IMAGES, root, retry=retry)
        _unpack(archive)
    return folder / "cifar-10-batches-py"


def _unpack(archive: Path) -> None:
    """Let torchvision unpack and verify the archive that is already beside it."""
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(archive.parent, train=False, download=True)
    except (OSError, RuntimeError) as error:
        raise DownloadError(
            f"{archive} could not be unpacked in {archive.parent.resolve()}: {error}; make room, check who may write "
            f"to the folder, and {AGAIN}"
        ) from error
