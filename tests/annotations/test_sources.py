import hashlib
import io
import pickle
import re
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import get_args

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from soft_labels.annotations import sources
from soft_labels.annotations.download import RemoteFile, RetryPolicy
from soft_labels.annotations.sources import CHAOSNLI, CIFAR10H, LICENCES, POPQUORN, SOURCES, DatasetName, fetch_dataset
from soft_labels.errors import DownloadError

QUICK = RetryPolicy(attempts=1)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the loopback address that serves it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "mirror"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_data_set_has_files_and_a_licence() -> None:
    names = set(get_args(DatasetName))
    assert set(SOURCES) == names
    assert set(LICENCES) == names
    assert "CC BY-NC 4.0" in LICENCES["chaosnli"]
    assert "CC BY-NC-SA 4.0" in LICENCES["cifar10h"]


@pytest.mark.parametrize("file", [*CHAOSNLI, *POPQUORN, *CIFAR10H], ids=lambda file: Path(file.path).name)
def test_addresses_are_pinned_to_a_commit(file: RemoteFile) -> None:
    for url in file.urls:
        name = re.escape(Path(file.path).name)
        assert re.fullmatch(rf"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{{40}}/.*{name}", url)
    assert len(set(file.urls)) == len(file.urls) > 0


@pytest.mark.parametrize("file", [*CHAOSNLI, *CIFAR10H], ids=lambda file: Path(file.path).name)
def test_the_real_files_have_the_pinned_digests(file: RemoteFile, shared_data: Path) -> None:
    assert file.matches(shared_data / file.path)


def test_what_is_there_is_not_fetched(shared_data: Path) -> None:
    folder = shared_data / "chaosnli/chaosNLI_v1.0"
    assert fetch_dataset("chaosnli", shared_data, retry=QUICK) == [
        folder / "chaosNLI_snli.jsonl",
        folder / "chaosNLI_mnli_m.jsonl",
    ]


def test_numbered_images_stand_in_for_the_official_archive(shared_data: Path) -> None:
    assert fetch_dataset("cifar10h", shared_data, retry=QUICK) == [
        shared_data / "cifar10h/data/cifar10h-counts.npy",
        shared_data / "cifar10h/cifar10-test",
    ]


def tiny_archive(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A CIFAR-10 archive of two images a batch, whose checksums torchvision is told to expect."""
    batch = {"data": np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072), "labels": [3, 5]}
    members = {"data_batch_1": batch, "test_batch": batch, "batches.meta": {"label_names": ["a", "b"]}}
    packed = {name: pickle.dumps(value) for name, value in members.items()}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in packed.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    md5 = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in packed.items()}
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", md5["data_batch_1"]]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5["batches.meta"]})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(stream.getvalue(), usedforsecurity=False).hexdigest())
    return stream.getvalue()


@pytest.fixture
def tiny_mirror(mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a mirror that serves tiny files in place of the official ones."""
    folder, address = mirror
    for key, content in {"counts.npy": b"counts", "images.tar.gz": tiny_archive(monkeypatch)}.items():
        (folder / key).write_bytes(content)
    monkeypatch.setattr(CIFAR10, "url", f"{address}/absent.tar.gz")
    digest = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    counts = RemoteFile(CIFAR10H[0].path, (f"{address}/counts.npy",), sha256=digest["counts.npy"])
    images = RemoteFile(sources.CIFAR10_IMAGES.path, (f"{address}/images.tar.gz",), sha256=digest["images.tar.gz"])
    monkeypatch.setattr(sources, "SOURCES", {**SOURCES, "cifar10h": (counts,)})
    monkeypatch.setattr(sources, "CIFAR10_IMAGES", images)
    return folder


def test_images_come_through_torchvision(tiny_mirror: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    wanted = [root / "cifar10h/data/cifar10h-counts.npy", root / "cifar10h/cifar-10-batches-py"]
    assert fetch_dataset("cifar10h", root, retry=QUICK) == wanted
    assert CIFAR10(root / "cifar10h", train=False).targets == [3, 5]
    for file in tiny_mirror.iterdir():
        file.unlink()
    (root / "cifar10h/cifar-10-python.tar.gz").unlink()
    assert fetch_dataset("cifar10h", root, retry=QUICK) == wanted


def test_damaged_images_are_unpacked_again(tiny_mirror: Path, tmp_path: Path) -> None:
    batch = fetch_dataset("cifar10h", tmp_path, retry=QUICK)[1] / "test_batch"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:100])
    fetch_dataset("cifar10h", tmp_path, retry=QUICK)
    assert batch.read_bytes() == whole


def test_absent_images_are_an_error_with_the_address_and_the_folder(tiny_mirror: Path, tmp_path: Path) -> None:
    (tiny_mirror / "images.tar.gz").unlink()
    with pytest.raises(DownloadError, match=r"images\.tar\.gz: HTTP status 404") as caught:
        fetch_dataset("cifar10h", tmp_path, retry=QUICK)
    assert f"save it as cifar-10-python.tar.gz in the folder {tmp_path / 'cifar10h'}" in str(caught.value)


def test_an_archive_that_cannot_be_unpacked_is_an_error(tiny_mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "cifar10h").mkdir()
    (tmp_path / "cifar10h/cifar-10-batches-py").write_text("a file where a folder belongs")
    with pytest.raises(DownloadError, match="could not be unpacked"):
        fetch_dataset("cifar10h", tmp_path, retry=QUICK)
