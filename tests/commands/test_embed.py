import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunCli


def data_of(trained: Any, tmp_path: Path) -> list[str]:
    """The options of the trained run that say what its data are; embeddings go to a folder of the test."""
    data = [option for option in trained.options if option.startswith(("--config", "--data."))]
    return [*data, f"--data.store={tmp_path}/store"]


@pytest.mark.slow
def test_embed_fills_the_store_once_and_says_what_is_there(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    first, second = (run_cli("embed", *data_of(trained, tmp_path)) for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    assert "48 encoded" in first.err
    assert "48 found" in second.err
    assert first.out == second.out
    assert first.out.startswith("chaosnli: 48 items x 24 numbers in ")
    assert re.search(r"^checksum [0-9a-f]{64}$", first.out, re.MULTILINE)


def test_a_dry_run_says_what_is_missing_and_writes_nothing(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    before = run_cli("embed", *data_of(trained, tmp_path), "--dry_run")
    assert (before.code, before.err) == (0, "")
    (first, last) = before.out.splitlines()
    assert first.startswith("chaosnli: 48 items, ")
    (inputs, missing) = re.findall(r"(\d+) (?:distinct inputs|missing)", first)
    assert int(inputs) == int(missing) > 0
    assert last == "dry run: nothing was encoded or sent"
    assert not list((tmp_path / "store").rglob("*.safetensors"))
    assert run_cli("embed", *data_of(trained, tmp_path)).code == 0
    after = run_cli("embed", *data_of(trained, tmp_path), "--dry_run")
    assert f"{inputs} distinct inputs, {inputs} stored in " in after.out
    assert ", 0 missing" in after.out


def test_data_that_cannot_be_split_are_not_encoded(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    done = run_cli("embed", *data_of(trained, tmp_path), "--data.split_ratios=[0.7,0.4,-0.1]")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("error:") == 1
    assert not list((tmp_path / "store").rglob("*.safetensors"))


def test_every_setting_of_fit_may_stand_in_the_file(run_cli: RunCli, trained: Any, tmp_path: Path) -> None:
    config = f"--config={trained.folder}/config.yaml"
    done = run_cli("embed", config, f"--data.store={tmp_path}/store")
    assert done.code == 0, done.err
    assert done.out.startswith("chaosnli: 48 items x 24 numbers in ")
