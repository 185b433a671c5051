from dataclasses import fields

import pytest
import torch

from soft_labels.training.heads import MLPHead
from soft_labels.training.kinds import HEADS, MLP, unread
from soft_labels.training.solved import SolvedHead
from soft_labels.training.spec import HeadSpec, RunSpec


@pytest.mark.parametrize("name", HEADS)
def test_each_kind_makes_a_head_of_the_sizes_that_it_is_told(name: str) -> None:
    spec = HeadSpec(head=name, hidden_width=8)
    head = spec.kind.make(6, 4, spec)
    assert isinstance(head, SolvedHead) is HEADS[name].solved
    assert head.feature_mean.shape == (6,)
    torch.testing.assert_close(head.standardised(torch.ones(2, 6)), torch.ones(2, 6))


def test_the_usual_head_is_the_one_of_before() -> None:
    spec = RunSpec(hidden_width=8, dropout=0.25, seed=3)
    ours, plain = spec.kind.make(6, 4, spec), MLPHead(6, 4, 8, 0.25, 3)
    assert all(torch.equal(one, other) for one, other in zip(ours.parameters(), plain.parameters(), strict=True))
    assert isinstance(ours, MLPHead)
    assert ours.dropout == 0.25


def test_what_a_kind_reads_are_fields_of_a_spec() -> None:
    names = {field.name for field in fields(RunSpec)}
    assert all(set(kind.reads) <= names for kind in HEADS.values())
    assert unread(MLP) == set()
    assert {"seed", "lr", "max_epochs", "loss"} <= unread("logistic") & unread("neighbours")
