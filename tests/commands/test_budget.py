"""The command from its options to its files; what the curves hold is tested with the experiment."""

from pathlib import Path

import pytest

from soft_labels.commands.budget import print_budget
from soft_labels.experiment.budget import read_budgets
from soft_labels.runs.store import RecordStore
from tests.conftest import RunCli
from tests.experiment.test_budget import BUDGET


@pytest.mark.slow
def test_curves_of_three_arms_are_printed_and_kept_beside_an_experiment(
    run_cli: RunCli, toy_options: tuple[str, ...], tmp_path: Path
) -> None:
    options = ("budget", *toy_options, "--ladder=[1,10]", "--draws=2", "--seeds=1", "--price=0.05", f"--out={tmp_path}")
    done = run_cli(*options)
    assert done.code == 0, done.err
    budget = read_budgets(tmp_path)["seeded"]
    assert budget.arms == ("hard", "soft", "hard_t")
    assert (budget.annotators, budget.annotations, budget.price) == ((1, 10), (68, 680), 0.05)
    assert {"accuracy", "kl", "entropy_corr", "kl_to_true"} == set(budget.metrics)
    assert "seeded: KL to annotators, nats ↓, then less hard; 95%" in done.out
    assert "34.00" in done.out
    assert "judged on 12 test items by all of their annotators, 10 on average; none of theirs is drawn" in done.out
    records = RecordStore(tmp_path / "budget" / "records").read()
    assert {record.spec["hidden_width"] for record in records.values()} == {8}
    files = sorted((tmp_path / "budget" / "records").iterdir())
    before = [path.stat().st_mtime_ns for path in files]
    again = run_cli(*options)
    assert again.out == done.out
    assert [path.stat().st_mtime_ns for path in files] == before


@pytest.mark.parametrize(("option", "words"), [
    ("--draws=1", "at least 2 draws"),
    ("--ladder=[0]", "each at least 1"),
    ('--arms={"soft": {"model.lr": 0.1, "space": {"model.dropout": {"categorical": [0]}}}}', "searches nothing"),
    ("--model.calibration=temperature", "model.calibration can be set for fit only"),
    ('--arms={"soft": {"model.smoothing": 0.1}}', "does not honour smoothing"),
    ('--arms={"soft": {"data.split_seed": 1}}', "arm soft"),
])  # fmt: skip
def test_a_mistake_is_told_before_anything_is_read(
    run_cli: RunCli, toy_options: tuple[str, ...], tmp_path: Path, option: str, words: str
) -> None:
    out = tmp_path / "out"
    done = run_cli("budget", *toy_options, "--baseline=soft", option, f"--out={out}")
    assert done.code == 2, done.out
    assert words in done.err
    assert not out.exists()


def test_the_table_fits_a_terminal_and_says_what_the_numbers_depend_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soft_labels.commands.budget._SHOWN", ("kl",))
    monkeypatch.setenv("COLUMNS", "80")
    print_budget(BUDGET, Path("out/budget/moods.json"))
    said = " ".join(capsys.readouterr().out.split())
    for words in ("-0.250", "-0.38..-0.12", "19.00", "there are 2 at 4", "0% at 1, 25% at 4", "2 draws, 1 seed(s)"):
        assert words in said
    assert "…" not in said
    assert "out/budget/moods.json and moods.csv beside it" in said
