"""What a class takes, read from its source: nothing is imported, so that it is known at once."""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_NO_OPTION = {"self", "args", "kwargs"}
_NOTHING = {"ABC", "Generic", "Protocol", "object"}


@cache
def arguments_of(class_path: str) -> frozenset[str] | None:
    """The arguments of a class's constructor and of those that it hands arguments to.

    Args:
        class_path: Such as ``lightning.Trainer``; names that a package only passes on are followed.

    Returns:
        Their names; ``None`` where the class or one that it is made from is not found in Python source.

    Example:
        >>> sorted(arguments_of("soft_labels.runs.found.Found"))
        ['folder', 'kind', 'root']
    """
    found = _definition(class_path)
    if found is None:
        return None
    module, node = found
    own = _constructor(node)
    if own is not None and (own.args.kwarg is None or not node.bases):
        return frozenset(_names(own))
    inherited: set[str] = set()
    for base in node.bases:
        name = ast.unparse(base).partition("[")[0]
        if name in _NOTHING:
            continue
        arguments = arguments_of(_full_name(module, name))
        if arguments is None:
            return None
        inherited |= arguments
    return frozenset({*(_fields(node) if own is None else _names(own)), *inherited})


def _definition(class_path: str) -> tuple[str, ast.ClassDef] | None:
    """The module that defines a class, and its definition."""
    module, _, name = class_path.rpartition(".")
    tree = _tree(module) if module else None
    if tree is None:
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
    passed_on = _bound(tree).get(name)
    return None if passed_on is None or passed_on == class_path else _definition(passed_on)


def _full_name(module: str, name: str) -> str:
    """The class path of what a module calls by a name."""
    first, dot, rest = name.partition(".")
    tree = _tree(module)
    bound = {} if tree is None else _bound(tree)
    return f"{bound.get(first, f'{module}.{first}')}{dot}{rest}"


@cache
def _tree(module: str) -> ast.Module | None:
    """The source of a module, parsed; only its top package is asked where it lies, which imports nothing."""
    top, *parts = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        inner = Path(place, *parts)
        for path in (inner / "__init__.py", inner.with_suffix(".py")):
            if path.is_file() and (parts or path.name == "__init__.py"):
                return ast.parse(path.read_text(encoding="utf-8"))
    return None


def _bound(tree: ast.Module) -> dict[str, str]:
    """Names at the top of a module, and what they stand for: the full name of what was imported, or the name itself."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.setdefault(node.name, node.name)
    return found


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    """The constructor, where the class has its own."""
    return next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)


def _names(function: ast.FunctionDef) -> set[str]:
    """The names of arguments."""
    arguments = function.args
    return {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)} - _NO_OPTION


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """The fields of a dataclass, which are what it takes."""
    if any("dataclass" in ast.unparse(one) for one in node.decorator_list):
        yield from (
            one.target.id for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        )
