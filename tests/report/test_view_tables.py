"""Numbers of Tables 3 and 4 against numpy and scipy on the same records."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from soft_labels.experiment_index import ExperimentIndex
from soft_labels.objectives import Target
from soft_labels.records import RecordStore
from soft_labels.report.command import run_report
from tests.report.toy_experiment import ToySet, write_experiment

VIEWS = ("fixed", "redrawn")
LABELS = {"accuracy": "accuracy", "kl": "KL to annotators, nats", "entropy_corr": "entropy correlation"}
OVERLAP = 60 / 120  # items in test by items in train of the made-up data
Rows = list[dict[str, str]]


class Written:
    """An experiment on disk, its report and its raw metrics."""

    def __init__(self, folder: Path, sets: list[ToySet]) -> None:
        self.folder = folder
        write_experiment(folder, sets)
        run_report(["report", str(folder)])
        self.index = ExperimentIndex.load(folder)
        self.records = RecordStore(folder / "records").read()

    def table(self, name: str) -> Rows:
        with (self.folder / "report" / "tables" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def values(self, place: int, view: str, target: Target, metric: str) -> np.ndarray:
        arm = self.index.datasets[place].arms[target]
        keys = arm.seeds if view == "fixed" else arm.splits
        return np.array([(self.records[key].test or {})[metric] for key in keys], dtype=float)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    sets = [ToySet(), ToySet("mine", ("a", "b", "c", "d"), far="soft", ordinal=True)]
    return Written(tmp_path_factory.mktemp("numbers"), sets)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("metric", list(LABELS))
def test_the_tests_are_those_of_scipy(written: Written, view: str, place: int, metric: str) -> None:
    soft, hard = (written.values(place, view, target, metric) for target in ("soft", "hard"))
    row = written.table(f"table3-tests-{view}")[3 * place + list(LABELS).index(metric)]
    assert row["metric"] == LABELS[metric]
    assert float(row["difference"]) == pytest.approx((soft - hard).mean(), rel=1e-4)
    assert float(row["t_p"]) == pytest.approx(stats.ttest_rel(soft, hard).pvalue, rel=1e-4)
    assert float(row["cohens_dz"]) == pytest.approx((soft - hard).mean() / (soft - hard).std(ddof=1), rel=1e-4)
    ahead = soft < hard if metric == "kl" else soft > hard
    assert (int(row["soft_ahead"]), int(row["pairs"])) == (ahead.sum(), len(soft))
    assert float(row["low"]) < float(row["difference"]) < float(row["high"])


def test_shared_items_count_in_the_redrawn_view_only(written: Written) -> None:
    assert all(row["t_p"] == row["corrected_t_p"] for row in written.table("table3-tests-fixed"))
    for row in written.table("table3-tests-redrawn"):
        statistic = float(row["cohens_dz"]) / math.sqrt(1 / int(row["pairs"]) + OVERLAP)
        expected = 2 * stats.t.sf(abs(statistic), int(row["pairs"]) - 1)
        assert float(row["corrected_t_p"]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("view", VIEWS)
def test_holm_covers_the_whole_table(written: Written, view: str) -> None:
    rows = written.table(f"table3-tests-{view}")
    raw = np.array([float(row["corrected_t_p"]) for row in rows])
    smallest = int(raw.argmin())
    assert float(rows[smallest]["holm_p"]) == pytest.approx(min(1, len(rows) * raw[smallest]), rel=1e-4)
    assert all(float(row["holm_p"]) >= float(row["corrected_t_p"]) for row in rows)


@pytest.mark.parametrize("view", VIEWS)
def test_table_3_has_means_and_sample_deviations(written: Written, view: str) -> None:
    rows = written.table(f"table3-{view}")
    assert [(row["dataset"], row["target"]) for row in rows] == [
        (name, target) for name in ("chaosnli", "mine") for target in ("hard", "soft")
    ]
    for place in (0, 1):
        for row, target in zip(rows[2 * place : 2 * place + 2], ("hard", "soft"), strict=True):
            accuracy = 100 * written.values(place, view, "soft" if target == "soft" else "hard", "accuracy")
            assert float(row["accuracy_mean"]) == pytest.approx(accuracy.mean(), rel=1e-4)
            assert float(row["accuracy_sd"]) == pytest.approx(accuracy.std(ddof=1), rel=1e-4, abs=1e-9)


def test_table_3_says_which_differences_are_findings_and_in_which_direction(written: Written) -> None:
    chaosnli, mine = written.table("table3-fixed")[::2]
    assert "KL (better)" in chaosnli["significant"]
    assert "KL (worse)" in mine["significant"]
    assert [row["kl_better"] for row in written.table("table3-fixed")] == ["0", "1", "1", "0"]


def test_the_paper_stands_beside_its_own_data_set_only(written: Written) -> None:
    rows = written.table("table3-fixed")
    assert [row["paper_kl_mean"] for row in rows] == ["0.367", "0.319", "", ""]
    assert [row["paper_kl_p"] for row in rows] == ["4.7e-07", "", "", ""]


@pytest.mark.parametrize("view", VIEWS)
def test_table_4_has_changes_by_formula_and_their_mean(written: Written, view: str) -> None:
    *sets, mean = written.table(f"table4-{view}")
    for metric in ("kl", "entropy_corr"):
        changes = []
        for place, row in enumerate(sets):
            hard, soft = (written.values(place, view, target, metric).mean() for target in ("hard", "soft"))
            changes.append((soft - hard) / hard)
            assert float(row[f"{metric}_change"]) == pytest.approx(changes[-1], rel=1e-4)
        assert float(mean[f"{metric}_change"]) == pytest.approx(np.mean(changes), rel=1e-4)
    assert mean["dataset"] == "mean"
    assert float(mean["paper_kl_change"]) == pytest.approx((0.319 - 0.367) / 0.367, rel=1e-4)


def test_further_metrics_are_those_that_the_records_have(written: Written) -> None:
    rows = written.table("further-metrics-fixed")
    assert [(row["dataset"], row["metric"]) for row in rows] == [
        ("chaosnli", "Jensen-Shannon, nats"), ("chaosnli", "Brier score"),
        ("mine", "Jensen-Shannon, nats"), ("mine", "Brier score"), ("mine", "ranked probability score"),
    ]  # fmt: skip
    js = written.values(0, "fixed", "soft", "js")
    assert float(rows[0]["soft_mean"]) == pytest.approx(js.mean(), rel=1e-4)


def test_what_is_not_defined_is_empty_and_not_counted(tmp_path: Path) -> None:
    written = Written(tmp_path, [ToySet(constant="hard", splits=0), ToySet("mine", splits=0)])
    row = written.table("table3-tests-fixed")[2]
    assert [row[key] for key in ("difference", "low", "high", "t_p", "holm_p", "wilcoxon_p")] == [""] * 6
    assert "over the 6 tests" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    first, second, mean = written.table("table4-fixed")
    assert first["entropy_corr_change"] == ""
    assert mean["entropy_corr_change"] == second["entropy_corr_change"] != ""


def test_one_seed_has_no_spread_and_no_test(tmp_path: Path) -> None:
    written = Written(tmp_path, [ToySet(seeds=1, splits=0)])
    assert [row["kl_sd"] for row in written.table("table3-fixed")] == ["", ""]
    assert {row["t_p"] for row in written.table("table3-tests-fixed")} == {""}
    assert all(row["low"] for row in written.table("table3-tests-fixed"))
    assert len(written.table("table4-fixed")) == 1
