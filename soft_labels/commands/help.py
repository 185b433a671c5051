"""Help pages that a person needs first, answered before anything is imported; ``--help-all`` has every option."""

import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import starmap

Options = Mapping[str, str]


@dataclass(frozen=True)
class Page:
    """The short help page of a command.

    Args:
        usage: What follows the command's name.
        what: What the command does.
        options: What a person sets first, as it is written, and what it does.
        examples: Command lines without ``soft-labels``.
    """

    usage: str
    what: str
    options: Options
    examples: tuple[str, ...] = ()


_CONFIG = {
    "--config NAME": "a configuration: a file, or a name of soft-labels configs list; further ones overlay",
    "--print_config": "print the whole configuration, and stop",
}
_DATA = {
    "--data.path FILE": "the table of annotations (with --config data/table, or what data init wrote)",
    "--data.encoder CLASS": "what turns items into features; also by --config encoder/NAME",
    "--data.split_seed N": "which split into train, val and test",
}
_HEAD = {
    "--model.target NAME": "soft, hard, smoothed, repeated, sampled, shrunk: what a head is trained towards",
    "--model.loss NAME": "cross_entropy, jensen_shannon, brier, rps",
    "--model.lr X": "learning rate",
    "--model.hidden_width N": "units of the hidden layer; 0 for none",
    "--model.dropout X": "share of units that are left out in training",
    "--model.weight_decay X": "of the optimiser",
    "--data.batch_size N": "items a training step",
    "--trainer.max_epochs N": "training ends sooner where validation loss stops falling",
    "--trainer.accelerator NAME": "cpu, gpu, auto",
}
_ARMS = {
    "--arms YAML": "what is set side by side, by name: {soft: {model.target: soft}, hard: {model.target: hard}}",
    "--baseline ARM": "the arm that all others are compared with",
    "--only ARM,ARM": "take these arms alone",
}
_SEED = {"--seed_everything N": "seed of initial weights, order and dropout"}
_JSON = {"--json": "print the result as one JSON object"}
_CHECKPOINT = {
    "--ckpt_path FILE": "the checkpoint of a run, RUN/checkpoints/best.ckpt",
    "--out FILE": "keep the metrics there as JSON too",
    **_JSON,
}
_FIT = {**_CONFIG, **_DATA, **_HEAD}

