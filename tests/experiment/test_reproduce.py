"""Experiments up to their index; what the command says and writes beside it is tested with the command."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from scipy.stats import entropy

from soft_labels.commands.reproduce import parse_reproduce
from soft_labels.errors import ConfigError, SweepError
from soft_labels.experiment.budget import read_budgets
from soft_labels.experiment.index import ArmForm, ArmRuns, DatasetIndex, ExperimentIndex
from soft_labels.report import notes
from soft_labels.report.evidence import load_evidence
from soft_labels.report.tables import hyperparameter_table
from soft_labels.report.views import make_views
from soft_labels.runs.record import RunRecord
from soft_labels.runs.store import RecordStore
from tests.boards import curves_of, single_points
from tests.conftest import TOY_GRID, TOY_RANDOM, RunCli, write_tiny_experiment
from tests.toys import SeededData, SeededEncoder

ARMS: dict[str, dict[str, Any]] = {
    "fast": {"model.target": "soft", "model.loss": "brier", "space": {"model.lr": {"categorical": [3e-2, 5e-2]}}},
    "soft": {"model.target": "soft"},
    "hard_t": {"from": "hard", "calibration": "temperature"},
    "hard": {"model.target": "hard", "model.weight_decay": 1e-3},
}


def run(config: Path, out: Path, *options: str) -> ExperimentIndex:
    experiment, plans = parse_reproduce([f"--config={config}", f"--out={out}", *options])
    return experiment.run(plans)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of four arms, finished, below ``out``."""
    folder = tmp_path_factory.mktemp("arms")
    budget = {"ladder": [2, 10], "draws": 2, "seeds": 1, "arms": ["soft", "hard_t", "hard"]}
    run(write_tiny_experiment(folder, arms=ARMS, baseline="hard", keep_texts=False, budget=budget), folder / "out")
    return folder


@pytest.fixture(scope="module")
def index(folder: Path) -> ExperimentIndex:
    return ExperimentIndex.load(folder / "out")


@pytest.fixture(scope="module")
def found(index: ExperimentIndex) -> DatasetIndex:
    (found,) = index.datasets
    return found


@pytest.fixture(scope="module")
def records(folder: Path) -> dict[str, RunRecord]:
    return RecordStore(folder / "out" / "records").read()


@pytest.mark.slow
def test_the_index_says_what_each_arm_is_the_baseline_first(index: ExperimentIndex, found: DatasetIndex) -> None:
    assert index.baseline == "hard"
    assert list(index.arms) == list(found.arms) == ["hard", "fast", "soft", "hard_t"]
    assert index.arms == {
        "hard": ArmForm({"model.target": "hard", "model.weight_decay": 1e-3}, None, "none"),
        "soft": ArmForm({"model.target": "soft"}, None, "none"),
        "hard_t": ArmForm({}, "hard", "temperature"),
        "fast": ArmForm({"model.target": "soft", "model.loss": "brier"}, None, "none"),
    }


def test_a_derived_arm_has_the_runs_of_its_arm_and_no_search(
    found: DatasetIndex, records: dict[str, RunRecord]
) -> None:
    hard, derived = found.arms["hard"], found.arms["hard_t"]
    assert derived == ArmRuns({}, hard.best, hard.seeds, hard.splits)
    trained = [arm for arm in found.arms.values() if arm.trials]
    runs = {run for arm in trained for ids in (*arm.trials.values(), arm.seeds, arm.splits) for run in ids}
    assert set(records) == runs, "nothing is trained for it"
    assert len(trained) == 3


def test_each_arm_searches_its_own_space_with_the_same_budget(
    found: DatasetIndex, records: dict[str, RunRecord]
) -> None:
    rates = {"hard": {1e-2, 1e-3}, "soft": {1e-2, 1e-3}, "fast": {3e-2, 5e-2}}
    for name, wanted in rates.items():
        arm = found.arms[name]
        assert {sweep: len(ids) for sweep, ids in arm.trials.items()} == {"grid": 8, "random": 3}
        assert {records[run].spec["lr"] for run in arm.trials["grid"]} == wanted
        assert {records[run].spec["lr"] for run in arm.trials["random"]} <= wanted
        assert records[arm.best].value == min(records[run].value for run in arm.trials["grid"])


