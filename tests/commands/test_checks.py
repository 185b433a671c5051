"""Settings under which nothing could be chosen, judged or held are refused before anything is read."""

import json
import math
from pathlib import Path
from typing import Any, get_args

import psutil
import pytest
import torch
from lightning.fabric import connector
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from soft_labels.errors import ConfigError
from soft_labels.training.heads import BYTES_TO_TRAIN, check_memory, numbers_of
from tests.conftest import RunCli, write_tiny_experiment

pytestmark = pytest.mark.slow

REFUSED = {
    "trainer.fast_dev_run=true": "trainer.fast_dev_run=True cannot be used: it trains without curves",
    "trainer.fast_dev_run=2": "trainer.fast_dev_run=2 cannot be used",
    "trainer.enable_checkpointing=false": "trainer.enable_checkpointing=False cannot be used: the best epoch is kept",
    "trainer.max_steps=5": "trainer.max_steps=5 cannot be used: training ends by epochs",
    "trainer.val_check_interval=0.5": "trainer.val_check_interval=0.5 cannot be used",
    "trainer.limit_train_batches=0": "trainer.limit_train_batches=0 leaves nothing to learn from or to choose by",
    "trainer.limit_val_batches=0": "trainer.limit_val_batches=0 leaves nothing",
    "trainer.max_epochs=0": "wanted trainer.max_epochs of at least 1, got 0",
    "trainer.max_epochs=-1": "wanted trainer.max_epochs of at least 1, got -1",
    "trainer.max_epochs=null": "wanted trainer.max_epochs of at least 1, got None",
    "trainer.check_val_every_n_epoch=4": "trainer.check_val_every_n_epoch=4 never validates within 3 epochs",
    "early_stopping.monitor=test/loss": "early_stopping.monitor test/loss: no choice may look at the test split",
    "early_stopping.monitor=val/nonsense": "early_stopping.monitor val/nonsense: there is no such metric; choose",
    "early_stopping.monitor=val/accuracy": "early_stopping.mode min would stop where val/accuracy is best; set early_",
    "early_stopping.mode=max": "early_stopping.mode max would stop where val/loss is best; set early_stopping.mode=min",
    "early_stopping.patience=-1": "wanted an early_stopping.patience of at least 1 and a finite min_delta",
    "early_stopping.min_delta=.nan": "wanted an early_stopping.patience of at least 1 and a finite min_delta",
    "trainer.gradient_clip_val=-1": "wanted a trainer.gradient_clip_val of at least 0",
    "trainer.accumulate_grad_batches=0": "trainer.accumulate_grad_batches of at least 1, got None and 0",
    "checkpoint.monitor=test/loss": "wanted a checkpoint.monitor of val/loss, val/accuracy, val/kl, val/entropy_corr",
    "checkpoint.monitor=null": "got null; no choice may look at another split",
    "checkpoint.save_top_k=0": "checkpoint.save_top_k",
    "model.hidden_width=1000000000": "a head of hidden_width 1,000,000,000 takes at least 60 GiB to train",
    "trainer.accelerator=mps": "trainer.accelerator mps, ",
    "trainer.accelerator=tpu": "trainer.accelerator tpu, ",
    "trainer.accelerator=abacus": "trainer.accelerator abacus, ",
    "trainer.precision=transformer-engine": "trainer.precision transformer-engine cannot be used here",
    "trainer.precision=transformer-engine-float16": "trainer.precision transformer-engine-float16 cannot be used here",
}
OFFERED = [
    name
    for kind in ("_PRECISION_INPUT_STR", "_PRECISION_INPUT_STR_ALIAS")
    for name in get_args(vars(connector)[kind])
    if not name.startswith("transformer")
]
ABSENT = ["mps", "tpu", *([] if torch.cuda.is_available() else ["gpu", "cuda"])]


@pytest.fixture
def unread(toy_options: tuple[str, ...], tmp_path: Path) -> tuple[str, ...]:
    """Options of a fit that would make a store, were anything read."""
    own = [option for option in toy_options if not option.startswith("--data.store")]
    return (*own, f"--data.store={tmp_path}/store", f"--trainer.default_root_dir={tmp_path}")


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of these tests has 32 GiB, however much it has."""
    memory = psutil.virtual_memory()._replace(total=32 * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def message_of(done: Any, tmp_path: Path) -> str:
    """The one message of a command that has read and written nothing."""
    assert (done.code, done.out, done.err.count("error:")) == (2, "", 1), done.err
    assert "Traceback" not in done.err
    assert "dispatch" not in done.err
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "lightning_logs").exists()
    return str(done.err.partition("error: ")[2])


@pytest.mark.usefixtures("roomy")
@pytest.mark.parametrize("command", ["fit", "compare"])
@pytest.mark.parametrize("option", REFUSED)
def test_a_setting_is_refused(
    run_cli: RunCli, unread: tuple[str, ...], tmp_path: Path, command: str, option: str
) -> None:
    assert REFUSED[option] in message_of(run_cli(command, *unread, f"--{option}"), tmp_path)


@pytest.mark.parametrize("command", ["fit", "compare"])
def test_plateau_wants_every_epochs_validation(
    run_cli: RunCli, unread: tuple[str, ...], tmp_path: Path, command: str
) -> None:
    skipped = ("--model.scheduler=plateau", "--trainer.check_val_every_n_epoch=2")
    message = message_of(run_cli(command, *unread, *skipped), tmp_path)
    assert "the plateau scheduler wants the validation loss of every epoch" in message


@pytest.mark.parametrize("option", ["trainer.check_val_every_n_epoch=2", "trainer.limit_train_batches=2"])
def test_what_leaves_something_to_judge_is_taken(
    run_cli: RunCli, unread: tuple[str, ...], tmp_path: Path, option: str
) -> None:
    done = run_cli("fit", *unread, f"--{option}", "--trainer.enable_progress_bar=false")
    assert done.code == 0, done.err
    assert len(list(tmp_path.rglob("best.ckpt"))) == 1


def test_a_batch_of_arms_is_checked_before_the_first_is_trained(
    run_cli: RunCli, unread: tuple[str, ...], tmp_path: Path
) -> None:
    arms = {"soft": {"model.target": "soft"}, "late": {"trainer.max_epochs": 0}}
    path = tmp_path / "arms.yaml"
    path.write_text(json.dumps({"arms": arms, "baseline": "soft"}), encoding="utf-8")
    message = message_of(run_cli("compare", *unread, f"--config={path}"), tmp_path)
    assert "wanted trainer.max_epochs of at least 1, got 0" in message


@pytest.fixture(scope="module")
def whole(run_cli: RunCli, toy_options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a head in single precision."""
    root = tmp_path_factory.mktemp("whole")
    assert run_cli("fit", *toy_options, f"--trainer.default_root_dir={root}").code == 0
    (path,) = root.rglob("best.ckpt")
    return path


