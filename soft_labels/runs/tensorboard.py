"""Records in TensorBoard: a line of settings and results for each trial, curves for the runs that were repeated."""

import math
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from soft_labels.files import PARTIAL_PREFIX
from soft_labels.runs.record import RunRecord
from soft_labels.training.callbacks import CurveLogger, charts
from soft_labels.trust.report import TrustReport


def log_trials(folder: Path, arm: str, records: Iterable[RunRecord]) -> None:
    """A line each in the HParams tab, without curves, so that any number of trials stays readable.

    Args:
        folder: The folder of the experiment or search; event files go below ``tensorboard/trials``.
        arm: Whose trials they are.
        records: The trials; one that is there already is left alone.
    """
    for record in records:
        place = folder / "tensorboard" / "trials" / record.data["dataset"] / arm
        _log(place, record.id, record, with_curves=False)


def log_curves(folder: Path, arm: str, records: Iterable[RunRecord]) -> None:
    """Every quantity of every split over the epochs, named by arm and seed.

    Args:
        folder: The folder of the experiment; event files go below ``tensorboard/curves``.
        arm: Whose runs they are.
        records: The runs; one that is there already is left alone.
    """
    for record in records:
        place = folder / "tensorboard" / "curves" / record.data["dataset"]
        _log(place, f"{arm}-seed{record.spec['seed']}-{record.id}", record, with_curves=True)


def meaning(trust: TrustReport) -> dict[str, float]:
    """What the HParams tab shows of what a model's numbers mean; what is not known is left out.

    Args:
        trust: Of the model.
    """
    names = ("floor", "share_of_achievable", "overconfidence", "vagueness", "worth")
    values = {f"trust/{name}": float(getattr(trust, name)) for name in names}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def log_meaning(folder: Path, arm: str, metrics: Mapping[str, float]) -> None:
    """A line in the HParams tab with what an arm reached over all seeds; an older one is replaced.

    Args:
        folder: The folder of the experiment or comparison; event files go below ``tensorboard/arms``.
        arm: The arm's name.
        metrics: Its means, by name.
    """
    place = folder / "tensorboard" / "arms"
    shutil.rmtree(place / arm, ignore_errors=True)
    logger = CurveLogger(place, name="", version=arm, default_hp_metric=False)
    logger.log_hyperparams({"arm": arm}, dict(metrics))
    logger.finalize("success")


def _log(folder: Path, name: str, record: RunRecord, with_curves: bool) -> None:
    """One record as one TensorBoard run, whole or not at all."""
    if (folder / name).is_dir():
        return
    partial = f"{PARTIAL_PREFIX}{secrets.token_hex(6)}"
    logger = CurveLogger(folder, name="", version=partial, default_hp_metric=False)
    best = {key: values[record.best_epoch] for key, values in record.curve.items() if key.startswith("val/")}
    logger.log_hyperparams(record.spec, {f"best/{key}": value for key, value in best.items() if value is not None})
    if with_curves:
        for epoch in range(len(record.curve["lr"])):
            values = {key: curve[epoch] for key, curve in record.curve.items()}
            logger.log_metrics({key: value for key, value in values.items() if value is not None}, epoch)
        logger.experiment.add_custom_scalars(charts())
    logger.finalize("success")
    with suppress(OSError):  # another process was faster
        (folder / partial).rename(folder / name)
    shutil.rmtree(folder / partial, ignore_errors=True)
