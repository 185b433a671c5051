"""``soft-labels export``: a run's head as a folder that travels."""

from argparse import SUPPRESS
from pathlib import Path

from soft_labels.commands.fit import OF_A_RUN, add_ignored, datamodule_parser, show_progress
from soft_labels.commands.run_files import files_of_run
from soft_labels.errors import ConfigError

_EXPORTS = (
    "Write a run's head as a folder that travels: weights, settings and a card with its numbers, nothing of the "
    "training data."
)


def run_export(arguments: list[str]) -> None:
    """``soft-labels export RUN --out FOLDER``, or ``export --config FILE --ckpt_path FILE --out FOLDER``."""
    show_progress()
    own = arguments[1:]
    found: list[str] = []
    if own and not own[0].startswith("-"):
        config, checkpoint = files_of_run(Path(own[0]))
        found, own = [f"--config={config}", f"--ckpt_path={checkpoint}"], own[1:]
    parser = datamodule_parser("soft-labels export", _EXPORTS, ignored=OF_A_RUN)
    add_ignored(parser, ("trainer",))
    parser.usage = "soft-labels export RUN --out FOLDER [options]"
    parser.add_argument("--ckpt_path", type=str | None, default=None, help="checkpoint, where RUN is not given")
    parser.add_argument("--out", type=str, required=True, help="a new folder")
    parser.add_argument("--onnx", action="store_true", default=SUPPRESS, help="write the head as ONNX too")
    asked = parser.parse_args([*found, *own])
    if asked.ckpt_path is None:
        raise ConfigError("export wants the folder of a run, or --config and --ckpt_path; give one of them")
    from soft_labels.heads.export import head_of_run
    from soft_labels.training.best import read_checkpoint

    checkpoint_read = read_checkpoint(Path(asked.ckpt_path))
    head = head_of_run(parser.instantiate_classes(asked).data, checkpoint_read)
    folder = head.save(Path(asked.out), onnx="onnx" in asked)
    print(f"head written to {folder}; next: soft-labels predict {folder} TABLE --out predictions.parquet")  # noqa: T201
