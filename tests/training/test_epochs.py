"""A fit whose log nobody watches says how far it is."""

import re

import pytest

from soft_labels import progress
from tests.conftest import RunCli


def test_a_line_says_epochs_loss_and_what_is_left(
    run_cli: RunCli, toy_options: tuple[str, ...], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.Pace.__init__, "__defaults__", (0.0,))
    options = ("fit", *toy_options, f"--trainer.default_root_dir={tmp_path}", "--trainer.enable_progress_bar=false")
    done = run_cli(*options)
    assert done.code == 0, done.err
    lines = [line for line in done.err.splitlines() if "epochs at most" in line]
    assert len(lines) == 3
    wanted = r"2 of 3 epochs at most, .*, about [\d.]+ (s|min|h) left, val/loss \d\.\d{4}"
    assert re.fullmatch(wanted, lines[1])
    quiet = run_cli(*options, "--quiet")
    assert quiet.code == 0
    assert "epochs at most" not in quiet.err
    assert [line for line in quiet.err.splitlines() if line.startswith("best epoch ")]
    assert not {"Seed set", "GPU avail", "embedding"} & {line[:9] for line in quiet.err.splitlines()}
