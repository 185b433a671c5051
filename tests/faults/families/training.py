"""Precisions, devices, and settings of the trainer that leave nothing to judge."""

import json
from pathlib import Path

import torch

from tests.faults.case import Case, Outcome
from tests.faults.damage import writing
from tests.faults.sound import CHECKPOINT, FIT

PRECISIONS = (
    "transformer-engine", "transformer-engine-float16", "16-true", "16-mixed", "bf16-true", "bf16-mixed", "32-true",
    "64-true", "64", "32", "16", "bf16",
)  # fmt: skip
REFUSED_PRECISIONS = {"transformer-engine", "transformer-engine-float16"}
COMPARE = ("compare", "--config", "data.yaml", "--seeds=1")


def trained(outcome: Outcome, folder: Path) -> None:
    """There is one best checkpoint of finite weights, and the line names it."""
    (path,) = folder.glob("lightning_logs/table/*/checkpoints/best.ckpt")
    state = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())
    assert f"checkpoint {path.relative_to(folder)}" in outcome.err


def judged(outcome: Outcome, folder: Path) -> None:
    """Metrics that other programs read, without a bare NaN."""
    (path,) = folder.glob("lightning_logs/table/*/test_metrics.json")
    values = json.loads(path.read_text(), parse_constant=no_constant)["metrics"]
    assert 0 < values["test/kl"] < 10


def no_constant(name: str) -> None:
    """A constant that JSON does not have."""
    raise AssertionError(name)


def predicted(outcome: Outcome, folder: Path) -> None:
    """A distribution for each item."""
    (path,) = folder.glob("lightning_logs/table/*/predictions.csv")
    lines = path.read_text().splitlines()
    assert len(lines) == 31
    assert all(abs(sum(map(float, line.split(",")[2:5])) - 1) < 1e-2 for line in lines[1:])


def _precisions() -> list[Case]:
    """Everything that the trainer offers trains, tests and predicts, or is refused at the start."""
    kind = "precisions and devices"
    cases = []
    for name in PRECISIONS:
        option = f"--trainer.precision={name}"
        refused = "precision" if name in REFUSED_PRECISIONS else None
        cases.append(Case(kind, f"fit, {name}", (*FIT, option), refused, None, None if refused else trained))
        if name in {"16-true", "bf16-true", "bf16-mixed", "64-true"}:
            given = ("--config", "data.yaml", f"--ckpt_path={CHECKPOINT}", option)
            cases.append(Case(kind, f"test, {name}", ("test", *given), None, None, judged))
            cases.append(Case(kind, f"predict, {name}", ("predict", *given), None, None, predicted))
    commands = {"fit": FIT, "embed": ("embed", "--config", "data.yaml"), "sweep": SWEEP, "compare": COMPARE}
    for accelerator in ("cuda", "gpu", "mps", "tpu", "hpu", "warp"):
        for command, line in commands.items():
            if command == "fit" or accelerator in {"cuda", "mps"}:
                option = f"--trainer.accelerator={accelerator}"
                cases.append(Case(kind, f"{command} on {accelerator}", (*line, option), f"{accelerator}|accelerator"))
    return [
        *cases,
        Case(kind, "a precision that is none", (*FIT, "--trainer.precision=8"), "precision"),
        Case(kind, "no devices", (*FIT, "--trainer.devices=0"), "devices"),
        Case(kind, "devices below zero", (*FIT, "--trainer.devices=-3"), "devices"),
        Case(kind, "devices that are a word", (*FIT, "--trainer.devices=many"), "devices"),
        Case(kind, "device of another number", (*FIT, "--trainer.accelerator=gpu", "--trainer.devices=[7]"), "gpu|GPU"),
        Case(kind, "a strategy that is none", (*FIT, "--trainer.strategy=magic"), "strategy|magic"),
        Case(kind, "a strategy whose package is missing", (*FIT, "--trainer.strategy=deepspeed"), "deepspeed"),
        Case(kind, "a strategy of GPUs", (*FIT, "--trainer.strategy=fsdp"), "fsdp|FSDP"),
    ]


