import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, cast

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import save_file

from soft_labels.errors import in_words
from soft_labels.files import PARTIAL_PREFIX, NamedLock, write_text, written_folder, written_whole
from tests.conftest import REPOSITORY, Mount, started


def test_a_file_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "result.json"
    with written_whole(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
        assert partial.parent == path.parent
        assert partial.suffix == ".json"
        assert partial.name.startswith(PARTIAL_PREFIX)
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_text(path, "old")

    def stop_half_way() -> None:
        with written_whole(path) as partial:
            partial.write_text("ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        stop_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_anything_is_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "result.txt"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


WRITES_FOR_EVER = """
import sys, time
from pathlib import Path
from soft_labels.files import written_whole
with written_whole(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    print(partial, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    def writer(name: str) -> AbstractContextManager["subprocess.Popen[str]"]:
        return started(sys.executable, "-c", WRITES_FOR_EVER, tmp_path / name, stdout=-1, text=True, cwd=REPOSITORY)

    def partial_of(process: "subprocess.Popen[str]") -> Path:
        with cast("IO[str]", process.stdout) as said:
            return Path(said.readline().strip())

    elsewhere = tmp_path / f"{PARTIAL_PREFIX}another-machine.1-abc-best.ckpt"
    elsewhere.touch()
    with writer("best.ckpt") as killed, writer("other.ckpt") as living:
        left, kept = partial_of(killed), partial_of(living)
        killed.kill()
        killed.wait()
        assert left.read_text() == kept.read_text() == "half"
        write_text(tmp_path / "split.json", "{}")
        assert {path.name for path in tmp_path.iterdir()} == {"split.json", kept.name, elsewhere.name}


def test_text_replaces_text_as_utf8(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_text(path, "old and longer")
    write_text(path, "né")
    assert path.read_bytes() == "né".encode()


NUMBERS = np.arange(100_000, dtype=np.float64)


def save_tensor(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        torch.save(torch.from_numpy(NUMBERS), file)


WRITERS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: path.write_bytes(NUMBERS.tobytes()),
    "safetensors": lambda path: save_file({"numbers": NUMBERS}, path),
    "torch": save_tensor,
    "polars": lambda path: pl.DataFrame({"numbers": NUMBERS}).write_csv(path),
    "numpy": lambda path: np.save(path.with_suffix(".npy"), NUMBERS),
}


def refused(path: Path, writer: Callable[[Path], object]) -> OSError:
    def attempt() -> None:
        with written_whole(path) as partial:
            writer(partial)

    with pytest.raises(OSError, match=r"Errno \d+") as caught:
        attempt()
    return caught.value


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_said_of_the_file_and_leaves_the_old_one(small_disk: Mount, name: str) -> None:
    folder = small_disk("100k")
    path = folder / "result.npy"
    write_text(path, "old")
    error = refused(path, WRITERS[name])
    assert (error.errno, error.filename) == (errno.ENOSPC, str(path))
    assert f"{path}: No space left on device; make room there" in (in_words(error) or "")
    assert path.read_text() == "old"
    assert list(folder.iterdir()) == [path]


def test_a_disk_without_room_for_a_name_and_one_that_is_read_only_are_named_too(small_disk: Mount) -> None:
    full, fixed = small_disk("nr_inodes=2"), small_disk("ro")
    write_text(full / "one", "whole")
    error = refused(full / "two", WRITERS["bytes"])
    assert (error.errno, error.filename) == (errno.ENOSPC, str(full / "two"))
    error = refused(fixed / "new" / "one", WRITERS["bytes"])
    assert (error.errno, error.filename) == (errno.EROFS, str(fixed / "new"))


def test_a_file_that_may_not_grow_so_large_is_named(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        error = refused(tmp_path / "large", WRITERS["bytes"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert (error.errno, error.filename) == (errno.EFBIG, str(tmp_path / "large"))
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_file_stays_what_it_is(tmp_path: Path) -> None:
    error = refused(tmp_path / "result", lambda path: (tmp_path / "input").read_text())
    assert (error.errno, error.filename) == (errno.ENOENT, str(tmp_path / "input"))


def test_bytes_are_on_the_disk_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else shows it but a power cut."""
    path, events, flush = tmp_path / "result", list[str](), os.fsync

    def fsync(handle: int) -> None:
        flushed = Path(f"/proc/self/fd/{handle}").readlink()
        there = path.read_text() if path.exists() else "nothing"
        events.append(f"{'folder' if flushed == tmp_path else flushed.read_text()} flushed, {there} there")
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(path, "new")
    assert events == ["new flushed, nothing there", "folder flushed, new there"]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_every_writer_leaves_the_mode_of_a_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        for name in ("bytes", "safetensors", "polars"):
            with written_whole(tmp_path / name) as partial:
                WRITERS[name](partial)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~mask}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_locks_that_a_file_system_does_not_know_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """No local file system is without locks, so the system's answer is made up."""

    def flock(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match=r"Errno \d+") as caught, NamedLock(tmp_path / ".lock"):
        pass
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / ".lock"))
    assert "run the same command again" in (in_words(caught.value) or "")


def test_a_named_lock_is_one(tmp_path: Path) -> None:
    with NamedLock(tmp_path / ".lock"), pytest.raises(TimeoutError), NamedLock(tmp_path / ".lock", blocking=False):
        pass


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> None:
        with written_folder(tmp_path / "new") as partial:
            (partial / "one").write_text("1")
            assert not (tmp_path / "new").exists()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert list(tmp_path.iterdir()) == []
    with written_folder(tmp_path / "new") as partial:
        (partial / "one").write_text("1")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new" / "one").read_text() == "1"
