"""Records in TensorBoard: a line of settings and results a trial, curves of runs that were repeated, and arms."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soft_labels.files import NamedLock, naming, partial_beside
from soft_labels.metrics import core_names
from soft_labels.runs.record import RunRecord
from soft_labels.training.curves import QUANTITIES, Charts, CurveLogger, add_line, charts, log_reached
from soft_labels.training.projector import ItemMap
from soft_labels.trust.report import TrustReport

_FOLDER = Path("tensorboard")
ARMS, CURVES, TRIALS = _FOLDER / "arms", _FOLDER / "curves", _FOLDER / "trials"
"""Below the folder of an experiment; below each a folder a data set."""
Curve = Mapping[str, Sequence[float | None]]

ITEMS = "val items"
"""The run that holds the projector's items; no arm can have this name."""
_SHOWN = tuple(f"val/{quantity}" for quantity in QUANTITIES)
_LEAST, _GREATEST = "within/least", "within/greatest"  # after val in TensorBoard's order
_TRUST = ("floor", "share_of_achievable", "overconfidence", "vagueness", "worth")


class ArmResult(NamedTuple):
    """What is shown of an arm.

    Args:
        curves: Of each seed, values by quantity and epoch, ``None`` where one is not finite; none of an arm that is
            derived from another.
        metrics: On the test items, by name, one value a seed, ``[S]``.
        trust: What its numbers mean.
    """

    curves: Sequence[Curve]
    metrics: Mapping[str, NDArray[np.float64]]
    trust: TrustReport

    @property
    def epochs(self) -> int:
        """Epochs of the seed that trained longest."""
        return max((len(curve[key]) for curve in self.curves for key in _SHOWN), default=0)

    def reached(self) -> dict[str, float]:
        """The final numbers: means over seeds of the core test metrics, and what they mean."""
        means = {f"test/{name}": float(self.metrics[name].mean()) for name in core_names()}
        return {**means, **{f"trust/{name}": float(getattr(self.trust, name)) for name in _TRUST}}


def log_trials(folder: Path, arm: str, records: Iterable[RunRecord]) -> None:
    """A line each in the HParams tab, without their curves, so that any number of trials stays readable.

    Args:
        folder: The folder of the experiment or search; event files go below ``tensorboard/trials``.
        arm: Whose trials they are.
        records: The trials; one that is there already is left alone.
    """
    for record in records:
        place = folder / TRIALS / record.data["dataset"] / arm
        _log(place, record.id, record, _write_trial)


def log_curves(folder: Path, arm: str, records: Iterable[RunRecord]) -> None:
    """Every quantity of every split over the epochs, named by arm and seed.

    Args:
        folder: The folder of the experiment; event files go below ``tensorboard/curves``.
        arm: Whose runs they are.
        records: The runs; one that is there already is left alone.
    """
    for record in records:
        place = folder / CURVES / record.data["dataset"]
        _log(place, f"{arm}-seed{record.spec['seed']}-{record.id}", record, _write_curves)


def log_arms(place: Path, arms: Mapping[str, ArmResult]) -> None:
    """A run an arm: the mean over its seeds and their range, epoch by epoch, and a line of what it reached.

    Shown is the validation part, by which epochs are chosen. A seed that stopped early keeps its last value, so that no
    curve jumps where one ends; an arm of a single epoch is a level line below the others. Older runs are replaced.

    Args:
        place: The folder of the arms' runs; event files go to folders of the arms' names.
        arms: By name.
    """
    longest = max((arm.epochs for arm in arms.values()), default=0)
    for name, arm in arms.items():
        with _anew(place, name):
            log_reached(place / name, {"arm": name}, arm.reached())
            if longest > 1 and arm.curves:
                _log_range(place, name, arm.curves, longest if arm.epochs == 1 else arm.epochs)


