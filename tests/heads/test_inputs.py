from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soft_labels.errors import DataError
from soft_labels.heads.inputs import read_inputs


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        (["a", "b"], "text"),
        (np.array(["a", "b"]), "text"),
        ([["a", "b"], ("c", "d")], "text_pair"),
        ([Path("a.png")], "image"),
        (np.zeros((2, 8, 8, 3), dtype=np.uint8), "image"),
        (np.zeros((2, 5)), "vectors"),
        (torch.zeros(2, 5), "vectors"),
    ],
)
def test_every_kind_is_known(inputs: Any, kind: str) -> None:
    found, rows = read_inputs(inputs)
    assert found == kind
    assert len(rows) == len(inputs)


@pytest.mark.parametrize("inputs", [[], [1, 2], ["a", ("b", "c")], [None], [("a", "b", "c")], [np.zeros((2, 2))]])
def test_what_no_head_reads_is_refused(inputs: Any) -> None:
    with pytest.raises(DataError, match="wanted texts, pairs of texts"):
        read_inputs(inputs)
