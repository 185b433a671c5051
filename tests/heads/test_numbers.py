import json

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from soft_labels.data import TensorDataModule
from soft_labels.heads.numbers import measured
from soft_labels.training.calibration import CalibratedHead, make_calibration
from soft_labels.training.heads import MLPHead
from soft_labels.training.predict import predict


@pytest.mark.parametrize("known", ["label_counts", "label_dist"])
def test_the_numbers_are_those_of_the_test_items(known: str) -> None:
    generator = np.random.default_rng(0)
    features = generator.standard_normal((150, 5)).astype(np.float32)
    counts = generator.multinomial(8, [0.5, 0.3, 0.2], 150)
    given = {known: counts if known == "label_counts" else counts / 8}
    data = TensorDataModule(features, **given).embedded  # type: ignore[arg-type]
    network = CalibratedHead(MLPHead(5, 3, 8, 0.0, 0), make_calibration("none")).eval()
    report = measured(data, network)
    rows = data.dataset.rows("test")
    pred = predict(network, data.features, rows).softmax(-1).numpy()
    dist = data.dataset.observed.label_dist[rows].numpy()
    assert report["kl"] == pytest.approx(rel_entr(dist, pred).sum(1).mean(), rel=1e-5)
    train = data.dataset.observed.label_dist[data.dataset.rows("train")].numpy().mean(0)
    assert report["marginal"] == pytest.approx(rel_entr(dist, train).sum(1).mean(), rel=1e-5)
    assert report["items"] == len(rows)
    assert (report.get("floor") is not None) == (known == "label_counts")
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert torch.is_grad_enabled()
