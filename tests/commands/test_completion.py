"""A shell is answered at once, in its own way; bash, zsh and fish are really asked where they are installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from soft_labels.__main__ import COMMANDS
from soft_labels.commands.completion import parser_of
from soft_labels.commands.options import WITHIN
from tests.conftest import REPOSITORY, RunCli

# What each shell runs when a person presses the tab key behind a line.
ASKS = {
    "bash": r"""
eval "$(soft-labels completion bash)"
COMP_LINE="$1"; COMP_POINT=${#1}; COMP_TYPE=9; COMP_WORDS=($1)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete soft-labels
printf '%s\n' "${COMPREPLY[@]}"
""",
    "zsh": r"""
compdef() {}
eval "$(soft-labels completion zsh)"
_describe() { print -l -- ${${(P)2}%%:*} }  # each is name:description
BUFFER="$1"; CURSOR=${#1}; words=(${=1})
_python_argcomplete
""",
    "fish": "soft-labels completion fish | source; complete -C $argv[1]",
}
STARTS = {"bash": ("-c", ASKS["bash"], "bash"), "zsh": ("-f", "-c", ASKS["zsh"], "zsh"),
          "fish": ("--no-config", "-c", ASKS["fish"])}  # fmt: skip


def asked(shell: str, line: str, tmp_path: Path) -> list[str]:
    script = Path(sys.executable).with_name("soft-labels")
    program = shutil.which(shell)
    if not script.is_file() or program is None:
        pytest.skip(f"the package is not installed here, or there is no {shell}")
    environment = {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    command = [program, *STARTS[shell], line]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    return [word.strip() for word in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("shell", ASKS)
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("soft-labels rep", {"report", "reproduce"}),
        ("soft-labels fit --model.hid", {"--model.hidden_width"}),
        ("soft-labels compare --config data/ta", {"data/table", "data/table_counts"}),
        ("soft-labels runs c", {"clean"}),
        ("soft-labels sweep --engine p", {"population"}),
    ],
)
def test_a_shell_is_told_what_may_follow(shell: str, line: str, wanted: set[str], tmp_path: Path) -> None:
    assert set(asked(shell, line, tmp_path)) == wanted


def test_every_command_is_known() -> None:
    told = parser_of(COMMANDS).format_usage()
    assert all(command in told for command in COMMANDS)


@pytest.mark.parametrize("shell", WITHIN["completion"])
def test_each_shell_has_its_code(run_cli: RunCli, shell: str) -> None:
    done = run_cli("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert "soft-labels" in done.out


def test_another_shell_is_refused(run_cli: RunCli) -> None:
    done = run_cli("completion", "fsh")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("one of bash, zsh, fish, got fsh; did you mean fish?\n")


def test_nothing_heavy_is_imported_for_an_answer() -> None:
    code = (
        "import sys; from soft_labels.__main__ import COMMANDS\n"
        "from soft_labels.commands.completion import parser_of; parser_of(COMMANDS)\n"
        "assert not {'torch', 'lightning', 'jsonargparse', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
