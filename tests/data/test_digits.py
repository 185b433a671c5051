from pathlib import Path

from soft_labels.data import BlendedDigitsDataModule
from soft_labels.encoders import TimmEncoder


def test_no_handwritten_digit_stands_in_two_parts(tmp_path: Path) -> None:
    data = BlendedDigitsDataModule(items=400, encoder=TimmEncoder(), store=tmp_path)
    groups = data.dataset.data.groups
    assert groups is not None
    pools = [{groups[row] for row in data.dataset.rows(part).tolist()} for part in ("train", "val", "test")]
    assert sum(map(len, pools)) == len(set.union(*pools)) == 40
    assert data.dataset.observed.true_dist is not None
