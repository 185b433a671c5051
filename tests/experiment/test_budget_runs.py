"""Curves of simulated annotators whose distributions are known, and what runs are shared and kept."""

from pathlib import Path

import numpy as np
import pytest
import torch

from soft_labels.data import TensorDataModule
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.distributions import label_distribution
from soft_labels.errors import ConfigError, DataError
from soft_labels.experiment.arms import Arms, read_arms
from soft_labels.experiment.budget import Budget
from soft_labels.experiment.budget_runs import BudgetPlan, ExperimentBudget, default_ladder, run_budget
from soft_labels.runs.runner import Runner
from soft_labels.runs.store import RecordStore
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import RunSpec

ARMS = read_arms(
    {"soft": {"model.target": "soft"}, "hard": {"model.target": "hard"},
     "hard_t": {"from": "hard", "calibration": "temperature"}}, "hard",
)  # fmt: skip
SPECS = {
    target: RunSpec(target=target, hidden_width=16, dropout=0.0, lr=1e-2, batch_size=64, max_epochs=12, patience=4)
    for target in ("soft", "hard")
}


def simulated(items: int, annotators: int) -> tuple[EmbeddedDataset, torch.Tensor]:
    """Items whose annotators answer as a linear function of six features says, and their true distributions."""
    generator = np.random.default_rng(0)
    features = torch.from_numpy(generator.standard_normal((items, 6)))
    true_dist = torch.softmax(features @ torch.from_numpy(generator.standard_normal((6, 3))), dim=1)
    counts = np.stack([generator.multinomial(annotators, row) for row in true_dist.numpy()])
    return TensorDataModule(features, label_counts=counts, name="simulated").embedded, true_dist


def budget_of(data: EmbeddedDataset, folder: Path, plan: BudgetPlan, arms: Arms = ARMS) -> Budget:
    runner = Runner(RecordStore(folder), PopulationEngine(accelerator="cpu"))
    return run_budget(runner, data, arms, {arm.name: SPECS[arm.name] for arm in arms.trained}, plan)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("budget")


@pytest.fixture(scope="module")
def budget(folder: Path) -> Budget:
    return budget_of(simulated(400, 20)[0], folder, BudgetPlan([1, 3, 20], draws=2, seeds=2, price=0.1))


def test_more_annotators_come_nearer_to_the_truth(budget: Budget) -> None:
    first, middle, last = budget.curve("soft", "kl").values
    assert first > middle > last
    rising = budget.curve("soft", "entropy_corr").values
    assert rising[0] < rising[2]
    assert budget.annotators == (1, 3, 20)


def test_one_annotator_is_its_own_majority(budget: Budget) -> None:
    less = budget.curve("soft", "kl", "hard")
    assert less.values[0] == pytest.approx(0, abs=1e-5)
    assert max(less.draws[2]) < 0, "with all annotators soft labels say more than one class"


def test_means_and_differences_are_those_of_the_draws(budget: Budget) -> None:
    soft, hard, less = (budget.curve(*which) for which in (("soft", "kl"), ("hard", "kl"), ("soft", "kl", "hard")))
    np.testing.assert_allclose(np.mean(soft.draws, 1), soft.values)
    np.testing.assert_allclose(np.array(soft.draws) - np.array(hard.draws), less.draws)
    assert all(low < value < high for low, value, high in zip(soft.low, soft.values, soft.high, strict=True))


def test_a_temperature_follows_the_same_heads(budget: Budget, folder: Path) -> None:
    assert len(RecordStore(folder).read()) == 3 * 2 * 2 * 2, "steps, draws, seeds and arms that train"
    np.testing.assert_allclose(budget.curve("hard_t", "accuracy").draws, budget.curve("hard", "accuracy").draws)
    assert budget.curve("hard_t", "kl").values[2] < budget.curve("hard", "kl").values[2]


def test_annotations_are_counted_and_paid(budget: Budget) -> None:
    assert budget.learning_items == 340
    assert budget.test_items == 60
    assert budget.annotations == (340, 1020, 6800)
    assert budget.money == pytest.approx((34, 102, 680))
    assert budget.tied[0] == 0


