import numpy as np
import onnxruntime
import pytest
import torch

from soft_labels.errors import ConfigError
from soft_labels.heads.onnx import to_onnx
from soft_labels.training.calibration import CalibratedHead, make_calibration
from soft_labels.training.heads import MLPHead


@pytest.mark.slow
def test_onnx_gives_the_same_probabilities() -> None:
    head = MLPHead(12, 4, 16, 0.5, 1)
    head.set_feature_statistics(torch.randn(12), torch.rand(12) + 0.5)
    network = CalibratedHead(head, make_calibration("temperature")).eval()
    network.calibration.get_buffer("temperature").fill_(1.7)
    session = onnxruntime.InferenceSession(to_onnx(network, 12))
    for rows in (1, 5, 1000):
        features = torch.randn(rows, 12) * 3
        with torch.inference_mode():
            expected = network(features).softmax(-1).numpy()
        (found,) = session.run(["probabilities"], {"features": features.numpy()})
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ConfigError, match=r"pip install .soft-labels\[onnx\]"):
        to_onnx(CalibratedHead(MLPHead(2, 2, 2, 0.0, 0), make_calibration("none")), 2)
