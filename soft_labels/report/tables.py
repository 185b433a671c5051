"""Tables 1 and 2 of the paper from our records, and what each sampler found."""

import math
from collections.abc import Sequence

from soft_labels.objectives import Target
from soft_labels.report import notes
from soft_labels.report.columns import decimal, integer, paper_columns, paper_moments, plain, spread_column, text
from soft_labels.report.evidence import TARGETS, Evidence, SetEvidence
from soft_labels.report.paper import PAPER
from soft_labels.report.parts import Column, Row, Table, Value

_CHOSEN = {"lr": "LR", "batch_size": "Batch", "max_epochs": "Epochs", "weight_decay": "WD", "scheduler": "Scheduler"}


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
    told, paper = one.part.description, PAPER.get(one.name)
    return {
        "dataset": one.name,
        "classes": len(one.part.class_names),
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
    """Table 2: the best hyperparameters."""
    return Table(
        name="table2-hyperparameters",
        title="Table 2. Best hyperparameters",
        rows=[_hyperparameter_row(one, target) for one in evidence.sets for target in TARGETS],
        columns=[
            text("Data set", "dataset"),
            text("Target", "target"),
            *(plain(title, key) for key, title in _CHOSEN.items()),
            plain("Width", "hidden_width"),
            plain("Dropout", "dropout"),
            decimal("Validation loss", "val_loss", 4),
            integer("Best epoch", "best_epoch"),
            *paper_columns(
                [one.name for one in evidence.sets],
                [plain(title, f"paper_{key}") for key, title in _CHOSEN.items()],
            ),
        ],
        notes=[notes.HYPERPARAMETERS],
    )


def _hyperparameter_row(one: SetEvidence, target: Target) -> Row:
    """One arm of Table 2."""
    best, paper = one.best[target], PAPER.get(one.name)
    printed: Sequence[Value] = paper.arms[target].best if paper else [None] * len(_CHOSEN)
    return {
        "dataset": one.name,
        "target": target,
        **{key: best.spec[key] for key in (*_CHOSEN, "hidden_width", "dropout")},
        "val_loss": best.value,
        "best_epoch": best.best_epoch + 1,
        **{f"paper_{key}": value for key, value in zip(_CHOSEN, printed, strict=True)},
    }


def sampler_table(evidence: Evidence) -> Table:
    """What each sampler spent and found."""
    return Table(
        name="samplers",
        title="Samplers: trials spent and validation loss found",
        rows=[row for one in evidence.sets for row in _sampler_rows(one)],
        columns=[
            text("Data set", "dataset"),
            text("Target", "target"),
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
    for target in TARGETS:
        losses = {sampler: [trial.value for trial in trials] for sampler, trials in one.trials[target].items()}
        lowest = min((min(values) for values in losses.values()), default=math.nan)
        for sampler, values in losses.items():
            best = min(values)
            rows.append(
                {"dataset": one.name, "target": target, "sampler": sampler, "trials": len(values),
                 "best_val_loss": best, "found_at": values.index(best) + 1, "above_lowest": best - lowest}
            )  # fmt: skip
    return rows
