from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import torch

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.training.population.program import Member, PopulationData, Program
from soft_labels.training.spec import RunResult, RunSpec
from tests.toys import SeededData, SeededEncoder

SPEC = RunSpec(hidden_width=8, lr=1e-2, batch_size=8, max_epochs=3, dropout=0.2)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedDataset:
    return SeededData(items=80, encoder=SeededEncoder(6), store=tmp_path_factory.mktemp("store")).embedded


def program(data: EmbeddedDataset, specs: list[RunSpec], members: list[Member], stop: Event | None = None) -> Program:
    return Program([PopulationData(data, True, CPU)], specs, members, monitor_test=True, keep_heads=True,
                   after_epoch=None, stop=stop or Event())  # fmt: skip


def test_a_member_trains_until_its_last_run_ends_and_a_shorter_run_is_its_prefix(data: EmbeddedDataset) -> None:
    specs = [replace(SPEC, max_epochs=1), SPEC]
    shared = program(data, specs, [Member(SPEC, SPEC.lr, [0, 1])])
    short, whole = shared.train()
    assert (short.spec, whole.spec) == (specs[0], specs[1])
    assert short.curve == {name: values[:1] for name, values in whole.curve.items()}
    steps = -(-len(data.dataset.split.train) // SPEC.batch_size)
    assert shared.member_steps == 3 * steps
    alone = program(data, specs, [Member(specs[0], SPEC.lr, [0]), Member(SPEC, SPEC.lr, [1])])
    for one, other in zip(alone.train(), (short, whole), strict=True):
        assert one.curve["val/loss"] == pytest.approx(other.curve["val/loss"], abs=1e-6)
    assert alone.member_steps == 4 * steps


def test_training_that_is_given_up_gives_nothing(data: EmbeddedDataset) -> None:
    stop = Event()
    stop.set()
    assert program(data, [SPEC], [Member(SPEC, SPEC.lr, [0])], stop).train() == []


def test_the_state_is_the_best_epochs(data: EmbeddedDataset) -> None:
    def train(epochs: int) -> RunResult:
        spec = replace(SPEC, lr=0.1, max_epochs=epochs, patience=20)
        (result,) = program(data, [spec], [Member(spec, spec.lr, [0])]).train()
        return result

    whole = train(12)
    assert whole.best_epoch == min(range(12), key=whole.curve["val/loss"].__getitem__) < 11
    until_best = train(whole.best_epoch + 1)
    assert whole.state is not None
    assert until_best.state is not None
    assert all(torch.equal(value, until_best.state[name]) for name, value in whole.state.items())


@pytest.mark.parametrize("limit", [512, 0], ids=["in memory", "on disk"])
def test_prepared_features_are_standardised_and_carry_ones(tmp_path: Path, limit: int) -> None:
    data = SeededData(80, encoder=SeededEncoder(6), store=tmp_path, memory_limit_mb=limit).embedded
    rows = data.dataset.rows("val")
    mean, scale = data.feature_statistics
    prepared = PopulationData(data, True, CPU)
    torch.testing.assert_close(prepared[rows][:, : data.embedding_dim], (data.features[rows] - mean) / scale)
    assert torch.equal(prepared[rows][:, data.embedding_dim], torch.ones(len(rows)))
    assert torch.equal(torch.cat(list(prepared.blocks("val", 5))), prepared[rows])
    assert torch.equal(PopulationData(data, False, CPU)[rows][:, : data.embedding_dim], data.features[rows])
