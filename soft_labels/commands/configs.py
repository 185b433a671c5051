"""The configurations that come with the package: found by name from anywhere, listed, shown and copied."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from soft_labels.errors import ConfigError, did_you_mean
from soft_labels.files import write_text

_SWEEP = "--sweep"
_OPTIONS = ("--config", "-c", _SWEEP)
_SUFFIX = ".yaml"


@cache
def folder() -> Path:
    """Where they lie: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def names() -> list[str]:
    """Their names, such as ``data/table``, sorted."""
    return sorted(path.relative_to(folder()).with_suffix("").as_posix() for path in folder().rglob(f"*{_SUFFIX}"))


def path_of(name: str) -> Path:
    """The file that a name or a path stands for; a file of one's own comes first.

    Args:
        name: A path, or a name such as ``data/table``, ``configs/data/table.yaml`` or ``quickstart``.

    Raises:
        ConfigError: There is no such file, and none of that name comes with the package.
    """
    given = Path(name).expanduser()
    if given.is_file():
        return given
    known = name.removeprefix("configs/").removesuffix(_SUFFIX)
    if known in names():
        return folder() / f"{known}{_SUFFIX}"
    raise ConfigError(
        f"there is no file {name}, and no configuration of that name comes with soft-labels, which soft-labels configs "
        f"list shows{did_you_mean(known, names())}"
    )


def resolved(arguments: Sequence[str]) -> list[str]:
    """The command line with paths in place of the names of configurations.

    Args:
        arguments: The command line.

    Raises:
        ConfigError: A configuration is not there.
    """
    return list(_resolved(arguments))


def _resolved(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments one by one."""
    before = ""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if before in _OPTIONS and _is_name(argument):
            yield _as_file(before, argument)
        elif equals and option in _OPTIONS and _is_name(value):
            yield f"{option}={_as_file(option, value)}"
        else:
            yield argument
        before = argument


def _as_file(option: str, value: str) -> str:
    """The path of a configuration; one of a search, whose option takes a class path too, cannot be taken for that."""
    path = str(path_of(value))
    return f"./{path}" if option == _SWEEP and "/" not in path else path


def _is_name(value: str) -> bool:
    """Whether a value names a file, and is no YAML of its own."""
    return bool(value) and not set(value) & set("\n{}[]:,")


def _list() -> None:
    """Print every name with the first line of its file."""
    width = max(map(len, names()))
    for name in names():
        first = path_of(name).read_text(encoding="utf-8").partition("\n")[0]
        print(f"{name:<{width}}  {first.removeprefix('# ') if first.startswith('#') else ''}".rstrip())  # noqa: T201


def _show(name: str) -> None:
    """Print one configuration.

    Args:
        name: As ``soft-labels configs list`` prints it.
    """
    print(path_of(name).read_text(encoding="utf-8"), end="")  # noqa: T201


def _copy(name: str, out: Path | None = None) -> None:
    """Copy one configuration, to be changed.

    Args:
        name: As ``soft-labels configs list`` prints it.
        out: The file to write; by default one of the same name here. One that is there already is not replaced.
    """
    source = path_of(name)
    out = out or Path(source.name)
    if out.exists():
        raise ConfigError(f"{out} is there already; give another --out, or remove it")
    write_text(out, source.read_text(encoding="utf-8"))
    print(f"wrote {out}; use it with --config {out}")  # noqa: T201


def run_configs(arguments: list[str]) -> None:
    """``soft-labels configs list | show | copy``."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="soft-labels configs",
        description="The configurations that come with soft-labels; --config takes their names.",
        exit_on_error=False,
    )
    commands = parser.add_subcommands()
    for name, function in _COMMANDS.items():
        own = ArgumentParser(description=function.__doc__, exit_on_error=False)
        own.add_function_arguments(function, as_group=False, as_positional=True)
        commands.add_subcommand(name, own, help=(function.__doc__ or "").partition("\n")[0])
    config = parser.parse_args(arguments[1:])
    _COMMANDS[config.subcommand](**config[config.subcommand].as_dict())


_COMMANDS: dict[str, Callable[..., None]] = {"list": _list, "show": _show, "copy": _copy}
