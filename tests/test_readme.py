"""Every command that the README shows is run: here in its quick form, or by .ci/run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from soft_labels.experiment.arms import read_arms
from soft_labels.training.calibration import CALIBRATIONS
from soft_labels.training.kinds import HEADS
from soft_labels.training.objectives import LOSSES, TARGETS
from tests.conftest import REPOSITORY, RunCli
from tests.pages import README, commands, quick_form, texts

CI_RUNS = re.compile(r"make (quickstart|test)|python -m tests\.benchmarks\.\w+.*")


def shown() -> list[str]:
    """Every command of the README, in its order."""
    return [command for block in texts("bash") for command in commands(block)]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, tiny_cifar10h_root: Path, tiny_table: Path) -> Path:
    """A folder with the project's configs, a table of annotations, and CIFAR images; the other data are fetched."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "configs").symlink_to(REPOSITORY / "configs")
    for name in ("annotations.csv", "ratings.csv"):
        shutil.copy(tiny_table, folder / name)
    (folder / "new.csv").write_text("item,text\nnew-1,Could you help me?\nnew-2,Go away.\n")
    shutil.copytree(tiny_cifar10h_root / "cifar10h" / "cifar10-test", folder / "data" / "cifar10h" / "cifar10-test")
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("fetchable")
@pytest.mark.filterwarnings("ignore:entropy_corr is nan")
def test_every_command_of_the_readme_works_in_its_order(
    monkeypatch: pytest.MonkeyPatch, workplace: Path, run_cli: RunCli, quick: tuple[str, ...]
) -> None:
    monkeypatch.chdir(workplace)
    ours = [command for command in shown() if command.startswith("soft-labels ")]
    assert len(ours) >= 10
    for command in ours:
        result = run_cli(*quick_form(shlex.split(command)[1:], quick))
        assert result.code == 0, f"{command}\n{result.err}"
    written = [path.read_text() for path in workplace.glob("lightning_logs/*/*/predictions.csv")]
    assert sorted(text.count("\n") for text in written) == [3, 46]
    assert any("new-1,new," in text for text in written)
    assert (workplace / "lightning_logs" / "data_stats" / "entropy.png").is_file()


def test_the_readme_names_every_target_loss_head_and_calibration() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", README.read_text(), re.MULTILINE)
    assert rows == [*TARGETS, *LOSSES, *HEADS, *(name for name in CALIBRATIONS if name != "none")]


def test_the_other_commands_are_run_by_ci_or_below() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text()
    rest = [command for command in shown() if not command.startswith("soft-labels ")]
    # TensorBoard is started below; the wheel has tests of its own
    elsewhere = {"source .venv/bin/activate", "tensorboard --logdir lightning_logs/compare/blended-digits/arms"}
    elsewhere |= {'pip install "soft-labels[offline]"'}
    for command in rest:
        if command not in elsewhere:
            assert CI_RUNS.fullmatch(command), f"nothing runs {command!r}"
            assert command in script


@pytest.mark.slow
def test_the_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch, workplace: Path) -> None:
    monkeypatch.chdir(workplace)
    for block in texts("python"):
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 (our own README)


def test_the_arms_of_the_readme_are_arms() -> None:
    (block,) = (block for block in texts("yaml") if "arms:" in block)
    experiment = yaml.safe_load(block)["experiment"]
    arms = read_arms(experiment["arms"], experiment["baseline"])
    assert arms.names == ("hard", "soft", "hard_t", "both_t")
    assert arms["hard_t"].derived_from == "hard"


def test_every_file_that_the_readme_names_is_there() -> None:
    named = re.findall(r"`((?:configs|notebooks)/[\w/.]+|[A-Z]+\.\w+)`", README.read_text())
    assert len(named) > 10
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


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
