"""``soft-labels data init``: look at a file of annotations, say what it seems to be, and write a configuration."""

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.describe import summarise
from soft_labels.annotations.table.guess import guess_table
from soft_labels.annotations.table.hub import written
from soft_labels.annotations.table.read import read_table
from soft_labels.annotations.table.settings import Guess, TableSettings
from soft_labels.encoders.installed import installed_choice, no_encoder
from soft_labels.errors import ConfigError, SoftLabelsError
from soft_labels.files import write_text

_SHOWN_ITEMS = 3
_SHOWN_LETTERS = 70


def init(
    file: Path, second: Path | None = None, out: Path = Path("my.yaml"), yes: bool = False, given: Sequence[str] = ()
) -> None:
    """Guess what the columns of a file mean and write a configuration that every command takes.

    Args:
        file: The annotations: a table or a folder of tables.
        second: A file that describes the items (texts, images), or more annotations of the same form.
        out: The configuration to write; one that is there already is not replaced.
        yes: Take the guess without asking.
        given: Settings that are known, as ``--data.KEY`` and its value.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already; give another --out, or remove it")
    known = _given(given)
    while True:
        guess = guess_table(file, second, known)
        data = _try(guess)
        _show(guess, data)
        answer = "" if yes else _ask(out)
        if answer in {"", "y", "yes"}:
            break
        if answer in {"n", "no", "q"}:
            raise ConfigError("nothing was written")
        known |= _given([f"--data.{part.strip()}" for part in answer.split(";")])
    write_text(out, configuration(guess, data))
    print(f"wrote {out}; look at it. Then:")  # noqa: T201
    for command in ("data stats", "reproduce"):
        print(f"  soft-labels {command} --config {out}")  # noqa: T201


def _try(guess: Guess) -> AnnotatedData:
    """The data under the guess; what the reader refuses is told with what was guessed."""
    try:
        return read_table(guess.path, guess.table_settings())
    except SoftLabelsError as error:
        settings = ", ".join(f"{key}: {value}" for key, value in guess.settings.items())
        raise type(error)(f"{error}\nguessed so far: {settings}\nset a key with --data.KEY=VALUE") from error


def _given(options: Sequence[str]) -> dict[str, Any]:
    """Settings from options, their values read as YAML."""
    import yaml

    found: dict[str, Any] = {}
    rest = iter(options)
    for option in rest:
        name, equals, value = option.partition("=")
        key = name.removeprefix("--data.").removeprefix("init_args.")
        if name == key or not key:
            raise ConfigError(f"data init takes settings as --data.KEY=VALUE, got {option}")
        try:
            found["name" if key == "dataset_name" else key] = yaml.safe_load(value if equals else next(rest, ""))
        except yaml.YAMLError as error:
            raise ConfigError(f"{option}: the value is no YAML; put it in quotes") from error
    return {key: Path(value) if key == "items_path" else value for key, value in found.items()}


def _ask(out: Path) -> str:
    """A person's answer; without a terminal nothing is written unasked."""
    if not sys.stdin.isatty():
        raise ConfigError(
            "there is no terminal to ask; give --yes to take the guess, or --data.KEY=VALUE to correct it"
        )
    return input(f"write {out}? [Y]es, [n]o, or corrections such as label_column=tone; ordinal=true: ").strip()


def _show(guess: Guess, data: AnnotatedData) -> None:
    """The guess, class counts, three items, and what could not be known."""
    lines = [
        f"{_paths(guess)}: {'; '.join(guess.notes)}",
        *(f"  {key}: {value}" for key, value in guess.settings.items()),
    ]
    stats = summarise(data)
    classes = zip(stats.class_names, stats.annotations, stats.majority_items, strict=True)
    lines += [f"{len(data):,} items, {sum(stats.annotations):,.10g} annotations; annotations (majority of) each class:"]
    lines += ["  " + ", ".join(f"{name}: {count:,.10g} ({items:,})" for name, count, items in classes)]
    for place in range(min(_SHOWN_ITEMS, len(data))):
        counts = ", ".join(
            f"{name} {count:g}"
            for name, count in zip(data.class_names, data.label_counts[place].tolist(), strict=True)
            if count
        )
        lines.append(f"  {data.uids[place]}: {_short(data.inputs[place])} -> {counts}")
    lines += [
        f"  left out: {rows:,} rows ({why})"
        for why, rows in (data.reading.rows_dropped.items() if data.reading else ())
    ]
    lines += [f"not sure: {doubt}" for doubt in guess.doubts]
    lines += [f"warning: {warning}" for warning in stats.warnings]
    print("\n".join(lines))  # noqa: T201


def _short(shown: object) -> str:
    """An input in a line."""
    if isinstance(shown, bytes):
        return f"a picture of {len(shown):,} bytes"
    text = " | ".join(map(str, shown)) if isinstance(shown, tuple) else str(shown)
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN_LETTERS else f"{flat[:_SHOWN_LETTERS]}..."


def _paths(guess: Guess) -> str:
    """The files in words."""
    return " and ".join(map(str, guess.path)) if isinstance(guess.path, list) else written(guess.path)


def configuration(guess: Guess, data: AnnotatedData) -> str:
    """The configuration as YAML: the guess, the classes in their order, and an encoder that is at hand.

    Args:
        guess: What the table is taken for.
        data: What was read under it.

    Returns:
        A file for ``--config``.
    """
    import yaml

    settings = _plain(guess.settings)
    path = [str(one) for one in guess.path] if isinstance(guess.path, list) else written(guess.path)
    names = {"dataset_name": settings.pop("name")} if "name" in settings else {}
    arguments = {"path": path, **settings, **names, **_classes(guess, data)}
    encoder = installed_choice(data.modality)
    if encoder:
        arguments["encoder"] = encoder
    whole = {"data": {"class_path": "soft_labels.data.TableDataModule", "init_args": arguments}}
    said = [f"# {line}" for line in (*guess.doubts, *([] if encoder else [no_encoder(data.modality)]))]
    head = f"# Guessed by soft-labels data init from {_paths(guess)}; correct what is wrong."
    return "\n".join([head, *said, yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)])


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as plain values, in the order of the reader's documentation."""
    order = [one.name for one in fields(TableSettings)]
    found = {key: settings[key] for key in order if key in settings}
    return {key: str(value) if isinstance(value, Path) else value for key, value in found.items()}


def _classes(guess: Guess, data: AnnotatedData) -> dict[str, Any]:
    """The classes in order, to be put in another, where the labels themselves name them."""
    named = {"class_names", "scale", "count_columns"} & set(guess.settings)
    from_file = any(
        "names are those that the file gives" in note for note in (data.reading.notes if data.reading else ())
    )
    return {} if named or from_file else {"class_names": list(data.class_names)}
