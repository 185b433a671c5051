"""Real data where it is there, and small generated data in the real layouts. A test that changes files copies them."""

import csv
import hashlib
import io
import json
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from soft_labels.__main__ import main
from soft_labels.annotations import sources
from soft_labels.annotations.download import RemoteFile
from soft_labels.commands.sweep_options import SweepOptions, parse_sweep
from soft_labels.encoders.base import Encoder, EncoderInput, texts_of
from soft_labels.progress import set_quiet

os.environ["SOFT_LABELS_TRUST"] = "tests"  # configurations of these tests name their toys
REPOSITORY = Path(__file__).resolve().parents[1]
NLI_LETTERS = "enc"
NLI_TEXTS = ("someone is outside", "someone waits for a friend", "nobody is there")
DEMOGRAPHICS = ("gender", "race", "age", "occupation", "education")
TOY_SPACE = {"model.lr": {"categorical": [1e-3, 1e-2, 0.1]}, "data.batch_size": {"categorical": [8, 16]}}
TOY_GRID = {
    "space": {
        "model.lr": {"categorical": [1e-2, 1e-3]},
        "data.batch_size": {"categorical": [8, 16]},
        "trainer.max_epochs": {"categorical": [2, 4]},
    },
    "sampler": "grid",
}
TOY_RANDOM = {**TOY_GRID, "sampler": {"class_path": "optuna.samplers.RandomSampler"}, "trials": 3}


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real annotation files are not beside the repository (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def tiny_chaosnli_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 items in two files; each premise serves two items."""
    root = tmp_path_factory.mktemp("chaosnli-root")
    folder = root / "chaosnli" / "chaosNLI_v1.0"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    for subset in ("snli", "mnli_m"):
        lines = [json.dumps(_nli_record(f"{subset}-{index}", index, generator)) for index in range(24)]
        (folder / f"chaosNLI_{subset}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def _nli_record(uid: str, index: int, generator: np.random.Generator) -> dict[str, object]:
    leaning = np.roll([6.0, 1.0, 1.0], index % 3)
    counts = generator.multinomial(100, generator.dirichlet(leaning)).tolist()
    counter = {letter: count for letter, count in zip(NLI_LETTERS, counts, strict=True) if count}
    return {
        "uid": uid,
        "label_counter": counter,
        "majority_label": max(counter, key=counter.__getitem__),
        "label_dist": [count / 100 for count in counts],
        "label_count": counts,
        "entropy": -sum(count / 100 * math.log2(count / 100) for count in counts if count),
        "example": {
            "uid": uid,
            "premise": f"{uid.partition('-')[0]} scene {index // 2}: a person stands by the road.",
            "hypothesis": f"At scene {index // 2} {NLI_TEXTS[index % 3]}.",
            "source": "generated",
        },
        "old_label": "n",
        "old_labels": ["neutral"] * 5,
    }


@pytest.fixture(scope="session")
def tiny_popquorn_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 e-mails, 3 to 8 ratings each, in mixed order."""
    root = tmp_path_factory.mktemp("popquorn-root")
    path = root / "popquorn" / "dataset" / "politeness_rating" / "raw_data.csv"
    path.parent.mkdir(parents=True)
    generator = np.random.default_rng(2)
    rows = [row for item in range(40) for row in _email_rows(item, generator)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["instance_id", "user_id", "text", "politeness", "source", *DEMOGRAPHICS])
        writer.writerows(rows[index] for index in generator.permutation(len(rows)))
    return root


def _email_rows(item: int, generator: np.random.Generator) -> list[list[str]]:
    words = ("Send it.", "I want it.", "I need the file.", "Could you send it?", "Would you kindly send it? Thank you!")
    text = f'Hello "{item}",\n{words[item % 5]}'
    users = generator.choice(30, generator.integers(3, 9), replace=False)
    ratings = np.clip(item % 5 + 1 + generator.integers(-1, 2, len(users)), 1, 5)
    return [
        [str(item), f"user{user}", text, f"{rating}.0", "generated", *[""] * len(DEMOGRAPHICS)]
        for user, rating in zip(users, ratings, strict=True)
    ]


@pytest.fixture(scope="session")
def tiny_cifar10h_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 images, six a class, with 50 annotations each, from full agreement to strong disagreement."""
    root = tmp_path_factory.mktemp("cifar10h-root")
    (root / "cifar10h" / "data").mkdir(parents=True)
    (root / "cifar10h" / "cifar10-test").mkdir()
    generator = np.random.default_rng(3)
    labels = np.arange(60, dtype=np.uint8) % 10
    agreement = np.linspace(1.0, 0.4, 60)
    dists = agreement[:, None] * np.eye(10)[labels] + (1 - agreement[:, None]) / 10
    np.save(root / "cifar10h" / "data" / "cifar10h-counts.npy", generator.multinomial(50, dists))
    np.save(root / "cifar10h" / "data" / "cifar10-test-labels.npy", labels)
    for index, label in enumerate(labels):
        noise = generator.integers(0, 40, (32, 32, 3)) + 20 * int(label)
        Image.fromarray(noise.astype(np.uint8)).save(root / "cifar10h" / "cifar10-test" / f"{index:05d}.jpg")
    return root


@pytest.fixture(scope="session")
def tiny_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long CSV (item, text, annotator, label): 45 comments, five annotations each, three classes."""
    path = tmp_path_factory.mktemp("table") / "comments.csv"
    generator = np.random.default_rng(4)
    words = {"calm": "What a quiet day.", "cross": "This is too loud.", "angry": "Stop this at once!"}
    names = list(words)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "text", "annotator", "label"])
        for item in range(45):
            chances = np.roll([0.7, 0.2, 0.1], item % 3)
            for annotator, label in enumerate(generator.choice(3, 5, p=chances)):
                writer.writerow([f"c{item:02d}", f"{words[names[item % 3]]} {item}", f"a{annotator}", names[label]])
    return path


