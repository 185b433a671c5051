from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from soft_labels.commands.compare_result import CompareResult, Effect
from soft_labels.commands.compare_tables import print_result
from soft_labels.trust.report import trust_report
from soft_labels.trust.yardsticks import yardsticks

GENERATOR = np.random.default_rng(0)
TRUTH = GENERATOR.dirichlet([2.0, 1.0, 1.0], 300)
COUNTS = GENERATOR.multinomial(12, TRUTH)
SURE = TRUTH**4 / (TRUTH**4).sum(1, keepdims=True)


@pytest.fixture(scope="module")
def result() -> CompareResult:
    measured = yardsticks(COUNTS)
    trust = {name: trust_report(COUNTS, pred, measured=measured) for name, pred in (("hard", SURE), ("soft", TRUTH))}
    metrics = {
        "hard": {"accuracy": np.array([0.5, 0.52]), "kl": np.array([0.4, 0.5])},
        "soft": {"accuracy": np.array([0.5, 0.54]), "kl": np.array([0.3, 0.2])},
    }
    effects = (
        Effect("soft", "accuracy", 0.01, -0.02, 0.04, 0.5, "open"),
        Effect("soft", "kl", -0.2, -0.3, -0.1, 0.01, "better"),
        Effect("soft", "entropy_corr", 0.1, float("nan"), float("nan"), float("nan"), "open"),
    )
    return CompareResult("toy", "hard", ("a note",), ("beware",), metrics, trust, effects, Path("runs/toy"))


def test_two_arms_have_a_row_a_metric_with_their_difference(
    result: CompareResult, capsys: pytest.CaptureFixture[str]
) -> None:
    print_result(result, Path("kept"))
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if "accuracy ↑" in line]
    assert [cell.strip() for cell in row.split("│")[2:5]] == ["0.510 ± 0.014", "0.520 ± 0.028", "+0.010 ± 0.014"]
    assert "soft - hard" in out
    assert "a note" in out


def test_more_arms_have_a_row_each_however_many_there_are(
    result: CompareResult, capsys: pytest.CaptureFixture[str]
) -> None:
    many = {f"arm{place}": result.metrics["soft"] for place in range(12)}
    trust = {**result.trust, **dict.fromkeys(many, result.trust["soft"])}
    print_result(replace(result, metrics={**result.metrics, **many}, trust=trust), Path("kept"))
    lines = capsys.readouterr().out.splitlines()
    assert sum("less hard" in line for line in lines) == 1
    for name in many:
        assert sum(line[1:].split()[:1] == [name] for line in lines) == 2, "its metrics, and what they mean"


def test_a_spread_needs_more_than_one_seed(result: CompareResult, capsys: pytest.CaptureFixture[str]) -> None:
    one = {arm: {name: values[:1] for name, values in rows.items()} for arm, rows in result.metrics.items()}
    print_result(replace(result, metrics=one), Path("kept"))
    out = capsys.readouterr().out
    assert "0.300 " in out
    assert "±" not in out


def test_kl_stands_beside_its_parts_constants_floor_and_worth(
    result: CompareResult, capsys: pytest.CaptureFixture[str]
) -> None:
    print_result(result, Path("kept"))
    out = capsys.readouterr().out
    hard, soft = (result.trust[name] for name in ("hard", "soft"))
    assert hard.kl == pytest.approx(hard.overconfidence + hard.vagueness, abs=1e-6)
    for value in (hard.overconfidence, hard.vagueness, soft.kl):
        assert f"{value:.3f}" in out
    assert f"{soft.share_of_achievable:.0%}" in out
    assert f"uniform {soft.uniform:.3f}, class marginal {soft.marginal:.3f}" in out
    assert f"{soft.floor_low:.3f} to {soft.floor_high:.3f}" in out
    assert (f"{soft.worth:.1f}" if soft.worth_reach == "within" else f"above {soft.worth:.0f}") in out


def test_what_cannot_be_measured_is_said(result: CompareResult, capsys: pytest.CaptureFixture[str]) -> None:
    alone = trust_report(np.eye(3)[GENERATOR.integers(3, size=60)], np.full((60, 3), 1 / 3))
    print_result(replace(result, trust={"hard": alone}), Path("kept"))
    out = capsys.readouterr().out
    assert "not known" in out
    assert alone.notes[0].split(":")[0] in " ".join(out.split())


def test_differences_have_intervals_and_warnings_stand_below(
    result: CompareResult, capsys: pytest.CaptureFixture[str]
) -> None:
    print_result(result, Path("kept"))
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[3:-1]] for line in out.splitlines() if line.startswith("│ soft")]
    assert rows[:3] == [
        ["+0.010", "-0.020..+0.040", "0.500", "not told apart"],
        ["-0.200", "-0.300..-0.100", "0.010", "better"],
        ["+0.100", "not known", "–", "not told apart"],  # noqa: RUF001
    ]
    assert "warning: beware" in out
    assert "soft-labels compare --show kept" in out
