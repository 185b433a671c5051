"""The options that are known early are those of the parsers."""

import re

import pytest

from soft_labels.commands.options import GROUPS, OWN, is_known, keys_of, options_of
from tests.conftest import RunCli


@pytest.mark.slow
@pytest.mark.parametrize("command", OWN)
def test_no_option_of_a_parser_is_unknown_and_none_is_made_up(run_cli: RunCli, command: str) -> None:
    done = run_cli(command, "--help-all")
    assert done.code == 0, done.err
    real = {name.removesuffix(".help") for name in re.findall(r"^  (?:-\w, )?--([\w.]+)", done.out, re.MULTILINE)}
    assert real
    assert [name for name in sorted(real) if not is_known(command, name)] == []
    own = {"out", "json", "engine", "seeds", "ladder", "storage", "study", "show", "share", "dry_run", "onnx"}
    assert set(OWN[command]) & own <= real | ({"out"} if command in {"predict", "report"} else set())


def test_what_a_class_takes_is_known_by_group() -> None:
    assert {"lr", "hidden_width", "calibration"} <= keys_of("model")
    assert {"max_epochs", "accelerator", "callbacks"} <= keys_of("trainer")
    assert {"path", "text_column", "encoder", "root", "store"} <= keys_of("data")
    assert all(keys_of(group) for group in GROUPS)


@pytest.mark.parametrize("name", ["modle.lr", "model.learning_rate", "sedes", "trainer.max_epocs", "sweep.space"])
def test_what_is_no_option(name: str) -> None:
    assert not is_known("fit", name)
    assert name not in options_of("fit")
