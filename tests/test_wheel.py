"""What is built carries all that a person needs: from an empty folder, without the checkout, to a report."""

import csv
import os
import random
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from soft_labels.experiment.index import ExperimentIndex
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow
TONES = ("rude", "neutral", "polite")
PHRASES = ("Could you send the file, please?", "Send it now.", "Thanks for your help!", "Why is this late again?")


def pip(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, REPOSITORY)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--target", folder, wheel)
    return folder


def soft_labels(installed: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command of the installed package alone, in some folder."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "soft_labels", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def ratings(path: Path, items: int = 90) -> None:
    """Ratings of four phrases by five of twelve people each."""
    drawn = random.Random(0)  # noqa: S311
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["mail", "rater", "body", "tone"])
        for item in range(items):
            phrase, rude = drawn.choice(PHRASES), drawn.random()
            for rater in drawn.sample(range(12), 5):
                (tone,) = drawn.choices(TONES, [rude, 0.3, 1 - rude])
                table.writerow([f"m{item}", f"r{rater}", f"{phrase} ({item})", tone])


def test_the_wheel_holds_the_configurations_and_says_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    ours = {f"soft_labels/{path.relative_to(REPOSITORY)}" for path in (REPOSITORY / "configs").rglob("*.*")}
    assert ours <= held
    assert "soft_labels/py.typed" in held
    assert not any(name.startswith(("tests/", "configs/", "lightning_logs/")) for name in held)


def test_the_source_archive_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)],
        cwd=REPOSITORY, check=True, capture_output=True,
    )  # fmt: skip
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        assert not any("/lightning_logs/" in name for name in source.getnames())
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, archive)
    with zipfile.ZipFile(wheel) as direct, zipfile.ZipFile(tmp_path / wheel.name) as rebuilt:
        assert sorted(direct.namelist()) == sorted(rebuilt.namelist())


def test_from_an_empty_folder_a_table_becomes_a_report(installed: Path, tmp_path: Path) -> None:
    ratings(tmp_path / "ratings.csv")
    init = soft_labels(installed, tmp_path, "data", "init", "ratings.csv", "--out", "my.yaml", "--yes")
    assert init.returncode == 0, init.stderr
    assert "soft-labels reproduce --config my.yaml" in init.stdout
    quick = ("--experiment.seeds=2", "--experiment.redraw_splits=false")
    done = soft_labels(installed, tmp_path, "reproduce", "--config", "my.yaml", *quick)
    assert done.returncode == 0, done.stderr
    assert "taking arms, search and seeds of soft-labels configs show experiment" in done.stderr
    folder = tmp_path / "lightning_logs" / "my"
    assert list(ExperimentIndex.load(folder).arms) == ["hard", "hard_t", "soft", "soft_t"]
    assert (folder / "report" / "report.html").is_file()


def test_the_quickstart_and_the_names_of_configurations_need_no_checkout(installed: Path, tmp_path: Path) -> None:
    quick = ("--seeds=1", "--data.items=240", "--data.encoder.image_size=32", "--trainer.max_epochs=1")
    done = soft_labels(installed, tmp_path, "quickstart", *quick)
    assert done.returncode == 0, done.stderr
    assert "tensorboard --logdir" in done.stdout
    listed = soft_labels(installed, tmp_path, "configs", "list").stdout
    assert "data/table" in listed
