"""Pages of Markdown whose code is run: the README, and the documentation site."""

import io
import os
import re
import runpy
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import REPOSITORY, Result, RunCli

README = REPOSITORY / "README.md"
TINY_IMAGES = ("--data.encoder.image_size=32", "--data.split_ratios=[0.6,0.2,0.2]")
EXITS = "exits with "
# What make and the test of the wheel do, and what .ci/run does with the reference run.
ELSEWHERE = {"pip install '.[offline]'", "soft-labels report lightning_logs/reference --out again"}
_BLOCK = re.compile(r'^```(\w+)(?: title="(.+?)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One block of code.

    Args:
        language: As it is written after the backticks.
        title: The file that it stands for; of a block of commands, what they end with.
        text: What is between the backticks.
    """

    language: str
    title: str | None
    text: str


def blocks(file: Path) -> list[Block]:
    """All blocks of a page, in their order."""
    return [Block(language, title or None, text) for language, title, text in _BLOCK.findall(file.read_text("utf-8"))]


def save(block: Block, folder: Path) -> None:
    """Write the file that a block stands for."""
    path = folder / str(block.title)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def texts(language: str, file: Path = README) -> list[str]:
    """The blocks of a language."""
    return [block.text for block in blocks(file) if block.language == language]


def commands(block: str) -> list[str]:
    """The commands of a block, without comments, each in a line."""
    lines = (re.sub(r"\s+#.*", "", line).rstrip() for line in block.replace("\\\n", " ").splitlines())
    return [line for line in lines if line]


def quick_form(arguments: Sequence[str], quick: tuple[str, ...]) -> list[str]:
    """The arguments, as shown, with the folder of the last run filled in, and with options that make it quick."""
    runs = sorted(Path().glob("lightning_logs/*/*/checkpoints"), key=os.path.getmtime)
    run = str(runs[-1].parent) if runs else "RUN"
    given = [re.sub(r"\bRUN\b", run, argument) for argument in arguments]
    extra: list[str] = []
    if {"--show", "--print_config"} & {*given}:
        return given
    if given[0] in {"fit", "compare", "quickstart", "budget"}:
        extra += [option for option in quick if option.partition("=")[0] not in given]
    if given[0] in {"compare", "quickstart"}:
        extra += ["--seeds=1"]
    if given[0] == "budget":
        extra += ["--draws=2", "--seeds=1", "--ladder=[1,5]"]
    if given[0] == "reproduce":
        extra += ["--experiment.seeds=2", "--model.hidden_width=8", "--data.split_ratios=[0.6,0.2,0.2]"]
    if given[0] == "quickstart" or any("digits_experiment" in argument for argument in given):
        extra += ["--data.items=240"]
    if given[0] == "quickstart" or any("cifar10h_hard" in argument for argument in given):
        extra += TINY_IMAGES
    return [*given, *extra]


def run_page(file: Path, run_cli: RunCli, quick: tuple[str, ...]) -> None:
    """Do what a page shows, from top to bottom, in the working folder.

    A block with a title is a file; of the others, commands are run and end as their title says, Python is run, YAML is
    read, an excerpt is part of ``ratings.csv``, and every line of text was said by the block before.
    """
    names: dict[str, Any] = {"__name__": "page"}
    said = ""
    for block in blocks(file):
        if block.language == "bash":
            wanted = int((block.title or f"{EXITS}0").removeprefix(EXITS))
            said = "".join(run_command(command, wanted, run_cli, quick) for command in commands(block.text))
        elif block.title:
            save(block, Path())
        elif block.language == "python":
            with redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, file.name, "exec"), names)  # noqa: S102 (our own page)
            said = out.getvalue()
        elif block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)
        elif block.language == "csv":
            assert block.text in Path("ratings.csv").read_text(encoding="utf-8")
        else:
            assert block.language == "text", f"nothing runs {block}"
            missing = [line for line in block.text.splitlines() if _flat(line) not in _flat(said)]
            assert not missing, f"{file.name}: not said: {missing}; what was said: {said}"


def run_command(command: str, wanted: int, run_cli: RunCli, quick: tuple[str, ...]) -> str:
    """What a shown command prints, if it ends as it should."""
    if command in ELSEWHERE:
        return ""
    program, *arguments = shlex.split(command)
    assert program in {"soft-labels", "python"}, f"nothing runs {command!r}"
    if program == "python":
        script, *arguments = arguments
        result: Result = run_cli(
            *quick_form(arguments, quick), program=lambda: runpy.run_path(script, run_name="__main__")
        )
    else:
        result = run_cli(*quick_form(arguments, quick))
    assert result.code == wanted, f"{command}\n{result.out}\n{result.err}"
    return result.out + result.err


def _flat(text: str) -> str:
    """The text without line breaks and runs of blanks."""
    return " ".join(text.split())