def test_an_arms_settings_are_those_of_all_its_runs(found: DatasetIndex, records: dict[str, RunRecord]) -> None:
    for name, target, decay in (("hard", "hard", 1e-3), ("soft", "soft", 0), ("fast", "soft", 0)):
        arm = found.arms[name]
        own = [records[run].spec for ids in (*arm.trials.values(), arm.seeds, arm.splits) for run in ids]
        assert {(spec["target"], spec["weight_decay"], spec["hidden_width"]) for spec in own} == {(target, decay, 16)}


def test_repeats_are_judged_on_the_same_splits_for_every_arm(
    found: DatasetIndex, records: dict[str, RunRecord]
) -> None:
    for arm in found.arms.values():
        assert [records[run].spec["seed"] for run in arm.seeds] == [0, 1, 2]
        assert [records[run].data["split"]["seed"] for run in arm.splits] == [1, 2, 3]
        assert {records[run].spec["lr"] for run in (*arm.seeds, *arm.splits)} == {records[arm.best].spec["lr"]}
        assert all(records[run].predictions for run in (*arm.seeds, *arm.splits))
        assert not any(records[run].predictions for ids in arm.trials.values() for run in ids)
    digests = [[records[run].data["split"]["digest"] for run in arm.splits] for arm in found.arms.values()]
    assert digests == [digests[0]] * 4
    assert len(set(digests[0])) == 3


def test_the_data_set_is_described(found: DatasetIndex, folder: Path) -> None:
    data = SeededData(120, encoder=SeededEncoder(8), store=folder / "store").dataset
    counts = data.data.label_counts.numpy()
    shares = entropy(counts, axis=1) / entropy([1, 1, 1])
    assert found.description["normalized_entropy_mean"] == pytest.approx(shares.mean(), abs=1e-6)
    assert (found.description["items"], found.description["annotations_per_item"]) == (120, 10)
    assert [found.description[part] for part in ("train", "val", "test")] == [
        len(data.rows(part)) for part in ("train", "val", "test")
    ]
    assert sum(found.entropy_histogram) == 120
    assert found.entropy_histogram[-1] == sum(shares >= 0.95)
    assert (found.class_names, found.ordinal) == (["low", "middle", "high"], True)


def test_examples_show_the_baseline_and_the_papers_soft_arm_wherever_it_stands(found: DatasetIndex) -> None:
    assert len(found.examples.spread) == 5
    assert found.examples.median is not None
    assert list(found.examples.median.pred_dist) == ["hard", "soft"]
    assert found.examples.median.text is None


def test_budget_curves_train_what_the_search_chose(
    folder: Path, found: DatasetIndex, records: dict[str, RunRecord]
) -> None:
    (budget,) = read_budgets(folder / "out").values()
    assert (budget.dataset, budget.arms, budget.annotators) == ("seeded", ("hard", "soft", "hard_t"), (2, 10))
    own = RecordStore(folder / "out" / "budget" / "records").read()
    assert len(own) == 2 * 2 * 2
    assert not own.keys() & records.keys()
    for name in ("hard", "soft"):
        rates = {record.spec["lr"] for record in own.values() if record.spec["target"] == name}
        assert rates == {records[found.arms[name].best].spec["lr"]}


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["hard", "soft", "fast", "hard_t"])
def test_each_arm_leaves_a_configuration_and_a_head_that_tests_as_it_was_judged(
    run_cli: RunCli, folder: Path, found: DatasetIndex, records: dict[str, RunRecord], tmp_path: Path, arm: str
) -> None:
    best = folder / "out" / f"best-seeded-{arm}.yaml"
    model = yaml.safe_load(best.read_text(encoding="utf-8"))["model"]
    spec = records[found.arms[arm].best].spec
    calibration = "temperature" if arm == "hard_t" else "none"
    assert (model["target"], model["lr"], model["calibration"]) == (spec["target"], spec["lr"], calibration)
    state = torch.load(best.with_suffix(".ckpt"), weights_only=True)
    assert state["hyper_parameters"]["calibration"] == calibration
    assert ("calibration.temperature" in state["state_dict"]) == (arm == "hard_t")
    options = (f"--ckpt_path={best.with_suffix('.ckpt')}", f"--trainer.default_root_dir={tmp_path}")
    done = run_cli("test", f"--config={best}", *options, "--trainer.accelerator=cpu")
    assert done.code == 0, done.err


