"""Many heads with their Adam state as stacked tensors; gradients are written out, so that a step is a few products."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own short name)

from soft_labels.training.heads import MLPHead
from soft_labels.training.objectives import Aim, Loss

_BETAS, _EPS = (0.9, 0.999), 1e-8  # torch.optim.Adam's defaults, as the one-head module uses them
# Most items of a block where nothing is trained, and most of its numbers: on a CPU what its caches hold.
_MOST_ROWS, _MOST_ON_CPU, _MOST_ON_ACCELERATOR = 4_096, 2**20, 2**26
_LINE = 16  # float32 numbers of a cache line: products of rows that begin on one take up to a third less


def with_ones(inputs: Tensor) -> Tensor:
    """Inputs ``[..., D]`` of a layer as heads read them, ``[..., D']``: a one behind, then zeros to a whole line."""
    return _filled(F.pad(inputs, (0, 1), value=1.0))


def side_by_side(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of one shape with a new first dimension; nothing is copied where there is but one."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(list(tensors))


def _filled(rows: Tensor) -> Tensor:
    """Rows with zeros to the next cache line."""
    return F.pad(rows, (0, -rows.shape[-1] % _LINE))


class StackedHeads:
    """P heads of one shape. Each layer's bias stands behind its weight, and inputs are those of :func:`with_ones`.

    The zeros behind them stay zeros: their inputs are 0, hence their gradients.

    Args:
        hidden: ``[P, W, D + 1]``.
        output: ``[P, C, W + 1]``.
        rates: A learning rate and a weight decay for each head; neighbours that share both share an update.
    """

    def __init__(self, hidden: Tensor, output: Tensor, rates: Sequence[tuple[float, float]]) -> None:
        self._columns = (hidden.shape[-1], output.shape[-1])
        self._width = hidden.shape[1]
        self._weights = [_filled(hidden), _filled(output)]
        self._grads = [torch.empty_like(part) for part in self._weights]
        self._moments = [[torch.zeros_like(part) for part in self._weights] for _ in _BETAS]
        self._steps = hidden.new_zeros(())
        self._hidden_ones = hidden.new_ones(0)
        self._set_rates(rates)

    @classmethod
    def from_heads(
        cls, heads: Sequence[MLPHead], rates: Sequence[tuple[float, float]], device: torch.device
    ) -> "StackedHeads":
        """Stack copies of the weights of P heads."""
        layers = ([head.hidden for head in heads], [head.output for head in heads])
        hidden, output = (
            torch.stack([torch.cat([one.weight.detach(), one.bias.detach()[:, None]], dim=1) for one in layer])
            for layer in layers
        )
        return cls(hidden.to(device), output.to(device), rates)

    def __len__(self) -> int:
        """Number of heads, P."""
        return len(self._weights[0])

    @property
    def most_rows(self) -> int:
        """Most items at a time for :meth:`logits`, so that many heads take no more memory than few."""
        heads, *sides = self._weights[0].shape
        most = _MOST_ON_CPU if self._weights[0].device.type == "cpu" else _MOST_ON_ACCELERATOR
        return min(_MOST_ROWS, max(1, most // (heads * max(sides))))

    def _set_rates(self, rates: Sequence[tuple[float, float]]) -> None:
        """Group neighbours with equal rates: one fused update each."""
        self._groups = []
        start = 0
        for (lr, weight_decay), same in itertools.groupby(rates):
            part = slice(start, start + len(list(same)))
            tensors = [[one[part] for one in many] for many in (self._weights, self._grads, *self._moments)]
            self._groups.append((tensors, lr, weight_decay))
            start = part.stop

    def take(self, heads: Sequence[int], rates: Sequence[tuple[float, float]]) -> None:
        """Keep only the named heads, in this order and as often as they are named, with these rates from now on.

        A head that is named twice becomes two that share their past.
        """
        if list(heads) != list(range(len(self))):
            index = torch.tensor(heads, device=self._weights[0].device)
            self._weights = [part[index] for part in self._weights]
            self._moments = [[part[index] for part in moment] for moment in self._moments]
            self._grads = [torch.empty_like(part) for part in self._weights]
        self._set_rates(rates)

    def state(self, head: int) -> tuple[Tensor, Tensor]:
        """Copies of one head's two weights with their bias columns, on the CPU."""
        parts = zip(self._weights, self._columns, strict=True)
        hidden, output = (part[head, :, :columns].to("cpu", copy=True) for part, columns in parts)
        return hidden, output

    def logits(self, features: Tensor) -> Tensor:
        """Logits ``[P, N, C]`` of features with ones ``[P, N, D']``, without dropout."""
        hidden, output = self._weights
        act = F.gelu(torch.bmm(features, hidden.mT))
        return torch.baddbmm(output[:, None, :, self._width], act, output[..., : self._width].mT)

    def step(self, features: Tensor, mask: Tensor | None, loss: Loss, aim: Aim) -> Tensor:
        """One Adam step on the mean loss of each head's mini-batch.

        Args:
            features: ``[P, B, D']`` with ones.
            mask: ``[P or 1, B, W]`` dropout factors.
            loss: How far logits are from the aim.
            aim: What each head is trained towards, ``[P, B, C]`` and, where there are weights, ``[P, B]``.

        Returns:
            Logits before the step, ``[P, B, C]``.
        """
        hidden, output = self._weights
        hidden_grad, output_grad = self._grads
        pre = torch.bmm(features, hidden.mT)
        act = self._act_with_ones(pre.shape)
        torch.mul(F.gelu(pre), 1.0 if mask is None else mask, out=act[..., : self._width])
        logits = torch.bmm(act, output.mT)
        grad = loss.slope(aim.dist, logits)
        if aim.weight is not None:
            grad = grad * aim.weight[..., None]
        grad = grad / features.shape[1]  # a loss may have given memory that is not its own
        torch.bmm(grad.mT, act, out=output_grad)
        back = torch.bmm(grad, output[..., : self._width])
        if mask is not None:
            back.mul_(mask)
        torch.bmm(torch.ops.aten.gelu_backward(back, pre).mT, features, out=hidden_grad)
        self._update()
        return logits

    def _act_with_ones(self, shape: torch.Size) -> Tensor:
        """A buffer ``[P, B, W']`` whose first W columns are to be filled."""
        if self._hidden_ones.shape[:-1] != shape[:-1]:
            self._hidden_ones = with_ones(self._weights[0].new_empty(shape))
        return self._hidden_ones

    def _update(self) -> None:
        """Adam with its L2 term: for each group of equal rates the call that ``torch.optim.Adam(fused=True)`` makes."""
        self._steps += 1
        for (weights, grads, first, second), lr, weight_decay in self._groups:
            torch._fused_adam_(weights, grads, first, second, [], [self._steps] * 2, lr=lr, beta1=_BETAS[0],
                               beta2=_BETAS[1], weight_decay=weight_decay, eps=_EPS, amsgrad=False,
                               maximize=False)  # fmt: skip
