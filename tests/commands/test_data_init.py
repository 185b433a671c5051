import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from soft_labels.annotations.chaosnli import read_chaosnli
from soft_labels.annotations.popquorn import read_popquorn
from soft_labels.annotations.table.guess import guess_table
from soft_labels.annotations.table.read import read_table
from tests.annotations.table.layouts import LONG, as_csv

RunCli = Callable[..., Any]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mails.csv"
    path.write_text(as_csv(LONG), encoding="utf-8")
    return path


def described(run_cli: RunCli, out: Path) -> dict[str, Any]:
    result = run_cli("data", "stats", f"--config={out}", "--json")
    assert result.code == 0, result.err
    (found,) = json.loads(result.out)["datasets"]
    return dict(found)


@pytest.mark.slow
def test_a_configuration_is_written_that_stats_reads(run_cli: RunCli, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "my.yaml"
    result = run_cli("data", "init", table, f"--out={out}", "--yes")
    assert (result.code, result.err) == (0, "")
    for words in ("label_column: label", "3 items, 9 annotations", "0: 3 (1), 1: 6 (2)", "Thanks a lot -> 0 2, 1 1"):
        assert words in result.out
    settings = yaml.safe_load(out.read_text(encoding="utf-8"))["data"]["init_args"]
    assert settings["class_names"] == ["0", "1"]
    assert settings["encoder"]["init_args"]["model"] == "packaged:all-MiniLM-L6-v2"
    found = described(run_cli, out)
    assert (found["name"], found["items"], found["annotations"], found["annotators"]) == ("mails", 3, 9, 3)
    assert found["classes"] == [
        {"name": "0", "annotations": 3, "majority_items": 1},
        {"name": "1", "annotations": 6, "majority_items": 2},
    ]
    assert (found["rows_read"], found["rows_dropped"]) == (9, 0)


@pytest.mark.slow
def test_a_second_file_describes_the_items(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("task,worker,label\n1,a,0\n1,b,1\n2,a,1\n2,b,1\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("task,text\n1,one thing\n2,other thing\n3,no one\n", encoding="utf-8")
    out = tmp_path / "my.yaml"
    result = run_cli("data", "init", tmp_path / "a.csv", tmp_path / "b.csv", f"--out={out}", "--yes")
    assert result.code == 0, result.err
    found = described(run_cli, out)
    assert (found["items"], found["annotations"]) == (2, 4)
    assert any("1 items of b.csv have no annotation" in note for note in found["notes"])


def test_nothing_is_overwritten_and_nothing_half_written(run_cli: RunCli, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "my.yaml"
    out.write_text("mine\n")
    result = run_cli("data", "init", table, f"--out={out}", "--yes")
    assert (result.code, out.read_text()) == (2, "mine\n")
    assert "is there already" in result.err
    table.write_text(table.read_text() + "1,ann,Thanks a lot,0\n")
    result = run_cli("data", "init", table, f"--out={tmp_path}/other.yaml", "--yes")
    assert result.code == 2
    assert "set repeats: first, last or all" in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mails.csv", "my.yaml"]


@pytest.mark.slow
def test_a_key_that_the_message_names_can_be_given(run_cli: RunCli, table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text() + "1,ann,Thanks a lot,0\n")
    out = tmp_path / "my.yaml"
    assert run_cli("data", "init", table, f"--out={out}", "--yes", "--data.repeats=first").code == 0
    found = described(run_cli, out)
    assert (found["annotations"], found["rows_read"], found["rows_dropped"]) == (9, 10, 1)
    assert found["dropped_because"] == {"an annotator labels an item again (repeats: first)": 1}


def test_without_a_terminal_nothing_is_asked(
    run_cli: RunCli, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        result = run_cli("data", "init", table, f"--out={tmp_path}/my.yaml")
    assert result.code == 2
    assert "give --yes to take the guess" in result.err
    assert not (tmp_path / "my.yaml").exists()


def test_an_unknown_key_is_refused(run_cli: RunCli, table: Path, tmp_path: Path) -> None:
    result = run_cli("data", "init", table, f"--out={tmp_path}/my.yaml", "--yes", "--data.colour=red")
    assert result.code == 2
    assert "no setting colour of tables; those are form, uid_column" in result.err


@pytest.mark.slow
def test_the_real_sets_are_read_from_their_raw_files(shared_data: Path) -> None:
    folder = shared_data / "chaosnli" / "chaosNLI_v1.0"
    ratings = shared_data / "popquorn" / "dataset" / "politeness_rating" / "raw_data.csv"
    pairs = guess_table(folder / "chaosNLI_snli.jsonl", folder / "chaosNLI_mnli_m.jsonl")
    for guess, named in ((pairs, read_chaosnli(shared_data)), (guess_table(ratings), read_popquorn(shared_data))):
        data = read_table(guess.path, guess.table_settings())
        assert data.uids == named.uids
        assert data.label_counts.equal(named.label_counts)
        assert list(data.inputs) == list(named.inputs)
    assert pairs.settings["class_names"] == ["e", "n", "c"]
    assert guess_table(ratings).settings["annotator_column"] == "user_id"
