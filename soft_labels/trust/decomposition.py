"""KL in two parts: what overconfidence costs, and what is not known."""

from dataclasses import dataclass

import numpy as np

from soft_labels.trust.inputs import Floats, Numbers, as_counts, as_log_pred, cross_entropy, entropies, shares


@dataclass(frozen=True)
class Decomposition:
    """KL of each item, exactly the sum of two parts; a mean over items splits in the same way.

    One item's overconfidence may be below 0: there the model was less sure than its answer deserved. Since
    ``|pred_entropy - label_entropy|`` is at least vagueness, a mean entropy error is at least KL - overconfidence.

    Args:
        kl: ``[..., N]`` nats, D_KL(label_dist || pred_dist).
        overconfidence: ``[..., N]`` nats, cross-entropy - pred_entropy. Its mean is 0 for a model that is as sure as it
            is right on average, above 0 for one that is surer than right.
        vagueness: ``[..., N]`` nats, pred_entropy - label_entropy: how much less the model knows than annotators.
        pred_entropy: ``[..., N]`` nats.
        label_entropy: ``[N]`` nats.
    """

    kl: Floats
    overconfidence: Floats
    vagueness: Floats
    pred_entropy: Floats
    label_entropy: Floats


def decompose(counts: Numbers, predictions: Numbers) -> Decomposition:
    """Split KL into overconfidence and vagueness.

    Args:
        counts: ``[N, C]`` annotations that chose each class.
        predictions: ``[..., N, C]`` pred_dist or log_pred.

    Returns:
        The parts of each item; KL and overconfidence are infinite where a class that annotators chose was given 0.

    Raises:
        DataError: Counts or predictions are malformed.

    Source:
        KL = (CE - H(q)) + (H(q) - H(p)), with CE the cross-entropy of annotations p and prediction q.

    Example:
        >>> parts = decompose(np.array([[3, 1]]), np.array([[0.9, 0.1]]))
        >>> [round(part.item(), 4) for part in (parts.kl, parts.overconfidence, parts.vagueness)]
        [0.0923, 0.3296, -0.2373]
    """
    label_dist = shares(as_counts(counts))
    log_pred = as_log_pred(predictions, label_dist.shape)
    label_entropy, pred_entropy = entropies(label_dist), cross_entropy(np.exp(log_pred), log_pred)
    surprise = cross_entropy(label_dist, log_pred)
    return Decomposition(
        surprise - label_entropy, surprise - pred_entropy, pred_entropy - label_entropy, pred_entropy, label_entropy
    )
