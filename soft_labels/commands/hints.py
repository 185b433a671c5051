"""The nearest right name for a wrong option, key or class in a message of the parser."""

import difflib
import inspect
import re
from importlib import import_module

from soft_labels.commands.help import PAGES
from soft_labels.errors import did_you_mean

_ARGUMENT = re.compile(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted")
_CLASS = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'")
_OPTION = re.compile(r"(?:unrecognized arguments: --|does not accept option ')([\w.]+)")
# Classes whose arguments are options, by the options' first word.
_GROUPS = {
    "trainer": "lightning.Trainer",
    "model": "soft_labels.training.spec.HeadSpec",
    "data": "soft_labels.data.TableDataModule",
    "early_stopping": "lightning.pytorch.callbacks.EarlyStopping",
    "checkpoint": "soft_labels.training.best.BestCheckpoint",
    "experiment": "soft_labels.commands.reproduce.ExperimentSettings",
}


def hint(message: str, command: str) -> str:
    """What a message of the parser should end with: the name that was meant, if any is near.

    Args:
        message: The parser's.
        command: Whose options are wanted.
    """
    if found := _ARGUMENT.search(message):
        return did_you_mean(found[2], _arguments(found[1]))
    if found := _CLASS.search(message):
        return did_you_mean(found[2], dir(import_module(found[1])))
    if found := _OPTION.search(message):
        return _option_hint(found[1], command)
    return ""


def _option_hint(name: str, command: str) -> str:
    """The nearest option, part by part: a long word in common makes no two options alike."""
    group, dot, key = name.partition(".")
    if not dot:
        own = [option.split()[0].removeprefix("--") for option in PAGES[command].options] if command in PAGES else []
        return did_you_mean(name, own)
    groups = difflib.get_close_matches(group, _GROUPS, n=1)
    known = {f"{one}.{key}" for one in groups for key in _arguments(_GROUPS[one])}
    meant = [one for one in known if difflib.get_close_matches(key, [one.partition(".")[2]])]
    return did_you_mean(name, meant)


def _arguments(class_path: str) -> set[str]:
    """What a class takes, by its own constructor and by those that it hands arguments to."""
    module, _, name = class_path.rpartition(".")
    made = getattr(import_module(module), name)
    own = [vars(one)["__init__"] for one in inspect.getmro(made) if "__init__" in vars(one)]
    return {name for one in own for name in inspect.signature(one).parameters} - {"self", "args", "kwargs"}
