"""A data set of a hub is one commit of its tables, read as the same files would be; its faults are one message."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from soft_labels.annotations.table.hub import located, written
from soft_labels.annotations.table.read import read_items, read_table
from soft_labels.annotations.table.settings import TableSettings
from soft_labels.errors import DataError
from tests.heads.loopback_hub import Commit, Hub, hub_in_process

NAME = "some-lab/ratings"
SETTINGS = TableSettings(text_column="text", label_column="label", annotator_column="who")
COMMITS = ("a" * 40, "b" * 40)


def rows(items: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item": [f"i{item}" for item in range(items) for _ in range(2)],
            "text": [f"This is the text of item {item}" for item in range(items) for _ in range(2)],
            "label": ["yes", "no"] * items,
            "who": ["a", "b"] * items,
        }
    )


def parts(items: int, folder: Path) -> dict[str, bytes]:
    """A commit's files: two Parquet parts and a card."""
    frame = rows(items)
    files = {"README.md": b"# Ratings"}
    for number, some in enumerate((frame.head(6), frame.slice(6))):
        some.write_parquet(path := folder / f"{number}.parquet")
        files[f"data/train-0000{number}-of-00002.parquet"] = path.read_bytes()
    return files


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_in_process(tmp_path / "cache", monkeypatch) as found:
        found.commits[NAME] = [Commit(COMMITS[0], parts(5, tmp_path)), Commit(COMMITS[1], parts(8, tmp_path))]
        found.commits["some-lab/plain"] = [
            Commit(COMMITS[0], {"a.csv": rows(4).write_csv().encode(), "more/b.jsonl": b"{}", "README.md": b"#"})
        ]
        found.commits["some-lab/empty"] = [Commit(COMMITS[0], {"README.md": b"# Nothing"})]
        yield found


@pytest.mark.usefixtures("hub")
def test_the_newest_commit_or_the_one_that_is_named() -> None:
    newest = read_table(Path(f"hf://datasets/{NAME}"), SETTINGS)
    assert (newest.name, len(newest)) == ("ratings", 8)
    assert newest.reading is not None
    said = f"{NAME} of the Hugging Face Hub at commit {COMMITS[1]}"
    assert f"{said}; a path of hf://datasets/{NAME}@{COMMITS[1]} keeps it" in newest.reading.notes
    first = read_table(Path(f"hf://datasets/{NAME}@{COMMITS[0]}"), SETTINGS)
    assert (len(first), first.label_counts.sum().item()) == (5, 10)
    assert len(read_items(Path(f"hf://datasets/{NAME}"), SETTINGS).uids) == 8


@pytest.mark.usefixtures("hub")
def test_one_file_or_folder_of_it() -> None:
    assert len(read_table(Path("hf://datasets/some-lab/plain/a.csv"), SETTINGS)) == 4
    assert len(read_table(Path(f"hf://datasets/{NAME}/data"), SETTINGS)) == 8
    with pytest.raises(DataError, match=r"several kinds \(.csv, .jsonl\); give one of them"):
        read_table(Path("hf://datasets/some-lab/plain"), SETTINGS)


@pytest.mark.slow
@pytest.mark.usefixtures("hub")
def test_data_init_pins_the_commit(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    result = run_cli("data", "init", f"hf://datasets/{NAME}", f"--out={tmp_path}/my.yaml", "--yes")
    assert result.code == 0, result.err
    assert f"at commit {COMMITS[1]}" in result.out
    arguments = yaml.safe_load((tmp_path / "my.yaml").read_text())["data"]["init_args"]
    assert arguments["path"] == f"hf://datasets/{NAME}@{COMMITS[1]}"
    assert (arguments["dataset_name"], arguments["label_column"]) == ("ratings", "label")
    stats = run_cli("data", "stats", f"--config={tmp_path}/my.yaml", "--json")
    assert stats.code == 0, stats.err
    assert '"name": "ratings"' in stats.out


def test_what_was_fetched_is_read_when_the_hub_is_gone(hub: Hub) -> None:
    pinned = Path(f"hf://datasets/{NAME}@{COMMITS[0]}")
    before = read_table(pinned, SETTINGS)
    hub.commits.clear()
    assert read_table(pinned, SETTINGS).uids == before.uids


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("hf://datasets/some-lab/none", r"some-lab/none: cannot be fetched \(.*\); check the name, the connection"),
        (f"hf://datasets/{NAME}@v9", r"ratings: cannot be fetched \(.*\); check the name and revision v9"),
        ("hf://datasets/some-lab/empty", f"some-lab/empty: no table at commit {COMMITS[0]}; wanted files"),
        (f"hf://datasets/{NAME}/none.csv", f"ratings: no none.csv at commit {COMMITS[1]}"),
        ("hf://models/some-lab/ratings", "hf://models/some-lab/ratings: wanted hf://datasets/ORGANISATION/NAME"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_is_not_there_is_one_message(path: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        located(Path(path))


def test_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_in_process(tmp_path / "cache", monkeypatch):
        pass  # its server is gone
    with pytest.raises(DataError, match=r"cannot be fetched .*or download its files and give their folder"):
        located(Path(f"hf://datasets/{NAME}"))


def test_paths_of_this_machine_stay() -> None:
    assert located(Path("a.csv")).files == Path("a.csv")
    assert located([Path("a.csv"), Path("b.csv")]).files == [Path("a.csv"), Path("b.csv")]
    assert written(Path("a/b.csv")) == "a/b.csv"
