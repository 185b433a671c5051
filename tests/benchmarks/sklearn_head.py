"""A scikit-learn head on the same embeddings and the same split, beside which our heads' metrics can be read.

Multinomial logistic regression on standardised features. The hard one is trained on the majority class, the soft one
on every class of every item weighted by its share. The penalty is chosen on the validation split, each target on its
own loss; the test split is read once. Run it with the options that describe data to ``fit``::

    python -m tests.benchmarks.sklearn_head --config configs/data/chaosnli.yaml --config configs/encoder/minilm.yaml
"""

import sys
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from soft_labels.commands.fit import parse_datamodule
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SplitName
from soft_labels.metrics import all_metrics
from soft_labels.training.objectives import LOSSES, Objective, item_losses
from soft_labels.training.spec import HeadSpec

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
TARGETS = ("hard", "soft")


class Part:
    """Features and targets of one split."""

    def __init__(self, data: EmbeddedDataset, split: SplitName) -> None:
        rows = data.dataset.rows(split)
        self.features = torch.cat(list(data.features.batches(rows.numpy()))).numpy()
        self.observed = data.dataset.observed.take(rows)
        self.label_dist, self.label = self.observed.label_dist, self.observed.majority_label


def heads(train: Part, scaler: StandardScaler, target: str) -> Iterator[LogisticRegression]:
    """One fitted model for each penalty."""
    features, classes = scaler.transform(train.features), train.label_dist.shape[1]
    labels, weights = train.label.numpy(), np.ones(len(features))
    if target == "soft":
        features, labels = np.repeat(features, classes, axis=0), np.tile(np.arange(classes), len(features))
        weights = train.label_dist.numpy().ravel()
    for penalty in PENALTIES:
        yield LogisticRegression(C=penalty, max_iter=300).fit(features, labels, sample_weight=weights)


def logits(head: LogisticRegression, scaler: StandardScaler, part: Part) -> Tensor:
    """The head's logits for a split, ``[n, C]``."""
    return torch.from_numpy(head.decision_function(scaler.transform(part.features))).float()


def main() -> None:
    """Train both heads and print their test metrics."""
    datamodule = parse_datamodule(sys.argv[1:], "sklearn_head", "A scikit-learn head on the same embeddings.")
    data = datamodule.embedded
    train, val, test = (Part(data, split) for split in ("train", "val", "test"))
    scaler = StandardScaler().fit(train.features)
    for target in TARGETS:

        def val_loss(head: LogisticRegression, target: str = target) -> float:
            aim = Objective(HeadSpec(target)).judged_by(val.observed)
            return item_losses(LOSSES["cross_entropy"], aim, logits(head, scaler, val)).mean().item()

        best = min(heads(train, scaler, target), key=val_loss)
        metrics = all_metrics(data.ordinal)
        metrics.update(logits=logits(best, scaler, test), label_dist=test.label_dist, majority_label=test.label)
        values = " ".join(f"{name} {value:.3f}" for name, value in metrics.compute().items())
        print(f"{data.name} {target} logistic regression, C {best.C:g}: {values}")


if __name__ == "__main__":
    main()
