"""Annotations of items whose true distributions are known."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

Floats = NDArray[np.float64]
Truth = Callable[[np.random.Generator, int, int], Floats]


def dirichlet(generator: np.random.Generator, items: int, classes: int) -> Floats:
    return generator.dirichlet(np.linspace(0.4, 1.6, classes), items)


def mixture(generator: np.random.Generator, items: int, classes: int) -> Floats:
    """Clear items, one kind a class, and items on which opinions are spread."""
    alphas = np.concatenate([0.3 + 6 * np.eye(classes), np.full((1, classes), 2.0)])
    kind = generator.integers(classes + 1, size=items)
    gammas: Floats = generator.standard_gamma(alphas[kind])
    return np.asarray(gammas / gammas.sum(1, keepdims=True))


def logistic_normal(generator: np.random.Generator, items: int, classes: int) -> Floats:
    """No mixture of a few Dirichlet distributions."""
    return np.asarray(softmax(1.5 * generator.standard_normal((items, classes)), axis=1))


TRUTHS: dict[str, Truth] = {"dirichlet": dirichlet, "mixture": mixture, "logistic_normal": logistic_normal}


def annotate(generator: np.random.Generator, truth: Floats, annotators: int) -> Floats:
    return generator.multinomial(annotators, truth).astype(np.float64)


def fuzzed(generator: np.random.Generator, truth: Floats, strength: float) -> Floats:
    """A model that knows something and rules nothing out: a Dirichlet draw about the truth."""
    gammas: Floats = generator.standard_gamma(strength * truth + 1e-3)
    return np.asarray(0.95 * gammas / gammas.sum(1, keepdims=True) + 0.05 / truth.shape[1])
