"""A head that any engine trained, as the checkpoint that ``test`` and ``predict`` take."""

from pathlib import Path

from lightning import Trainer

from soft_labels.datamodules import AnnotationDataModule
from soft_labels.files import write_text, written_whole
from soft_labels.lightning_engine import module_of, quiet
from soft_labels.records import RunRecord
from soft_labels.runs import Engine, RunResult


def save_checkpoint(datamodule: AnnotationDataModule, result: RunResult, path: Path) -> None:
    """Write a result's head as a Lightning checkpoint, whole.

    Args:
        datamodule: The data that it was trained on.
        result: A result with its head.
        path: The file, as ``best-soft.ckpt``.
    """
    if result.state is None:
        raise ValueError("wanted a result with its head, got one without")
    module = module_of(datamodule, result.spec)
    module.head.load_state_dict(result.state)
    with quiet():
        trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
                          enable_model_summary=False, enable_checkpointing=False)  # fmt: skip
        trainer.validate(module, datamodule=datamodule, verbose=False)  # a Trainer saves what it has run
    with written_whole(path) as partial:
        trainer.save_checkpoint(partial, weights_only=True)


def save_best(path: Path, text: str, datamodule: AnnotationDataModule, record: RunRecord, engine: Engine) -> None:
    """Write a chosen run's configuration and, beside it, its head; what is there already is left as it is.

    Args:
        path: The configuration, as ``best-soft.yaml``; the checkpoint has the same name.
        text: The configuration, which names the run.
        datamodule: What it was trained on.
        record: The run; it is trained once more, since records hold no weights.
        engine: What trains.
    """
    checkpoint = path.with_suffix(".ckpt")
    if checkpoint.is_file() and path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    (result,) = engine.train(datamodule, [record.run_spec], keep_heads=True)
    save_checkpoint(datamodule, result, checkpoint)
    write_text(path, text)
