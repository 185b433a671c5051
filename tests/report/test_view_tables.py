"""Numbers of Tables 3 and 4 against numpy and scipy on the same records."""

import csv
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, special, stats
from torch import Tensor

from soft_labels.commands.report import run_report
from soft_labels.experiment.index import ArmForm, ExperimentIndex
from soft_labels.metrics import METRICS, Judged, Metric
from soft_labels.report.evidence import load_evidence
from soft_labels.report.view_tables import further_table
from soft_labels.report.views import make_views
from soft_labels.runs.store import RecordStore
from tests.report.toy_experiment import CALIBRATED, PAIR, ToySet, write_experiment

VIEWS = ("fixed", "redrawn")
LABELS = {"accuracy": "accuracy", "kl": "KL to annotators, nats", "entropy_corr": "entropy correlation"}
OVERLAP = 60 / 120  # items in test by items in train of the made-up data
Rows = list[dict[str, str]]


class Written:
    """An experiment on disk, its report and its raw metrics."""

    def __init__(self, folder: Path, sets: list[ToySet], arms: Mapping[str, ArmForm] = PAIR) -> None:
        self.folder = folder
        write_experiment(folder, sets, arms)
        run_report(["report", str(folder)])
        self.index = ExperimentIndex.load(folder)
        self.store = RecordStore(folder / "records")
        self.records = self.store.read()

    def table(self, name: str) -> Rows:
        with (self.folder / "report" / "tables" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def values(self, place: int, view: str, arm: str, metric: str) -> np.ndarray:
        """Computed from the stored logits without this package's metrics."""
        runs = self.index.datasets[place].arms[arm]
        tests = [
            self.store.judged(self.records[key])["test"] for key in (runs.seeds if view == "fixed" else runs.splits)
        ]
        return np.array([of_items(metric, one.label_dist.numpy(), one.logits.numpy()) for one in tests])


def of_items(metric: str, label: np.ndarray, logits: np.ndarray) -> float:
    """One metric by scipy."""
    pred = special.softmax(logits.astype(np.float64), 1)
    if metric == "accuracy":
        return float((label.argmax(1) == pred.argmax(1)).mean())
    if metric == "kl":
        return float(special.rel_entr(label, pred).sum(1).mean())
    if metric == "brier":
        return float(((label - pred) ** 2).sum(1).mean())
    return float(stats.pearsonr(stats.entropy(label, axis=1), stats.entropy(pred, axis=1)).statistic)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    sets = [ToySet(), ToySet("mine", ("a", "b", "c", "d"), far="soft", ordinal=True)]
    return Written(tmp_path_factory.mktemp("numbers"), sets)


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("metric", list(LABELS))
def test_the_tests_are_those_of_scipy(written: Written, view: str, place: int, metric: str) -> None:
    soft, hard = (written.values(place, view, arm, metric) for arm in ("soft", "hard"))
    row = written.table(f"table3-tests-{view}")[3 * place + list(LABELS).index(metric)]
    assert row["metric"] == LABELS[metric]
    assert float(row["difference"]) == pytest.approx((soft - hard).mean(), rel=1e-4)
    assert float(row["t_p"]) == pytest.approx(stats.ttest_rel(soft, hard).pvalue, rel=1e-3)
    assert float(row["cohens_dz"]) == pytest.approx((soft - hard).mean() / (soft - hard).std(ddof=1), rel=1e-4)
    ahead = soft < hard if metric == "kl" else soft > hard
    assert (int(row["ahead"]), int(row["pairs"])) == (ahead.sum(), len(soft))
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
    assert [(row["dataset"], row["arm"]) for row in rows] == [
        (name, arm) for name in ("chaosnli", "mine") for arm in ("hard", "soft")
    ]
    for place in (0, 1):
        for row, arm in zip(rows[2 * place : 2 * place + 2], ("hard", "soft"), strict=True):
            accuracy = 100 * written.values(place, view, arm, "accuracy")
            assert float(row["accuracy_mean"]) == pytest.approx(accuracy.mean(), rel=1e-4)
            assert float(row["accuracy_sd"]) == pytest.approx(accuracy.std(ddof=1), rel=1e-4, abs=1e-9)


def test_table_3_says_which_differences_are_findings_and_in_which_direction(written: Written) -> None:
    chaosnli, mine = written.table("table3-fixed")[1::2]
    assert "KL (better)" in chaosnli["significant"]
    assert "KL (worse)" in mine["significant"]
    assert [row["kl_better"] for row in written.table("table3-fixed")] == ["0", "1", "1", "0"]


def test_the_paper_stands_beside_its_own_data_set_only(written: Written) -> None:
    rows = written.table("table3-fixed")
    assert [row["paper_kl_mean"] for row in rows] == ["0.367", "0.319", "", ""]
    assert [row["paper_kl_p"] for row in rows] == ["", "4.7e-07", "", ""]


@pytest.mark.parametrize("view", VIEWS)
def test_table_4_has_changes_by_formula_and_their_mean(written: Written, view: str) -> None:
    *sets, mean = written.table(f"table4-{view}")
    for metric in ("kl", "entropy_corr"):
        changes = []
        for place, row in enumerate(sets):
            hard, soft = (written.values(place, view, arm, metric).mean() for arm in ("hard", "soft"))
            changes.append((soft - hard) / hard)
            assert float(row[f"{metric}_change"]) == pytest.approx(changes[-1], rel=1e-4)
        assert float(mean[f"{metric}_change"]) == pytest.approx(np.mean(changes), rel=1e-4)
    assert mean["dataset"] == "mean"
    assert float(mean["paper_kl_change"]) == pytest.approx((0.319 - 0.367) / 0.367, rel=1e-4)


def test_further_metrics_are_those_that_the_data_define(written: Written) -> None:
    rows = written.table("further-metrics-fixed")
    both = ["Jensen-Shannon, nats", "total variation", "soft cross-entropy, nats", "Brier score", "entropy error, nats"]
    assert [(row["dataset"], row["metric"]) for row in rows] == [
        *(("chaosnli", name) for name in both),
        *(("mine", name) for name in (*both, "Wasserstein, classes", "ranked probability score")),
    ]
    hard, soft = (written.values(0, "fixed", arm, "brier") for arm in ("hard", "soft"))
    assert float(rows[3]["arm_mean"]) == pytest.approx(soft.mean(), rel=1e-4)
    assert float(rows[3]["base_sd"]) == pytest.approx(hard.std(ddof=1), rel=1e-3)
    assert (int(rows[3]["ahead"]), int(rows[3]["pairs"])) == ((soft < hard).sum(), 6)


def test_a_metric_that_was_added_later_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def confidence(judged: Judged) -> Tensor:
        return judged.logits.softmax(-1).amax(-1)

    write_experiment(tmp_path, [ToySet(seeds=2, splits=0)])
    monkeypatch.setitem(METRICS, "confidence", Metric("confidence", of_items=confidence, higher_is_better=True))
    (view,) = make_views(load_evidence(tmp_path))
    table = further_table(load_evidence(tmp_path), view)
    assert table is not None
    shown = [[column.cell(row) for column in table.columns] for row in table.rows]
    assert shown[-1][1] == "confidence (higher is better)"
    assert shown[-2][1] == "entropy error, nats (lower is better)"


def test_a_metric_that_became_a_tested_one_is_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "brier", replace(METRICS["brier"], core=True))
    written = Written(tmp_path, [ToySet(splits=0)])
    hard, soft = (written.values(0, "fixed", arm, "brier") for arm in ("hard", "soft"))
    row = written.table("table3-tests-fixed")[3]
    assert row["metric"] == "Brier score"
    assert float(row["t_p"]) == pytest.approx(stats.ttest_rel(soft, hard).pvalue, rel=1e-3)
    assert float(written.table("table4-fixed")[0]["brier_arm"]) == pytest.approx(soft.mean(), rel=1e-4)
    assert "Brier score" not in [row["metric"] for row in written.table("further-metrics-fixed")]


