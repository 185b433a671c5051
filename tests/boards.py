"""Event files of TensorBoard, read back by its own reader."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.hparams.metadata import EXPERIMENT_TAG, SESSION_START_INFO_TAG


def events(folder: Path) -> EventAccumulator:
    """Everything that a run wrote."""
    return EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0, "scalars": 0}).Reload()


def runs_below(folder: Path) -> list[Path]:
    """Every folder that TensorBoard shows as a run."""
    return sorted({file.parent for file in folder.rglob("events.out.tfevents.*")})


def curves_of(folder: Path) -> dict[str, dict[int, float]]:
    """By tag, the value of each step."""
    found = events(folder)
    return {tag: {point.step: point.value for point in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


def single_points(folder: Path) -> list[str]:
    """Every card of a single point below a folder; what is there at all is counted by :func:`runs_below`."""
    return [f"{run} {tag}" for run in runs_below(folder) for tag, points in curves_of(run).items() if len(points) < 2]


def line_of(folder: Path) -> dict[str, float | str | bool]:
    """A run's line in the HParams tab, empty where it has none; no run says what columns others have."""
    metadata = events(folder).summary_metadata
    assert EXPERIMENT_TAG not in metadata
    if SESSION_START_INFO_TAG not in metadata:
        return {}
    content = metadata[SESSION_START_INFO_TAG].plugin_data.content
    columns = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, str(value.WhichOneof("kind"))) for name, value in columns.items()}
