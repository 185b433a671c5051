"""One best checkpoint: whatever is resumed, monitored or added, file, words and judgements speak of one epoch."""

import json
import math
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from soft_labels.commands.fit import SoftLabelCLI
from soft_labels.errors import ConfigError
from soft_labels.files import PARTIAL_PREFIX
from soft_labels.training.best import (
    MIGRATIONS,
    SCHEMA,
    BestCheckpoint,
    WholeFileIO,
    best_of,
    content_digest,
    read_checkpoint,
)
from soft_labels.training.heads import MLPHead
from soft_labels.training.module import SoftLabelModule
from tests.boards import events, line_of
from tests.conftest import REPOSITORY, Result, RunCli, started

pytestmark = pytest.mark.slow

SWITCHES = ("--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false")
EVERY_EPOCH = {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
               "init_args": {"save_top_k": -1, "every_n_epochs": 1, "filename": "{epoch}"}}  # fmt: skip
BREAKS = "tests.training.test_best.BreaksDown"


class BreaksDown(Callback):
    """Spoils the weights at the end of an epoch's training.

    Args:
        epoch: Which one, from 0.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.current_epoch == self.epoch:
            head = cast("MLPHead", cast("SoftLabelModule", pl_module).head)
            head.output.weight.data.fill_(math.nan)


@pytest.fixture
def options(toy_options: tuple[str, ...], tmp_path: Path) -> tuple[str, ...]:
    """Options of a fit whose validation loss is lowest within a few epochs."""
    return (*toy_options, *SWITCHES, f"--trainer.default_root_dir={tmp_path}", "--model.lr=0.1", "--model.dropout=0",
            "--data.batch_size=8", "--early_stopping.patience=99")  # fmt: skip


def run_folder(root: Path) -> Path:
    (folder,) = (root / "lightning_logs").glob("seeded/*")
    return folder


def curve(folder: Path, tag: str) -> list[float]:
    """What TensorBoard has of a metric."""
    return [point.value for point in events(folder).Scalars(tag)]


def agree(folder: Path, said: str, monitor: str = "val/loss") -> int:
    """The best epoch, of which the file, its metrics, the closing line and HParams must speak."""
    checkpoint = read_checkpoint(folder / "checkpoints" / "best.ckpt")
    epoch = int(checkpoint["epoch"])
    best = checkpoint["callbacks"]["BestCheckpoint"]["best"]
    assert best["epoch"] == epoch
    assert f"best epoch {epoch} by {monitor} {best[monitor]:.4f}; checkpoint {folder}/checkpoints/best.ckpt" in said
    shown = line_of(folder)
    assert shown["best/epoch"] == epoch
    for key in ("val/loss", "val/accuracy", "val/kl"):
        assert shown[f"best/{key}"] == pytest.approx(best[key])
    return epoch


@pytest.mark.parametrize("relative", [True, False])
def test_a_run_that_goes_on_has_one_best_checkpoint(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path, relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_cli("fit", *options, "--trainer.max_epochs=2").code == 0
    folder = run_folder(tmp_path)
    monkeypatch.chdir(folder.parent)
    path = folder / "checkpoints" / "best.ckpt"
    given = path.relative_to(folder.parent) if relative else path
    done = run_cli("fit", *options, "--trainer.max_epochs=9", f"--ckpt_path={given}")
    assert done.code == 0, done.err
    assert sorted(file.name for file in path.parent.iterdir()) == ["best.ckpt"]
    losses = curve(folder, "val/loss")[-9:]
    assert agree(folder, done.err) == min(range(len(losses)), key=losses.__getitem__)
    judged = json.loads((_validated(run_cli, options, path, tmp_path) / "val_metrics.json").read_text())
    assert judged["metrics"]["val/loss"] == pytest.approx(min(losses), abs=1e-6)


def _validated(run_cli: RunCli, options: tuple[str, ...], path: Path, tmp_path: Path) -> Path:
    """The folder that ``validate`` leaves."""
    root = tmp_path / "validated"
    done = run_cli("validate", *options, f"--trainer.default_root_dir={root}", f"--ckpt_path={path}")
    assert done.code == 0, done.err
    return run_folder(root)


def test_a_run_that_goes_on_by_another_metric_says_so(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path
) -> None:
    run_cli("fit", *options, "--trainer.max_epochs=2")
    path = run_folder(tmp_path) / "checkpoints" / "best.ckpt"
    done = run_cli("fit", *options, "--trainer.max_epochs=4", f"--ckpt_path={path}", "--checkpoint.monitor=val/kl")
    assert "the best epoch was chosen by val/loss so far, from here on by val/kl" in done.err
    assert agree(run_folder(tmp_path), done.err, "val/kl") >= 1


def test_a_run_whose_best_epoch_is_gone_does_not_go_on(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path
) -> None:
    run_cli("fit", *options, "--trainer.max_epochs=2")
    path = run_folder(tmp_path) / "checkpoints" / "best.ckpt"
    moved = path.rename(path.with_name("moved.ckpt"))
    done = run_cli("fit", *options, "--trainer.max_epochs=4", f"--ckpt_path={moved}")
    assert (done.code, done.err.count("error:")) == (2, 1)
    assert f"wanted the best epoch so far at {path}, found none" in done.err


def test_the_best_epoch_by_accuracy_is_the_one_with_the_highest(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path
) -> None:
    done = run_cli("fit", *options, "--trainer.max_epochs=6", "--checkpoint.monitor=val/accuracy")
    folder = run_folder(tmp_path)
    values = curve(folder, "val/accuracy")
    assert min(values) < max(values), "the test wants epochs that differ"
    assert agree(folder, done.err, "val/accuracy") == values.index(max(values))


def test_the_first_of_equals_is_kept(run_cli: RunCli, options: tuple[str, ...], tmp_path: Path) -> None:
    still = ("--model.lr=1e-30", "--model.dropout=0")
    assert run_cli("fit", *options, *still, "--trainer.max_epochs=3").code == 0
    assert read_checkpoint(run_folder(tmp_path) / "checkpoints" / "best.ckpt")["epoch"] == 0


def test_checkpoints_of_a_users_own_change_no_judgement(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path
) -> None:
    own = f"--trainer.callbacks={json.dumps([EVERY_EPOCH])}"
    for name, more in (("plain", ()), ("own", (own,))):
        root = f"--trainer.default_root_dir={tmp_path / name}"
        assert run_cli("fit", *options, root, "--trainer.max_epochs=9", *more).code == 0
    plain, own_folder = run_folder(tmp_path / "plain"), run_folder(tmp_path / "own")
    assert len(list((own_folder / "checkpoints").iterdir())) == 10, "nine of the user's and ours"
    states = [read_checkpoint(folder / "checkpoints" / "best.ckpt") for folder in (plain, own_folder)]
    assert states[0]["epoch"] == states[1]["epoch"] < 8, "the test wants later epochs that are worse"
    assert all(torch.equal(value, states[1]["state_dict"][key]) for key, value in states[0]["state_dict"].items())
    rows = [
        run_cli("compare", *options, f"--trainer.default_root_dir={tmp_path / name}-c", "--seeds=1",
                "--trainer.max_epochs=9", *more)
        for name, more in (("plain", ()), ("own", (own,)))
    ]  # fmt: skip
    assert [row.code for row in rows] == [0, 0]
    assert _table(rows[0]) == _table(rows[1])


def _table(result: Result) -> list[str]:
    """The lines with numbers of a comparison, without folders and times."""
    return re.findall(r"^│.*\d\.\d{3}.*$", result.out, re.MULTILINE) or pytest.fail(result.out)


@pytest.mark.parametrize("name", ["ModelCheckpoint", "EarlyStopping"])
def test_a_callback_that_watches_test_is_refused(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path, name: str
) -> None:
    callback = {"class_path": f"lightning.pytorch.callbacks.{name}", "init_args": {"monitor": "test/loss"}}
    done = run_cli("fit", *options, f"--trainer.callbacks={json.dumps([callback])}")
    assert done.code == 2
    assert f"error: {name} monitors test/loss: no choice may look at the test split" in done.err
    assert not (tmp_path / "lightning_logs").exists()


@pytest.mark.parametrize("monitor", ["test/loss", "train/loss", "val/nonsense"])
def test_only_the_validation_split_chooses(monitor: str) -> None:
    with pytest.raises(ConfigError, match=f"got {monitor}; no choice may look at another split"):
        BestCheckpoint(monitor)


@pytest.mark.parametrize("command", ["fit", "compare"])
def test_training_that_breaks_down_says_so(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path, command: str
) -> None:
    done = run_cli(command, *options, "--model.lr=1e30")
    assert (done.code, done.err.count("error:")) == (2, 1)
    assert "training broke down in epoch 0: val/loss is nan; lower model.lr (1e+30)" in done.err
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_breakdown_later_keeps_the_best_epoch_and_says_so(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path
) -> None:
    broken = f"--trainer.callbacks={json.dumps([{'class_path': BREAKS, 'init_args': {'epoch': 2}}])}"
    done = run_cli("fit", *options, "--trainer.max_epochs=5", broken)
    assert done.code == 0, done.err
    epoch = agree(run_folder(tmp_path), done.err)
    assert epoch < 2
    assert "training broke down in epoch 2: val/loss is nan" in done.err
    assert f"the best epoch before, {epoch}, is kept" in done.err


def test_a_trainer_without_it_is_told() -> None:
    with pytest.raises(ConfigError, match="wanted a trainer with BestCheckpoint"):
        best_of(Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False))


def test_storage_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wanted no storage options"):
        WholeFileIO().save_checkpoint({"state_dict": {}}, tmp_path / "best.ckpt", {"bucket": "b"})
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def sound(run_cli: RunCli, toy_options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sound")
    assert run_cli("fit", *toy_options, *SWITCHES, f"--trainer.default_root_dir={root}").code == 0
    return run_folder(root) / "checkpoints" / "best.ckpt"


class TestReading:
    """What is wrong with a checkpoint is said in one message by every command that takes one."""

    @staticmethod
    def spoil(sound: Path, path: Path, kind: str) -> str:
        """Write a damaged copy; gives what must be said of it."""
        checkpoint = torch.load(sound, weights_only=True)
        weight = checkpoint["state_dict"]["head.output.weight"]
        content = sound.read_bytes()
        if kind == "one bit of a weight":
            raw = weight.numpy().tobytes()
            place = content.index(raw) + 2
            path.write_bytes(content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :])
            return "is damaged: it does not hold what was written"
        if kind in {"cut", "emptied", "other file"}:
            path.write_bytes({"cut": content[:-2000], "emptied": b"", "other file": b"uid,p_low\n"}[kind])
            return "is not a readable checkpoint"
        if kind == "not finite":
            weight[0, 0] = math.inf
            checkpoint["digest"] = content_digest(checkpoint)
        elif kind == "optimiser":
            checkpoint["optimizer_states"][0]["state"][0]["exp_avg"][0, 0] += 1
        elif kind == "epoch":
            checkpoint["epoch"] += 1
        else:
            checkpoint["schema"] = SCHEMA - 1
        torch.save(checkpoint, path)
        return {
            "not finite": "holds weights that are not finite (head.output.weight)",
            "older schema": f"wanted a checkpoint of schema {SCHEMA}, got {SCHEMA - 1}",
        }.get(kind, "is damaged: it does not hold what was written")

    @pytest.mark.parametrize("command", ["test", "predict", "validate", "fit"])
    @pytest.mark.parametrize(
        "kind",
        ["one bit of a weight", "cut", "emptied", "other file", "not finite", "older schema", "optimiser", "epoch"],
    )
    def test_damage(
        self, run_cli: RunCli, toy_options: tuple[str, ...], tmp_path: Path, sound: Path, command: str, kind: str
    ) -> None:
        path = tmp_path / "bad.ckpt"
        message = self.spoil(sound, path, kind)
        done = run_cli(command, *toy_options, f"--trainer.default_root_dir={tmp_path}", f"--ckpt_path={path}")
        assert (done.code, done.out, done.err.count("error:")) == (2, "", 1)
        assert f"{path} {message}" in done.err or f"{path}: {message}" in done.err
        assert not (tmp_path / "lightning_logs").exists()

    def test_no_flipped_bit_passes_for_another_content(self, sound: Path, tmp_path: Path) -> None:
        """Bits of the container that carry nothing may flip; none may change what is read."""
        content, path, draws = sound.read_bytes(), tmp_path / "flipped.ckpt", random.Random(0)  # noqa: S311 # no secret
        whole, refused = repr(read_checkpoint(sound)), 0
        for place in draws.sample(range(len(content)), 300):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << draws.randrange(8)]) + content[place + 1 :])
            try:
                assert repr(read_checkpoint(path)) == whole, f"byte {place}"
            except ConfigError:
                refused += 1
        assert refused > 100

    def test_a_head_that_a_sweep_left_is_no_run_to_go_on_with(
        self, run_cli: RunCli, toy_options: tuple[str, ...], tmp_path: Path, sound: Path
    ) -> None:
        checkpoint = torch.load(sound, weights_only=True)
        kept = {key: value for key, value in checkpoint.items() if key != "optimizer_states"}
        head = tmp_path / "best-soft.ckpt"
        torch.save({**kept, "digest": content_digest(kept)}, head)
        options = (*toy_options, *SWITCHES, f"--trainer.default_root_dir={tmp_path}", f"--ckpt_path={head}")
        done = run_cli("fit", *options)
        assert done.code == 2
        assert f"{head} is a head that a search or an experiment left: it is there for test and predict" in done.err
        assert run_cli("test", *options).code == 0


REPLACES = """
import os, sys, torch
from pathlib import Path
from soft_labels.training.best import WholeFileIO
path, writer = Path(sys.argv[1]), WholeFileIO()
def tell(what):
    os.write(1, f"{what}\\n".encode())  # at once: a kill comes before it or after
