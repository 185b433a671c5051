"""The contract: any engine trains any objective of the tables as the other does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from soft_labels.data.batches import Observed
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.errors import ConfigError
from soft_labels.training.engines import EngineName, make_engine
from soft_labels.training.lightning_engine import LightningEngine
from soft_labels.training.objectives import LOSSES, TARGETS, Target
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import Engine, HeadSpec, RunResult, RunSpec
from tests.toys import SeededData, SeededEncoder

QUICK = RunSpec(hidden_width=16, lr=1e-2, batch_size=8, max_epochs=4, patience=3, dropout=0.3)
ENGINES: tuple[EngineName, ...] = ("population", "lightning")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedDataset:
    """Ordered classes, so that every loss is defined."""
    return SeededData(items=90, encoder=SeededEncoder(12), store=tmp_path_factory.mktemp("store")).embedded


@pytest.fixture
def nominal(data: EmbeddedDataset) -> EmbeddedDataset:
    return replace(data, dataset=replace(data.dataset, data=replace(data.dataset.data, ordinal=False)))


def assert_same_run(one: RunResult, other: RunResult, atol: float = 2e-5) -> None:
    assert (one.spec, one.ending, one.best_epoch) == (other.spec, other.ending, other.best_epoch)
    assert one.curve.keys() == other.curve.keys()
    for name, values in one.curve.items():
        np.testing.assert_allclose(values, other.curve[name], atol=atol, err_msg=f"{name} of {one.spec}")
    assert one.state is not None
    assert other.state is not None
    for name, tensor in one.state.items():
        torch.testing.assert_close(tensor, other.state[name], atol=50 * atol, rtol=0)


def assert_contract(data: EmbeddedDataset, spec: RunSpec, neighbours: Sequence[RunSpec]) -> RunResult:
    """A member among others follows the same spec under Lightning alone."""
    engine = PopulationEngine(accelerator="cpu", workers=1)
    among = engine.train(data, [*neighbours, spec], monitor_test=True, keep_heads=True)[-1]
    (alone,) = LightningEngine("cpu").train(data, [spec], monitor_test=True, keep_heads=True)
    assert_same_run(among, alone)
    return among


NEIGHBOURS = (QUICK, replace(QUICK, target="hard"), replace(QUICK, seed=5), replace(QUICK, lr=3e-3, weight_decay=1e-2))


STRENGTHS: dict[str, dict[str, Any]] = {"smoothed": {"smoothing": 0.3}, "shrunk": {"shrinkage": 5.0}}


def spec_of(target: str, loss: str = "cross_entropy", **settings: Any) -> RunSpec:
    """A quick spec of an objective, with the strength of a target that has one."""
    return replace(QUICK, target=target, loss=loss, **STRENGTHS.get(target, {}), **settings)


EVERYTHING = tuple(spec_of(target, loss) for target in TARGETS for loss in LOSSES)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_objective_trains_alike_in_both_engines(data: EmbeddedDataset, target: str, loss: str) -> None:
    spec = spec_of(target, loss, scheduler="plateau", plateau_patience=0)
    weaker: dict[str, Any] = dict.fromkeys(STRENGTHS.get(target, {}), 0.1)
    twins = [replace(spec, seed=5), replace(spec, **weaker)]
    assert_contract(data, spec, [*EVERYTHING, *twins, *NEIGHBOURS])


def one_annotation(seen: Observed, spec: HeadSpec, generator: torch.Generator) -> Tensor:
    """One annotation of each item, drawn."""
    drawn = seen.label_dist.multinomial(1, generator=generator)[:, 0]
    return F.one_hot(drawn, seen.label_dist.shape[-1]).to(seen.label_dist.dtype)


def test_a_target_that_is_added_trains_alike_in_both_engines(
    data: EmbeddedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Target(
        "drawn once, weighted", TARGETS["hard"].dist, one_annotation, weight=lambda seen: 1 + seen.label_counts[:, 0]
    )
    monkeypatch.setitem(TARGETS, "drawn_once", row)
    assert_contract(data, spec_of("drawn_once"), [*EVERYTHING, *NEIGHBOURS])


SOLVED = (
    *(RunSpec(target, head="logistic", weight_decay=0.05, **STRENGTHS.get(target, {}))
      for target in TARGETS if not TARGETS[target].each_epoch),
    RunSpec("soft", head="neighbours", neighbours=7),
    RunSpec("repeated", head="neighbours", neighbours=7, standardize=False),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("spec", SOLVED, ids=lambda spec: f"{spec.head}-{spec.target}")
def test_a_head_that_is_solved_is_the_same_in_both_engines(data: EmbeddedDataset, spec: RunSpec) -> None:
    among = assert_contract(data, spec, NEIGHBOURS)
    assert among.ending == "solved"


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"head": "logistic", "lr": 0.1}, "with head logistic and target soft does not honour lr: wanted its default"),
        ({"head": "logistic", "seed": 1}, "does not honour seed: wanted its default 0, got 1"),
        ({"head": "logistic", "loss": "brier"}, "does not honour loss: wanted its default cross_entropy, got brier"),
        ({"head": "neighbours", "max_epochs": 3}, "does not honour max_epochs"),
        ({"head": "neighbours", "weight_decay": 0.1}, "does not honour weight_decay"),
        ({"neighbours": 3}, "with target soft does not honour neighbours: wanted its default 20, got 3"),
        ({"head": "logistic", "target": "sampled"}, "target sampled is drawn anew in each epoch, and head logistic"),
    ],
)
def test_an_engine_refuses_what_a_head_does_not_read(
    data: EmbeddedDataset, name: EngineName, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        make_engine(name, "cpu").train(data, [RunSpec(**settings)])


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_objectives_are_told_apart_by_what_they_train(data: EmbeddedDataset, name: EngineName) -> None:
    specs = [spec_of(target) for target in TARGETS if target != "repeated"]  # all have ten annotations here
    specs += [spec_of("soft", loss) for loss in LOSSES if loss != "cross_entropy"]
    results = make_engine(name, "cpu").train(data, specs)
    curves = {tuple(result.curve["val/kl"]) for result in results}
    assert len(curves) == len(specs)
    assert all(result.curve["train/loss"][-1] < result.curve["train/loss"][0] for result in results[:2])


@dataclass(frozen=True)
class Wider(RunSpec):
    """A spec with a field that no engine honours."""

    margin: float = 0.0


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_refuses_a_field_that_it_does_not_honour(data: EmbeddedDataset, name: EngineName) -> None:
    engine = make_engine(name, "cpu")
    asked: list[int] = []

    def after_epoch(run: int, epoch: int, loss: float) -> bool:
        asked.append(run)
        return False

    with pytest.raises(ConfigError, match=f"the {name} engine with target soft does not honour margin"):
        engine.train(data, [QUICK, Wider(margin=0.2)], after_epoch=after_epoch)
    assert not asked, "nothing is trained before all specs are read"


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_refuses_a_loss_that_the_classes_do_not_define(nominal: EmbeddedDataset, name: EngineName) -> None:
    engine = make_engine(name, "cpu")
    asked: list[int] = []

    def after_epoch(run: int, epoch: int, loss: float) -> bool:
        asked.append(run)
        return False

    specs = [QUICK, replace(QUICK, loss="rps")]
    with pytest.raises(ConfigError, match="loss rps is defined for ordered classes only"):
        engine.train(nominal, specs, after_epoch=after_epoch)
    assert not asked, "nothing is trained before all specs are read"
    engine.train(nominal, [replace(QUICK, loss="brier", max_epochs=1)])


@pytest.mark.parametrize(("name", "kind"), [("population", PopulationEngine), ("lightning", LightningEngine)])
def test_engines_go_by_their_names(name: EngineName, kind: type[Engine]) -> None:
    engine = make_engine(name, "cpu")
    assert isinstance(engine, kind)
    assert engine.name == name


def test_a_name_that_is_no_engine_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"wanted a training engine of .*, got lightening; did you mean lightning\?"):
        make_engine("lightening")  # type: ignore[arg-type]


def test_a_device_that_is_not_there_is_an_error_in_words() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.accelerator abacus cannot be used here"):
        make_engine("population", "abacus")


def test_sharing_can_be_left_out(tmp_path: Path, data: EmbeddedDataset) -> None:
    shared, apart = make_engine("population", "cpu"), make_engine("population", "cpu", share=False)
    assert isinstance(shared, PopulationEngine)
    assert isinstance(apart, PopulationEngine)
    specs = [replace(QUICK, max_epochs=epochs) for epochs in (1, 2)]
    for engine in (shared, apart):
        engine.train(data, specs)
    assert shared.work.done < apart.work.done == apart.work.asked
