from pathlib import Path

import pytest
import torch

from soft_labels.training.heads import MLPHead
from soft_labels.training.predict import predict
from tests.toys import SeededData, SeededEncoder


@pytest.mark.parametrize("limit", [512, 0], ids=["in memory", "on disk"])
def test_logits_are_those_of_the_rows_in_their_order_without_dropout(tmp_path: Path, limit: int) -> None:
    features = SeededData(120, encoder=SeededEncoder(6), store=tmp_path, memory_limit_mb=limit).embedded.features
    head = MLPHead(6, 3, 8, dropout=0.9, seed=1)
    rows = torch.tensor([7, 119, 0, 7, 40])
    logits = predict(head, features, rows)
    torch.testing.assert_close(logits, head(features[rows]).detach())
    assert logits.shape == (5, 3)
    assert not logits.requires_grad
