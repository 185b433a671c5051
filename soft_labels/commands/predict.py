"""``soft-labels predict``: a head's predictions for a table, or a run's by its configuration and checkpoint."""

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from soft_labels.commands.fit import show_progress
from soft_labels.errors import ConfigError
from soft_labels.training.prediction_table import TableFormat, format_of

_LABEL = "label"
_COLUMNS = {
    "uid_column": "column of the item's id; without one rows are numbered",
    "text_column": "column of the text, or of the first text of a pair",
    "second_text_column": "column of the second text of a pair",
    "text_template": 'one text made of several columns, such as "{post} [reply] {reply}"',
    "image_column": "column of image paths, relative to the table's folder",
    "encoding": "encoding of the file; found out by default",
}


def run_predict(arguments: list[str]) -> None:
    """``soft-labels predict HEAD TABLE --out FILE``, or ``predict --config FILE --ckpt_path FILE``."""
    if len(arguments) > 1 and arguments[1].startswith("-") and arguments[1] not in {"-h", "--help"}:
        from soft_labels.commands.fit import run_lightning

        run_lightning(arguments)
        return
    show_progress()
    asked = _parser().parse_args(arguments[1:])
    form = asked.format or format_of(Path(asked.out))
    from soft_labels.heads.annotated import Ratings
    from soft_labels.heads.head import load
    from soft_labels.heads.table import ItemTable, predict_table

    if not Path(asked.table).exists():
        raise ConfigError(f"{asked.table}: no such table; give the path of an existing file or folder")
    head = load(asked.head, revision=asked.revision, encoder=asked.encoder)
    columns = {name: asked[name] for name in _COLUMNS if asked[name] is not None}
    if columns.get("uid_column") == "null":
        columns["uid_column"] = None
    out = Path(asked.out)
    ratings = None
    if asked.annotations is None and asked.label_column != _LABEL:
        raise ConfigError(f"--label_column {asked.label_column} is of annotations; name their table: --annotations")
    if asked.annotations is not None:
        label = None if asked.label_column == "null" else asked.label_column
        ratings = Ratings(head, Path(asked.annotations), columns.get("uid_column"), label)
    count = predict_table(head, ItemTable(Path(asked.table), columns, asked.missing), out, form, ratings)
    print(f"{count:,} predicted distributions in {out}")  # noqa: T201


def _parser() -> ArgumentParser:
    """The options of the first form."""
    from soft_labels.annotations.table.settings import Missing

    parser = ArgumentParser(
        prog="soft-labels predict",
        description="Predict the items of a table with an exported head, in bounded memory.",
        epilog="The other form, predict --config RUN/config.yaml --ckpt_path RUN/checkpoints/best.ckpt, predicts with "
        "the configuration of a run, and writes beside it; add --help-all to see its options.",
        exit_on_error=False,
    )
    parser.add_argument("head", type=str, help="folder that soft-labels export wrote, or ORGANISATION/NAME on the Hub")
    parser.add_argument("table", type=str, help=".csv, .jsonl, .parquet ... of items; .npy ... for a head on vectors")
    parser.add_argument("--out", type=str, required=True, help="file of predictions: .csv, .parquet or .jsonl")
    parser.add_argument("--format", type=TableFormat | None, default=None, help="of that file; by default its suffix's")
    words = "what becomes of items that lack a text or cannot be read"
    parser.add_argument("--missing", type=Missing, default="error", help=words)
    for name, words in _COLUMNS.items():
        parser.add_argument(f"--{name}", type=str | None, default=None, help=f"{words}; by default as in training")
    words = "table of annotations that some of the items have already: the head and they make a posterior together"
    parser.add_argument("--annotations", type=str | None, default=None, help=words)
    words = "of annotations: column of the label; null where each class has a column of counts"
    parser.add_argument("--label_column", type=str, default=_LABEL, help=words)
    parser.add_argument("--revision", type=str | None, default=None, help="commit, tag or branch of a head of the Hub")
    words = "settings of the encoder for this machine, as --encoder.device cuda"
    parser.add_argument("--encoder", type=dict[str, Any], default={}, help=words)
    return parser
