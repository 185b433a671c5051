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
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and with the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
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


def test_the_source_archive_holds_what_a_person_reads_and_no_runs(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        held = {name.partition("/")[2] for name in source.getnames()}
    assert {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "SECURITY.md", "pyproject.toml"} <= held
    assert not any(name.startswith("lightning_logs/") for name in held)


def test_what_an_index_shows_is_valid(built: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_from_an_empty_folder_a_table_becomes_a_report_and_predictions(installed: Path, tmp_path: Path) -> None:
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
    (tmp_path / "new.csv").write_text("mail,body\nn1,Could you turn that down?\nn2,Nobody is here.\n")
    exported = soft_labels(installed, tmp_path, "export", str(folder / "best-ratings-soft.ckpt"), "--out", "head")
    assert exported.returncode == 0, exported.stderr
    told = soft_labels(installed, tmp_path, "predict", "head", "new.csv", "--out", "predictions.csv")
    assert told.returncode == 0, told.stderr
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        predicted = [[float(row[f"p_{tone}"]) for tone in TONES] for row in csv.DictReader(file)]
    assert [sum(shares) for shares in predicted] == pytest.approx([1, 1])


def test_the_quickstart_and_the_names_of_configurations_need_no_checkout(installed: Path, tmp_path: Path) -> None:
    quick = ("--seeds=1", "--data.items=240", "--data.encoder.image_size=32", "--trainer.max_epochs=1")
    done = soft_labels(installed, tmp_path, "quickstart", *quick)
    assert done.returncode == 0, done.stderr
    assert "tensorboard --logdir" in done.stdout
    listed = soft_labels(installed, tmp_path, "configs", "list").stdout
    assert "data/table" in listed
