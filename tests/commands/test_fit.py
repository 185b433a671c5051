"""What the commands leave behind, and what they say on the way."""

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import REPOSITORY, RunCli


def elsewhere(trained: Any, tmp_path: Path) -> tuple[str, ...]:
    """The options of the trained run; new files go to a folder of the test."""
    return (*trained.options, f"--trainer.default_root_dir={tmp_path}", f"--ckpt_path={trained.checkpoint}")


def run_folder(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "lightning_logs").glob("*/*")
    return folder


def test_a_run_is_named_by_target_seed_and_time(trained: Any) -> None:
    assert re.fullmatch(r"soft-seed0-\d{8}-\d{6}-[0-9a-f]{4}", trained.folder.name)
    assert trained.folder.parent.name == "chaosnli"


def test_the_checkpoint_holds_plain_values_and_says_what_it_was_trained_on(trained: Any) -> None:
    checkpoint = torch.load(trained.checkpoint, weights_only=True)
    assert checkpoint["data_identity"]["dataset"] == "chaosnli"
    assert checkpoint["hyper_parameters"]["num_classes"] == 3
    assert checkpoint["hyper_parameters"]["embedding_dim"] == 4 * 6


@pytest.mark.slow
@pytest.mark.parametrize(("command", "split"), [("validate", "val"), ("test", "test")])
def test_an_evaluation_writes_every_metric_and_no_config(
    run_cli: RunCli, trained: Any, tmp_path: Path, command: str, split: str
) -> None:
    result = run_cli(command, *elsewhere(trained, tmp_path))
    record = json.loads((run_folder(tmp_path) / f"{split}_metrics.json").read_text(encoding="utf-8"))
    assert result.code == 0
    assert {f"{split}/{name}" for name in ("loss", "kl", "accuracy", "entropy_corr", "js", "tv")} <= set(
        record["metrics"]
    )
    assert all(math.isfinite(value) for value in record["metrics"].values())
    assert record["data"]["dataset"] == "chaosnli"
    assert not (run_folder(tmp_path) / "config.yaml").exists()


def no_constant(name: str) -> None:
    """JSON has no word for it."""
    raise AssertionError(name)


@pytest.mark.slow
def test_a_metric_that_is_no_number_is_null_in_the_file(
    run_cli: RunCli, quick: tuple[str, ...], toy_text: str, tmp_path: Path
) -> None:
    """Every item has the same entropy, so nothing correlates with it."""
    rows = [(item, "abc"[(item + (vote > 2)) % 3]) for item in range(45) for vote in range(5)]
    table = "item,text,label\n" + "".join(f"c{item:02d},text {item},{label}\n" for item, label in rows)
    (tmp_path / "same.csv").write_text(table, encoding="utf-8")
    options = (
        "--data=soft_labels.data.TableDataModule", f"--data.path={tmp_path}/same.csv", "--data.text_column=text",
        "--data.label_column=label", f"--data.encoder={toy_text}", f"--data.store={tmp_path}/store", *quick,
    )  # fmt: skip
    said = "entropy_corr is nan: the label entropy is the same for every item"
    with pytest.warns(UserWarning, match=said):
        fitted = run_cli("fit", *options, f"--trainer.default_root_dir={tmp_path}/fit")
    assert fitted.code == 0, fitted.err
    (checkpoint,) = tmp_path.rglob("best.ckpt")
    with pytest.warns(UserWarning, match=said):
        tested = run_cli("test", *options, f"--ckpt_path={checkpoint}", f"--trainer.default_root_dir={tmp_path}")
    assert tested.code == 0, tested.err
    text = (run_folder(tmp_path) / "test_metrics.json").read_text(encoding="utf-8")
    metrics = json.loads(text, parse_constant=no_constant)["metrics"]
    assert metrics["test/entropy_corr"] is None
    assert math.isfinite(metrics["test/kl"])


