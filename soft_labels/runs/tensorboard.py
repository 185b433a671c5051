"""Records in TensorBoard: a line of settings and results for each trial, curves for the runs that were repeated."""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from soft_labels.data.split import SPLIT_NAMES
from soft_labels.files import naming, partial_beside
from soft_labels.metrics import core_names
from soft_labels.runs.record import RunRecord
from soft_labels.training.callbacks import CurveLogger, charts
from soft_labels.trust.report import TrustReport

Curve = Mapping[str, Sequence[float | None]]

_LEAST, _GREATEST = "within/least", "within/greatest"  # after train and val in TensorBoard's order


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


def log_arm(place: Path, arm: str, curves: Sequence[Curve], metrics: Mapping[str, float]) -> None:
    """One run for an arm: the mean over its seeds and their range, epoch by epoch, and what it reached.

    A seed that stopped early keeps its last value, so that no curve jumps where one ends. An older run is replaced.

    Args:
        place: The folder of the arms' runs; event files go to its folder of the arm's name.
        arm: The arm's name.
        curves: Of each seed, values by quantity and epoch; ``None`` where one is not finite.
        metrics: What the HParams tab shows of it, by name.
    """
    shutil.rmtree(place / arm, ignore_errors=True)
    logger = CurveLogger(place, name="", version=arm, default_hp_metric=False)
    for epoch in range(max((len(values) for curve in curves for values in curve.values()), default=0)):
        logger.log_metrics(_at(curves, epoch), epoch)
    logger.experiment.add_custom_scalars(arm_charts())
    logger.log_hyperparams({"arm": arm}, dict(metrics))
    logger.finalize("success")


def _at(curves: Sequence[Curve], epoch: int) -> dict[str, float]:
    """Mean, least and greatest of the seeds' values at an epoch."""
    found: dict[str, float] = {}
    for key in (one for one in curves[0] if one.partition("/")[0] in SPLIT_NAMES):
        values = [each for curve in curves if (each := curve[key][min(epoch, len(curve[key]) - 1)]) is not None]
        if values:
            found |= {key: sum(values) / len(values), f"{_LEAST}/{key}": min(values), f"{_GREATEST}/{key}": max(values)}
    return found


def arm_charts() -> dict[str, dict[str, list[str | list[str]]]]:
    """TensorBoard's layout for arms: one chart a quantity with a line an arm, and the range over its seeds."""
    quantities = [f"val/{name}" for name in ("loss", *core_names())]
    return {
        "arms: mean and range over seeds": {
            quantity: ["Margin", [quantity, f"{_LEAST}/{quantity}", f"{_GREATEST}/{quantity}"]]
            for quantity in quantities
        }
    }


def _log(folder: Path, name: str, record: RunRecord, with_curves: bool) -> None:
    """One record as one TensorBoard run, whole or not at all."""
    if (folder / name).is_dir():
        return
    partial = partial_beside(folder / name)
    try:
        with naming(folder / name, partial):
            _write(folder, partial.name, record, with_curves)
        with suppress(OSError):  # another process was faster
            partial.rename(folder / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(folder: Path, version: str, record: RunRecord, with_curves: bool) -> None:
    """One record's event file."""
    logger = CurveLogger(folder, name="", version=version, default_hp_metric=False)
    best = {key: values[record.best_epoch] for key, values in record.curve.items() if key.startswith("val/")}
    logger.log_hyperparams(record.spec, {f"best/{key}": value for key, value in best.items() if value is not None})
    if with_curves:
        for epoch in range(len(record.curve["lr"])):
            values = {key: curve[epoch] for key, curve in record.curve.items()}
            logger.log_metrics({key: value for key, value in values.items() if value is not None}, epoch)
        logger.experiment.add_custom_scalars(charts())
    logger.finalize("success")