@pytest.fixture(scope="session")
def served(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_chaosnli_root: Path,
    tiny_popquorn_root: Path,
    tiny_cifar10h_root: Path,
) -> Path:
    """The tiny data sets in one folder."""
    folder = tmp_path_factory.mktemp("served")
    for root in (tiny_chaosnli_root, tiny_popquorn_root, tiny_cifar10h_root):
        shutil.copytree(root, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def mirror(served: Path) -> Iterator[str]:
    """A loopback mirror of the tiny data sets."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def fetchable(monkeypatch: pytest.MonkeyPatch, served: Path, mirror: str) -> None:
    """The pinned files are those of the mirror."""

    def mirrored(file: RemoteFile) -> RemoteFile:
        digest = hashlib.sha256((served / file.path).read_bytes()).hexdigest()
        return RemoteFile(file.path, (f"{mirror}/{file.path}",), sha256=digest)

    mirrored_sources = {name: tuple(map(mirrored, files)) for name, files in sources.SOURCES.items()}
    monkeypatch.setattr(sources, "SOURCES", mirrored_sources)


def heard() -> None:
    """Runs in a child before its program: Ctrl-C reaches it also where these tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


@contextmanager
def started(*command: str | Path, **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """A process that hears signals and is gone when the block ends, however it does."""
    process = subprocess.Popen(command, preexec_fn=heard, **options)  # noqa: PLW1509 # it only sets signals
    try:
        yield process
    finally:
        process.kill()
        process.wait()


Mount = Callable[[str], Path]


def system(name: str, *arguments: str | Path) -> bool:
    """Whether a command of the system did what it was told; not, where there is none."""
    command = shutil.which(name)
    return (
        command is not None and not subprocess.run([command, *arguments], capture_output=True, check=False).returncode
    )


def resize(folder: Path, options: str) -> None:
    """Change a mounted file system, as ``size=20m``."""
    assert system("mount", "-o", f"remount,{options}", folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system of a size, as ``64k``, or with ``ro`` one that cannot be written; gone at the end."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        flags = options if "=" in options or options == "ro" else f"size={options}"
        if not system("mount", "-t", "tmpfs", "-o", flags, "tmpfs", folder):
            pytest.skip("this user may not mount a small disk (tmpfs)")
        mounted.append(folder)
        return folder

    try:
        yield mount
    finally:
        for folder in mounted:
            assert system("umount", "--lazy", folder)


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, stdout and stderr."""

    code: int
    out: str
    err: str


RunCli = Callable[..., Result]
MakeOptions = Callable[..., SweepOptions]


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """Runs ``soft-labels``, or a program around it, in this process; what would print a traceback is raised."""
    return _run_cli


def _run_cli(*args: object, program: Callable[[], object] = main) -> Result:
    out, err = io.StringIO(), io.StringIO()
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "soft_labels")]
    levels = [each.level for each in loggers]
    try:
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["__main__.py", *map(str, args)])  # as python -m soft_labels has it
            patch.setenv("PL_GLOBAL_SEED", "0")  # Lightning leaves its seed here
            patch.setenv("COLUMNS", "200")
            patch.setattr(logging.getLogger("soft_labels"), "handlers", [])
            with pytest.raises(SystemExit) as stopped:
                program()
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
        set_quiet(False)
    code = stopped.value.code
    return Result(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def quick() -> tuple[str, ...]:
    """Options of every run in these tests."""
    switches = ("enable_progress_bar=false", "enable_model_summary=false")
    return ("--trainer.accelerator=cpu", "--trainer.max_epochs=2", *(f"--trainer.{switch}" for switch in switches))


class ToyTextEncoder(Encoder):
    """A text's vector is drawn from its hash, so that a run costs nothing; ``spoil`` makes texts that hold it NaN."""

    modality = "text"

    def __init__(self, *, width: int = 6, spoil: str | None = None, batch_size: int = 16) -> None:
        super().__init__(batch_size)
        self.width = width
        self.spoil = spoil

    def fingerprint(self) -> dict[str, str | int | float | bool | None]:
        return {"encoder": "toy text", "width": self.width}

    def length(self, item: EncoderInput) -> int:
        return len(texts_of([item])[0])

    def preprocess(self, items: Sequence[EncoderInput]) -> list[str]:
        return texts_of(items)

    def forward(self, batch: list[str]) -> Tensor:
        rows = torch.from_numpy(np.stack([_drawn(text.encode(), self.width) for text in batch]))
        rows[[self.spoil is not None and self.spoil in text for text in batch]] = math.nan
        return rows


def _drawn(content: bytes, width: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(content).digest()[:8], "little")
    return np.random.default_rng(seed).standard_normal(width, dtype=np.float32)


@pytest.fixture(scope="session")
def toy_text() -> str:
    """The class path of a text encoder that costs nothing."""
    return f"{ToyTextEncoder.__module__}.{ToyTextEncoder.__qualname__}"


@dataclass(frozen=True)
class Run:
    """A finished training and the options that it was started with."""

    folder: Path
    options: tuple[str, ...]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="session")
def trained(
    run_cli: RunCli,
    quick: tuple[str, ...],
    toy_text: str,
    tiny_chaosnli_root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """A soft head on the tiny ChaosNLI; its store lies in ``store`` below its root folder."""
    root = tmp_path_factory.mktemp("trained")
    options = (
        f"--config={REPOSITORY}/configs/data/chaosnli.yaml",
        f"--data.root={tiny_chaosnli_root}",
        f"--data.encoder={toy_text}",
        f"--data.store={root}/store",
        f"--trainer.default_root_dir={root}",
        *quick,
    )
    assert run_cli("fit", *options).code == 0
    (folder,) = (root / "lightning_logs" / "chaosnli").iterdir()
    return Run(folder, options)


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toy-data") / "store"


@pytest.fixture(scope="session")
def toy_options(toy_store: Path) -> tuple[str, ...]:
    """Options of ``fit`` on small data."""
    return (
        "--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", "--data.items=80",
        f"--data.store={toy_store}", "--trainer.accelerator=cpu", "--trainer.max_epochs=3", "--model.hidden_width=8",
    )  # fmt: skip


@pytest.fixture
def make_options(toy_options: tuple[str, ...], tmp_path: Path) -> MakeOptions:
    """Parses the options of a sweep whose file holds the given settings."""

    def make(*arguments: str, space: Any = TOY_SPACE, **settings: Any) -> SweepOptions:
        path = tmp_path / "search.yaml"
        path.write_text(yaml.safe_dump({"space": space, **settings}, sort_keys=False), encoding="utf-8")
        return parse_sweep([*toy_options, f"--sweep={path}", *arguments])

    return make


def write_tiny_experiment(folder: Path, **settings: Any) -> Path:
    """The configuration of an experiment that takes a second; its store lies beside it.

    Args:
        folder: Where its files are written.
        settings: Settings of the experiment beside the usual ones.
    """
    data = {
        "class_path": "tests.toys.SeededData",
        "init_args": {
            "items": 120,
            "store": str(folder / "store"),
            "encoder": {"class_path": "tests.toys.SeededEncoder", "init_args": {"width": 8}},
        },
    }
    files = {
        "data": {"data": data, "model": {"hidden_width": 16}},
        "grid": TOY_GRID,
        "random": TOY_RANDOM,
        "experiment": {
            "experiment": {
                "name": "tiny",
                "datasets": [[str(folder / "data.yaml")]],
                "sweeps": {name: str(folder / f"{name}.yaml") for name in ("grid", "random")},
                "seeds": 3,
                **settings,
            }
        },
    }
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return folder / "experiment.yaml"


@pytest.fixture
def tiny_experiment(tmp_path: Path) -> Path:
    return write_tiny_experiment(tmp_path)
