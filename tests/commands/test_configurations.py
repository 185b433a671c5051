"""Configurations of strangers: what they may name, and files that are odd."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import RunCli

Refused = Callable[..., str]
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that says when it is imported."""
    (tmp_path / "strange_package.py").write_text(
        "from pathlib import Path\n"
        "from tests.toys import SeededEncoder\n"
        f"Path({str(tmp_path / 'imported')!r}).touch()\n"
        "class Encoder(SeededEncoder): ...\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def config(folder: Path, encoder: str) -> Path:
    path = folder / "config.yaml"
    settings = {"class_path": "tests.toys.SeededData", "init_args": {"items": 60, "encoder": {"class_path": encoder}}}
    path.write_text(yaml.safe_dump({"data": settings}), encoding="utf-8")
    return path


def embed(run_cli: RunCli, folder: Path, *options: object) -> tuple[int, str]:
    done = run_cli("embed", *options, f"--data.store={folder}/store", "--dry_run")
    return done.code, done.err


def test_a_class_path_of_a_stranger_is_not_imported_without_a_word_of_consent(
    run_cli: RunCli, strange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, class_path = config(strange, "strange_package.Encoder"), "strange_package.Encoder"
    code, said = embed(run_cli, strange, f"--config={path}")
    assert code == 2
    assert said.count("error:") == 1
    assert f"{class_path} is code of a package that is neither this project's nor one of its libraries'" in said
    assert "set SOFT_LABELS_TRUST=strange_package" in said
    assert not (strange / "imported").exists()
    monkeypatch.setenv("SOFT_LABELS_TRUST", "tests, strange_package")
    assert embed(run_cli, strange, f"--config={path}")[0] == 0
    assert (strange / "imported").exists()


def test_a_class_path_that_the_user_typed_is_consent(run_cli: RunCli, strange: Path) -> None:
    path = config(strange, "tests.toys.SeededEncoder")
    assert embed(run_cli, strange, f"--config={path}", "--data.encoder=strange_package.Encoder")[0] == 0


@pytest.mark.parametrize("path", ["os.system", "subprocess.Popen", "torch.hub.load", "torch.load", "builtins.exec"])
def test_what_runs_code_is_refused_in_a_configuration(run_cli: RunCli, tmp_path: Path, path: str) -> None:
    code, said = embed(run_cli, tmp_path, f"--config={config(tmp_path, path)}")
    assert code == 2
    assert f"{path} is code of a package that is neither" in said


def test_names_of_packages_that_cannot_be_are_refused(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFT_LABELS_TRUST", "*")
    code, said = embed(run_cli, tmp_path)
    assert (code, said) == (
        2, "soft-labels: error: SOFT_LABELS_TRUST wants names of packages with commas between them, got '*'\n"
    )  # fmt: skip


ODD = {
    "Latin-1": ("data: {name: caf\xe9}\n".encode("latin-1"), "codec can't decode byte 0xe9"),
    "UTF-16": ("seed_everything: 1\n".encode("utf-16"), "wanted UTF-8 text, got 'utf-8' codec can't decode byte 0xff"),
    "aliases": (BOMB.encode(), "values once its aliases (*NAME) are written out, more than 100,000"),
    "circle": (b"a: &a [*a]\n", "an alias (*NAME) of a configuration stands within what it stands for"),
    "circle of a group": (
        b"data: &a\n  init_args: *a\n", "an alias (*NAME) of a configuration stands within what it stands for"
    ),
    "nested": (b"a: " + b"[" * 100_000 + b"]" * 100_000, "is nested more than 50 levels deep"),
    "nested mapping": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "is nested more than 50 levels deep"),
    "nested less": (b"seed_everything: " + b"[" * 900 + b"]" * 900, "is nested more than 50 levels deep"),
    "twice": (b"seed_everything: 1\nseed_everything: 2\n", "has the key 'seed_everything' twice in one mapping"),
    "zeros": (b"\0" * 1_000, "control characters are not allowed"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    "command", [("fit",), ("embed",), ("sweep", "--only=soft"), ("cluster", "slurm")], ids=" ".join
)
def test_an_odd_configuration_is_one_message(
    run_cli: RunCli, tmp_path: Path, kind: str, command: tuple[str, ...]
) -> None:
    content, wanted = ODD[kind]
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    done = run_cli(*command, f"--config={path}")
    assert (done.code, done.out) == (2, "")
    assert wanted in done.err
    assert done.err.count("error:") == 1
    assert len(done.err) < 1_000


def test_a_few_aliases_are_fine(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"
    path.write_text(
        "resources: &r {cpus: 2}\njobs:\n- {name: a, command: 'true', resources: *r}\n"
        "- {name: b, command: 'true', resources: *r}\n", encoding="utf-8",
    )  # fmt: skip
    assert run_cli("cluster", "slurm", f"--config={path}").code == 0
