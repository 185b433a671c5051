"""Tables 1 and 2 of the paper from our records, and what each sampler found."""

import math
from collections.abc import Sequence
from dataclasses import fields

from soft_labels.report import notes
from soft_labels.report.columns import decimal, integer, paper_columns, paper_moments, plain, spread_column, text
from soft_labels.report.content import Column, Row, Table, Value
from soft_labels.report.evidence import Evidence, SetEvidence
from soft_labels.report.paper import PAPER, paper_arm
from soft_labels.training.kinds import unread
from soft_labels.training.spec import RunSpec

_CHOSEN = {"lr": "LR", "batch_size": "Batch", "max_epochs": "Epochs", "weight_decay": "WD", "scheduler": "Scheduler"}
_SHOWN = {**_CHOSEN, "hidden_width": "Width", "dropout": "Dropout"}


def dataset_table(evidence: Evidence) -> Table:
    """Table 1: what the data sets hold."""
    return Table(
        name="table1-datasets",
        title="Table 1. Data sets",
        rows=[_dataset_row(one) for one in evidence.sets],
        columns=[
            text("Data set", "dataset"),
            integer("Classes", "classes"),
            integer("Items", "items"),
            decimal("Annotations an item", "annotations_per_item", 1),
            spread_column("Entropy", "entropy", 2),
            integer("Tied items", "tied_items"),
            Column("Train / val / test", lambda row: " / ".join(f"{row[part]:,}" for part in ("train", "val", "test"))),
            *paper_columns(
                [one.name for one in evidence.sets],
                [
                    integer("Items", "paper_items"),
                    decimal("Annotations", "paper_annotations_per_item", 1),
                    spread_column("Entropy", "paper_entropy", 2),
                ],
            ),
        ],
        notes=[notes.DATASETS],
    )


def _dataset_row(one: SetEvidence) -> Row:
    """One data set of Table 1."""
    told, paper = one.index.description, PAPER.get(one.name)
    return {
        "dataset": one.name,
        "classes": len(one.index.class_names),
        "items": int(told["items"]),
        "annotations_per_item": told["annotations_per_item"],
        "entropy_mean": told["normalized_entropy_mean"],
        "entropy_sd": told["normalized_entropy_sd"],
        **{key: int(told[key]) for key in ("tied_items", "train", "val", "test")},
        "paper_items": paper.items if paper else None,
        "paper_annotations_per_item": paper.annotations_per_item if paper else None,
        **paper_moments("entropy", paper.entropy if paper else None),
    }


def hyperparameter_table(evidence: Evidence) -> Table:
    """Table 2: the best hyperparameters of the arms that train."""
    shown = {**_SHOWN, **{key: key for key in _searched(evidence) if key not in _SHOWN}}
    return Table(
        name="table2-hyperparameters",
        title="Table 2. Best hyperparameters",
        rows=[_hyperparameter_row(one, arm, list(shown)) for one in evidence.sets for arm in one.best],
        columns=[
            text("Data set", "dataset"),
            text("Arm", "arm"),
            *(plain(title, key) for key, title in shown.items()),
            decimal("Validation loss", "val_loss", 4),
            integer("Best epoch", "best_epoch"),
            *paper_columns(
                [one.name for one in evidence.sets],
                [plain(title, f"paper_{key}") for key, title in _CHOSEN.items()],
            ),
        ],
        notes=[notes.HYPERPARAMETERS, *notes.derived(evidence)],
    )


def _searched(evidence: Evidence) -> list[str]:
    """The fields of a spec that differ between the trials of an arm."""
    searches = [runs for one in evidence.sets for samplers in one.trials.values() for runs in samplers.values()]
    return [
        field.name
        for field in fields(RunSpec)
        if any(len({getattr(run.run_spec, field.name) for run in runs}) > 1 for runs in searches)
    ]


def _hyperparameter_row(one: SetEvidence, arm: str, shown: Sequence[str]) -> Row:
    """One arm of Table 2."""
    best, paper = one.best[arm], paper_arm(one.name, one.best[arm].run_spec.plain_target)
    printed: Sequence[Value] = paper.best if paper else [None] * len(_CHOSEN)
    return {
        "dataset": one.name,
        "arm": arm,
        **{key: None if key in unread(best.run_spec.head) else getattr(best.run_spec, key) for key in shown},
        "val_loss": best.value,
        "best_epoch": None if best.run_spec.kind.solved else best.best_epoch + 1,
        **{f"paper_{key}": value for key, value in zip(_CHOSEN, printed, strict=True)},
    }


def sampler_table(evidence: Evidence) -> Table | None:
    """What each sampler spent and found, where there was a search."""
    rows = [row for one in evidence.sets for row in _sampler_rows(one)]
    if not rows:
        return None
    return Table(
        name="samplers",
        title="Samplers: trials spent and validation loss found",
        rows=rows,
        columns=[
            text("Data set", "dataset"),
            text("Arm", "arm"),
            text("Sampler", "sampler"),
            integer("Trials", "trials"),
            decimal("Best validation loss", "best_val_loss", 4),
            integer("Found at trial", "found_at"),
            decimal("Above the lowest", "above_lowest", 4),
        ],
        notes=[notes.SAMPLERS],
    )


def _sampler_rows(one: SetEvidence) -> list[Row]:
    """The samplers on one data set."""
    rows: list[Row] = []
    for arm, trials in one.trials.items():
        losses = {sampler: [run.value for run in runs] for sampler, runs in trials.items()}
        lowest = min((min(values) for values in losses.values()), default=math.nan)
        for sampler, values in losses.items():
            best = min(values)
            rows.append(
                {"dataset": one.name, "arm": arm, "sampler": sampler, "trials": len(values),
                 "best_val_loss": best, "found_at": values.index(best) + 1, "above_lowest": best - lowest}
            )  # fmt: skip
    return rows
