from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.errors import TrainingError
from soft_labels.metrics import values_of
from soft_labels.runs import runner
from soft_labels.runs.predictions import kept
from soft_labels.runs.record import run_id
from soft_labels.runs.runner import Pruning, Runner, Task, judged_logits
from soft_labels.runs.store import RecordStore
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import Job, RunResult, RunSpec, Start
from tests.toys import SeededData, SeededEncoder

SPEC = RunSpec(hidden_width=8, lr=1e-2, max_epochs=3, seed=4)
SPECS = [SPEC, replace(SPEC, target="hard"), replace(SPEC, lr=1e-3)]


class Counting(PopulationEngine):
    """Notes what it was asked to train; a bundle is one spec."""

    def __init__(self) -> None:
        super().__init__(accelerator="cpu")
        self.trained: list[RunSpec] = []

    def together(self, jobs: Sequence[Job]) -> list[list[list[int]]]:
        return [[[position]] for position in range(len(jobs))]

    @contextmanager
    def at_work(self) -> Iterator[Start]:
        with super().at_work() as start:

            def noted(groups: Sequence[Sequence[Job]], **settings: Any) -> Iterator[tuple[int, RunResult]]:
                self.trained += [job.spec for jobs in groups for job in jobs]
                return start(groups, **settings)

            yield noted


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedDataset:
    return SeededData(items=80, encoder=SeededEncoder(6), store=tmp_path_factory.mktemp("store")).embedded


def test_judged_runs_keep_what_their_best_head_predicts_and_its_metrics_are_those_of_the_curve(
    data: EmbeddedDataset, tmp_path: Path
) -> None:
    store = RecordStore(tmp_path)
    records = Runner(store, PopulationEngine(accelerator="cpu")).run(data, SPECS, judged=True)
    assert [record.run_spec for record in records] == SPECS
    assert [record.id for record in records] == [run_id(spec, data.record(), judged=True) for spec in SPECS]
    results = PopulationEngine(accelerator="cpu").train(data, SPECS, keep_heads=True)
    for record, result in zip(records, results, strict=True):
        judged = store.judged(record)
        for part, logits in judged_logits(data, result).items():
            torch.testing.assert_close(judged[part].logits, kept(logits), rtol=0, atol=1.01 / 256)
            assert store.observed(record)[part].uids == getattr(data.dataset.split, part)
            exact = store.observed(record)[part].beside(logits)
            for name, value in values_of(exact, data.ordinal).items():
                if f"{part}/{name}" in record.curve:
                    assert value.item() == pytest.approx(record.curve[f"{part}/{name}"][record.best_epoch], abs=1e-4)