PAGES: Mapping[str, Page] = {
    "quickstart": Page(
        "[options]",
        "Train a soft and a hard head on blended digits with simulated annotators and print them side by side. Nothing "
        "is downloaded; the options are those of compare.",
        {"--seeds N": "train each arm with seeds 0 to N - 1"},
        ("quickstart", "quickstart --seeds 2"),
    ),
    "fit": Page(
        "--config NAME [options]",
        "Train one head and keep its best epoch, curves and configuration in a folder of its own.",
        {**_FIT, **_SEED, "--ckpt_path FILE": "go on with this checkpoint, in its folder"},
        ("fit --config my.yaml --config target/soft",),
    ),
    "validate": Page(
        "--config RUN/config.yaml --ckpt_path FILE", "Metrics of a checkpoint on the validation split.", _CHECKPOINT
    ),
    "test": Page(
        "--config RUN/config.yaml --ckpt_path FILE",
        "Metrics of a checkpoint on the test split.",
        _CHECKPOINT,
        ("test --config RUN/config.yaml --ckpt_path RUN/checkpoints/best.ckpt",),
    ),
    "predict": Page(
        "HEAD TABLE --out FILE [options]",
        "Predict the items of a table with a head that soft-labels export wrote, in bounded memory. The other form, "
        "predict --config RUN/config.yaml --ckpt_path FILE, predicts with a run's configuration and writes beside it.",
        {
            "--out FILE": "file of predictions: .csv, .parquet or .jsonl",
            "--missing NAME": "what becomes of items that lack a text or cannot be read: error or drop",
            "--uid_column NAME": "column of the item's id; as in training if not given, like the next two",
            "--text_column NAME": "column of the text",
            "--image_column NAME": "column of image paths",
            "--annotations FILE": "a few annotations of the new items, whose prior the head is then",
        },
        ("predict head new.csv --out predictions.parquet",),
    ),
    "export": Page(
        "RUN --out DIR [options]",
        "Write a run's head as a folder that travels: weights, settings, and a card of its numbers; nothing of the "
        "training data. Where a run's files lie apart: export --config FILE --ckpt_path FILE --out DIR.",
        {"--out DIR": "a new folder", "--onnx": "write the head as ONNX too; wants the extra onnx"},
        ("export RUN --out head",),
    ),
    "budget": Page(
        "--config NAME [options]",
        "How many annotators an item are enough: train on a few of each item's own, and judge by all.",
        {
            **_CONFIG,
            "--ladder LIST": "annotators an item, as [1,2,5,10]",
            "--draws N": "how often annotators are drawn for each step",
            "--seeds N": "heads of each arm for each draw",
            "--price X": "of an annotation, for a column of money",
            "--out DIR": "experiment or other folder",
            **_ARMS,
        },
        ("budget --config my.yaml --price 0.05",),
    ),
    "compare": Page(
        "--config NAME [options]",
        "Train the heads of each arm on the same split with several seeds, judge them on test, and print metrics and "
        "what they mean side by side.",
        {
            **_FIT,
            **_ARMS,
            "--seeds N": "train each arm with seeds 0 to N - 1",
            "--show DIR": "print a comparison that was kept again",
            **_JSON,
        },
        ("compare --config my.yaml", "compare --config quickstart --only soft,hard"),
    ),
    "sweep": Page(
        "--config NAME --sweep NAME [options]",
        "Search for the best settings of each arm with Optuna, by validation loss.",
        {
            **_FIT,
            **_ARMS,
            "--sweep NAME": "the space, sampler and number of trials: a file, or sweep/tpe, sweep/paper_grid",
            "--storage URL": "where many workers meet: journal:PATH, a database URL, or grpc://HOST:PORT",
            "--study NAME": "name of the study",
            "--engine NAME": "population (many heads at once) or lightning (one after another)",
            "--out DIR": "where results go",
            **_JSON,
        },
        ("sweep --config my.yaml --sweep sweep/tpe",),
    ),
    "reproduce": Page(
        "--config NAME [options]",
        "A whole experiment: search for each arm, choose by validation, repeat over seeds and other splits, judge on "
        "test, write the report. A run that was interrupted goes on. A data configuration alone is enough.",
        {
            **_CONFIG,
            "--experiment.seeds N": "how often the chosen settings are trained again",
            "--experiment.redraw_splits BOOL": "repeat on as many other splits too",
            "--experiment.baseline ARM": "the arm that all others are compared with",
            "--engine NAME": "population or lightning",
            "--out DIR": "folder of the results; lightning_logs/NAME if not given",
            "--data.KEY=VALUE": "an option of fit, for every data set",
        },
        ("reproduce --config my.yaml", "reproduce --config digits_experiment"),
    ),
    "embed": Page(
        "--config NAME [options]",
        "Encode a data set's inputs once and keep the embeddings; a killed run goes on where it was.",
        {
            **_CONFIG,
            **_DATA,
            "--dry_run": "say what would be encoded, and what it would cost",
            "--trainer.devices N": "on so many devices, with --trainer.strategy ddp",
        },
        ("embed --config my.yaml --config encoder/minilm",),
    ),
    "completion": Page(
        "bash | zsh | fish",
        "Print what a shell must read so that TAB completes commands, options and configurations. bash: put the line "
        "below into ~/.bashrc; zsh: the same with zsh into ~/.zshrc; fish: soft-labels completion fish | source.",
        {"--help": "this page"},
        ('completion bash  # eval "$(soft-labels completion bash)"',),
    ),
    "runs": Page(
        "list | clean [NAME ...] [options]",
        "List what lies in lightning_logs: size, start, whether it ended, lowest KL. Or remove runs that were stopped "
        "and what killed processes left half-written: shown first, and only after an answer or with --yes. Finished "
        "experiments, sweeps and comparisons go only by name; what soft-labels did not write never.",
        {
            "--logs DIR": "the folder, lightning_logs if not given",
            "--dataset NAME": "only what is of this data set",
            "--sort KEY": "list: by started, folder, size or kl",
            "--json": "list: print one JSON object",
            "--older_than DAYS": "clean: only what is older, and then single runs that ended too",
            "--events": "clean: only event files of what ended; TensorBoard forgets it, nothing else does",
            "--yes": "clean: remove without asking",
        },
        ("runs list --sort kl", "runs clean --older_than 30"),
    ),
}
_WIDTH = 31
_WIDEST = 100


def page(command: str) -> str | None:
    """The short help page; ``None`` for a command that has no other than its whole one.

    Args:
        command: Its name.
    """
    found = PAGES.get(command)
    if found is None:
        return None
    options = "\n".join(starmap(_option, found.options.items()))
    examples = "".join(f"\n  soft-labels {line}" for line in found.examples)
    parts = [
        f"usage: soft-labels {command} {found.usage}",
        _wrapped(found.what),
        f"what a person sets first:\n{options}",
        *([f"examples:{examples}"] if examples else []),
        _wrapped(f"soft-labels {command} --help-all lists every option; an option's value follows a space or =."),
    ]
    return "\n\n".join(parts)


def _option(option: str, words: str) -> str:
    """An option and, beside it, what it does."""
    return _wrapped(f"  {option:<{_WIDTH}}{words}", " " * (_WIDTH + 2))


def _wrapped(words: str, indent: str = "") -> str:
    """A paragraph in lines of the terminal; lines after the first are indented."""
    width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    return textwrap.fill(words, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
