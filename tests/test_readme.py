"""Every command that the README shows is run: here in its quick form, or by .ci/run."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from soft_labels.annotations import sources
from soft_labels.annotations.download import RemoteFile
from soft_labels.experiment.arms import read_arms
from soft_labels.training.calibration import CALIBRATIONS
from soft_labels.training.objectives import LOSSES, TARGETS
from tests.conftest import RunCli

ROOT = Path(__file__).parents[1]
TINY_IMAGES = ("--data.encoder.image_size=32", "--data.split_ratios=[0.6,0.2,0.2]")
CI_RUNS = re.compile(r"make (quickstart|test)|python -m tests\.benchmarks\.\w+.*")


def blocks(language: str, file: Path = ROOT / "README.md") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", file.read_text(), re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    lines = [line.split("  #")[0].rstrip() for block in blocks("bash") for line in block.splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


@pytest.fixture(scope="module")
def workplace(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_chaosnli_root: Path,
    tiny_popquorn_root: Path,
    tiny_cifar10h_root: Path,
    tiny_table: Path,
) -> Path:
    """A folder with the project's configs, a table of annotations, and CIFAR images; the other data are fetched."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "configs").symlink_to(ROOT / "configs")
    shutil.copy(tiny_table, folder / "annotations.csv")
    (folder / "new.csv").write_text("item,text\nnew-1,Could you help me?\nnew-2,Go away.\n")
    shutil.copytree(tiny_cifar10h_root / "cifar10h" / "cifar10-test", folder / "data" / "cifar10h" / "cifar10-test")
    for root in (tiny_chaosnli_root, tiny_popquorn_root, tiny_cifar10h_root):
        shutil.copytree(root, folder / "served", dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def mirror(workplace: Path) -> Iterator[str]:
    """A loopback mirror of the tiny data sets."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(workplace / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def fetchable(monkeypatch: pytest.MonkeyPatch, workplace: Path, mirror: str) -> None:
    """The pinned files are those of the mirror."""

    def mirrored(file: RemoteFile) -> RemoteFile:
        digest = hashlib.sha256((workplace / "served" / file.path).read_bytes()).hexdigest()
        return RemoteFile(file.path, (f"{mirror}/{file.path}",), sha256=digest)

    mirrored_sources = {name: tuple(map(mirrored, files)) for name, files in sources.SOURCES.items()}
    monkeypatch.setattr(sources, "SOURCES", mirrored_sources)


def quick_form(command: str, quick: tuple[str, ...], folder: Path) -> list[str]:
    """A README command with the folder of the run filled in and with options that make it quick."""
    runs = sorted(folder.glob("lightning_logs/*/*/checkpoints"), key=os.path.getmtime)
    arguments = shlex.split(command.replace("RUN", str(runs[-1].parent) if runs else "RUN"))[1:]
    extra: list[str] = []
    if arguments[0] in {"fit", "compare", "budget"}:
        extra += quick
    if arguments[0] == "budget":
        extra += ["--draws=2", "--seeds=1", "--ladder=[1,5]"]
    if arguments[0] == "compare":
        extra += ["--seeds=1"]
    if arguments[0] == "reproduce":
        extra += ["--experiment.seeds=2", "--model.hidden_width=8", "--data.split_ratios=[0.6,0.2,0.2]"]
    if "digits_experiment" in command:
        extra += ["--data.items=240"]
    if "cifar10h_hard" in command:
        extra += TINY_IMAGES
    return [*arguments, *extra]


@pytest.mark.slow
@pytest.mark.usefixtures("fetchable")
@pytest.mark.filterwarnings("ignore:entropy_corr is nan")
def test_every_command_of_the_readme_works_in_its_order(
    monkeypatch: pytest.MonkeyPatch, workplace: Path, run_cli: RunCli, quick: tuple[str, ...]
) -> None:
    monkeypatch.chdir(workplace)
    shown = [command for command in commands() if command.startswith("soft-labels ")]
    assert len(shown) >= 10
    for command in shown:
        result = run_cli(*quick_form(command, quick, workplace))
        assert result.code == 0, f"{command}\n{result.err}"
    written = [path.read_text() for path in workplace.glob("lightning_logs/*/*/predictions.csv")]
    assert sorted(text.count("\n") for text in written) == [3, 46]
    assert any("new-1,new," in text for text in written)
    assert (workplace / "lightning_logs" / "data_stats" / "entropy.png").is_file()


def test_the_readme_names_every_target_loss_and_calibration() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == [*TARGETS, *LOSSES, *(name for name in CALIBRATIONS if name != "none")]


def test_the_other_commands_are_run_by_ci_or_below() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    rest = [command for command in commands() if command and not command.startswith("soft-labels ")]
    # what make check does is done by make test
    elsewhere = {"source .venv/bin/activate", "tensorboard --logdir lightning_logs", "make check"}
    for command in rest:
        if command not in elsewhere:
            assert CI_RUNS.fullmatch(command), f"nothing runs {command!r}"
            assert command in script


@pytest.mark.slow
def test_the_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch, workplace: Path) -> None:
    monkeypatch.chdir(workplace)
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 (our own README)


def test_the_arms_of_the_readme_are_arms() -> None:
    (block,) = (block for block in blocks("yaml") if "arms:" in block)
    experiment = yaml.safe_load(block)["experiment"]
    arms = read_arms(experiment["arms"], experiment["baseline"])
    assert arms.names == ("hard", "soft", "hard_t")
    assert arms["hard_t"].derived_from == "hard"


def test_every_file_that_the_readme_names_is_there() -> None:
    named = re.findall(r"`((?:configs|notebooks)/[\w/.]+|[A-Z]+\.\w+)`", (ROOT / "README.md").read_text())
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.slow
def test_tensorboard_serves_the_runs(workplace: Path) -> None:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(workplace / "lightning_logs")]
    server = subprocess.Popen(
        [*command, "--host=127.0.0.1", "--port=0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        assert server.stderr is not None
        address = next(found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
        with urllib.request.urlopen(f"{address}data/plugins_listing", timeout=30) as answer:
            assert b"hparams" in answer.read()
    finally:
        server.terminate()
        server.communicate(timeout=30)
