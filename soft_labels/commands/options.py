"""The options of each command, known before anything heavy is imported: for mistakes and for completion.

Options of a class are read from its source, see :mod:`soft_labels.commands.signatures`; those that a command has of its
own are written down here, and a test holds them against the parsers.
"""

from collections.abc import Mapping
from functools import cache

from soft_labels.commands.signatures import arguments_of

_DATA = "soft_labels.data"
GROUPS: Mapping[str, tuple[str, ...]] = {
    "trainer": ("lightning.Trainer",),
    "model": ("soft_labels.training.spec.HeadSpec",),
    "data": (f"{_DATA}.TableDataModule", f"{_DATA}.BlendedDigitsDataModule", f"{_DATA}.ChaosNLIDataModule",
             f"{_DATA}.PopquornDataModule", f"{_DATA}.Cifar10HDataModule"),
    "early_stopping": ("lightning.pytorch.callbacks.EarlyStopping",),
    "checkpoint": ("soft_labels.training.best.BestCheckpoint",),
    "projector": ("soft_labels.training.callbacks.ItemProjector",),
    "experiment": ("soft_labels.commands.reproduce.ExperimentSettings",),
    "sweep": ("soft_labels.sweep.settings.SweepForm",),
}  # fmt: skip
"""Classes whose arguments are options, by the options' first word."""
_MORE = {
    "model": {"calibration", "num_classes", "embedding_dim", "ordinal"},
    "data": {"class_path", "init_args", "dict_kwargs", "help"},
}
_ARMS = ("arms", "baseline", "only")
_FIT = ("seed_everything",)
_OF_FIT = ("trainer", "model", "data", "early_stopping", "checkpoint", "projector")
_RUN = ("ckpt_path",)
_COMPARE = (*_FIT, *_ARMS, *_RUN, "seeds", "out", "json", "show")
OWN: Mapping[str, tuple[str, ...]] = {
    "fit": (*_FIT, *_RUN),
    "validate": (*_FIT, *_RUN, "verbose", "json", "out"),
    "test": (*_FIT, *_RUN, "verbose", "json", "out"),
    "predict": (*_FIT, *_RUN, "return_predictions", "out", "format", "missing", "uid_column", "text_column",
                "second_text_column", "text_template", "image_column", "encoding", "annotations", "label_column",
                "revision", "encoder"),
    "export": (*_FIT, *_RUN, "out", "onnx"),
    "quickstart": _COMPARE,
    "compare": _COMPARE,
    "budget": (*_FIT, *_ARMS, *_RUN, "ladder", "draws", "seeds", "price", "engine", "out"),
    "sweep": (*_FIT, *_ARMS, *_RUN, "storage", "study", "engine", "out", "json"),
    "storage": ("storage", "host", "port"),
    "reproduce": ("engine", "share", "out"),
    "report": ("out",),
    "embed": (*_FIT, *_RUN, "dry_run"),
}  # fmt: skip
"""Options of a command beside those of classes; what is not here is left to the command's parser."""
WITHIN: Mapping[str, tuple[str, ...]] = {
    "data": ("init", "stats", "fetch"),
    "configs": ("list", "show", "copy"),
    "runs": ("list", "clean"),
    "cluster": ("slurm",),
    "completion": ("bash", "zsh", "fish"),
}
"""What must follow a command that is several."""
_GROUPS_OF: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("fit", "validate", "test", "predict", "quickstart", "compare", "budget", "export", "embed"), _OF_FIT
    ),
    "sweep": (*_OF_FIT, "sweep"),
    "reproduce": ("trainer", "model", "data", "early_stopping", "experiment"),
}
_OF_ALL = ("help", "help-all", "config", "print_config", "quiet")


def groups_of(command: str) -> tuple[str, ...]:
    """First words of a command's options of classes."""
    return _GROUPS_OF.get(command, ())


@cache
def keys_of(group: str) -> frozenset[str]:
    """What may follow a group's name and a dot.

    Args:
        group: A key of :data:`GROUPS`.
    """
    known = (arguments_of(one) or frozenset() for one in GROUPS[group])
    return frozenset({*_MORE.get(group, ()), *(key for keys in known for key in keys)})


def own_of(command: str) -> tuple[str, ...]:
    """A command's options without a dot, its groups among them."""
    return (*OWN.get(command, ()), *groups_of(command), *_OF_ALL)


def options_of(command: str) -> list[str]:
    """Every option of a command in full, without dashes, sorted; of what its classes are given, the first level."""
    inner = (f"{group}.{key}" for group in groups_of(command) for key in keys_of(group))
    return sorted({*own_of(command), *inner})


def is_known(command: str, name: str) -> bool:
    """Whether a command may have an option; what lies deeper than a class's own arguments is for the parser to say.

    Args:
        command: A key of :data:`OWN`.
        name: Without dashes and value, as ``model.lr``.
    """
    group, dot, rest = name.partition(".")
    if not dot:
        return name.removesuffix("+") in own_of(command)
    if group not in groups_of(command):
        return group in OWN.get(command, ())
    key = rest.removeprefix("init_args.").partition(".")[0].removesuffix("+")
    return key in keys_of(group)
