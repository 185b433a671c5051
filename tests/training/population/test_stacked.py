import pytest
import torch
from torch import Tensor

from soft_labels.distributions import brier_score
from soft_labels.training.heads import MLPHead
from soft_labels.training.objectives import LOSSES, Aim, Loss, item_losses
from soft_labels.training.population.stacked import StackedHeads, side_by_side, with_ones

WIDTH, CLASSES, HIDDEN, BATCH = 6, 3, 8, 5
RATES = [(1e-2, 0.0), (1e-2, 0.0), (3e-3, 1e-2)]
LOSS_ROWS = {"written gradient": LOSSES["cross_entropy"], "autograd": Loss("Brier", brier_score)}


def heads() -> list[MLPHead]:
    return [MLPHead(WIDTH, CLASSES, HIDDEN, 0.0, seed) for seed in range(3)]


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def aim(weighted: bool) -> Aim:
    return Aim(drawn(3, BATCH, CLASSES).softmax(-1), drawn(3, BATCH).exp() if weighted else None)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSS_ROWS.values(), ids=LOSS_ROWS)
def test_steps_are_those_of_torchs_adam_on_each_head_alone(loss: Loss, weighted: bool) -> None:
    stacked = StackedHeads.from_heads(heads(), RATES, torch.device("cpu"))
    features, mask, target = drawn(3, BATCH, WIDTH), (drawn(3, BATCH, HIDDEN) > 0) * 2.0, aim(weighted)
    for _ in range(4):
        logits = stacked.step(with_ones(features), mask, loss, target)
    for place, (head, (lr, decay)) in enumerate(zip(heads(), RATES, strict=True)):
        optimizer = torch.optim.Adam(head.parameters(), lr=lr, weight_decay=decay)
        own = Aim(target.dist[place], None if target.weight is None else target.weight[place])
        for _ in range(4):
            optimizer.zero_grad()
            alone = head(features[place], mask[place])
            item_losses(loss, own, alone).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        torch.testing.assert_close(logits[place], alone.detach(), atol=1e-5, rtol=0)
        hidden, output = stacked.state(place)
        torch.testing.assert_close(hidden, torch.cat([head.hidden.weight, head.hidden.bias[:, None]], 1).detach())
        torch.testing.assert_close(output, torch.cat([head.output.weight, head.output.bias[:, None]], 1).detach())


def test_logits_are_those_of_each_head() -> None:
    stacked = StackedHeads.from_heads(heads(), RATES, torch.device("cpu"))
    features = drawn(9, WIDTH)
    logits = stacked.logits(with_ones(features).expand(len(stacked), -1, -1))
    for place, head in enumerate(heads()):
        torch.testing.assert_close(logits[place], head(features).detach())


def test_a_head_that_is_taken_twice_becomes_two_that_share_their_past() -> None:
    stacked = StackedHeads.from_heads(heads(), RATES, torch.device("cpu"))
    step = LOSSES["cross_entropy"]
    stacked.step(with_ones(drawn(3, BATCH, WIDTH)), None, step, aim(weighted=False))
    before = stacked.state(2)
    stacked.take([2, 0, 2], [(1e-2, 0.0)] * 3)
    assert len(stacked) == 3
    for place in (0, 2):
        assert all(torch.equal(one, other) for one, other in zip(stacked.state(place), before, strict=True))
    features, dist = drawn(1, BATCH, WIDTH).expand(3, -1, -1), aim(weighted=False).dist[:1].expand(3, -1, -1)
    stacked.step(with_ones(features), None, step, Aim(dist))
    assert all(torch.equal(one, other) for one, other in zip(stacked.state(0), stacked.state(2), strict=True))
    assert not torch.equal(stacked.state(0)[0], before[0]), "a copy that was taken stays as it was"


@pytest.mark.parametrize(("width", "columns"), [(1, 16), (15, 16), (16, 32), (384, 400)])
def test_rows_are_filled_to_whole_cache_lines_behind_their_one(width: int, columns: int) -> None:
    rows = with_ones(drawn(2, width))
    assert rows.shape == (2, columns)
    assert torch.equal(rows[:, :width], drawn(2, width))
    assert torch.equal(rows[:, width], torch.ones(2))
    assert not rows[:, width + 1 :].any()


def test_the_zeros_behind_the_weights_stay_zeros() -> None:
    stacked = StackedHeads.from_heads(heads(), [(1e-2, 1e-2)] * 3, torch.device("cpu"))
    for _ in range(3):
        stacked.step(with_ones(drawn(3, BATCH, WIDTH)), None, LOSSES["cross_entropy"], aim(weighted=False))
    hidden, output = stacked._weights
    assert hidden.shape == (3, HIDDEN, 16)
    assert not hidden[..., WIDTH + 1 :].any()
    assert not output[..., HIDDEN + 1 :].any()


def test_one_tensor_is_not_copied() -> None:
    one, other = drawn(2, 3), drawn(3, 2).view(2, 3)
    assert side_by_side([one]).data_ptr() == one.data_ptr()
    assert torch.equal(side_by_side([one, other]), torch.stack([one, other]))
