"""Heads that are solved at once, without epochs or a seed: multinomial logistic regression, nearest neighbours."""

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own short name)

from soft_labels.distributions import soft_cross_entropy
from soft_labels.training.heads import Head
from soft_labels.training.objectives import Aim

logger = logging.getLogger(__name__)
_MOST_ITERATIONS, _FLAT = 5_000, 1e-8


class _Latest:
    """What took long to compute of some tensors, kept for the latest of them.

    A search solves again and again on the same items, at times in several threads.

    Args:
        compute: What is computed.
        most: How many results are kept.
    """

    def __init__(self, compute: Callable[..., tuple[Tensor, ...]], most: int) -> None:
        self._compute = compute
        self._most = most
        self._kept: dict[bytes, tuple[Tensor, ...]] = {}
        self._lock = Lock()

    def of(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The result for these tensors."""
        hasher = hashlib.sha256()
        for tensor in tensors:
            hasher.update(repr((tensor.dtype, tensor.shape)).encode())
            hasher.update(tensor.contiguous().numpy().data)
        key = hasher.digest()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._compute(*tensors)
                while len(self._kept) > self._most:
                    del self._kept[next(iter(self._kept))]
            return self._kept[key]

    def forget(self) -> None:
        """Keep nothing any longer."""
        with self._lock:
            self._kept.clear()


def _axes(items: Tensor) -> tuple[Tensor, ...]:
    """Orthonormal directions that items spread along, without those along which they hardly do.

    By eigenvectors of the smaller of two squares, which takes a fraction of a singular value decomposition.

    Args:
        items: float64 ``[n, D]``.

    Returns:
        The axes ``[r, D]``, items on them ``[n, r]``, their summed squares ``[r]``.
    """
    rows, columns = items.shape
    span, within = (None, items) if rows >= columns else torch.linalg.qr(items.T)
    within = within if span is None else within.T
    squares, turn = torch.linalg.eigh(within.T @ within)
    turn = turn[:, squares > squares[-1:] * max(items.shape) * torch.finfo(squares.dtype).eps]
    turned = within @ turn
    return (turn if span is None else span @ turn).T, turned, turned.square().sum(0)


def _apart(features: Tensor, items: Tensor) -> tuple[Tensor, ...]:
    """Euclidean distances ``[B, n]``, float64."""
    return (torch.cdist(features.double(), items.double()),)


_AXES = _Latest(_axes, most=2)
_APART = _Latest(_apart, most=4)  # training and validation items, standardised or not
_MOST_PAIRS = 2**23  # whose distances are kept: 64 MiB


def forget() -> None:
    """Give back the memory of what was computed for heads that are solved again and again."""
    for kept in (_AXES, _APART):
        kept.forget()


class SolvedHead(Head, ABC):
    """A head that all training items decide at once: the same items give the same head."""

    @abstractmethod
    def solve(self, features: Tensor, aim: Aim) -> None:
        """Learn from the training items.

        Args:
            features: ``[n, D]`` as they are stored; the feature statistics have been set.
            aim: What the head is trained towards, ``[n, C]`` and, where there are weights, ``[n]``.
        """

    def again(self, features: Tensor) -> Tensor:
        """What a call gives, on the CPU, of items that a search asks for again and again: what took long is kept."""
        logits: Tensor = self(features)
        return logits


class LogisticHead(SolvedHead):
    """Multinomial logistic regression on distributions: a convex problem, solved to convergence.

    Minimises the mean cross-entropy plus ``weight_decay / 2`` times the squared length of the weights; the intercept
    is free. In scikit-learn's terms ``C = 1 / (n * weight_decay)``.

    Args:
        embedding_dim: Width of the features, D.
        num_classes: Number of classes, C.
        weight_decay: Strength of the L2 term.

    Source: Bishop (2006), section 4.3.4; targets may be any distributions there.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, embedding_dim: int, num_classes: int, weight_decay: float) -> None:
        super().__init__(embedding_dim)
        self.weight_decay = weight_decay
        self.register_buffer("weight", torch.zeros(num_classes, embedding_dim))
        self.register_buffer("bias", torch.zeros(num_classes))

    def solve(self, features: Tensor, aim: Aim) -> None:
        """Find the minimum by L-BFGS in float64; says so where it is not reached.

        The weights lie in the span of the items, so they are sought along its principal directions, each in the unit in
        which the loss is about as curved as in all others, which takes fewer steps.
        """
        dist = aim.dist.double()
        share = torch.ones(len(dist)).double() if aim.weight is None else aim.weight.double()
        share = share / len(dist)
        inputs, axes, decay = self._in_even_units(self.standardised(features).double(), dist.shape[1])

        def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weight = torch.from_numpy(flat).view(dist.shape[1], -1)
            logits = inputs @ weight.T
            value = share @ soft_cross_entropy(dist, logits) + (decay * weight.square()).sum() / 2
            slope = ((logits.softmax(-1) - dist) * share[:, None]).T @ inputs + decay * weight
            return value.item(), slope.flatten().numpy()

        start = np.zeros(dist.shape[1] * inputs.shape[1])
        options = {"maxiter": _MOST_ITERATIONS, "maxfun": 2 * _MOST_ITERATIONS, "gtol": _FLAT, "ftol": 0}
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
        steepest = np.abs(found.jac).max()
        if steepest > 10 * _FLAT:
            logger.warning(
                "head logistic: no minimum in %d iterations (slope %.1g, wanted %.1g); raise model.weight_decay (%g)",
                found.nit, steepest, _FLAT, self.weight_decay,
            )  # fmt: skip
        solution = torch.from_numpy(found.x).view(dist.shape[1], -1)
        self.weight.copy_((solution[:, :-1] @ axes).float())
        self.bias.copy_(solution[:, -1].float())

    def _in_even_units(self, inputs: Tensor, num_classes: int) -> tuple[Tensor, Tensor, Tensor]:
        """Items on their principal axes and a last 1 ``[n, r + 1]``, the axes ``[r, D]``, decays ``[r + 1]``.

        Weights on the axes times the axes are those of the features, and the decays those of weights on the axes.
        """
        axes, turned, squares = _AXES.of(inputs)
        curvature = (1 - 1 / num_classes) / num_classes  # of cross-entropy, where all classes are as likely
        unit = (squares / len(inputs) * curvature + self.weight_decay).rsqrt()
        decay = F.pad(self.weight_decay * unit.square(), (0, 1))
        even = turned.new_ones(len(turned), len(unit) + 1)
        torch.mul(turned, unit, out=even[:, :-1])
        return even, axes * unit[:, None], decay

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002 (nothing is dropped)
        """Logits ``[B, C]`` of features ``[B, D]``."""
        return F.linear(self.standardised(features), self.weight, self.bias)


