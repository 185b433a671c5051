import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from soft_labels.__main__ import COMMANDS
from tests.conftest import REPOSITORY, started

HEAVY = ("torch", "numpy", "lightning", "jsonargparse", "timm", "openai", "sentence_transformers", "matplotlib")
RunCli = Callable[..., Any]


def module(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "soft_labels", *arguments], capture_output=True, text=True, check=False
    )


def script(*arguments: str) -> "subprocess.CompletedProcess[str]":
    path = Path(sys.executable).with_name("soft-labels")
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "soft_labels", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "soft_labels" in imported
    assert not imported.intersection(HEAVY)
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    assert "Exit codes: 0 done, 2 a mistake that you can mend, 75 " in done.stdout


@pytest.mark.slow
def test_no_arguments_give_the_help_as_a_mistake() -> None:
    assert module().returncode == 2
    assert module().stdout == module("--help").stdout


def test_an_unknown_command_is_one_line() -> None:
    done = module("train")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "soft-labels: error: unknown command 'train'; choose one of quickstart, fit, validate, test, predict, "
        "export, compare, budget, sweep, storage, reproduce, report, cluster, embed, data, runs, configs, "
        "completion\n"
    )
    assert module("reproduse").stderr.endswith("; did you mean reproduce?\n")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--help",), ("--version",), ("train",)])
def test_module_and_console_script_agree(arguments: tuple[str, ...]) -> None:
    first, second = module(*arguments), script(*arguments)
    assert (first.returncode, first.stdout, first.stderr) == (second.returncode, second.stdout, second.stderr)


@pytest.mark.parametrize(
    "arguments", [(name,) for name in COMMANDS] + [("data", "stats"), ("data", "fetch")], ids=" ".join
)
def test_every_command_has_a_help_page(run_cli: RunCli, arguments: tuple[str, ...]) -> None:
    result = run_cli(*arguments, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("usage: soft-labels ")
    without = {("data",), ("data", "fetch"), ("report",), ("storage",), ("quickstart",), ("runs",), ("completion",)}
    assert "--config" in result.out or arguments in without


def test_version() -> None:
    assert module("--version").stdout == version("soft-labels") + "\n"


def test_a_bug_keeps_its_traceback(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "fit", ("arms", "no_such_function", ""))
    with pytest.raises(AttributeError, match="no_such_function"):
        run_cli("fit")


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error(tiny_chaosnli_root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "soft_labels", "data", "stats", "--root", str(tiny_chaosnli_root)]
    options = ["--figure", str(tmp_path / "entropy.png")]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert said == ""
    assert process.returncode in {1, 141}, "rich ends with 1 by itself where it was writing"


@pytest.mark.slow
@pytest.mark.parametrize(("signal_sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_fit_that_is_told_to_stop_says_so_with_its_exit_code(tmp_path: Path, signal_sent: int, code: int) -> None:
    options = (
        "fit", "--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", f"--data.store={tmp_path}/s",
        f"--trainer.default_root_dir={tmp_path}", "--trainer.max_epochs=100000", "--early_stopping.patience=100000",
        "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
    )  # fmt: skip
    command = (sys.executable, "-m", "soft_labels", *options)
    with started(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(tmp_path.rglob("best.ckpt")):
            time.sleep(0.05)
        assert process.poll() is None
        process.send_signal(signal_sent)
        assert process.wait(timeout=120) == code


@pytest.mark.slow
@pytest.mark.skipif("SOFT_LABELS_IN_BACKGROUND" in os.environ, reason="this is the run in the background")
def test_the_test_of_interruption_holds_in_the_background_of_a_shell(tmp_path: Path) -> None:
    """A shell without job control starts what is behind & with Ctrl-C ignored, as cron and CI do."""
    test = f"{__file__}::test_a_fit_that_is_told_to_stop_says_so_with_its_exit_code[2-130]"
    line = f'"{sys.executable}" -m pytest -q -p no:cacheprovider --basetemp="{tmp_path}/t" "{test}" & wait $!'
    environment = {**os.environ, "SOFT_LABELS_IN_BACKGROUND": "1"}
    with started("/bin/sh", "-c", line, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as shell:
        out, _ = shell.communicate(timeout=300)
        assert shell.returncode == 0, out
    assert "1 passed" in out


HEAVY_OUTPUT = ("fit", "--help-all")  # longer than what Python keeps back before it writes


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--help",), ("--version",), HEAVY_OUTPUT], ids=" ".join)
def test_full_standard_output_is_one_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "soft_labels", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("soft-labels: error: standard output: No space left on device; make room there")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_full_standard_output_of_a_command_is_one_line(tiny_chaosnli_root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "soft_labels", "data", "stats", "--root", str(tiny_chaosnli_root)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, f"--figure={tmp_path}/entropy.png"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("soft-labels: error: standard output: No space left on device; make room there")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_output_is_refused_before_a_file_takes_its_place(
    tiny_chaosnli_root: Path, tmp_path: Path, closed: str
) -> None:
    figure = tmp_path / "entropy.png"
    line = f'"{sys.executable}" -m soft_labels data stats --root "{tiny_chaosnli_root}" --figure "{figure}" {closed}'
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    wanted = (
        ""
        if "2>&-" in closed
        else "soft-labels: error: standard output is closed; send it to a file, or to /dev/null\n"
    )
    assert done.stderr == wanted
    assert not figure.exists()
