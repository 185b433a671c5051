"""Every number is there with its interval, rounded so that machines agree."""

import json
from pathlib import Path

import pytest

from soft_labels.report.evidence import load_evidence
from soft_labels.report.summary import Summary, summarise
from soft_labels.report.summary_file import SCHEMA, WITH_INTERVALS, kept, kept_p, summary_json
from tests.report.toy_experiment import ToySet, write_experiment


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("summary")
    write_experiment(folder, [ToySet(seeds=3, splits=3, items=40)])
    return summarise(load_evidence(folder))


def test_every_number_has_its_interval_by_view(summary: Summary) -> None:
    told = json.loads(summary_json(summary))
    assert (told["schema"], told["baseline"], list(told["sets"])) == (SCHEMA, "hard", ["chaosnli"])
    one = told["sets"]["chaosnli"]
    assert list(one["arms"]) == ["hard", "soft", "hard_t", "soft_t"]
    for view in ("fixed", "redrawn"):
        assert {"items", "annotators", "uniform", "marginal", "floor", "ceiling", "constant_entropy_error"} < one[
            view
        ].keys()
        assert set(one[view]["ceiling"]) == {"low", "high", "split_half"}
        soft = one["arms"]["soft"][view]
        for name in WITH_INTERVALS:
            assert set(soft[name]) == {"value", "low", "high"}
        assert soft["kl"]["low"] < soft["kl"]["value"] < soft["kl"]["high"]
        assert soft["overconfidence"]["value"] + soft["vagueness"]["value"] == pytest.approx(
            soft["kl"]["value"], abs=2e-4
        )
        assert set(soft["prior_saved"]) == {"1", "3", "5"}
        effects = one["effects"][view]
        assert {(each["arm"], each["metric"]) for each in effects} == {
            (arm, metric) for arm in ("soft", "hard_t", "soft_t") for metric in ("accuracy", "kl", "entropy_corr")
        }
        assert all(set(each["difference"]) == {"value", "low", "high"} for each in effects)
    assert len(told["claims"]) == 3
    assert told["sentences"]["chaosnli"].startswith("chaosnli: the soft head goes ")


def test_last_bits_change_no_byte() -> None:
    assert [kept(value) for value in (0.123449, 1e-17, -0.0, float("inf"))] == [0.1234, 0.0, 0.0, None]
    assert kept(0.1 + 0.2) == kept(0.3)
    assert kept_p(1.23456e-12) == 1.23e-12
    assert kept_p(float("nan")) is None


def test_the_same_summary_has_the_same_bytes(summary: Summary, tmp_path: Path) -> None:
    write_experiment(tmp_path, [ToySet(seeds=3, splits=3, items=40)])
    assert summary_json(summarise(load_evidence(tmp_path))) == summary_json(summary)