class NeighboursHead(SolvedHead):
    """The mean of what the k nearest training items are labelled with, by Euclidean distance.

    The mean over all training items counts as one neighbour more, and an item of uniform shares as one more of those,
    so that no class has a share of 0 and KL is finite.

    Args:
        embedding_dim: Width of the features, D.
        num_classes: Number of classes, C.
        neighbours: How many, k.

    Source: Geng (2016), "Label distribution learning", section 3.2 (AA-kNN), but for the smoothing, which is ours.
    """

    items: Tensor
    dists: Tensor
    weights: Tensor
    marginal: Tensor

    def __init__(self, embedding_dim: int, num_classes: int, neighbours: int) -> None:
        super().__init__(embedding_dim)
        self.neighbours = neighbours
        self.register_buffer("items", torch.zeros(0, embedding_dim))
        self.register_buffer("dists", torch.zeros(0, num_classes))
        self.register_buffer("weights", torch.zeros(0))
        self.register_buffer("marginal", torch.full((num_classes,), 1 / num_classes))

    def solve(self, features: Tensor, aim: Aim) -> None:
        """Keep the training items; where they are fewer than the neighbours asked for, all are taken, which is said."""
        if self.neighbours > len(features):
            logger.warning(
                "%d neighbours were asked for: all %d training items are taken", self.neighbours, len(features)
            )
        self.items, self.dists = self.standardised(features), aim.dist
        self.weights = torch.ones(len(features)) if aim.weight is None else aim.weight
        together = self.weights @ self.dists + 1 / self.dists.shape[1]
        self.marginal = together / (self.weights.sum() + 1)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002 (nothing is dropped)
        """Logarithms of the shares, ``[B, C]``, of features ``[B, D]``."""
        return self._shares(*_apart(self.standardised(features), self.items))

    def again(self, features: Tensor) -> Tensor:
        """The same; distances are kept, which do not depend on how many neighbours are asked for."""
        inputs = self.standardised(features)
        distances = _APART.of if len(inputs) * len(self.items) <= _MOST_PAIRS else _apart
        return self._shares(*distances(inputs, self.items))

    def _shares(self, apart: Tensor) -> Tensor:
        """Logarithms of the shares of items ``[B, n]`` apart from those that are kept."""
        nearest = apart.topk(min(self.neighbours, len(self.items)), largest=False).indices
        weights = self.weights[nearest]
        shares = (weights[..., None] * self.dists[nearest]).sum(-2) + self.marginal
        return (shares / (weights.sum(-1, keepdim=True) + 1)).log()

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Make room for as many items as were kept."""
        for name in ("items", "dists", "weights"):
            if prefix + name in state_dict:
                setattr(self, name, getattr(self, name).new_empty(state_dict[prefix + name].shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)
