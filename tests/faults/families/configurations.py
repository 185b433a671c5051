"""Configurations that are broken, too large, or from somebody who means ill."""

import json

import yaml

from tests.faults.case import Case
from tests.faults.damage import writing
from tests.faults.sound import FIT

KIND = "configurations"
DEEP = 10**5
EXTRA = (*FIT, "--config", "extra.yaml")
BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{number}: &a{number} [*a{number - 1}, *a{number - 1}]\n" for number in range(1, 40)
)

# What is wrong with a file that is overlaid: its content, and what must be said.
FILES: dict[str, tuple[str | bytes, str]] = {
    "Latin-1": ("model: {lr: 1}  # für\n".encode("latin-1"), "extra.yaml: wanted UTF-8 text"),
    "UTF-16": ("model: {lr: 0.1}\n".encode("utf-16"), "extra.yaml: wanted UTF-8 text"),
    "zero bytes": (b"model: {lr: 1}\0\n", "extra.yaml|parsing config"),
    "bytes of a picture": (b"\x89PNG\r\n\x1a\n" + b"\xff" * 50, "extra.yaml: wanted UTF-8 text"),
    "does not parse": ("data: [\n", "[Pp]roblems parsing config"),
    "a tab for indentation": ("model:\n\tlr: 1\n", "[Pp]roblems parsing config"),
    "a list": ("- 1\n- 2\n", "extra.yaml|config"),
    "a word": ("hello\n", "extra.yaml|config"),
    "a number": ("17\n", "extra.yaml|config"),
    "unknown key": ("nonsense: 1\n", "nonsense"),
    "unknown key of the model": ("model: {learning_rate: 1}\n", "learning_rate"),
    "unknown key of the data": ("data: {init_args: {nonsense: 1}}\n", "nonsense"),
    "unknown key of the trainer": ("trainer: {nonsense: 1}\n", "nonsense"),
    "a key twice": ("model: {lr: 0.1}\nmodel: {lr: 0.2}\n", "twice|duplicate"),
    "a key that is no text": ("1: 2\n", "1|config"),
    "a tag that makes an object": ("model: !!python/object/apply:os.system [true]\n", "[Pp]roblems parsing config"),
    "alias bomb": (BOMB, "values once its aliases|more than 100,000"),
    "alias within itself": ("model: &a {lr: *a}\n", "stands within what it stands for"),
    "alias of nothing": ("model: {lr: *nowhere}\n", "[Pp]roblems parsing config"),
    "JSON nested deeply": ('{"model": ' + "[" * DEEP + "]" * DEEP + "}", "nested|parsing config"),
    "YAML nested deeply": ("model: " + "{a: " * 300 + "1" + "}" * 300 + "\n", "nested|parsing config"),
    "rate that is a word": ("model: {lr: fast}\n", "model.lr"),
    "rate that is a list": ("model: {lr: [1]}\n", "model.lr"),
    "rate that is nothing": ("model: {lr: null}\n", "model.lr|lr"),
    "rate of zero": ("model: {lr: 0}\n", "lr above 0"),
    "rate below zero": ("model: {lr: -0.1}\n", "lr above 0"),
    "rate that is no number": ("model: {lr: .nan}\n", "lr"),
    "rate without end": ("model: {lr: .inf}\n", "lr"),
    "decay below zero": ("model: {weight_decay: -1}\n", "weight_decay"),
    "decay that is no number": ("model: {weight_decay: .nan}\n", "weight_decay"),
    "width of zero": ("model: {hidden_width: 0}\n", "hidden_width of at least 1"),
    "width of 1e9": ("model: {hidden_width: 1000000000}\n", "memory|GiB"),
    "width of 1e30": ("model: {hidden_width: 1000000000000000000000000000000}\n", "memory|GiB|hidden_width"),
    "width of a half": ("model: {hidden_width: 2.5}\n", "hidden_width"),
    "dropout of 1": ("model: {dropout: 1}\n", "dropout from 0 to below 1"),
    "dropout that is no number": ("model: {dropout: .nan}\n", "dropout"),
    "target that is none": ("model: {target: softt}\n", "did you mean soft"),
    "loss that is none": ("model: {loss: mse}\n", "wanted a loss of"),
    "calibration that is none": ("model: {calibration: platt}\n", "calibration"),
    "scheduler that is none": ("model: {scheduler: magic}\n", "scheduler"),
    "smoothing of 2": ("model: {target: smoothed, smoothing: 2}\n", "smoothing"),
    "shrinkage below zero": ("model: {target: shrunk, shrinkage: -1}\n", "shrinkage"),
    "order for a loss of ranks": ("model: {loss: rps}\n", "ordinal"),
    "seed below zero": ("seed_everything: -1\n", "seed_everything must be a whole number"),
    "seed of 2**32": ("seed_everything: 4294967296\n", "seed_everything must be a whole number"),
    "seed that is true": ("seed_everything: true\n", "seed_everything must be a whole number"),
    "seed that is a word": ("seed_everything: lucky\n", "seed_everything"),
    "batch of zero": ("data: {init_args: {batch_size: 0}}\n", "batch sizes must be at least 1"),
    "batch that is a word": ("data: {init_args: {batch_size: all}}\n", "batch_size"),
    "memory limit below zero": ("data: {init_args: {memory_limit_mb: -5}}\n", "memory_limit_mb"),
    "ratios of four parts": ("data: {init_args: {split_ratios: [0.4, 0.2, 0.2, 0.2]}}\n", "split_ratios"),
    "ratios beyond one": ("data: {init_args: {split_ratios: [0.9, 0.2, 0.2]}}\n", "sum to 1"),
    "ratio of zero": ("data: {init_args: {split_ratios: [0.0, 0.8, 0.2]}}\n", "positive shares"),
    "ratio that is no number": ("data: {init_args: {split_ratios: [.nan, 0.5, 0.5]}}\n", "positive shares|sum to 1"),
    "split seed below zero": ("data: {init_args: {split_seed: -1}}\n", "split_seed"),
    "class path of a stranger": (
        "data: {class_path: malicious.Data}\n", "malicious|not this project's|class path",
    ),
    "class path that runs a command": (
        "data: {class_path: subprocess.Popen, init_args: {args: [touch, made]}}\n", "subprocess",
    ),
    "encoder that runs a command": (
        "data: {init_args: {encoder: {class_path: os.system, init_args: {command: touch made}}}}\n", "os.system|os",
    ),
    "callback that runs a command": (
        "trainer: {callbacks: [{class_path: subprocess.Popen, init_args: {args: [touch, made]}}]}\n", "subprocess",
    ),
    "class path that unpickles": (
        "trainer: {logger: {class_path: torch.load, init_args: {f: table.csv}}}\n", "torch.load|torch",
    ),
    "class path of a class that is none": ("data: {class_path: soft_labels.data.Nope}\n", "Nope"),
    "class path of another kind": ("data: {class_path: soft_labels.encoders.TimmEncoder}\n", "TimmEncoder"),
    "store that is a file": ("data: {init_args: {store: table.csv}}\n", "table.csv"),
    "results in a file": ("trainer: {default_root_dir: table.csv}\n", "table.csv"),
    "patience below zero": ("early_stopping: {patience: -1}\n", "patience"),
    "min_delta that is no number": ("early_stopping: {min_delta: .nan}\n", "min_delta"),
}  # fmt: skip

