"""The README's picture of TensorBoard, and the script that takes it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from docs.pictures import COMMITTED, take
from soft_labels.training.curves import CurveLogger
from tests.pages import README

MOST_BYTES = 150 * 1024


def test_the_picture_is_small_and_the_readme_shows_it() -> None:
    assert COMMITTED.stat().st_size < MOST_BYTES
    assert f"]({COMMITTED.relative_to(README.parent).as_posix()})" in README.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("chromium") is None or shutil.which("chromedriver") is None,
    reason="no Chromium with its driver is installed (apt install chromium chromium-driver)",
)
def test_the_script_takes_a_picture_of_the_first_tab_with_its_lines(tmp_path: Path) -> None:
    logger = CurveLogger(tmp_path / "runs", name="", version="soft", default_hp_metric=False)
    for epoch in range(9):
        logger.log_metrics({"val/kl": 1 / (1 + epoch)}, epoch)
    logger.experiment.close()
    (path,) = take(tmp_path / "runs", tmp_path / "out", ["tensorboard"], ["light"])
    assert path.stat().st_size < MOST_BYTES
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    orange = (abs(pixels - (247, 122, 0)).sum(-1) < 60).mean()
    assert orange > 0.03, "TensorBoard's own bar is there"
    assert pixels.shape[1] == 1280
