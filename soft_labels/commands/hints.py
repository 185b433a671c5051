"""The nearest right name for a wrong option, key or class in a message of the parser."""

import difflib
import re
from importlib import import_module

from soft_labels.commands.options import GROUPS, keys_of, own_of
from soft_labels.commands.signatures import arguments_of
from soft_labels.errors import did_you_mean

_ARGUMENT = re.compile(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted")
_CLASS = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'")
_OPTION = re.compile(r"(?:unrecognized arguments: --|does not accept option ')([\w.]+)")


def hint(message: str, command: str) -> str:
    """What a message of the parser should end with: the name that was meant, if any is near.

    Args:
        message: The parser's.
        command: Whose options are wanted.
    """
    if found := _ARGUMENT.search(message):
        return did_you_mean(found[2], arguments_of(found[1]) or ())
    if found := _CLASS.search(message):
        return did_you_mean(found[2], dir(import_module(found[1])))
    if found := _OPTION.search(message):
        return _option_hint(found[1], command)
    return ""


def _option_hint(name: str, command: str) -> str:
    """The nearest option, part by part: a long word in common makes no two options alike."""
    group, dot, key = name.partition(".")
    if not dot:
        return did_you_mean(name, own_of(command))
    groups = difflib.get_close_matches(group, GROUPS, n=1)
    known = {f"{one}.{inner}" for one in groups for inner in keys_of(one)}
    meant = [one for one in known if difflib.get_close_matches(key, [one.partition(".")[2]])]
    return did_you_mean(name, meant)
