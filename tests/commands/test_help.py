"""Short help pages answer at once, and name no option that is not there."""

import inspect
import re

import pytest

from soft_labels.__main__ import COMMANDS
from soft_labels.commands.help import PAGES, page
from soft_labels.data import TableDataModule
from tests.conftest import RunCli


@pytest.mark.parametrize(("columns", "widest"), [(80, 80), (120, 100)])
@pytest.mark.parametrize("command", PAGES)
def test_a_page_fits_a_terminal_and_says_where_the_rest_is(
    command: str, columns: int, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = page(command)
    assert text is not None
    lines = text.splitlines()
    assert len(lines) <= 55
    assert max(len(line) for line in lines if not line.startswith("  soft-labels ")) <= widest
    assert lines[0].startswith(f"usage: soft-labels {command}")
    assert f"soft-labels {command} --help-all lists every option" in text


def test_a_command_without_a_short_page_has_its_whole_one() -> None:
    assert page("data") is None
    assert set(PAGES) <= set(COMMANDS)


def test_help_imports_nothing_heavy(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "fit", ("no_such_module", "no_such_function", ""))
    monkeypatch.setenv("COLUMNS", "200")  # as the command has it
    for option in ("--help", "-h"):
        done = run_cli("fit", option)
        assert (done.code, done.err) == (0, "")
        assert done.out == f"{page('fit')}\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", PAGES)
def test_every_option_of_a_page_is_one(run_cli: RunCli, command: str) -> None:
    done = run_cli(command, "--help-all")
    assert done.code == 0, done.err
    known = set(re.findall(r"--[\w.]+", done.out))
    known |= {f"--data.{name}" for one in inspect.getmro(TableDataModule) for name in inspect.signature(one).parameters}
    shown = {re.split(r"[ =]", option)[0] for option in PAGES[command].options}
    assert shown - {"--data.KEY"} <= known
