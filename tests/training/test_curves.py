"""What TensorBoard gets, read back from real event files."""

import math
from pathlib import Path

import pytest

from soft_labels.metrics import core_names
from soft_labels.training.curves import QUANTITIES, CurveLogger, charts, log_reached
from tests.boards import curves_of, line_of


def logger_in(folder: Path) -> CurveLogger:
    return CurveLogger(folder, name="", version="run", default_hp_metric=False)


def test_the_first_epoch_waits_for_the_second(tmp_path: Path) -> None:
    logger = logger_in(tmp_path)
    for epoch, values in enumerate([{"val/kl": 0.5, "lr": 1.0, "once": 3.0, "epoch": 0}, {"val/kl": 0.25, "lr": 0.5}]):
        logger.log_metrics(values, epoch)
    logger.finalize("success")
    assert curves_of(tmp_path / "run") == {"val/kl": {0: 0.5, 1: 0.25}, "lr": {0: 1.0, 1: 0.5}}
    assert logger.curves["val/kl"] == [0.5, 0.25]


def test_one_epoch_is_no_curve_but_is_remembered(tmp_path: Path) -> None:
    logger = logger_in(tmp_path)
    logger.log_metrics({"val/kl": 0.5}, 0)
    logger.finalize("success")
    assert logger.curves == {"val/kl": [0.5]}
    assert curves_of(tmp_path / "run") == {}


def test_a_run_that_goes_on_adds_to_its_curve(tmp_path: Path) -> None:
    for epochs in (range(2), range(2, 3)):
        logger = logger_in(tmp_path)
        for epoch in epochs:
            logger.log_metrics({"val/kl": float(epoch)}, epoch)
        logger.finalize("success")
    assert curves_of(tmp_path / "run") == {"val/kl": {0: 0, 1: 1, 2: 2}}


def test_a_closed_logger_adds_nothing(tmp_path: Path) -> None:
    logger = logger_in(tmp_path)
    logger.closed = True
    for step in range(3):
        logger.log_metrics({"test/kl": 0.5}, step)
    assert logger.curves == {}
    logger.finalize("success")
    assert curves_of(tmp_path / "run") == {}


def test_a_line_holds_settings_and_final_numbers_and_a_later_one_replaces_it(tmp_path: Path) -> None:
    log_reached(tmp_path / "run", {"lr": 0.1}, {"best/kl": 1.0, "gone": 1.0})
    settings = {"lr": 0.1, "target": "soft", "ratios": [0.7, 0.3], "wide": {"width": 8}, "none": None}
    log_reached(tmp_path / "run", settings, {"best/kl": 0.25, "worth": math.nan, "share": -math.inf})
    assert line_of(tmp_path / "run") == {
        "lr": pytest.approx(0.1), "target": "soft", "ratios": "[0.7, 0.3]", "wide/width": 8, "none": "None",
        "best/kl": 0.25,
    }  # fmt: skip
    assert curves_of(tmp_path / "run") == {}


def test_the_charts_are_of_every_quantity() -> None:
    (shown,) = charts().values()
    assert tuple(shown) == QUANTITIES
    assert set(QUANTITIES) == {"loss", *core_names()}
    assert shown["kl"] == ["Multiline", ["train/kl", "val/kl", "test/kl"]]
