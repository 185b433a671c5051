"""A disk that is full after so many pages: one message with the right path, nothing torn, and it goes on with room."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import polars as pl
import pytest
import yaml
from safetensors.numpy import load_file

from soft_labels.annotations import sources
from soft_labels.files import PARTIAL_PREFIX
from soft_labels.runs.store import RecordStore
from soft_labels.training.best import read_checkpoint
from tests.conftest import Mount, resize, write_tiny_experiment
from tests.faults.case import Forks, Outcome

pytestmark = pytest.mark.slow
SIZES = 20 if os.environ.get("SOFT_LABELS_FULL") else 4
PAGE = 4_096
ADDRESS, DIGEST = "SOFT_LABELS_TEST_ADDRESS", "SOFT_LABELS_TEST_DIGEST"
SWITCHES = "--trainer.accelerator=cpu --trainer.enable_progress_bar=false --trainer.enable_model_summary=false"
WIDE = f"--config data.yaml --model.hidden_width=512 --trainer.max_epochs=2 {SWITCHES}"
MANY = "--config data.yaml --sweep points.yaml --study s --trainer.max_epochs=2"
# What writes to the disk, by command: "disk" is where it is mounted.
COMMANDS = {
    "embed": "embed --config data.yaml --data.items=800 --data.store=disk",
    "fit": f"fit {WIDE} --trainer.default_root_dir=disk",
    "compare": f"compare {WIDE} --seeds=1 --trainer.default_root_dir=disk",
    "sweep in memory": f"sweep {MANY} --out disk",
    "sweep on a journal": f"sweep {MANY} --out elsewhere --storage journal:disk/studies",
    "sweep on SQLite": f"sweep {MANY} --out elsewhere --storage sqlite:///disk/studies.db",
    "reproduce": "reproduce --config experiment.yaml --out disk --data.store=store",
    "predict": "predict --config wide.yaml --ckpt_path=best.ckpt --trainer.default_root_dir=disk "
               f"--data.monitor_test=false {SWITCHES}",
    "report": "report out --out disk",
    "data fetch": "data fetch popquorn --root disk",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A folder with what the commands need, and what runs them there."""

    folder: Path
    forks: Forks
    environment: dict[str, str]

    def run(self, command: str, learn: bool = False) -> Outcome:
        """Run one of the commands."""
        prepare = "tests.test_full_disk.fetch_from_loopback" if "fetch" in command else ""
        return self.forks.run(
            self.folder, *command.split(), environment=self.environment, prepare=prepare, learn=learn, seconds=300.0
        )


def fetch_from_loopback() -> None:
    """What the child that fetches calls: the file that is pinned here, at an address of this machine."""
    (usual,) = sources.POPQUORN
    pinned = replace(usual, urls=(os.environ[ADDRESS],), git_blob_sha1=None, sha256=os.environ[DIGEST])
    sources.SOURCES = {**sources.SOURCES, "popquorn": (pinned,)}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Data, a trained head and an experiment; a file on a server of this machine."""
    root = tmp_path_factory.mktemp("disks")
    folder = root / "work"
    folder.mkdir()
    write_tiny_experiment(folder, seeds=2)
    settings = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    settings["data"]["init_args"]["items"] = 900
    (folder / "wide.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    rates = [0.001 * number for number in range(1, 9)]
    grid = {"space": {"model.lr": {"categorical": rates}}, "sampler": "grid", "batch": 2, "grace": 4.0}
    (folder / "points.yaml").write_text(yaml.safe_dump(grid), encoding="utf-8")
    content = os.urandom(150_000)
    (folder / "served").mkdir()
    (folder / "served" / "file").write_bytes(content)
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder / "served"))) as server,
        Forks(root) as forks,
    ):
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/file"
        made = Place(folder, forks, {ADDRESS: address, DIGEST: hashlib.sha256(content).hexdigest()})
        for command in (
            "reproduce --config experiment.yaml --out out",
            f"fit --config wide.yaml --trainer.max_epochs=1 --data.monitor_test=false {SWITCHES}",
        ):
            done = made.run(command, learn=True)
            assert done.code == 0, done.err
        (checkpoint,) = folder.glob("lightning_logs/seeded/*/checkpoints/best.ckpt")
        shutil.copy(checkpoint, folder / "best.ckpt")
        yield made
        server.shutdown()


def mounted(place: Place, small_disk: Mount, size: str) -> Path:
    """A disk of that size as the folder ``disk``."""
    disk = small_disk(size)
    link = place.folder / "disk"
    link.unlink(missing_ok=True)
    link.symlink_to(disk)
    shutil.rmtree(place.folder / "elsewhere", ignore_errors=True)
    return disk


def pages_of(disk: Path) -> int:
    """How many pages a disk holds."""
    used = os.statvfs(disk)
    return int(used.f_blocks - used.f_bfree)


def assert_whole(disk: Path) -> None:
    """Every file can be read by what reads it."""
    for path in disk.rglob("*"):
        assert not path.name.startswith(PARTIAL_PREFIX), path
        if path.suffix == ".ckpt":
            assert read_checkpoint(path)["state_dict"]
        elif path.suffix == ".safetensors":
            assert load_file(path)
        elif path.suffix == ".parquet":
            assert len(pl.read_parquet(path))
        elif path.suffix == ".json":
            assert json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix in {".html", ".svg"}:
            assert path.read_text(encoding="utf-8").rstrip().endswith(("</html>", "</svg>"))
        elif path.name == "predictions.csv":
            assert len(path.read_text(encoding="utf-8").splitlines()) == 901
        elif path.name == "raw_data.csv":
            assert path.stat().st_size == 150_000
    assert RecordStore(disk / "records").read() is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_is_full_at_any_size_is_one_message_and_tears_nothing(
    place: Place, small_disk: Mount, name: str
) -> None:
    command = COMMANDS[name]
    disk = mounted(place, small_disk, "64m")
    done = place.run(command, learn=True)
    assert done.code == 0, done.err
    pages = pages_of(disk)
    sizes = sorted({1 + round(number * (pages - 2) / (SIZES - 1)) for number in range(SIZES)})
    assert len(sizes) == min(SIZES, pages - 1), "every size is another one"
    for number, size in enumerate(sizes):
        disk = mounted(place, small_disk, f"{size * PAGE}")
        done = place.run(command)
        told = f"{size} of {pages} pages: {done.err[-2500:]}"
        assert (done.code, done.err.count("error:"), done.err.count("Traceback")) == (2, 1, 0), told
        message = done.err.partition("soft-labels: error: ")[2]
        where = rf"(^|\s)({disk}|disk)\b[^:\s]*[: ]"
        assert re.search(rf"{where}.*(No space left on device|disk is full).*make room", message, re.DOTALL), told
        assert_whole(disk)
        if number % 5 == 0:
            resize(disk, "size=64m")
            done = place.run(command)
            assert done.code == 0, told + done.err
            assert_whole(disk)
