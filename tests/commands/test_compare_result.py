"""What is saved is what is read again, or one error in words."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from soft_labels.commands.compare_result import FILE, CompareResult, Effect
from soft_labels.errors import RecordError
from soft_labels.trust import trust_report


@pytest.fixture(scope="module")
def result() -> CompareResult:
    counts = np.random.default_rng(0).multinomial(9, [0.5, 0.3, 0.2], 80)
    trust = {"hard": trust_report(counts, np.full((80, 3), 1 / 3))}
    effects = (Effect("soft", "kl", -0.2, -0.3, -0.1, float("nan"), "open"),)
    metrics = {"hard": {"kl": np.array([0.25, 0.5]), "entropy_corr": np.array([np.nan, 0.5])}}
    return CompareResult("toy", "hard", ("a note",), (), metrics, trust, effects, Path("runs/toy"))


def test_what_is_saved_is_read_again(result: CompareResult, tmp_path: Path) -> None:
    assert result.save(tmp_path) == tmp_path / FILE
    again = CompareResult.load(tmp_path)
    assert (again.dataset, again.notes, again.folder) == ("toy", ("a note",), Path("runs/toy"))
    np.testing.assert_array_equal(again.metrics["hard"]["entropy_corr"], [np.nan, 0.5])
    assert again.trust["hard"].kl == pytest.approx(result.trust["hard"].kl, rel=1e-5)
    assert again.trust["hard"].prior_saved == pytest.approx(result.trust["hard"].prior_saved, rel=1e-5)
    assert np.isnan(again.effects[0].p_holm)
    assert again.values() == result.values() == json.loads((tmp_path / FILE).read_text())


def test_what_was_changed_is_of_another_schema_or_is_not_there_is_one_message(
    result: CompareResult, tmp_path: Path
) -> None:
    with pytest.raises(RecordError, match=r"no compare\.json in"):
        CompareResult.load(tmp_path)
    replace(result, dataset="other").save(tmp_path)
    text = (tmp_path / FILE).read_text()
    for changed in (text.replace("other", "toy"), text.replace('"schema": 1', '"schema": 2'), text[:99], "[]"):
        (tmp_path / FILE).write_text(changed)
        with pytest.raises(RecordError, match="as it was written; run soft-labels compare again"):
            CompareResult.load(tmp_path)
