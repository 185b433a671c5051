"""What the commands leave behind, and what they say on the way."""

import csv
import json
import logging
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from soft_labels.commands.fit import show_progress
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


@pytest.mark.slow
@pytest.mark.parametrize("command", ["validate", "test"])
def test_an_evaluation_is_printed_and_kept_as_json(run_cli: RunCli, trained: Any, tmp_path: Path, command: str) -> None:
    done = run_cli(command, *elsewhere(trained, tmp_path), "--json", f"--out={tmp_path}/kept.json", "--quiet")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told == json.loads((tmp_path / "kept.json").read_text(encoding="utf-8"))
    (written,) = run_folder(tmp_path).glob("*_metrics.json")
    assert {key: told[key] for key in ("metrics", "data")} == json.loads(written.read_text(encoding="utf-8"))
    assert (told["command"], told["folder"]) == (command, str(run_folder(tmp_path)))
    assert told["checkpoint"] == str(trained.checkpoint)


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
    written = run_cli("predict", *elsewhere(trained, tmp_path / "again"), "--format=parquet")
    assert written.code == 0, written.err
    (parquet,) = (tmp_path / "again").rglob("predictions.parquet")
    frame = pl.read_parquet(parquet)
    assert frame.columns == list(rows[0])
    assert frame["uid"].to_list() == [row["uid"] for row in rows]
    assert frame["p_neutral"].to_list() == pytest.approx([float(row["p_neutral"]) for row in rows], abs=1e-6)
    split = json.loads((trained.folder / "split.json").read_text(encoding="utf-8"))
    assert result.code == 0
    assert f"48 predicted distributions in {path}" in result.out
    assert {row["uid"]: row["split"] for row in rows} == {
        uid: part for part in ("train", "val", "test") for uid in split[part]
    }
    for row in rows:
        shares = [float(row[f"p_{name}"]) for name in ("entailment", "neutral", "contradiction")]
        assert sum(shares) == pytest.approx(1, abs=1e-6)
        assert float(row[f"p_{row['top_class']}"]) == max(shares)
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


@pytest.mark.slow
@pytest.mark.parametrize("head", ["logistic", "neighbours"])
def test_a_head_that_is_solved_is_fitted_tested_and_asked_as_any_other(
    run_cli: RunCli, toy_options: tuple[str, ...], tmp_path: Path, head: str
) -> None:
    options = [option for option in toy_options if "hidden_width" not in option]
    place = (f"--trainer.default_root_dir={tmp_path}", "--trainer.enable_progress_bar=false")
    result = run_cli("fit", *options, *place, f"--model.head={head}", "--model.calibration=temperature")
    assert result.code == 0
    assert f"head {head} is solved at once: trainer.max_epochs" in result.err
    assert "best epoch 0 by val/loss" in result.err
    checkpoint = next(tmp_path.rglob("best.ckpt"))
    assert torch.load(checkpoint, weights_only=True)["hyper_parameters"]["head"] == head
    for command in ("test", "predict"):
        assert run_cli(command, *options, *place, f"--ckpt_path={checkpoint}").code == 0
    with next(tmp_path.rglob("predictions.csv")).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80
    assert all(abs(sum(float(row[f"p_{name}"]) for name in ("low", "middle", "high")) - 1) < 1e-5 for row in rows)


SEEDED = ("--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", "--data.items=120")


@pytest.mark.slow
def test_without_a_test_part_heads_are_trained_and_validated_but_not_judged(
    run_cli: RunCli, quick: tuple[str, ...], tmp_path: Path
) -> None:
    options = (*SEEDED, f"--data.store={tmp_path}/store", f"--trainer.default_root_dir={tmp_path}/runs", *quick)
    whole = (*options, "--data.split_ratios=[0.8,0.2,0]")
    assert run_cli("fit", *whole).code == 0
    (folder,) = (tmp_path / "runs" / "lightning_logs" / "seeded").iterdir()
    split = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    assert (len(split["train"]), len(split["val"]), split["test"]) == (96, 24, [])
    checkpoint = f"--ckpt_path={folder}/checkpoints/best.ckpt"
    assert run_cli("validate", *whole, checkpoint).code == 0
    for command, more in (("test", (checkpoint,)), ("compare", ("--seeds=1",))):
        refused = run_cli(command, *whole, *more)
        assert (refused.code, refused.out) == (2, "")
        assert "seeded has no test part, by which heads are judged; validation chose them" in refused.err
    again = run_cli("fit", *options, f"--data.split_file={folder}/split.json")
    assert again.code == 0
    assert f"there is no test part: heads can be trained and chosen, not judged ({folder}/split.json)" in again.err


def test_a_warning_that_runs_repeat_is_said_once_and_progress_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    ours = logging.getLogger("soft_labels.a_part_of_it")
    before = logging.getLogger("soft_labels").handlers[:]
    logging.getLogger("soft_labels").handlers.clear()
    try:
        for _ in range(2):
            show_progress()
            for _ in range(3):
                ours.warning("the test part has %d items", 18)
                ours.info("12 of 24 trials")
    finally:
        logging.getLogger("soft_labels").handlers[:] = before
    said = capsys.readouterr().err.splitlines()
    assert said.count("the test part has 18 items") == 2, "once for each command"
    assert said.count("12 of 24 trials") == 6