WATCHES_TEST = {
    "class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"monitor": "test/loss"},
}  # fmt: skip
SWEEP = ("sweep", "--config", "data.yaml", "--sweep", "grid.yaml", "--out", "new")
FLAGS: dict[str, tuple[tuple[str, ...], str]] = {
    "fast_dev_run": (("--trainer.fast_dev_run=true",), "fast_dev_run"),
    "no epochs": (("--trainer.max_epochs=0",), "max_epochs of at least 1"),
    "epochs below zero": (("--trainer.max_epochs=-1",), "max_epochs of at least 1"),
    "epochs of nothing": (("--trainer.max_epochs=null",), "max_epochs of at least 1"),
    "steps": (("--trainer.max_steps=5",), "max_steps"),
    "no training batches": (("--trainer.limit_train_batches=0",), "limit_train_batches"),
    "no validation batches": (("--trainer.limit_val_batches=0",), "limit_val_batches"),
    "no checkpoints": (("--trainer.enable_checkpointing=false",), "enable_checkpointing"),
    "validation beyond the epochs": (("--trainer.check_val_every_n_epoch=9",), "never validates"),
    "validation within epochs": (("--trainer.val_check_interval=0.5",), "val_check_interval"),
    "plateau that skips epochs": (
        ("--trainer.check_val_every_n_epoch=2", "--model.scheduler=plateau"), "plateau scheduler wants",
    ),
    "early stopping by test": (("--early_stopping.monitor=test/loss",), "no choice may look at the test split"),
    "early stopping by nothing": (("--early_stopping.monitor=val/nonsense",), "there is no such metric"),
    "checkpoint by test": (("--checkpoint.monitor=test/kl",), "no choice may look at another split"),
    "checkpoint by training": (("--checkpoint.monitor=train/loss",), "no choice may look at another split"),
    "early stopping in no direction": (("--early_stopping.mode=up",), "set early_stopping.mode=min"),
    "early stopping in the other direction": (
        ("--early_stopping.monitor=val/accuracy",), "set early_stopping.mode=max",
    ),
    "a shorter time than none": (("--trainer.max_time=-1:00",), "duration"),
    "a time that is none": (("--trainer.max_time=soon",), "duration"),
    "clipping below zero": (("--trainer.gradient_clip_val=-1",), "gradient_clip"),
    "accumulating nothing": (("--trainer.accumulate_grad_batches=0",), "accumulate"),
    "a callback that watches test": (
        (f"--trainer.callbacks={json.dumps([WATCHES_TEST])}",), "monitors test/loss",
    ),
    "training that breaks down": (("--model.lr=1e30",), "training broke down in epoch 0"),
    "half precision that breaks down": (("--model.lr=1e30", "--trainer.precision=16-true"), "broke down|precision"),
}  # fmt: skip


