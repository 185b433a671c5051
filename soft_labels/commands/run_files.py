"""The files of a run that other commands take."""

from pathlib import Path

from soft_labels.errors import ConfigError


def files_of_run(run: Path) -> tuple[Path, Path]:
    """The configuration and the checkpoint of a run.

    Args:
        run: A folder of ``fit``, or a ``best-ARM.ckpt`` or ``best-ARM.yaml`` of a sweep or an experiment.

    Raises:
        ConfigError: There are no such files.
    """
    if run.is_dir():
        config, checkpoint = run / "config.yaml", run / "checkpoints" / "best.ckpt"
    elif run.suffix == ".ckpt" and run.parent.name == "checkpoints":
        config, checkpoint = run.parent.parent / "config.yaml", run
    else:
        config, checkpoint = run.with_suffix(".yaml"), run.with_suffix(".ckpt")
    for path in (config, checkpoint):
        if not path.is_file():
            raise ConfigError(
                f"{run}: no {path}; give a folder that fit made, a best-ARM.ckpt beside its best-ARM.yaml, or --config "
                "and --ckpt_path"
            )
    return config, checkpoint
