import pytest
import torch
from torch import Tensor

from soft_labels.data.batches import Observed
from soft_labels.training.objectives import TARGETS, Objective, Target
from soft_labels.training.population.aims import Aims
from soft_labels.training.spec import HeadSpec, RunSpec
from tests.toys import SeededData

CPU = torch.device("cpu")


def drawn(seen: Observed, spec: HeadSpec, generator: torch.Generator) -> Tensor:
    """Distributions of noise."""
    return torch.rand(seen.label_dist.shape, generator=generator).softmax(-1)


def flattened(seen: Observed, spec: HeadSpec) -> Tensor:
    return (1 - spec.dropout) * seen.label_dist + spec.dropout / seen.label_dist.shape[-1]


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> Observed:
    soft = TARGETS["soft"].dist
    monkeypatch.setitem(TARGETS, "drawn", Target("noise", soft, train_dist=drawn, each_epoch=True))
    monkeypatch.setitem(TARGETS, "heavy", Target("weighted", soft, weight=lambda seen: 1 + seen.label_counts[:, 0]))
    monkeypatch.setitem(TARGETS, "flat", Target("reads a field", flattened, reads=("dropout",)))
    return SeededData(30).dataset.observed


def test_each_different_aim_is_there_once_and_the_annotations_are_first(observed: Observed) -> None:
    specs = [RunSpec("hard"), RunSpec("hard", lr=0.1), RunSpec("flat", dropout=0.1), RunSpec("flat", dropout=0.2),
             RunSpec("soft", dropout=0.3), RunSpec("flat", dropout=0.1, seed=4)]  # fmt: skip
    aims = Aims(specs, observed, CPU)
    assert aims.judging.shape == (30, 4, 3)
    assert torch.equal(aims.judging[:, Aims.OBSERVED], observed.label_dist)
    kind = aims.of(specs)
    assert len(set(kind.tolist())) == 4
    assert kind[0] == kind[1]
    assert kind[2] == kind[5] != kind[3]
    assert kind[4] == Aims.OBSERVED
    for spec, place in zip(specs, kind.tolist(), strict=True):
        assert torch.equal(aims.judging[:, place], Objective(spec).judged_by(observed).dist)


def test_training_aims_are_those_of_each_objective_for_a_seed_and_an_epoch(observed: Observed) -> None:
    specs = [RunSpec("drawn"), RunSpec("hard")]
    aims = Aims(specs, observed, CPU)
    assert aims.each_epoch
    for epoch in (0, 3):
        found = aims.training(5, epoch)
        for spec, place in zip(specs, aims.of(specs).tolist(), strict=True):
            assert torch.equal(found[:, place], Objective(spec).trained_by(observed, 5, epoch).dist)
    assert not torch.equal(aims.training(5, 0), aims.training(5, 3))
    assert not torch.equal(aims.training(5, 0), aims.training(6, 0))


def test_nothing_is_made_anew_where_nothing_is_drawn(observed: Observed) -> None:
    aims = Aims([RunSpec("hard")], observed, CPU)
    assert not aims.each_epoch
    assert aims.training(0, 0) is aims.training(1, 9) is aims.judging
    assert aims.weights is None


def test_weights_stand_beside_ones_where_only_some_aims_have_them(observed: Observed) -> None:
    specs = [RunSpec("hard"), RunSpec("heavy")]
    aims = Aims(specs, observed, CPU)
    hard, heavy = aims.of(specs).tolist()
    assert aims.weights is not None
    wanted = Objective(specs[1]).judged_by(observed).weight
    assert wanted is not None
    assert torch.equal(aims.weights[:, heavy], wanted)
    assert torch.equal(aims.weights[:, hard], torch.ones(30))