def test_tensorboard_shows_the_trials_and_curves_of_the_arms_that_train(folder: Path, found: DatasetIndex) -> None:
    shown = folder / "out" / "tensorboard"
    assert {path.name for path in (shown / "trials" / "seeded").iterdir()} == {"hard", "soft", "fast"}
    for name in ("hard", "soft", "fast"):
        arm = found.arms[name]
        trials = {run for ids in arm.trials.values() for run in ids}
        assert {path.name for path in (shown / "trials" / "seeded" / name).iterdir()} == trials
        for seed, run_id in enumerate(arm.seeds):
            assert len(curves_of(shown / "curves" / "seeded" / f"{name}-seed{seed}-{run_id}")["val/kl"]) > 1
    assert single_points(shown) == []


def test_the_projector_shows_the_validation_items_without_texts_that_are_not_to_be_kept(
    folder: Path, records: dict[str, RunRecord], found: DatasetIndex
) -> None:
    place = folder / "out" / "tensorboard" / "arms" / "seeded" / "val items" / "00000" / "items"
    with (place / "metadata.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    trained = ("fast", "soft", "hard")
    assert list(rows[0]) == ["uid", "majority class", "label entropy", *(f"entropy of {arm}" for arm in trained)]
    store = RecordStore(folder / "out" / "records")
    judged = [store.judged(records[run])["val"] for run in found.arms["soft"].seeds]
    mean = torch.stack([one.logits.softmax(-1) for one in judged]).mean(0)
    told = [float(row["entropy of soft"]) for row in rows]
    assert told == pytest.approx(entropy(mean.double(), axis=-1), abs=1e-4)
    assert [float(row["label entropy"]) for row in rows] == pytest.approx(
        entropy(judged[0].label_dist, axis=-1), abs=1e-4
    )


@pytest.mark.slow
def test_the_baseline_may_be_a_derived_arm(tmp_path: Path) -> None:
    arms = {name: form for name, form in ARMS.items() if name != "fast"}
    config = write_tiny_experiment(tmp_path, arms=arms, baseline="hard_t", redraw_splits=False)
    index = run(config, tmp_path / "out", f'--experiment.sweeps={{"grid": "{tmp_path}/grid.yaml"}}')
    assert index == ExperimentIndex.load(tmp_path / "out")
    assert list(index.arms) == ["hard_t", "soft", "hard"]
    (found,) = index.datasets
    assert found.examples.median is not None
    assert list(found.examples.median.pred_dist) == ["hard", "soft"]
    assert all(arm.splits == [] for arm in found.arms.values())


@pytest.mark.slow
def test_data_sets_of_an_experiment_come_out_as_each_does_alone(tmp_path: Path) -> None:
    write_tiny_experiment(tmp_path)
    one, two = tmp_path / "data.yaml", tmp_path / "narrow.yaml"
    narrow = yaml.safe_load(one.read_text(encoding="utf-8"))
    narrow["data"]["init_args"]["encoder"]["init_args"]["width"] = 5
    narrow["data"]["init_args"]["dataset_name"] = "narrow"
    two.write_text(yaml.safe_dump(narrow), encoding="utf-8")

    def experiment(name: str, *files: Path) -> tuple[list[DatasetIndex], dict[str, RunRecord]]:
        config = write_tiny_experiment(tmp_path, datasets=[[str(file)] for file in files])
        index = run(config, tmp_path / name)
        return index.datasets, RecordStore(tmp_path / name / "records").read()

    together, records = experiment("together", one, two)
    assert [own.dataset for own in together] == ["seeded", "narrow"]
    for own, file in zip(together, (one, two), strict=True):
        ((alone,), expected) = experiment(file.stem, file)
        assert own == alone
        for key, record in expected.items():
            for name, values in record.curve.items():
                assert records[key].curve[name] == pytest.approx(values, abs=1e-5), name
        for name in own.arms:
            best = f"best-{own.dataset}-{name}.yaml"
            assert (tmp_path / "together" / best).read_text() == (tmp_path / file.stem / best).read_text()
    assert len(records) == sum(len(arm_runs) for arm_runs in map(runs_of, together))


def runs_of(index: DatasetIndex) -> set[str]:
    """Every run that an index names."""
    arms = index.arms.values()
    return {run for arm in arms for ids in (*arm.trials.values(), [arm.best], arm.seeds, arm.splits) for run in ids}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"seeds": 1}, ConfigError, "wanted at least 2 seeds, for a spread and a test, got 1"),
        ({"datasets": []}, ConfigError, "wanted at least one data set and one sweep"),
        ({"arms": {}}, ConfigError, "wanted at least one arm"),
        ({"budget": {"arms": ["medium"]}}, ConfigError, "wanted a"),
        ({"baseline": "medium"}, ConfigError, "wanted a baseline of soft, hard, got medium"),
        ({"arms": {"soft": {"model.lr": 1}}, "baseline": "soft"}, ConfigError, "arm soft sets model.lr, which its"),
        (
            {"arms": {"soft": {}, "more": {"space": {"model.dropout": {"categorical": [0, 0.5]}}}}, "baseline": "soft"},
            SweepError, "wanted the same number of trials for every arm, got 8 of soft, 16 of more",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_before_anything_is_read(
    tmp_path: Path, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    config = write_tiny_experiment(tmp_path, **settings)
    with pytest.raises(error, match=message):
        run(config, tmp_path / "out")
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_features_are_not_searched(tmp_path: Path) -> None:
    config = write_tiny_experiment(tmp_path)
    space = {**TOY_GRID["space"], "data.encoder.init_args.width": {"categorical": [4, 8]}}  # type: ignore[dict-item]
    (tmp_path / "random.yaml").write_text(yaml.safe_dump({**TOY_RANDOM, "space": space}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"sweep random searches data.init_args.encoder.* for soft: an experiment"):
        run(config, tmp_path / "out")


@pytest.mark.slow
def test_no_data_set_is_nothing_to_do(tmp_path: Path) -> None:
    experiment, _ = parse_reproduce([f"--config={write_tiny_experiment(tmp_path)}", f"--out={tmp_path / 'out'}"])
    with pytest.raises(ConfigError, match="wanted at least one data set, got none"):
        experiment.run([])


@pytest.mark.slow
def test_a_head_without_a_seed_has_one_run_a_split_and_an_ensemble_the_seeds_of_its_arm(tmp_path: Path) -> None:
    arms: dict[str, dict[str, Any]] = {
        "hard": {"model.target": "hard"},
        "soft": {"model.target": "soft"},
        "near": {"model.head": "neighbours", "space": {"model.neighbours": {"int": [2, 9]}}},
        "both_t": {"from": "soft", "ensemble": True, "calibration": "temperature"},
    }
    random = {"random": str(tmp_path / "random.yaml")}
    config = write_tiny_experiment(tmp_path, arms=arms, sweeps=random, keep_texts=False)
    index = run(config, tmp_path / "out")
    found = index.datasets[0].arms
    assert index.arms["both_t"] == ArmForm({}, "soft", "temperature", ensemble=True)
    assert found["both_t"] == ArmRuns({}, found["soft"].best, found["soft"].seeds, [])
    assert len(set(found["near"].seeds)) == 1 < len(found["near"].seeds) == len(found["soft"].seeds)
    assert len(set(found["near"].splits)) == len(found["soft"].splits)
    records = RecordStore(tmp_path / "out" / "records").read()
    assert {records[run].ending for run in found["near"].splits} == {"solved"}
    assert {records[run].spec["seed"] for run in found["near"].splits} == {0}
    written = {path.name for path in (tmp_path / "out").glob("best-*")}
    assert {"best-seeded-near.yaml", "best-seeded-near.ckpt"} <= written
    assert not any("both_t" in name for name in written), "an ensemble is no single head"

    evidence = load_evidence(tmp_path / "out")
    fixed, redrawn = make_views(evidence)
    assert (list(fixed.compared), list(redrawn.compared)) == (["soft", "near", "both_t"], ["soft", "near"])
    (one,) = evidence.sets
    for name in ("near", "both_t"):
        assert len(one.fixed.metric(name, "kl")) == 3
        assert len(set(one.fixed.metric(name, "kl"))) == 1
    seeds = torch.stack([judged.logits for judged in one.fixed.judged["soft"]]).softmax(-1).mean(0)
    ratio = one.fixed.judged["both_t"][0].logits.diff(dim=-1) / seeds.log().diff(dim=-1)
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-3, atol=0)
    said = notes.measured_on(evidence, fixed)
    assert "near has no seed: one run, so that nothing can be paired and tested here" in said
    assert "both_t: one model of all seeds" in said
    assert "both_t: not here, since each split has one seed." in notes.measured_on(evidence, redrawn)
    (row,) = (row for row in hyperparameter_table(evidence).rows if row["arm"] == "near")
    assert row["lr"] is row["best_epoch"] is None
    assert row["neighbours"] == records[found["near"].best].spec["neighbours"]
