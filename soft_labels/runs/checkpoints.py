"""A head that any engine trained, as the checkpoint that ``test`` and ``predict`` take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning import Trainer

from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.files import write_text
from soft_labels.runs.record import RunRecord
from soft_labels.training.best import WholeFileIO
from soft_labels.training.lightning_engine import loaders_of, module_of
from soft_labels.training.predict import predict
from soft_labels.training.spec import Engine, RunResult, RunSpec, head_of
from soft_labels.training.trainer import quiet


def save_checkpoint(data: EmbeddedDataset, result: RunResult, path: Path, calibration: str = "none") -> None:
    """Write a result's head as a Lightning checkpoint, whole.

    Args:
        data: The data that it was trained on.
        result: A result with its head.
        path: The file, as ``best-soft.ckpt``.
        calibration: A row of ``soft_labels.training.calibration.CALIBRATIONS``, fitted here on the validation items.
    """
    head = head_of(data, result)
    module = module_of(data, result.spec, calibration)
    module.head.load_state_dict(head.state_dict())
    rows = data.dataset.rows("val")
    module.calibration.fit(predict(head, data.features, rows), data.dataset.observed.take(rows))
    with quiet():
        trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
                          enable_model_summary=False, enable_checkpointing=False,
                          plugins=[WholeFileIO()])  # fmt: skip
        # a Trainer saves what it has run
        trainer.validate(module, datamodule=loaders_of(data, result.spec, monitor_test=False), verbose=False)
    trainer.save_checkpoint(path, weights_only=True)


@dataclass(frozen=True)
class BestFiles:
    """Where a chosen run is written down, and what follows its head there.

    Args:
        path: The configuration, as ``best-soft.yaml``; the checkpoint has the same name.
        text: The configuration, which names the run.
        calibration: A row of ``soft_labels.training.calibration.CALIBRATIONS``.
    """

    path: Path
    text: str
    calibration: str = "none"

    @property
    def there(self) -> bool:
        """Whether both are written already."""
        path = self.path
        return path.with_suffix(".ckpt").is_file() and path.is_file() and path.read_text(encoding="utf-8") == self.text


class BestHeads:
    """Chosen runs of some data, whose configurations are written and, beside each, its head.

    Records hold no weights, so that a head is taken from a run that trains anyhow, or trained once more. What is there
    already is left as it is.

    Args:
        chosen: Each run with its own files and, where other arms are derived from it, theirs.
        data: What they were trained on.
    """

    def __init__(self, chosen: Iterable[tuple[RunRecord, Sequence[BestFiles]]], data: EmbeddedDataset) -> None:
        self._data = data
        self._files: dict[RunSpec, list[BestFiles]] = {}
        for record, files in chosen:
            self._files.setdefault(record.run_spec, []).extend(files)

    def take(self, result: RunResult) -> None:
        """Write what is missing of a result, if it was chosen.

        Args:
            result: What training a spec on the data gave, with its head.
        """
        for one in self._files.get(result.spec, []):
            if not one.there:
                save_checkpoint(self._data, result, one.path.with_suffix(".ckpt"), one.calibration)
                write_text(one.path, one.text)

    def train(self, engine: Engine) -> None:
        """Train what is missing.

        Args:
            engine: What trains.
        """
        missing = [spec for spec, files in self._files.items() if not all(one.there for one in files)]
        for result in engine.train(self._data, missing, keep_heads=True):
            self.take(result)