def test_what_is_not_defined_is_empty_and_not_counted(tmp_path: Path) -> None:
    written = Written(tmp_path, [ToySet(constant="hard", splits=0), ToySet("mine", splits=0)])
    row = written.table("table3-tests-fixed")[2]
    assert [row[key] for key in ("difference", "low", "high", "t_p", "holm_p", "wilcoxon_p")] == [""] * 6
    assert "over the 5 tests of this table that could be made" in (tmp_path / "report" / "report.md").read_text(
        encoding="utf-8"
    )
    first, second, mean = written.table("table4-fixed")
    assert first["entropy_corr_change"] == ""
    assert mean["entropy_corr_change"] == second["entropy_corr_change"] != ""


def test_one_seed_has_no_spread_and_no_test(tmp_path: Path) -> None:
    written = Written(tmp_path, [ToySet(seeds=1, splits=0)])
    assert [row["kl_sd"] for row in written.table("table3-fixed")] == ["", ""]
    assert {row["t_p"] for row in written.table("table3-tests-fixed")} == {""}
    assert all(row["low"] for row in written.table("table3-tests-fixed"))
    assert len(written.table("table4-fixed")) == 1


def test_a_derived_arm_is_another_arms_head_after_its_calibration(tmp_path: Path) -> None:
    """The temperature that scipy finds on the validation items gives the test values that stand in the table."""
    written = Written(tmp_path, [ToySet(seeds=2, splits=0)], CALIBRATED)
    values = []
    for key in written.index.datasets[0].arms["hard"].seeds:
        judged = written.store.judged(written.records[key])
        label, logits = (part.numpy().astype(float) for part in (judged["val"].label_dist, judged["val"].logits))
        found = optimize.minimize(
            lambda t, label=label, logits=logits: -(label * special.log_softmax(logits / t, 1)).sum(1).mean(),
            [1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12},
        ).x[0]  # fmt: skip
        values.append(of_items("kl", judged["test"].label_dist.numpy(), judged["test"].logits.numpy() / found))
    row = written.table("table3-fixed")[2]
    assert row["arm"] == "hard_t"
    assert float(row["kl_mean"]) == pytest.approx(np.mean(values), rel=1e-5)


