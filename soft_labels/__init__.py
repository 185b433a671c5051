"""Train classifiers on annotation distributions.

``load(SOURCE)`` reads a head that travels, ``train(annotations, inputs)`` trains one; both are imported when they are
first asked for, so that ``import soft_labels`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soft_labels.heads.head import Predictions, TrainedHead, load
    from soft_labels.heads.train import train

__all__ = ["Predictions", "TrainedHead", "load", "train"]
_HOMES = {"Predictions": "heads.head", "TrainedHead": "heads.head", "load": "heads.head", "train": "heads.train"}


def __getattr__(name: str) -> Any:
    """A public name, imported now."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted({*globals(), *__all__})
