"""The loop between Optuna and an engine; most searches here train by formula, since what is tested is the loop."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data import AnnotationDataModule
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.errors import SweepError
from soft_labels.runs.record import RunRecord, best_record
from soft_labels.runs.runner import Runner, Task
from soft_labels.runs.store import RecordStore
from soft_labels.sweep import PlannedSearch, SweepSettings, open_storage, run_ids, search
from soft_labels.sweep.space import DataChoice
from soft_labels.sweep.study import _purpose
from soft_labels.training.lightning_engine import LightningEngine
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import Engine, RunResult, RunSpec
from tests.conftest import MakeOptions
from tests.sweep.conftest import ByFormula
from tests.toys import SeededData, SeededEncoder

BASE = RunSpec(hidden_width=8, max_epochs=3)
TPE = {"sampler": {"class_path": "optuna.samplers.TPESampler"}, "trials": 20, "batch": 4}
RANGES = {"model.lr": {"float": [1e-3, 1e-1], "log": True}, "model.dropout": {"float": [0, 0.6]}}
Search = Callable[..., Study]


@pytest.fixture
def searched(datamodule: AnnotationDataModule, tmp_path: Path) -> Search:
    """Searches with an engine, keeping records in a folder of the test."""

    def run(sweep: SweepSettings, engine: Engine, base: RunSpec = BASE, address: str | None = None) -> Study:
        runner = Runner(RecordStore(tmp_path / "records"), engine)
        return search(runner, {"toy": PlannedSearch(base, sweep, lambda _: datamodule)}, open_storage(address))["toy"]

    return run


def states(study: Study) -> Counter[TrialState]:
    return Counter(trial.state for trial in study.trials)


def params(study: Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def test_a_grid_tries_every_point_once_in_its_order(searched: Search, make_options: MakeOptions) -> None:
    engine = ByFormula()
    study = searched(make_options().sweep, engine)
    assert [tuple(trial.params.values()) for trial in study.trials] == [
        (lr, size) for lr in (1e-3, 1e-2, 0.1) for size in (8, 16)
    ]
    assert engine.trained == [
        replace(BASE, lr=trial.params["model.lr"], batch_size=trial.params["data.init_args.batch_size"])
        for trial in study.trials
    ]
    assert study.best_params == {"model.lr": 1e-2, "data.init_args.batch_size": 8}


@pytest.mark.parametrize("pruner", [None, "optuna.pruners.MedianPruner"])
def test_each_member_of_a_batch_is_a_trial_with_its_own_values(
    searched: Search, make_options: MakeOptions, tmp_path: Path, pruner: str | None
) -> None:
    chosen = {"pruner": {"class_path": pruner}} if pruner else {}
    study = searched(make_options(**chosen).sweep, ByFormula())
    records = RecordStore(tmp_path / "records").read()
    assert len(study.trials) == len(records) == 6
    for trial, key in zip(study.trials, run_ids(study), strict=True):
        losses = records[key].curve["val/loss"]
        assert trial.intermediate_values == (dict(enumerate(losses)) if pruner else {})
        assert trial.value == records[key].value
        assert records[key].spec["lr"] == trial.params["model.lr"]


def test_a_sampler_is_asked_in_batches_for_its_number_of_trials(searched: Search, make_options: MakeOptions) -> None:
    class Counting(ByFormula):
        batches: list[int] = []  # noqa: RUF012

        def train(self, data: EmbeddedDataset, specs: Sequence[RunSpec], **settings: Any) -> list[RunResult]:
            self.batches.append(len(specs))
            return super().train(data, specs, **settings)

    study = searched(make_options(space=RANGES, **{**TPE, "trials": 10}).sweep, Counting())
    assert Counting.batches == [4, 4, 2]
    assert states(study) == {TrialState.COMPLETE: 10}


def test_pruned_trials_leave_the_program(searched: Search, make_options: MakeOptions, tmp_path: Path) -> None:
    pruner = {"class_path": "optuna.pruners.MedianPruner", "init_args": {"n_startup_trials": 4}}
    study = searched(make_options(space=RANGES, pruner=pruner, **TPE).sweep, ByFormula())
    records = RecordStore(tmp_path / "records").read()
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    assert 0 < len(pruned) < 16
    for trial in pruned:
        assert len(records[trial.user_attrs["run"]].curve["val/loss"]) == len(trial.intermediate_values)
    assert min(len(trial.intermediate_values) for trial in pruned) < BASE.max_epochs
    assert states(study)[TrialState.COMPLETE] == 20 - len(pruned)


def test_a_run_that_breaks_down_is_a_failed_trial_and_counts(searched: Search, make_options: MakeOptions) -> None:
    class Fragile(ByFormula):
        @staticmethod
        def loss(spec: RunSpec, epoch: int) -> float:
            return float("nan") if spec.lr > 0.05 else ByFormula.loss(spec, epoch)

    study = searched(make_options().sweep, Fragile())
    assert states(study) == {TrialState.COMPLETE: 4, TrialState.FAIL: 2}
    assert len(run_ids(study)) == 6
    assert {trial.params["model.lr"] for trial in study.trials if trial.state == TrialState.FAIL} == {0.1}


@pytest.mark.parametrize("pruner", [None, "optuna.pruners.MedianPruner"])
def test_a_search_that_is_run_again_trains_nothing_and_asks_the_same(
    searched: Search, make_options: MakeOptions, pruner: str | None
) -> None:
    chosen = {"pruner": {"class_path": pruner}} if pruner else {}
    sweep = make_options(space=RANGES, **TPE, **chosen).sweep
    again = ByFormula()
    first, second = searched(sweep, ByFormula()), searched(sweep, again)
    assert again.trained == []
    assert params(first) == params(second)
    assert [trial.values for trial in first.trials] == [trial.values for trial in second.trials]
    assert states(first) == states(second)


def test_a_point_that_is_asked_for_again_is_not_trained_again(searched: Search, make_options: MakeOptions) -> None:
    engine = ByFormula()
    study = searched(make_options(**TPE).sweep, engine)
    assert states(study) == {TrialState.COMPLETE: 20}
    assert len(engine.trained) == len(set(engine.trained)) == len(set(run_ids(study))) <= 6


class Stopped(ByFormula):
    """Interrupted in its third batch."""

    def train(self, data: EmbeddedDataset, specs: Sequence[RunSpec], **settings: Any) -> list[RunResult]:
        if len(self.trained) >= 8:
            raise KeyboardInterrupt
        return super().train(data, specs, **settings)


@pytest.mark.slow
@pytest.mark.parametrize(("pruner", "trained"), [(None, 0), ("optuna.pruners.MedianPruner", 6)])
def test_what_one_worker_prunes_is_no_run_of_another(
    searched: Search, make_options: MakeOptions, tmp_path: Path, pruner: str | None, trained: int
) -> None:
    chosen = {"pruner": {"class_path": pruner}} if pruner else {}
    sweep, again = make_options(**chosen).sweep, ByFormula()
    searched(sweep, ByFormula(), address=f"journal:{tmp_path}/one")
    searched(sweep, again, address=f"journal:{tmp_path}/two")
    assert len(again.trained) == trained


@pytest.mark.slow
@pytest.mark.parametrize("pruner", [None, "MedianPruner", "SuccessiveHalvingPruner"])
def test_an_interrupted_search_in_memory_goes_on_as_if_it_had_not_been(
    searched: Search, make_options: MakeOptions, datamodule: AnnotationDataModule, tmp_path: Path, pruner: str | None
) -> None:
    ends_early = {} if pruner is None else {"pruner": {"class_path": f"optuna.pruners.{pruner}"}}
    stopped, again, sweep = (make_options(space=RANGES, **TPE, **ends_early).sweep for _ in range(3))
    with pytest.raises(KeyboardInterrupt):
        searched(stopped, Stopped())
    rest = ByFormula()
    resumed = searched(again, rest)
    assert len(rest.trained) == 12
    runner = Runner(RecordStore(tmp_path / "other"), ByFormula())
    whole = search(runner, {"toy": PlannedSearch(BASE, sweep, lambda _: datamodule)}, open_storage())["toy"]
    assert params(resumed) == params(whole)
    assert [trial.state for trial in resumed.trials] == [trial.state for trial in whole.trials]


@pytest.mark.slow
def test_an_interrupted_grid_on_a_storage_gives_its_points_back(
    searched: Search, make_options: MakeOptions, tmp_path: Path
) -> None:
    address = f"journal:{tmp_path}/studies"
    space = {"model.lr": {"categorical": [k / 100 for k in range(1, 25)]}}
    sweep = make_options(space=space, batch=4).sweep
    with pytest.raises(KeyboardInterrupt):
        searched(sweep, Stopped(), address=address)
    left = optuna.load_study(study_name="toy", storage=open_storage(address).backend)
    assert states(left) == {TrialState.COMPLETE: 8, TrialState.FAIL: 4 + 4}  # what trained, and what was claimed ahead
    study = searched(sweep, ByFormula(), address=address)
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert sorted(trial.params["model.lr"] for trial in done) == space["model.lr"]["categorical"]


@pytest.mark.slow
@pytest.mark.parametrize("address", ["journal:{}/studies", "sqlite:///{}/studies.db"])
def test_many_workers_on_one_storage_complete_each_point_once(
    make_options: MakeOptions, datamodule: AnnotationDataModule, tmp_path: Path, address: str
) -> None:
    space = {"model.lr": {"categorical": [k / 100 for k in range(1, 13)]}}
    sweep, store = make_options(space=space, batch=2).sweep, RecordStore(tmp_path / "records")
    datamodule.prepare_data()

    def work(_: int) -> Study:
        storage = open_storage(address.format(tmp_path))
        planned = {"toy": PlannedSearch(replace(BASE, max_epochs=1), sweep, lambda _: datamodule)}
        return search(Runner(store, ByFormula()), planned, storage)["toy"]

    with ThreadPoolExecutor(3) as pool:
        studies = list(pool.map(work, range(3)))
    assert states(studies[0]) == {TrialState.COMPLETE: 12}
    assert sorted(trial.params["model.lr"] for trial in studies[0].trials) == space["model.lr"]["categorical"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "part"),
    [({"lr": 0.5}, None), ({"dropout": 0.1}, "fixed settings"), ({"target": "hard"}, "fixed settings")],
)
def test_a_study_is_joined_only_for_the_same_search(
    searched: Search, make_options: MakeOptions, tmp_path: Path, change: dict[str, Any], part: str | None
) -> None:
    sweep, address = make_options().sweep, f"journal:{tmp_path}/studies"
    searched(sweep, ByFormula(), address=address)
    if part is None:  # the learning rate is searched, so that the base's does not count
        assert len(searched(sweep, ByFormula(), replace(BASE, **change), address).trials) == 6
        return
    with pytest.raises(SweepError, match=f"study toy has another {part}: .* --study"):
        searched(sweep, ByFormula(), replace(BASE, **change), address)


def test_a_study_is_joined_only_for_the_same_features_and_annotations(
    make_options: MakeOptions, datamodule: AnnotationDataModule, toy_store: Path, tmp_path: Path
) -> None:
    sweep, runner = make_options().sweep, Runner(RecordStore(tmp_path / "records"), ByFormula())
    changed = OtherTestItems(80, encoder=SeededEncoder(), store=toy_store)
    changed.test_uids = datamodule.dataset.split.test
    encoded = SeededData(80, encoder=OtherEncoder(), store=toy_store)

    def join(data: AnnotationDataModule) -> Study:
        storage = open_storage(f"journal:{tmp_path}/studies")
        return search(runner, {"toy": PlannedSearch(BASE, sweep, partial(chosen, data))}, storage)["toy"]

    assert len(join(datamodule).trials) == len(join(datamodule).trials) == 6
    for other in (changed, encoded):
        with pytest.raises(SweepError, match=r"study toy has another data: .* --study"):
            join(other)


def test_studies_on_several_data_sets_are_searched_together(
    make_options: MakeOptions, datamodule: AnnotationDataModule, toy_store: Path, tmp_path: Path
) -> None:
    other = SeededData(100, encoder=SeededEncoder(), store=toy_store)
    modules = {"small": datamodule, "large": other}
    sweep, store, asked = make_options(batch=4).sweep, RecordStore(tmp_path / "records"), []

    class Told(Runner):
        def run_all(self, tasks: Sequence[Task], **settings: Any) -> list[list[RunRecord]]:
            asked.append([len(task.specs) for task in tasks])
            return super().run_all(tasks, **settings)

    planned = {
        f"{name} {target}": PlannedSearch(replace(BASE, target=target), sweep, partial(chosen, data))
        for target in ("soft", "hard")
        for name, data in modules.items()
    }
    studies = search(Told(store, ByFormula()), planned, open_storage())
    assert asked == [[8, 8], [4, 4]], "a task a data set, with the trials of both studies on it"
    records = store.read()
    for name, study in studies.items():
        data, target = modules[name.split()[0]], name.split()[1]
        own = [records[key] for key in run_ids(study)]
        assert len(own) == 6
        assert {(record.spec["target"], record.data["content"]) for record in own} == {
            (target, data.embedded.content_digest)
        }
        for trial, record in zip(study.trials, own, strict=True):
            assert trial.params["model.lr"] == record.spec["lr"]


def test_data_that_are_searched_are_not_compared_nor_encoded(make_options: MakeOptions, tmp_path: Path) -> None:
    sweep = make_options(space={"data.encoder.width": {"categorical": [8, 16]}}).sweep
    base = SeededData(80, encoder=SeededEncoder(3), store=tmp_path / "unread")
    data = json.loads(_purpose(PlannedSearch(BASE, sweep, lambda _: base))["data"])
    assert data.keys() == {"dataset", "class_names", "inputs", "pair_features", "split", "tie"}
    assert not (tmp_path / "unread").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"sampler": {"class_path": "optuna.samplers.TPESampler", "init_args": {"seed": 7}}}, None),
        ({"sampler": {"class_path": "optuna.samplers.TPESampler", "init_args": {"n_ei_candidates": 7}}}, "sampler"),
        ({"sampler": {"class_path": "optuna.samplers.RandomSampler"}}, "sampler"),
        ({"pruner": {"class_path": "optuna.pruners.MedianPruner"}}, "pruner"),
    ],
)
def test_a_study_is_joined_only_with_the_same_sampler_and_pruner(
    searched: Search, make_options: MakeOptions, tmp_path: Path, change: dict[str, Any], part: str | None
) -> None:
    settings, address = {**TPE, "trials": 6}, f"journal:{tmp_path}/studies"
    searched(make_options(space=RANGES, **settings).sweep, ByFormula(), address=address)
    other = make_options(space=RANGES, **{**settings, **change}).sweep
    if part is None:
        assert len(searched(other, ByFormula(), address=address).trials) == 6
        return
    with pytest.raises(SweepError, match=f"study toy has another {part}: .* --study"):
        searched(other, ByFormula(), address=address)


@pytest.mark.slow
def test_a_study_whose_creator_was_killed_at_once_is_searched_by_the_next_worker(
    searched: Search, make_options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("soft_labels.sweep.study._SECONDS_TO_BEGIN", 0)
    address = f"journal:{tmp_path}/studies"
    optuna.create_study(storage=open_storage(address).backend, study_name="toy")
    assert states(searched(make_options().sweep, ByFormula(), address=address)) == {TrialState.COMPLETE: 6}


def test_a_study_that_others_made_is_refused(
    searched: Search, make_options: MakeOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("soft_labels.sweep.study._SECONDS_TO_BEGIN", 0)
    address = f"journal:{tmp_path}/studies"
    optuna.create_study(storage=open_storage(address).backend, study_name="toy").ask()
    with pytest.raises(SweepError, match="study toy is not one of soft-labels; choose another name with --study"):
        searched(make_options().sweep, ByFormula(), address=address)


class Refusing(RandomSampler):
    """Cannot draw a second trial before it knows of the first."""

    def sample_independent(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        if trial.number:
            raise NotImplementedError("one trial at a time")
        return super().sample_independent(study, trial, name, distribution)


def test_a_sampler_that_cannot_serve_a_batch_is_named(searched: Search, make_options: MakeOptions) -> None:
    sampler = {"class_path": f"{Refusing.__module__}.Refusing"}
    with pytest.raises(SweepError, match="Refusing cannot serve this search in batches: one trial at a time; choose"):
        searched(make_options(sampler=sampler, trials=4).sweep, ByFormula())


def test_searched_data_settings_give_each_trial_its_own_data(
    make_options: MakeOptions, tiny_chaosnli_root: Path, toy_text: str, tmp_path: Path
) -> None:
    config = Path(__file__).resolve().parents[2] / "configs" / "data" / "chaosnli.yaml"
    options = make_options(
        f"--config={config}", f"--data.root={tiny_chaosnli_root}", f"--data.encoder={toy_text}",
        space={"data.pair_features": {"categorical": ["one_text", "u_v_absdiff_product"]}},
    )  # fmt: skip
    store = RecordStore(tmp_path / "records")
    planned = {"toy": PlannedSearch(BASE, options.sweep, options.datamodule)}
    study = search(Runner(store, ByFormula()), planned, open_storage())["toy"]
    records = store.read()
    assert len(records) == 2
    for trial, key in zip(study.trials, run_ids(study), strict=True):
        assert records[key].data["pair_features"].startswith(trial.params["data.init_args.pair_features"])


class OtherTestItems(SeededData):
    """The same data but for the test items, whose annotations lean more to their majority class."""

    def read(self) -> AnnotatedData:
        data = super().read()
        test = [uid in self.test_uids for uid in data.uids]
        counts = data.label_counts.clone()
        counts[test] = counts[test] ** 3
        return replace(data, label_counts=counts)

    test_uids: tuple[str, ...] = ()


class OtherEncoder(SeededEncoder):
    """Another encoder by name, so that annotations and split stay."""


def chosen(data: AnnotationDataModule, _: DataChoice) -> AnnotationDataModule:
    return data


@pytest.mark.slow
@pytest.mark.parametrize("engine", [PopulationEngine(accelerator="cpu"), LightningEngine("cpu")], ids=lambda e: e.name)
def test_changing_the_test_split_changes_no_choice(
    make_options: MakeOptions, datamodule: AnnotationDataModule, toy_store: Path, tmp_path: Path, engine: Engine
) -> None:
    other = OtherTestItems(80, encoder=SeededEncoder(), store=toy_store)
    other.test_uids = datamodule.dataset.split.test
    assert other.dataset.split == datamodule.dataset.split
    rows = datamodule.dataset.rows("test")
    dists = [one.dataset.observed.label_dist[rows] for one in (other, datamodule)]
    assert not torch.equal(*dists)
    found = []
    for name, data in {"as it is": datamodule, "changed": other}.items():
        records = RecordStore(tmp_path / name)
        sweep = make_options(space=RANGES, **{**TPE, "trials": 8}).sweep
        planned = {"toy": PlannedSearch(BASE, sweep, partial(chosen, data))}
        study = search(Runner(records, engine), planned, open_storage())["toy"]
        best = best_record(records.read()[key] for key in run_ids(study))
        found.append((params(study), [trial.value for trial in study.trials], best.spec, best.best_epoch))
    assert found[0] == found[1]