def test_runs_of_a_search_keep_no_predictions(data: EmbeddedDataset, tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    (record,) = Runner(store, PopulationEngine(accelerator="cpu")).run(data, [SPEC])
    assert (record.observed, record.predictions) == (None, None)
    assert not [key for key in record.curve if key.startswith("test/")]
    assert not list(tmp_path.glob("*.parquet"))


def test_what_is_recorded_is_never_trained_again(data: EmbeddedDataset, tmp_path: Path) -> None:
    engine = Counting()
    first = Runner(RecordStore(tmp_path), engine).run(data, SPECS[:2], judged=True)
    assert engine.trained == SPECS[:2]
    again = Runner(RecordStore(tmp_path), engine).run(data, [*SPECS, SPECS[0]], judged=True)
    assert engine.trained == SPECS
    assert again[:2] == first
    assert again[3] == again[0]
    Runner(RecordStore(tmp_path), engine).run(data, SPECS[:1])
    assert engine.trained == [*SPECS, SPECS[0]], "a run of a search is another run than a judged one"


def test_other_data_are_other_runs(data: EmbeddedDataset, tmp_path: Path) -> None:
    engine = Counting()
    runner = Runner(RecordStore(tmp_path), engine)
    tasks = [Task(data, [SPEC]), Task(data.redrawn(7), [SPEC])]
    (one,), (other,) = runner.run_all(tasks, judged=True)
    assert one.id != other.id
    assert one.observed != other.observed
    assert len(list(tmp_path.glob("observed-*.parquet"))) == 2
    assert runner.run_all(tasks, judged=True) == [[one], [other]]
    assert len(engine.trained) == 2


class AllAtOnce(Counting):
    """All that is asked for is one bundle."""

    def together(self, jobs: Sequence[Job]) -> list[list[list[int]]]:
        programs = self.programs(jobs)
        return [list(reversed(programs))]


def test_runs_of_several_data_that_train_together_are_written_by_data(
    data: EmbeddedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, seen = [Task(data, SPECS), Task(data.redrawn(7), SPECS[:2])], []
    taken = [tasks[0]._replace(trained=lambda result: seen.append(result.spec)), tasks[1]]
    engine, store = AllAtOnce(), RecordStore(tmp_path)
    add, calls = store.add, []

    def killed(name: str, *rest: Any) -> None:
        calls.append(name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        add(name, *rest)

    monkeypatch.setattr(store, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        Runner(store, engine).run_all(taken, judged=True)
    assert sorted(engine.trained, key=str) == sorted([*SPECS, *SPECS[:2]], key=str)
    assert seen == SPECS
    assert len(RecordStore(tmp_path).read()) == 3, "what was written of one data set is whole"

    again = AllAtOnce()
    first, second = Runner(RecordStore(tmp_path), again).run_all(tasks, judged=True)
    assert sorted(again.trained, key=str) == sorted(SPECS[:2], key=str), "only the other data set is trained again"
    assert [record.run_spec for record in (*first, *second)] == [*SPECS, *SPECS[:2]]
    assert {record.data["split"]["digest"] for record in second} == {tasks[1].data.dataset.split.digest}
    for own, task in zip((first, second), tasks, strict=True):
        alone = PopulationEngine(accelerator="cpu").train(task.data, task.specs, monitor_test=True)
        for record, result in zip(own, alone, strict=True):
            assert record.curve["val/kl"] == pytest.approx(result.curve["val/kl"], abs=1e-6)


def test_a_run_whose_file_was_deleted_is_trained_again_beside_one_that_was_written_without_it(
    data: EmbeddedDataset, tmp_path: Path
) -> None:
    Runner(RecordStore(tmp_path), Counting()).run(data, SPECS[:1])
    (first,) = tmp_path.glob("*.jsonl")
    Runner(RecordStore(tmp_path), AllAtOnce()).run(data, SPECS[:2])
    first.unlink()
    again = AllAtOnce()
    records = Runner(RecordStore(tmp_path), again).run(data, SPECS[:2])
    assert again.trained == SPECS[:1]
    assert [record.run_spec for record in records] == SPECS[:2]


def test_a_run_is_pruned_by_the_rule_of_its_own_task(data: EmbeddedDataset, tmp_path: Path) -> None:
    seen: dict[str, list[int]] = {"one": [], "two": []}

    def rule(name: str) -> Pruning:
        def after_epoch(run: int, epoch: int, loss: float) -> bool:
            seen[name].append(run)
            return name == "two" and run == 1

        return Pruning("toy rule", after_epoch)

    tasks = [Task(data, SPECS[:2], rule("one")), Task(data.redrawn(7), SPECS[:2], rule("two")), Task(data, SPECS[2:])]
    found = Runner(RecordStore(tmp_path), AllAtOnce()).run_all(tasks)
    endings = [[record.ending for record in records] for records in found]
    assert endings == [["max_epochs"] * 2, ["max_epochs", "pruned"], ["max_epochs"]]
    assert {name: sorted(runs) for name, runs in seen.items()} == {"one": [0, 0, 0, 1, 1, 1], "two": [0, 0, 0, 1]}
    assert [record.pruner for records in found for record in records] == ["toy rule"] * 4 + [None]


def test_the_next_bundles_train_while_one_is_written(
    data: EmbeddedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, store = Counting(), RecordStore(tmp_path)
    began: list[int] = []
    add = store.add

    def noted(*written: Any) -> None:
        began.append(len(engine.trained))
        add(*written)

    monkeypatch.setattr(store, "add", noted)
    specs = [*SPECS, replace(SPEC, lr=1e-4)]
    records = Runner(store, engine).run(data, specs)
    assert [record.run_spec for record in records] == specs
    assert began == [3, 4, 4, 4], "bundles that had begun when one was written"


def test_after_an_error_bundles_are_free_and_what_was_written_stays(data: EmbeddedDataset, tmp_path: Path) -> None:
    class Breaking(Counting):
        @contextmanager
        def at_work(self) -> Iterator[Start]:
            with super().at_work() as start:

                def broken(groups: list[list[Job]], **settings: Any) -> Iterator[Any]:
                    yield from start(groups, **settings)
                    if groups[0][0].spec == SPECS[1]:
                        raise TrainingError("broke down")

                yield broken

    with pytest.raises(TrainingError, match="broke down"):
        Runner(RecordStore(tmp_path), Breaking()).run(data, SPECS)
    assert [record.run_spec for record in RecordStore(tmp_path).read().values()] == SPECS[:1]
    again = Counting()
    assert [record.run_spec for record in Runner(RecordStore(tmp_path), again).run(data, SPECS)] == SPECS
    assert again.trained == SPECS[1:]


def test_what_may_prune_a_run_is_part_of_it(data: EmbeddedDataset, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def after_epoch(run: int, epoch: int, loss: float) -> bool:
        seen.append((run, epoch))
        return (run, epoch) == (1, 0)

    runner = Runner(RecordStore(tmp_path), Counting())
    records = runner.run(data, SPECS[:2], pruning=Pruning("toy rule", after_epoch))
    assert [record.ending for record in records] == ["max_epochs", "pruned"]
    assert {record.pruner for record in records} == {"toy rule"}
    assert seen == [(0, 0), (0, 1), (0, 2), (1, 0)]
    (whole,) = runner.run(data, SPECS[1:2])
    assert whole.ending == "max_epochs"
    assert whole.id != records[1].id


def test_predictions_that_are_not_finite_are_no_record(
    data: EmbeddedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {"val": torch.full((12, 3), torch.nan), "test": torch.zeros(12, 3)}
    monkeypatch.setattr(runner, "judged_logits", lambda data, result: nothing)
    store = RecordStore(tmp_path)
    with pytest.raises(TrainingError, match="training broke down: wanted a head with finite predictions"):
        Runner(store, PopulationEngine(accelerator="cpu")).run(data, SPECS[:1], judged=True)
    assert store.read() == {}
