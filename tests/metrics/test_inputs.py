import pytest
import torch
from torch import Tensor

from soft_labels.metrics import EntropyCorrelation, KLDivergence, MajorityAccuracy
from soft_labels.metrics.inputs import STATE_DTYPE, check_distributions, check_labels


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 3, 4)])
def test_logits_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    logits = torch.zeros(shape)
    with pytest.raises(ValueError, match=r"logits: wanted shape \[B, C\]"):
        check_distributions(logits, logits)
    with pytest.raises(ValueError, match=r"logits: wanted shape \[B, C\]"):
        check_labels(logits, torch.zeros(3).long())
    for metric in (KLDivergence(), EntropyCorrelation()):
        with pytest.raises(ValueError, match=r"logits: wanted shape \[B, C\]"):
            metric.update(logits, logits)


@pytest.mark.parametrize("labels", [torch.zeros(2), torch.zeros(3).long(), torch.zeros(2, 3).long()])
def test_majority_labels_of_the_wrong_shape_or_dtype_are_refused(labels: Tensor) -> None:
    with pytest.raises(ValueError, match=r"majority_label: wanted int64 of shape \[2\]"):
        MajorityAccuracy().update(torch.zeros(2, 3), labels)
    with pytest.raises(ValueError, match=r"majority_label: wanted int64 of shape \[2\]"):
        check_labels(torch.zeros(2, 3), labels)


def test_a_label_dist_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"label_dist: wanted the shape of logits, \[2, 3\], got \[2, 4\]; give one"):
        check_distributions(torch.zeros(2, 3), torch.zeros(2, 4))


def test_what_fits_is_left_alone_whatever_its_values() -> None:
    check_distributions(torch.full((2, 3), torch.nan), torch.zeros(2, 3))
    check_labels(torch.zeros(0, 2), torch.zeros(0).long())


def test_sums_are_in_double_precision_where_there_is_one() -> None:
    assert (torch.float32 if torch.backends.mps.is_available() else torch.float64) == STATE_DTYPE