def _samplers() -> list[Case]:
    """Searches that could not be carried out."""
    kind = "search spaces and samplers"
    space = "space: {model.lr: {float: [0.001, 0.1], log: true}}\n"

    def searched(name: str, content: str, says: str) -> Case:
        return Case(kind, name, ("sweep", "--config", "data.yaml", "--sweep", "other.yaml", "--out", "new"), says,
                    writing("other.yaml", content))  # fmt: skip

    optuna = "sampler: {class_path: optuna.samplers.%s}\ntrials: 3\n"
    return [
        searched("an empty space", "space: {}\n", "space|key"),
        searched("no space", "sampler: grid\n", "space"),
        searched("an empty grid", "space: {model.lr: {categorical: []}}\n", "model.lr"),
        searched("a grid of 13 million points", "space:\n" + "".join(
            f"  {key}: {{categorical: [{', '.join(map(str, values))}]}}\n" for key, values in (
                ("model.lr", [n / 1000 + 0.001 for n in range(300)]), ("model.dropout", [n / 500 for n in range(300)]),
                ("data.batch_size", range(1, 146)))), "points|trials|memory|hours"),
        searched("a million trials too many", space + "sampler: {class_path: optuna.samplers.RandomSampler}\n"
                 "trials: 2000000\n", "trials"),
        searched("a key that is none", "space: {model.magic: {categorical: [1]}}\n", "model.magic"),
        searched("a key that is fixed", "space: {trainer.precision: {categorical: [32]}}\n", "trainer.precision"),
        searched("the target", "space: {model.target: {categorical: [soft, hard]}}\n", "model.target"),
        searched("a range of one kind too many", "space: {model.lr: {float: [0.1, 1], int: [1, 2]}}\n", "model.lr"),
        searched("a range upside down", "space: {model.lr: {float: [0.1, 0.01]}}\n" + optuna % "RandomSampler",
                 "model.lr"),
        searched("a range from zero by its logarithm", "space: {model.lr: {float: [0, 1], log: true}}\n"
                 + optuna % "RandomSampler", "lr above 0"),
        searched("a range without end", "space: {model.lr: {float: [0.1, .inf]}}\n" + optuna % "RandomSampler",
                 "model.lr"),
        searched("a value twice", "space: {model.lr: {categorical: [0.1, 0.1]}}\n", "model.lr|twice"),
        searched("a value out of range", "space: {model.dropout: {categorical: [0.1, 1.5]}}\n", "dropout"),
        searched("a width of 1e9", "space: {model.hidden_width: {categorical: [4, 1000000000]}}\n", "GiB|memory"),
        searched("a grid of ranges", space, "grid"),
        searched("a sampler that is none", space + optuna % "Magic", "Magic"),
        searched("a sampler of a stranger", space + "sampler: {class_path: strange.Sampler}\ntrials: 3\n", "strange"),
        searched("a sampler without its package", space + optuna % "CmaEsSampler", "pip install cmaes|CmaEs"),
        searched("a sampler that enumerates", space + optuna % "BruteForceSampler", "cannot serve a batch"),
        searched("a sampler for ranges", "space: {model.lr: {categorical: [0.1, 0.2]}}\n" + optuna % "QMCSampler",
                 "wants int and float ranges"),
        searched("a pruner that is none", space + optuna % "RandomSampler" + "pruner: {class_path: optuna.Nope}\n",
                 "Nope"),
        searched("no trials", space + "sampler: {class_path: optuna.samplers.RandomSampler}\ntrials: 0\n", "trials"),
        searched("no number of trials", space + "sampler: {class_path: optuna.samplers.RandomSampler}\n", "trials"),
        searched("a batch of zero", space + optuna % "RandomSampler" + "batch: 0\n", "batch"),
        searched("no grace", space + optuna % "RandomSampler" + "grace: 0\n", "grace"),
        searched("a grace that is no number", space + optuna % "RandomSampler" + "grace: .nan\n", "grace"),
        searched("a sampler's seed below zero", space + optuna % "RandomSampler" + "seed: -1\n", "[Ss]eed"),
        searched("an unknown key", space + optuna % "RandomSampler" + "magic: 1\n", "magic"),
        Case(kind, "no file of a search", ("sweep", "--config", "data.yaml"), "sweep|space"),
        Case(kind, "an arm that is none", (*SWEEP, "--only=medium"), "medium"),
        Case(kind, "an engine that is none", (*SWEEP, "--engine=steam"), "engine|steam"),
    ]  # fmt: skip


def cases() -> list[Case]:
    """All kinds."""
    flags = [
        Case("settings of the trainer", f"{command[0]}: {name}", (*command, *options), says)
        for name, (options, says) in FLAGS.items()
        for command in (FIT, COMPARE)
        if command is FIT or name in {"no epochs", "steps", "no validation batches", "training that breaks down"}
    ]
    return [*_precisions(), *flags, *_samplers()]
