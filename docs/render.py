"""What mkdocs asks while it builds: tables, help pages and pictures that are made from the code they describe.

A line ``{{ NAME ARGUMENTS }}`` of a page becomes what the function of that name in :data:`RENDERED` returns; a name
that is not there stops the build.
"""

import io
import os
import re
import runpy
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from typing import Any
from unittest.mock import patch

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from docs.figures import FIGURES, GROUNDS, svg
from soft_labels.__main__ import COMMANDS
from soft_labels.annotations.table.presets import PRESETS
from soft_labels.commands.configs import names, path_of
from soft_labels.errors import REMEDIES
from soft_labels.metrics import METRICS
from soft_labels.training.calibration import CALIBRATIONS
from soft_labels.training.kinds import HEADS
from soft_labels.training.objectives import LOSSES, TARGETS

_MARK = re.compile(r"^\{\{ (\w+)(?: (.+?))? \}\}$", re.MULTILINE)
_COMMANDS = "commands"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    r"""A table in Markdown.

    Args:
        head: The first row.
        rows: The others.

    Example:
        >>> print(table(["name", "text"], [["a|b", "c"]]))
        | name | text |
        | --- | --- |
        | a\|b | c |
    """
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], f"|{' --- |' * len(cells[0])}", *lines[1:]])


def _targets() -> str:
    """Every target, and the settings that it alone reads."""
    rows = ((f"`{name}`", row.text, ", ".join(f"`model.{key}`" for key in row.reads)) for name, row in TARGETS.items())
    return table(("`model.target`", "what a head is trained towards", "its settings"), rows)


def _losses() -> str:
    """Every loss."""
    return table(("`model.loss`", "how far it is from it"), ((f"`{name}`", row.text) for name, row in LOSSES.items()))


def _calibrations() -> str:
    """Every calibration: what its class says, and how it was made."""
    rows = []
    for name, make in CALIBRATIONS.items():
        made = make()
        said = (type(made).__doc__ or "").partition("\n")[0]
        settings = [key for key, value in vars(made).items() if value is True and key != "training"]
        rows.append((f"`{name}`", " ".join([said, *(f"`{key}`" for key in settings)])))
    return table(("calibration", "what it does with logits"), rows)


def _heads() -> str:
    """Every kind of head, and whether it is solved at once."""
    rows = ((f"`{name}`", row.text, "solved at once" if row.solved else "by epochs") for name, row in HEADS.items())
    return table(("`model.head`", "what it is", "trained"), rows)


def _metrics() -> str:
    """Every metric, its unit, which way is better and where it is defined."""
    rows = (
        (
            f"`{name}`",
            row.title,
            "higher" if row.higher_is_better else "lower",
            "ordered classes" if row.needs_order else "simulated annotators" if row.needs_truth else "any",
        )
        for name, row in METRICS.items()
    )
    return table(("name", "metric", "better", "for"), rows)


def _configs(folder: str) -> str:
    """The packaged configurations of a folder, with the first line of each."""
    own = [name for name in names() if name.rpartition("/")[0] == ("" if folder == "." else folder)]
    firsts = [path_of(name).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for name in own]
    return table(("`--config`", "what it is"), ((f"`{name}`", first) for name, first in zip(own, firsts, strict=True)))


def _commands() -> str:
    """Every command with a link to its page."""
    rows = ((f"[`{name}`]({name}.md)", text) for name, (_, _, text) in COMMANDS.items())
    return table(("command", "what it does"), rows)


def _help(command: str) -> str:
    """What a command prints for ``--help``."""
    out = io.StringIO()
    line = ["soft-labels", *command.split(), "--help"]
    with patch.object(sys, "argv", line), patch.dict(os.environ, COLUMNS="100"), redirect_stdout(out):
        try:
            runpy.run_module("soft_labels", run_name="__main__")
        except SystemExit as stopped:
            if stopped.code:
                raise PluginError(f"{' '.join(line)} ended with {stopped.code}") from stopped
    return f"```text\n{out.getvalue().strip()}\n```"


def _remedies() -> str:
    """What to do about each refusal of the system."""
    by_remedy: dict[str, list[str]] = {}
    for number, remedy in REMEDIES.items():
        by_remedy.setdefault(remedy, []).append(os.strerror(number))
    return table(("what the system says", "what to do"), ((", ".join(why), do) for do, why in by_remedy.items()))


def _tools() -> str:
    """The annotation tools whose exports are known."""
    return ", ".join(preset.tool for preset in PRESETS) + "."


def _figure(name: str) -> str:
    """A picture for light and for dark ground, and what it shows."""
    said = FIGURES[name].shows
    pictures = "\n".join(f"![{said}](figures/{name}-{ground}.svg#only-{ground})" for ground in GROUNDS)
    return f"<figure markdown>\n{pictures}\n<figcaption>{said}</figcaption>\n</figure>"


RENDERED: dict[str, Callable[..., str]] = {
    "targets": _targets,
    "losses": _losses,
    "calibrations": _calibrations,
    "heads": _heads,
    "metrics": _metrics,
    "configs": _configs,
    "commands": _commands,
    "help": _help,
    "remedies": _remedies,
    "tools": _tools,
    "figure": _figure,
}


def rendered(markdown: str) -> str:
    """A page with its marks replaced.

    Args:
        markdown: The page.

    Raises:
        PluginError: A mark names nothing that can be rendered.

    Example:
        >>> rendered("{{ losses }}").startswith("| `model.loss` |")
        True
    """

    def made(mark: re.Match[str]) -> str:
        name, argument = mark.groups()
        if name not in RENDERED:
            raise PluginError(f"{mark[0]}: wanted one of {', '.join(RENDERED)}")
        return RENDERED[name](*([argument] if argument else []))

    return _MARK.sub(made, markdown)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put a page for each command below the page of commands."""
    for section in config.nav or []:
        if section.get("Commands"):
            pages = [{name: f"{_COMMANDS}/{name}.md"} for name in COMMANDS]
            section["Commands"] = [section["Commands"], *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Draw the pictures; give a command that nobody wrote a page for one with its help."""
    for name, picture in FIGURES.items():
        for ground in GROUNDS:
            files.append(File.generated(config, f"figures/{name}-{ground}.svg", content=svg(picture, ground)))
    for name, (_, _, text) in COMMANDS.items():
        place = f"{_COMMANDS}/{name}.md"
        if files.get_file_from_path(place) is None:
            page = f"# {name}\n\n{text[0].upper()}{text[1:]}.\n\n{{{{ help {name} }}}}\n"
            files.append(File.generated(config, place, content=page))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page."""
    return rendered(markdown)