def test_a_validated_checkpoint_has_the_loss_that_chose_it(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    run_cli("validate", *elsewhere(trained, tmp_path))
    record = json.loads((run_folder(tmp_path) / "val_metrics.json").read_text(encoding="utf-8"))
    callbacks = torch.load(trained.checkpoint, weights_only=True)["callbacks"]
    (score,) = {state["best"]["val/loss"] for name, state in callbacks.items() if "BestCheckpoint" in name}
    assert record["metrics"]["val/loss"] == pytest.approx(score, abs=1e-7)


@pytest.mark.slow
def test_predict_writes_a_distribution_for_every_item(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    result = run_cli("predict", *elsewhere(trained, tmp_path))
    path = run_folder(tmp_path) / "predictions.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    split = json.loads((trained.folder / "split.json").read_text(encoding="utf-8"))
    assert result.code == 0
    assert f"48 predicted distributions in {path}" in result.out
    assert {row["uid"]: row["split"] for row in rows} == {
        uid: part for part in ("train", "val", "test") for uid in split[part]
    }
    for row in rows:
        shares = [float(row[f"p_{name}"]) for name in ("entailment", "neutral", "contradiction")]
        assert sum(shares) == pytest.approx(1, abs=1e-6)
        assert float(row["entropy_nats"]) == pytest.approx(-sum(p * math.log(p) for p in shares), abs=1e-5)


@pytest.mark.slow
def test_a_run_that_goes_on_ends_as_one_that_was_never_stopped(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    def end_of(name: str, *options: str) -> Path:
        every = "lightning.pytorch.callbacks.ModelCheckpoint"
        last_epoch = [f"--trainer.callbacks={every}", "--trainer.callbacks.save_last=true"]
        last_epoch.append("--trainer.callbacks.enable_version_counter=false")
        folder = f"--trainer.default_root_dir={tmp_path}/{name}"
        assert run_cli("fit", *trained.options, *last_epoch, folder, *options).code == 0
        return run_folder(tmp_path / name) / "checkpoints" / "last.ckpt"

    stopped = end_of("run", "--trainer.max_epochs=2")
    before = torch.load(stopped, weights_only=True)
    resumed = torch.load(end_of("run", "--trainer.max_epochs=3", f"--ckpt_path={stopped}"), weights_only=True)
    whole = torch.load(end_of("whole", "--trainer.max_epochs=3"), weights_only=True)
    assert (before["epoch"], resumed["epoch"], whole["epoch"]) == (1, 2, 2)
    assert all(torch.equal(value, resumed["state_dict"][key]) for key, value in whole["state_dict"].items())


@pytest.fixture(scope="module")
def overfitted(run_cli: RunCli, trained: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run whose validation loss only rises after its first epochs, and the options that made it."""
    root = tmp_path_factory.mktemp("overfitted")
    options = [
        *trained.options,
        f"--trainer.default_root_dir={root}",
        "--model.lr=0.03",
        "--early_stopping.patience=99",
    ]
    assert run_cli("fit", *options, "--trainer.max_epochs=12").code == 0
    return run_folder(root), options


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_its_folder_and_its_best_epoch(
    run_cli: RunCli, overfitted: tuple[Path, list[str]]
) -> None:
    folder, options = overfitted
    path = folder / "checkpoints" / "best.ckpt"
    best = torch.load(path, weights_only=True)
    assert best["epoch"] < 8, "the test wants later epochs that are worse"
    result = run_cli("fit", *options, "--trainer.max_epochs=14", f"--ckpt_path={path}")
    assert result.code == 0
    assert run_folder(folder.parents[2]) == folder, "no second folder"
    assert torch.load(path, weights_only=True)["epoch"] == best["epoch"]
    assert f"best epoch {best['epoch']} by val/loss" in result.err
    assert sorted(file.name for file in path.parent.iterdir()) == ["best.ckpt"]


@pytest.mark.slow
def test_a_list_of_loggers_is_taken(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    csv = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": str(tmp_path)}}
    assert run_cli("fit", *trained.options, f"--trainer.logger={json.dumps([csv])}").code == 0
    assert list(tmp_path.glob("**/metrics.csv"))


def test_predict_takes_other_items_of_the_same_kind(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    options = [*trained.options, f"--trainer.default_root_dir={tmp_path}", f"--ckpt_path={trained.checkpoint}"]
    result = run_cli("predict", *options, "--data.subsets=[snli]", "--data.split_seed=5")
    assert result.code == 0, result.err
    (path,) = tmp_path.glob("lightning_logs/*/*/predictions.csv")
    rows = path.read_text().splitlines()[1:]
    assert len(rows) == 24
    assert all(",new," in row for row in rows), "the split of another draw says nothing of what was trained on"


@pytest.mark.slow
def test_nothing_is_said_that_a_person_cannot_mend(trained: Any, tmp_path: Path) -> None:
    """A process of its own: where warnings are errors, warnings that are hidden would not be seen."""
    command = [sys.executable, "-m", "soft_labels", "predict", *elsewhere(trained, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert "48 found" in done.stderr
    assert "litlogger" not in done.stderr
    assert "site-packages" not in done.stderr
