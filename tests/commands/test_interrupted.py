"""After Ctrl-C a person reads what is kept and how it goes on; each command is really interrupted."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from soft_labels.commands.interrupted import forget, keeps, words
from tests.conftest import REPOSITORY, started

TOYS = ("--data=tests.toys.SeededData", "--data.encoder=tests.toys.SeededEncoder", "--trainer.accelerator=cpu")
LONG = ("--trainer.max_epochs=100000", "--early_stopping.patience=100000", "--trainer.enable_progress_bar=false")


def test_nothing_is_kept_of_what_has_not_begun() -> None:
    forget()
    assert words("reproduce") == words("predict") == "nothing was written; run the same command again"


def test_every_command_names_its_folder(tmp_path: Path) -> None:
    keeps(tmp_path)
    try:
        for command in ("compare", "quickstart", "budget", "sweep", "reproduce", "embed", "data"):
            assert str(tmp_path) in words(command)
        assert words("fit").startswith("nothing is kept: no epoch was complete")
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "checkpoints" / "best.ckpt").touch()
        assert f"add --ckpt_path={tmp_path}/checkpoints/best.ckpt to the same command" in words("fit")
    finally:
        forget()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "begun", "told"),
    [
        (("--quiet", "fit", *TOYS, *LONG), "best.ckpt", "add --ckpt_path="),
        (("compare", *TOYS, *LONG), "best.ckpt", "reproduce would go on"),
    ],
    ids=["fit", "compare"],
)
def test_a_command_that_is_interrupted_says_what_is_kept(
    line: tuple[str, ...], begun: str, told: str, tmp_path: Path
) -> None:
    command = (sys.executable, "-m", "soft_labels", *line, f"--data.store={tmp_path}/store",
               f"--trainer.default_root_dir={tmp_path}")  # fmt: skip
    with started(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        while process.poll() is None and not list(tmp_path.rglob(begun)):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    (line_said,) = [one for one in said.splitlines() if one.startswith("soft-labels: interrupted: ")]
    assert told in line_said
    assert str(tmp_path) in line_said
