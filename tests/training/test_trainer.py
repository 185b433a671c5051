import logging
import warnings

import pytest
from lightning import Trainer

from soft_labels.training.trainer import TRAINER_DEFAULTS, IdleProfiler, leave_out_idle_warnings, quiet


def test_defaults_are_arguments_that_a_trainer_takes() -> None:
    trainer = Trainer(**TRAINER_DEFAULTS, accelerator="cpu", logger=False, profiler=IdleProfiler())  # type: ignore[arg-type]
    assert trainer.max_epochs == TRAINER_DEFAULTS["max_epochs"] == 20
    assert trainer.num_devices == 1
    profiler = trainer.profiler  # type: ignore[attr-defined]
    assert isinstance(profiler, IdleProfiler)
    with profiler.profile("anything"):
        pass
    assert profiler.summary() == ""


def test_what_lightning_says_at_every_start_is_left_out_and_only_for_the_while() -> None:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        with quiet():
            assert logger.level == logging.WARNING
        assert logger.level == logging.INFO
        with pytest.raises(ZeroDivisionError), quiet():
            _ = 1 / 0
        assert logger.level == logging.INFO
    finally:
        logger.setLevel(level)


def test_only_warnings_that_nobody_can_mend_are_left_out() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        leave_out_idle_warnings()
        warnings.warn("Checkpoint directory x exists and is not empty", UserWarning, stacklevel=1)
        warnings.warn("the loss is nan", UserWarning, stacklevel=1)
    assert [str(one.message) for one in seen] == ["the loss is nan"]
