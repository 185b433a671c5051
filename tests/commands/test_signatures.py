"""What is read from a source is what the class itself says."""

import inspect
from importlib import import_module

import pytest

from soft_labels.commands.options import GROUPS
from soft_labels.commands.signatures import arguments_of


@pytest.mark.parametrize("path", [path for paths in GROUPS.values() for path in paths])
def test_the_source_says_what_the_constructors_say(path: str) -> None:
    module, _, name = path.rpartition(".")
    made = getattr(import_module(module), name)
    own = [vars(one)["__init__"] for one in inspect.getmro(made) if "__init__" in vars(one)]
    said = {name for one in own for name in inspect.signature(one).parameters} - {"self", "args", "kwargs"}
    found = arguments_of(path)
    assert found is not None
    assert found == said - ({"embedded"} if name.endswith("DataModule") else set())  # what they make themselves


@pytest.mark.parametrize("path", ["soft_labels.data.NoSuch", "nosuch.Class", "Class", "torch._C.Generator"])
def test_what_has_no_source_is_not_known(path: str) -> None:
    assert arguments_of(path) is None