@pytest.mark.parametrize("accelerator", ABSENT)
@pytest.mark.parametrize("command", ["fit", "compare", "validate", "test", "predict", "sweep", "reproduce"])
def test_a_device_that_is_not_there_is_one_message(
    run_cli: RunCli, unread: tuple[str, ...], tmp_path: Path, whole: Path, command: str, accelerator: str
) -> None:
    chosen = f"--trainer.accelerator={accelerator}"
    if command == "reproduce":
        own = [f"--config={write_tiny_experiment(tmp_path)}", f"--out={tmp_path}/lightning_logs"]
    elif command == "sweep":
        (tmp_path / "space.yaml").write_text("space: {model.lr: {categorical: [0.1]}}\n", encoding="utf-8")
        own = [*unread, f"--sweep={tmp_path}/space.yaml"]
    else:
        own = [*unread, *([] if command in {"fit", "compare"} else [f"--ckpt_path={whole}"])]
    message = message_of(run_cli(command, *own, chosen), tmp_path)
    assert message.startswith(f"trainer.accelerator {accelerator}, ")
    assert "cannot be used here: " in message
    assert message.count("\n") == 1


@pytest.mark.filterwarnings("ignore:.*precision")
@pytest.mark.filterwarnings("ignore:Precision")
@pytest.mark.parametrize("precision", OFFERED)
def test_a_precision_that_is_offered_trains_tests_predicts_and_draws(
    run_cli: RunCli, toy_options: tuple[str, ...], tmp_path: Path, precision: str
) -> None:
    own = (*toy_options, f"--trainer.precision={precision}", "--model.calibration=temperature")
    done = run_cli("fit", *own, f"--trainer.default_root_dir={tmp_path}")
    assert done.code == 0, done.err
    (checkpoint,) = tmp_path.rglob("best.ckpt")
    events = EventAccumulator(str(checkpoint.parents[1]), size_guidance={"images": 0})
    events.Reload()
    for tag in ("test/items", "test/entropy"):
        (picture,) = events.Images(tag)
        assert picture.width * picture.height > 400 * 400
    for command in ("validate", "test", "predict"):
        place = (f"--ckpt_path={checkpoint}", f"--trainer.default_root_dir={tmp_path / command}")
        done = run_cli(command, *own, *place)
        assert done.code == 0, done.err
    for split, command in (("val", "validate"), ("test", "test")):
        (path,) = (tmp_path / command).rglob(f"{split}_metrics.json")
        assert all(math.isfinite(value) for value in json.loads(path.read_text())["metrics"].values())
    (path,) = tmp_path.rglob("predictions.csv")
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(rows) == 80
    for row in rows:
        shares = [float(cell) for cell in row[2:5]]
        assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_numbers_of_a_head_are_those_that_torch_counts() -> None:
    head = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.Linear(5, 3))
    assert numbers_of(7, 3, 5) == sum(each.numel() for each in head.parameters())


@pytest.mark.usefixtures("roomy")
def test_memory_is_that_of_weights_gradients_and_moments() -> None:
    most = 32 * 2**30 // BYTES_TO_TRAIN // (384 + 1 + 3)
    check_memory(most - 1, 384, 3)
    with pytest.raises(ConfigError, match=r"takes at least 32 GiB to train, and this machine has 32 GiB"):
        check_memory(most + 1, 384, 3)


@pytest.mark.usefixtures("roomy")
@pytest.mark.parametrize("command", ["fit", "compare"])
def test_a_head_too_wide_for_its_features_is_refused_before_a_run_begins(
    run_cli: RunCli, toy_options: tuple[str, ...], tmp_path: Path, command: str
) -> None:
    root = f"--trainer.default_root_dir={tmp_path}"
    done = run_cli(command, *toy_options, root, "--model.hidden_width=300000000")
    assert (done.code, done.err.count("error:")) == (2, 1)
    assert "a head of hidden_width 300,000,000 takes at least 89 GiB to train" in done.err
    assert not (tmp_path / "lightning_logs").exists()
