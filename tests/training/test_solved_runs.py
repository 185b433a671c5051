import math
from pathlib import Path

import pytest
import torch

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.training.objectives import Objective, item_losses
from soft_labels.training.predict import predict
from soft_labels.training.solved_runs import solved_runs
from soft_labels.training.spec import RunSpec, head_of
from tests.toys import SeededData, SeededEncoder

SPECS = [RunSpec(head="logistic", weight_decay=0.05), RunSpec("hard", head="neighbours", neighbours=5)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedDataset:
    return SeededData(items=90, encoder=SeededEncoder(12), store=tmp_path_factory.mktemp("store")).embedded


@pytest.mark.parametrize("monitor_test", [True, False])
def test_a_run_has_one_epoch_with_the_values_of_its_head(data: EmbeddedDataset, monitor_test: bool) -> None:
    for one in solved_runs(data, SPECS, monitor_test=monitor_test, keep_heads=True, after_epoch=None):
        assert (one.ending, one.best_epoch) == ("solved", 0)
        assert math.isnan(one.curve["lr"][0])
        assert ("test/kl" in one.curve) is monitor_test
        assert all(len(values) == 1 for values in one.curve.values())
        rows, objective = data.dataset.rows("val"), Objective(one.spec)
        logits = predict(head_of(data, one), data.features, rows)
        aim = objective.judged_by(data.dataset.observed).take(rows)
        losses = item_losses(objective.loss, aim, logits)
        assert one.curve["val/loss"][0] == pytest.approx(losses.mean().item(), abs=1e-6)


def test_heads_are_kept_where_they_are_asked_for_and_features_may_stay_as_they_are(data: EmbeddedDataset) -> None:
    raw = RunSpec(head="logistic", weight_decay=0.05, standardize=False)
    (without,) = solved_runs(data, [SPECS[0]], monitor_test=False, keep_heads=False, after_epoch=None)
    (kept,) = solved_runs(data, [raw], monitor_test=False, keep_heads=True, after_epoch=None)
    assert without.state is None
    assert kept.state is not None
    assert torch.equal(kept.state["feature_scale"], torch.ones(12))


def test_a_pruner_is_told_each_run_once(data: EmbeddedDataset, tmp_path: Path) -> None:
    told: list[tuple[int, int, float]] = []

    def after_epoch(run: int, epoch: int, loss: float) -> bool:
        told.append((run, epoch, loss))
        return run == 1

    runs = solved_runs(data, SPECS, monitor_test=False, keep_heads=False, after_epoch=after_epoch)
    assert [one.ending for one in runs] == ["solved", "pruned"]
    assert told == [(run, 0, one.curve["val/loss"][0]) for run, one in enumerate(runs)]