def log_items(place: Path, items: ItemMap | None) -> None:
    """Show items in the projector, in a run beside the arms; an older one is replaced.

    Args:
        place: The folder of the arms' runs.
        items: The items; without them the older run is removed all the same.
    """
    from torch.utils.tensorboard import SummaryWriter

    with _anew(place, ITEMS):
        if items is not None:
            with SummaryWriter(str(place / ITEMS)) as writer:
                items.write(writer)


@contextmanager
def _anew(place: Path, run: str) -> Iterator[None]:
    """A run that is written from its beginning; processes that share an experiment end at the same time."""
    place.mkdir(parents=True, exist_ok=True)
    with NamedLock(place / ".runs.lock"), naming(place / run):
        shutil.rmtree(place / run, ignore_errors=True)
        yield


def _log_range(place: Path, name: str, curves: Sequence[Curve], epochs: int) -> None:
    """Mean, least and greatest of an arm's seeds."""
    logger = CurveLogger(place, name="", version=name, default_hp_metric=False)
    logger.experiment.add_custom_scalars(arm_charts())
    for epoch in range(epochs):
        logger.log_metrics(_at(curves, epoch), epoch)
    logger.experiment.close()


def _at(curves: Sequence[Curve], epoch: int) -> dict[str, float]:
    """Mean, least and greatest of the seeds' values at an epoch."""
    found: dict[str, float] = {}
    for key in _SHOWN:
        values = [each for curve in curves if (each := curve[key][min(epoch, len(curve[key]) - 1)]) is not None]
        if values:
            found |= {key: sum(values) / len(values), f"{_LEAST}/{key}": min(values), f"{_GREATEST}/{key}": max(values)}
    return found


def arm_charts() -> Charts:
    """TensorBoard's layout for arms: one chart a quantity with a line an arm, and the range over its seeds."""
    return {
        "arms: mean and range over seeds": {
            quantity: ["Margin", [quantity, f"{_LEAST}/{quantity}", f"{_GREATEST}/{quantity}"]] for quantity in _SHOWN
        }
    }


def _log(folder: Path, name: str, record: RunRecord, write: Callable[[Path, RunRecord], None]) -> None:
    """One record as one TensorBoard run, whole or not at all."""
    if (folder / name).is_dir():
        return
    partial = partial_beside(folder / name)
    try:
        with naming(folder / name, partial):
            write(partial, record)
        with suppress(OSError):  # another process was faster
            partial.rename(folder / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_trial(place: Path, record: RunRecord) -> None:
    """A trial's settings, and as metrics of the HParams tab what was best at its first, best and last epoch.

    The tab draws metrics against settings, and takes the last point of each; of a single epoch both points are equal.
    """
    from torch.utils.tensorboard import SummaryWriter

    last = max(len(record.curve["lr"]) - 1, 1)
    with SummaryWriter(str(place)) as writer:
        add_line(writer._get_file_writer(), record.spec)
        for key, best in _best(record).items():
            first = record.curve[key][0]
            for epoch, value in {0: best if first is None else first, record.best_epoch: best, last: best}.items():
                writer.add_scalar(f"best/{key}", value, epoch)


def _best(record: RunRecord) -> dict[str, float]:
    """Validation metrics of the best epoch, those that are finite."""
    found = {key: values[record.best_epoch] for key, values in record.curve.items() if key.startswith("val/")}
    return {key: value for key, value in found.items() if value is not None}


def _write_curves(place: Path, record: RunRecord) -> None:
    """A run's settings, the metrics of its best epoch, and its curves where it has more than one."""
    log_reached(place, record.spec, {f"best/{key}": value for key, value in _best(record).items()})
    epochs = len(record.curve["lr"])
    if epochs < 2:
        return
    logger = CurveLogger(place.parent, name="", version=place.name, default_hp_metric=False)
    logger.experiment.add_custom_scalars(charts())
    for epoch in range(epochs):
        values = {key: curve[epoch] for key, curve in record.curve.items()}
        logger.log_metrics({key: value for key, value in values.items() if value is not None}, epoch)
    logger.experiment.close()
