from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.conftest import RunCli
from tests.heads.toy_head import toy_head


@pytest.fixture
def head(tmp_path: Path) -> Path:
    return toy_head().save(tmp_path / "head")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "new.csv"
    pl.DataFrame({"item": ["a", "b", "c"], "text": ["x", None, "z"], "post": ["1", "2", "3"]}).write_csv(path)
    return path


@pytest.mark.parametrize(("suffix", "more"), [("csv", ()), ("parquet", ()), ("jsonl", ()), ("txt", ("--format=csv",))])
def test_a_table_is_predicted_in_any_format(
    run_cli: RunCli, head: Path, table: Path, tmp_path: Path, suffix: str, more: tuple[str, ...]
) -> None:
    out = tmp_path / f"out.{suffix}"
    done = run_cli("predict", head, table, f"--out={out}", "--missing=drop", *more)
    assert (done.code, done.out) == (0, f"2 predicted distributions in {out}\n"), done.err
    assert "1 of 3 rows left out: no value in column 'text'" in done.err
    read: Any = {"parquet": pl.read_parquet, "jsonl": pl.read_ndjson}.get(suffix, pl.read_csv)
    assert read(out)["uid"].to_list() == ["a", "c"]


def test_columns_and_the_encoders_settings_are_options(run_cli: RunCli, head: Path, table: Path) -> None:
    out = table.parent / "out.csv"
    options = ("--text_column=post", "--uid_column=null", "--encoder.batch_size=1")
    done = run_cli("predict", head, table, f"--out={out}", *options)
    assert done.code == 0, done.err
    assert pl.read_csv(out).height == 3
    refused = run_cli("predict", head, table, f"--out={out}", "--encoder.width=5")
    assert refused.code == 2
    assert "trained on another encoder: wanted width 6, got 5" in refused.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("HEAD", "TABLE", "--out=out.xlsx"), "wanted a table that ends in .csv"),
        (("HEAD", "gone.csv", "--out=out.csv"), "gone.csv: no such table"),
        (
            ("gone", "TABLE", "--out=out.csv"),
            "wanted the folder of a head, or ORGANISATION/NAME on the Hub",
        ),
        (("HEAD", "TABLE", "--out=out.csv"), "no value in column 'text'; fill it in or remove the row, or set"),
        (("HEAD", "TABLE"), "arguments are required: out"),
        (("HEAD", "TABLE", "--out=out.csv", "--label_column=said"), "name their table: --annotations"),
    ],
)
def test_a_mistake_is_one_message_and_leaves_nothing(
    run_cli: RunCli, head: Path, table: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(table.parent)
    places = {"HEAD": head, "TABLE": table}
    refused = run_cli("predict", *(places.get(one, one) for one in arguments))
    assert refused.code == 2
    assert words in refused.err
    assert sorted(path.name for path in table.parent.iterdir()) == ["head", "new.csv"]


def test_help_shows_both_forms(run_cli: RunCli) -> None:
    done = run_cli("predict", "--help")
    assert done.code == 0
    assert "head" in done.out
    assert "--config RUN/config.yaml" in done.out


def test_annotations_of_new_items_make_a_posterior_with_the_head(run_cli: RunCli, table: Path, tmp_path: Path) -> None:
    report = {
        "prior_strength": 2.0,
        **dict.fromkeys(("items", "kl", "marginal", "uniform", "accuracy", "entropy_corr"), 1),
    }
    head = toy_head(report={**report, "notes": []}).save(tmp_path / "knowing")
    ratings, out = tmp_path / "ratings.csv", tmp_path / "out.csv"
    pl.DataFrame({"item": ["a", "a"], "said": ["calm", "cross"]}).write_csv(ratings)
    options = (f"--out={out}", "--missing=drop", f"--annotations={ratings}")
    done = run_cli("predict", head, table, *options, "--label_column=said")
    assert done.code == 0, done.err
    frame = pl.read_csv(out)
    assert frame["annotations"].to_list() == [2, 0]
    shares = frame.select(pl.sum_horizontal("posterior_calm", "posterior_cross", "posterior_angry").alias("sum"))["sum"]
    assert shares.to_list() == pytest.approx([1, 1])
    assert frame["posterior_calm"][0] == pytest.approx((1 + 2 * frame["p_calm"][0]) / 4, abs=1e-6)
    refused = run_cli("predict", head, table, *options)
    assert refused.code == 2
    assert "label" in refused.err
