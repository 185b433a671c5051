"""Searching for settings with Optuna: many trials train together, and only the validation split decides."""

from soft_labels.sweep.claims import finished, run_ids
from soft_labels.sweep.options import SweepOptions, base_spec, parse_sweep
from soft_labels.sweep.settings import SweepSettings
from soft_labels.sweep.storage import Storage, open_storage
from soft_labels.sweep.study import search

__all__ = [
    "Storage",
    "SweepOptions",
    "SweepSettings",
    "base_spec",
    "finished",
    "open_storage",
    "parse_sweep",
    "run_ids",
    "search",
]
