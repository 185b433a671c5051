"""A shell is answered at once, in its own way; bash is really asked."""

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

ASKS = r"""
eval "$(soft-labels completion bash)"
COMP_LINE="$1"; COMP_POINT=${#1}; COMP_TYPE=9; COMP_WORDS=($1)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete soft-labels
printf '%s\n' "${COMPREPLY[@]}"
"""


def asked(line: str, tmp_path: Path) -> list[str]:
    script = Path(sys.executable).with_name("soft-labels")
    if not script.is_file() or shutil.which("bash") is None:
        pytest.skip("the package is not installed here, or there is no bash")
    environment = {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)}
    command = ["/bin/bash", "-c", ASKS, "bash", line]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    return [word.strip() for word in done.stdout.splitlines()]


@pytest.mark.slow
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
def test_bash_is_told_what_may_follow(line: str, wanted: set[str], tmp_path: Path) -> None:
    assert set(asked(line, tmp_path)) == wanted


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
