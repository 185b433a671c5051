"""Configurations are found by name from anywhere, and their own files come first."""

from pathlib import Path

import pytest

from soft_labels.commands.configs import folder, names, path_of, resolved
from soft_labels.errors import ConfigError
from tests.conftest import REPOSITORY, RunCli


def test_all_of_the_checkout_are_known_by_name() -> None:
    assert [folder() / f"{name}.yaml" for name in names()] == sorted((REPOSITORY / "configs").rglob("*.yaml"))
    assert {"quickstart", "data/table", "encoder/minilm", "sweep/tpe"} <= set(names())


@pytest.mark.parametrize("name", ["data/table", "data/table.yaml", "configs/data/table.yaml"])
def test_a_name_is_found_from_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_of(name) == folder() / "data" / "table.yaml"


def test_a_file_of_ones_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "quickstart.yaml").write_text("model: {lr: 0.5}\n", encoding="utf-8")
    assert path_of("configs/quickstart.yaml") == Path("configs/quickstart.yaml")
    assert path_of("quickstart") == folder() / "quickstart.yaml"


def test_an_unknown_name_is_told_with_the_nearest(run_cli: RunCli) -> None:
    with pytest.raises(ConfigError, match=r"no file data/tabel\.yaml, and no .* did you mean data/table\?"):
        path_of("data/tabel.yaml")
    done = run_cli("compare", "--config", "quickstrat")
    assert (done.code, done.out) == (2, "")
    assert "did you mean quickstart?" in done.err


def test_only_names_of_files_are_resolved() -> None:
    ours = str(folder() / "quickstart.yaml")
    line = ["compare", "--config", "quickstart", "-c", "quickstart", "--config=quickstart", "--sweep={space: {}}"]
    assert resolved(line) == ["compare", "--config", ours, "-c", ours, f"--config={ours}", "--sweep={space: {}}"]
    assert resolved(["fit", "--model.target", "quickstart"]) == ["fit", "--model.target", "quickstart"]


def test_the_file_of_a_search_is_no_class_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("random.yaml").write_text("space: {}\n")
    assert resolved(["sweep", "--sweep", "random.yaml"]) == ["sweep", "--sweep", "./random.yaml"]
    assert resolved(["sweep", "--sweep=random.yaml"]) == ["sweep", "--sweep=./random.yaml"]


def test_list_show_and_copy(run_cli: RunCli, tmp_path: Path) -> None:
    listed = run_cli("configs", "list").out.splitlines()
    assert [line.split()[0] for line in listed] == names()
    assert all(len(line.split()) > 3 for line in listed)  # each says what it is
    text = (folder() / "data" / "table.yaml").read_text(encoding="utf-8")
    assert run_cli("configs", "show", "data/table").out == text
    done = run_cli("configs", "copy", "data/table", f"--out={tmp_path / 'mine.yaml'}")
    assert done.code == 0, done.err
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == text
    again = run_cli("configs", "copy", "data/table", f"--out={tmp_path / 'mine.yaml'}")
    assert again.code == 2
    assert "is there already" in again.err