def test_what_was_trained_is_not_trained_again(budget: Budget, folder: Path) -> None:
    before = sorted(path.name for path in folder.glob("*.jsonl"))
    again = budget_of(simulated(400, 20)[0], folder, BudgetPlan([3], draws=2, seeds=2))
    assert sorted(path.name for path in folder.glob("*.jsonl")) == before
    assert again.curve("soft", "kl").draws[0] == budget.curve("soft", "kl").draws[1]
    assert again.price is None


def test_few_annotators_leave_their_marks_on_every_id(folder: Path, budget: Budget) -> None:
    records = RecordStore(folder).read().values()
    drawn = {(record.data["draw"]["annotators"], record.data["draw"]["seed"]) for record in records}
    assert drawn == {(step, seed) for step in budget.annotators for seed in range(2)}
    assert {record.spec["seed"] for record in records} == set(range(4))
    assert len({record.data["split"]["digest"] for record in records}) == 1


@pytest.mark.slow
def test_what_few_annotators_cost_falls_by_half_to_a_quarter_with_four_times_as_many(tmp_path: Path) -> None:
    """A head that can say the truth is off by its sampling error, 1 / k; stopped early it loses less with few."""
    data, true_dist = simulated(1500, 16)
    store = RecordStore(tmp_path)
    budget_of(data, tmp_path, BudgetPlan([1, 4, 16], draws=3, seeds=1))
    truth = true_dist[data.dataset.rows("test")]
    off: dict[tuple[str, int], list[float]] = {}
    for record in store.read().values():
        log_pred = store.judged(record)["test"].logits.double().log_softmax(-1)
        kl = (torch.xlogy(truth, truth) - truth * log_pred).sum(1).mean()
        off.setdefault((record.spec["target"], record.data["draw"]["annotators"]), []).append(kl.item())
    few, some, many = (float(np.mean(off["soft", k])) for k in (1, 4, 16))
    assert 1.5 < few / some < 4.5
    assert 1.5 < some / many < 4.5
    assert np.mean(off["soft", 1]) == pytest.approx(np.mean(off["hard", 1]), rel=1e-3)
    assert all(np.mean(off["soft", k]) < np.mean(off["hard", k]) / 2 for k in (4, 16))


def test_the_ladder_ends_at_the_median() -> None:
    assert default_ladder(100) == (1, 2, 3, 5, 10, 20, 50, 100)
    assert default_ladder(7) == (1, 2, 3, 5, 7)
    assert default_ladder(1) == (1,)
    data, _ = simulated(60, 7)
    assert BudgetPlan().steps(data.dataset) == (1, 2, 3, 5, 7)
    assert BudgetPlan([4, 2, 4]).steps(data.dataset) == (2, 4)


@pytest.mark.parametrize(("settings", "words"), [
    ({"ladder": []}, "a ladder of at least one number"),
    ({"ladder": [0, 2]}, "each at least 1, got"),
    ({"draws": 1}, "at least 2 draws, for an interval"),
    ({"seeds": 0}, "1 seed of each, got 5 and 0"),
    ({"price": 0.0}, "wanted a price above 0"),
])  # fmt: skip
def test_a_plan_that_cannot_be_drawn_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BudgetPlan(**settings)  # type: ignore[arg-type]


def test_an_experiment_names_some_of_its_arms() -> None:
    assert ExperimentBudget().chosen(ARMS) == ARMS
    assert ExperimentBudget(arms=["soft"]).chosen(ARMS).names == ("soft",)
    with pytest.raises(ConfigError, match="wanted a"):
        ExperimentBudget(arms=["medium"]).chosen(ARMS)


def test_shares_have_no_annotators_to_draw(tmp_path: Path) -> None:
    data, _ = simulated(60, 7)
    shares = label_distribution(data.dataset.data.label_counts)
    module = TensorDataModule(torch.randn(60, 6), label_dist=shares)
    with pytest.raises(DataError, match="not whole numbers; give unweighted ones"):
        budget_of(module.embedded, tmp_path, BudgetPlan([1]))