@pytest.mark.slow
def test_every_arm_has_its_rows_and_stands_in_one_family_of_tests(tmp_path: Path) -> None:
    written = Written(tmp_path, [ToySet(splits=0), ToySet("mine", splits=0)], CALIBRATED)
    rows = written.table("table3-tests-fixed")
    assert [row["arm"] for row in rows] == 2 * (3 * ["soft"] + 3 * ["hard_t"])
    made = np.array([float(row["corrected_t_p"]) for row in rows if row["holm_p"]])
    smallest = min(float(row["holm_p"]) for row in rows if row["holm_p"])
    assert smallest == pytest.approx(len(made) * made.min(), rel=1e-4)
    assert [(row["dataset"], row["arm"]) for row in written.table("table4-fixed")] == [
        (dataset, arm) for arm in ("soft", "hard_t") for dataset in ("chaosnli", "mine", "mean")
    ]


def test_an_arm_alone_has_means_and_no_tests(tmp_path: Path) -> None:
    written = Written(tmp_path, [ToySet(splits=0)], {"hard": PAIR["hard"]})
    names = {path.stem for path in (tmp_path / "report" / "tables").iterdir()}
    assert names >= {"table3-fixed", "further-metrics-fixed"}
    assert not names & {"table3-tests-fixed", "table4-fixed"}
    (row,) = written.table("table3-fixed")
    assert float(row["kl_mean"]) == pytest.approx(written.values(0, "fixed", "hard", "kl").mean(), rel=1e-4)
    assert (row["kl_p"], row["kl_better"]) == ("", "0")
