"""Searching for settings with Optuna: many trials train together, and only the validation split decides."""

from soft_labels.sweep.settings import SweepSettings
from soft_labels.sweep.shared.claims import finished, run_ids
from soft_labels.sweep.shared.storage import Storage, open_storage
from soft_labels.sweep.study import PlannedSearch, search

__all__ = [
    "PlannedSearch",
    "Storage",
    "SweepSettings",
    "finished",
    "open_storage",
    "run_ids",
    "search",
]