for _ in sys.stdin:
    if not (child := os.fork()):
        tell(os.getpid())
        for epoch in range(10**9):
            state = {"head.weight": torch.full((300, 1000), float(epoch))}
            more = {"data_identity": {}, "hyper_parameters": {}}
            writer.save_checkpoint({"epoch": epoch, "state_dict": state, **more}, path)
            tell(epoch)
    os.waitpid(child, 0)
    tell("killed")
"""


@pytest.fixture
def elsewhere(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A temporary folder on another file system than the test's."""
    memory = Path("/dev/shm")  # noqa: S108
    if os.getuid() == 0 or not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        yield request.getfixturevalue("small_disk")("64m")
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("kills", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_loses_no_checkpoint(tmp_path: Path, elsewhere: Path, kills: int) -> None:
    """A process replaces the checkpoint all the time; its temporary folder is on another file system."""
    path, draws = tmp_path / "kept" / "best.ckpt", random.Random(kills)  # noqa: S311 # no secret
    environment = {**os.environ, "TMPDIR": str(elsewhere), "PYTHONPATH": str(REPOSITORY)}
    command = (sys.executable, "-c", REPLACES, path)
    with started(*command, stdin=-1, stdout=-1, env=environment, text=True) as process:
        says, hears = cast("IO[str]", process.stdout), cast("IO[str]", process.stdin)
        for _ in range(kills):
            hears.write("again\n")
            hears.flush()
            writer, *told = (int(says.readline()) for _ in range(draws.randrange(2, 6)))
            time.sleep(draws.random() * 0.02)
            os.kill(writer, signal.SIGKILL)
            told += [int(line) for line in iter(says.readline, "killed\n")]
            checkpoint = read_checkpoint(path)
            assert checkpoint["epoch"] in {told[-1], told[-1] + 1}, "what was told to be written is there, or the next"
            assert (checkpoint["state_dict"]["head.weight"] == checkpoint["epoch"]).all()
        hears.close()
        says.close()
    assert not list(elsewhere.iterdir()), "nothing goes through the temporary folder"
    leftovers = [file.name for file in path.parent.iterdir() if file != path]
    assert all(name.startswith(PARTIAL_PREFIX) for name in leftovers), "none that could be taken for a checkpoint"


def test_the_command_line_takes_its_settings(toy_options: tuple[str, ...], tmp_path: Path) -> None:
    """The callback of a run is found, and knows its file."""
    cli = SoftLabelCLI([*toy_options, *SWITCHES, f"--trainer.default_root_dir={tmp_path}"], run=False)
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    best = best_of(cli.trainer)
    assert best.path is not None
    assert read_checkpoint(best.path)["epoch"] == best.epoch


def test_a_checkpoint_of_the_schema_before_is_migrated_wherever_it_is_read(
    run_cli: RunCli, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_cli("fit", *options).code == 0
    (path,) = tmp_path.rglob("best.ckpt")
    now = torch.load(path, weights_only=True)
    before = {**now, "schema": SCHEMA - 1, "once": now["hyper_parameters"]}
    before["hyper_parameters"] = {**before.pop("once"), "target": "majority"}
    before["digest"] = content_digest(before)
    torch.save(before, path)
    assert (
        f"wanted a checkpoint of schema {SCHEMA}, got {SCHEMA - 1}"
        in run_cli("test", *options, f"--ckpt_path={path}").err
    )

    def step(old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "schema": SCHEMA, "hyper_parameters": {**old["hyper_parameters"], "target": "soft"}}

    monkeypatch.setitem(MIGRATIONS, SCHEMA - 1, step)
    assert read_checkpoint(path)["hyper_parameters"] == now["hyper_parameters"]
