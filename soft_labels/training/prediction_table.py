"""Predicted distributions as a table: its columns, and the one writer of its files."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from torch import Tensor

from soft_labels.distributions import entropy
from soft_labels.errors import ConfigError
from soft_labels.files import written_whole

TableFormat = Literal["csv", "parquet", "jsonl"]
FORMATS: tuple[TableFormat, ...] = get_args(TableFormat)
_SUFFIXES: dict[str, TableFormat] = {
    ".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip


def format_of(path: Path) -> TableFormat:
    """The format that a file's suffix says.

    Raises:
        ConfigError: It says none that is known.

    Example:
        >>> format_of(Path("predictions.parquet"))
        'parquet'
    """
    try:
        return _SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise ConfigError(
            f"{path}: wanted a table that ends in {', '.join(_SUFFIXES)}, got {path.suffix or 'no suffix'!r}; name it "
            "so, or choose a format"
        ) from None


def prediction_columns(
    uids: Sequence[str], pred_dist: Tensor, class_names: Sequence[str], **beside: Sequence[str]
) -> dict[str, Any]:
    """The columns of a table of predictions.

    Args:
        uids: ``[N]``.
        pred_dist: ``[N, C]``.
        class_names: ``[C]``.
        beside: Further columns, ``[N]`` each, after the uid.

    Returns:
        By name and in order: ``uid``, those beside, ``p_CLASS`` for each class (probability), ``top_class`` (the
        likeliest, of equal ones the first) and ``entropy_nats``.
    """
    top = [class_names[place] for place in pred_dist.argmax(dim=-1).tolist()]
    return {
        "uid": list(uids),
        **{name: list(values) for name, values in beside.items()},
        **{f"p_{name}": pred_dist[:, place].numpy() for place, name in enumerate(class_names)},
        "top_class": top,
        "entropy_nats": entropy(pred_dist).numpy().astype(np.float64),
    }


@contextmanager
def table_writer(path: Path, form: TableFormat) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """What adds rows to a table that appears whole, or not at all, when the block ends.

    Rows wait on the disk in blocks as they are added, so that memory holds one block and not the table.

    Args:
        path: The file.
        form: What it is, whatever its suffix.
    """
    import polars as pl

    with written_whole(path) as partial, tempfile.TemporaryDirectory(prefix="soft-labels-") as folder:
        blocks: list[Path] = []

        def add(columns: Mapping[str, Any]) -> None:
            blocks.append(Path(folder) / f"{len(blocks):06}.parquet")
            pl.DataFrame(columns).write_parquet(blocks[-1])

        yield add
        rows = pl.scan_parquet(blocks, glob=False)
        sinks: dict[TableFormat, Callable[[Path], object]] = {
            "csv": rows.sink_csv, "parquet": rows.sink_parquet, "jsonl": rows.sink_ndjson,
        }  # fmt: skip
        sinks[form](partial)