# Options of the command line alone.
OPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "no such command": (("train",), "unknown command 'train'"),
    "no such option": ((*FIT, "--model.learning_rate=1"), "unrecognized arguments"),
    "option without a value": ((*FIT, "--model.lr"), "lr"),
    "no such file": (("fit", "--config", "none.yaml"), "none.yaml"),
    "a folder for a file": (("fit", "--config", "pictures"), "pictures"),
    "no data": (("fit",), "data"),
    "no encoder": (("fit", "--config", "plain.yaml"), "wanted data.encoder"),
    "no seeds": (("compare", "--config", "data.yaml", "--seeds=0"), "--seeds must be at least 1"),
    "seeds that are a word": (("compare", "--config", "data.yaml", "--seeds=many"), "seeds"),
    "a configuration of another command": ((*FIT, "--config", "jobs.yaml"), "jobs"),
    "trust that is no package": ((*FIT,), "SOFT_LABELS_TRUST wants names of packages"),
    "a checkpoint for a configuration": (("fit", "--config", "run/checkpoints/best.ckpt"), "best.ckpt|UTF-8|config"),
    "help of nothing": (("--halp",), "unknown command"),
}


def _overlaid() -> list[Case]:
    """A file with something wrong over a configuration in which all is right."""
    cases = [Case(KIND, name, EXTRA, says, writing("extra.yaml", content)) for name, (content, says) in FILES.items()]
    nested = json.dumps(yaml.safe_load("{trainer: {callbacks: nothing}}"))
    return [*cases, Case(KIND, "JSON of another type", EXTRA, "callbacks", writing("extra.yaml", nested))]


def cases() -> list[Case]:
    """All of the kind."""
    options = [
        Case(
            KIND, name, command, says, environment={"SOFT_LABELS_TRUST": "../x"} if name.startswith("trust") else {}
        )
        for name, (command, says) in OPTIONS.items()
    ]  # fmt: skip
    return [*_overlaid(), *options]
