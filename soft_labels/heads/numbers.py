"""A head's numbers on items that it was not trained on, each beside what it can be read against."""

import math
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SPLIT_NAMES
from soft_labels.distributions import kl_divergence
from soft_labels.errors import DataError
from soft_labels.metrics import Judged
from soft_labels.metrics.table import core_values
from soft_labels.training.predict import predict
from soft_labels.trust.report import trust_report

_NO_COUNTS = "shares without counts: floor, ceiling, worth and intervals are not known"


def measured(data: EmbeddedDataset, network: nn.Module) -> dict[str, Any]:
    """What a head is worth on the test items.

    Args:
        data: What it was trained on.
        network: Features to logits, as ``predict`` uses them.

    Returns:
        The fields of :class:`~soft_labels.trust.report.TrustReport` as plain JSON values, ``None`` where one is not
        known. Where only shares of annotators are known: items, kl, marginal, uniform, accuracy, entropy_corr, notes.
    """
    with torch.inference_mode():
        logits = {part: predict(network, data.features, data.dataset.rows(part)) for part in ("val", "test")}
    observed = {part: data.dataset.observed.take(data.dataset.rows(part)) for part in SPLIT_NAMES}
    pred = {part: each.double().softmax(-1) for part, each in logits.items()}
    try:
        report = trust_report(
            observed["test"].label_counts,
            pred["test"],
            val_counts=observed["val"].label_counts,
            val_predictions=pred["val"],
            train_counts=observed["train"].label_counts,
            ordinal=data.ordinal,
        )
    except DataError as error:
        return _of_shares(Judged(logits["test"], *observed["test"][1:]), observed["train"].label_dist, str(error))
    return {name: _plain(value) for name, value in asdict(report).items()}


def _of_shares(judged: Judged, train_dist: Tensor, why: str) -> dict[str, Any]:
    """The few numbers that need no counts."""
    marginal = train_dist.double().mean(0).log()
    dist = judged.label_dist.double()
    core = core_values(judged)
    values = {
        "kl": core["kl"].item(),
        "marginal": kl_divergence(dist, marginal).mean().item(),
        "uniform": kl_divergence(dist, torch.zeros_like(marginal)).mean().item(),
        "accuracy": core["accuracy"].item(),
        "entropy_corr": core["entropy_corr"].item(),
    }
    return {
        "items": len(dist),
        **{name: _plain(value) for name, value in values.items()},
        "notes": [_NO_COUNTS, why],
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it, which knows no number that is not finite."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
